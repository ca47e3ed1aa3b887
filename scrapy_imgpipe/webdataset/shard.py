"""One shard: it grows on the local disk, and appears in the store whole or not at all."""

from __future__ import annotations

import json
import tarfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scrapy_imgpipe.report.cells import to_json
from scrapy_imgpipe.report.optional import pyarrow
from scrapy_imgpipe.stores import Facts, Store, put_file
from scrapy_imgpipe.webdataset import names
from scrapy_imgpipe.webdataset.facts import NO_DOWNLOAD, NO_PICTURE, SUCCESS, json_of
from scrapy_imgpipe.webdataset.spool import Spool, said
from scrapy_imgpipe.webdataset.table import Columns, chunks_of

_BLOCK = tarfile.BLOCKSIZE


class Shard:
    """The rows of one shard, and the tar of those that have a picture.

    Args:
        number: of the shard.
        folder: for what is not put yet.
        columns: of the dataset; widened by its rows.

    Attributes:
        number: of the shard.
        rows: how many it has.
    """

    def __init__(self, number: int, folder: Path, columns: Columns) -> None:
        self.number = number
        self.rows: int = 0
        self._columns = columns
        self._statuses: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._began = time.time()
        self._is_sealed = False
        self._folder = folder
        with said("make a shard in", repr(str(folder))):
            self._tar = Spool(folder)
            self._lines = Spool(folder)

    def add(
        self, facts: dict[str, Any], files: Sequence[tuple[str, bytes]], text: str | None = None
    ) -> None:
        """Add one row, and a sample of all *files*, its facts and *text*, where there are some.

        Raises:
            StoreFailed: nothing was added.
        """
        placed = self._columns.placed(facts)
        end = self._tar.end
        with said("write", f"the shard {names.stem(self.number)}"):
            if files:
                self._tar.add(_sample(facts, files, text))
            try:
                self._lines.add(f"{to_json(placed)}\n".encode())
            except OSError:
                self._tar.cut(end)
                raise
        self.rows += 1
        status = facts["status"]
        self._statuses[status] += 1
        self._errors[status if status == SUCCESS else facts["error_message"]] += 1

    def put(self, store: Store) -> None:
        """Put it into *store*: its tar, its figures, and its Parquet file last.

        What another shard of this number left goes first, its Parquet file before all:
        at no time stands one beside another shard's tar.

        Raises:
            StoreFailed: it is not complete there; may be called again.
        """
        table = names.table_of(self.number)
        arrow, _ = pyarrow()
        with said("write", f"the shard {names.stem(self.number)}", arrow.ArrowException):
            self._seal()
            written = Spool(self._folder)
            try:
                written.close()
                self._columns.write(written.path, chunks_of(self._read()))
                store.delete(table)
                if self._tar.path.exists():  # else a put that failed later has moved it
                    facts = Facts("application/x-tar")
                    put_file(store, names.tar_of(self.number), str(self._tar.path), facts)
                store.put(names.figures_of(self.number), self._figures(), Facts("application/json"))
                put_file(store, table, str(written.path))
            finally:
                written.remove()
        self.remove()

    def remove(self) -> None:
        """Remove what is on the local disk."""
        self._tar.remove()
        self._lines.remove()

    def _seal(self) -> None:
        if not self._is_sealed:
            # Two empty blocks at least, and then as many as fill a record (POSIX ustar).
            blocks = 2 * _BLOCK
            self._tar.add(bytes(blocks + -(self._tar.end + blocks) % tarfile.RECORDSIZE))
            self._tar.close()
            self._is_sealed = True

    def _read(self) -> Iterator[dict[str, Any]]:
        with self._lines.path.open("rb") as file:
            yield from map(json.loads, file)

    def _figures(self) -> bytes:
        ended = time.time()
        figures = {
            "count": self.rows,
            "successes": self._statuses[SUCCESS],
            "failed_to_download": self._statuses[NO_DOWNLOAD],
            "failed_to_resize": self._statuses[NO_PICTURE],
            "duration": ended - self._began,
            "start_time": self._began,
            "end_time": ended,
            "status_dict": dict(self._errors.most_common()),
            names.TAR_BYTES: self._tar.end,
        }
        return json.dumps(figures, indent=4).encode()


def _sample(
    facts: Mapping[str, Any], files: Sequence[tuple[str, bytes]], text: str | None
) -> bytes:
    """Return the members of one sample, which stand beside each other."""
    members = [*files, ("json", json_of(facts).encode())]
    if text is not None:
        members.append(("txt", text.encode()))
    return b"".join(_member(f"{facts['key']}.{ending}", data) for ending, data in members)


def _member(name: str, data: bytes) -> bytes:
    """Return a file of a tar, the same bytes whoever writes it and whenever."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    head = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    return b"".join((head, data, bytes(-len(data) % _BLOCK)))
