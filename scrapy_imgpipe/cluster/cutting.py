"""A list cut into shards, in one pass and in bounded memory, so that a host has one at a time.

No network, and nothing of what runs the shards. Lines go into a file for each bucket of
hosts. Small buckets make a shard together; a large one is cut into shards of one lane, which
are to be run one after another.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.fetching.run import crawl_of, host_of
from scrapy_imgpipe.fetching.wires import source_line

if TYPE_CHECKING:
    from scrapy_imgpipe.lists import Line

#: Buckets of hosts, and thus the most shards that can be run at a time.
BUCKETS = 1024

#: Bytes that wait for a bucket's file; it is not held open, for processes may have few files.
_BUFFER = 32 << 10

#: Lines between two words to who waits for the cut.
_TOLD_LINES = 1 << 14

#: What stands in the folder of a cut that is whole.
_TABLE = "cut.json"

_BUCKET_FILES = "[0-9][0-9][0-9][0-9].jsonl"

#: Of a version of this module; another one cuts anew.
_FORMAT = 1

#: Where some of a shard's lines are: bucket, offset and length in bytes.
Piece: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """Some lines of a list.

    Attributes:
        number: 0, 1, 2...
        lane: shards of one lane may have a host in common.
        rows: how many lines it has.
        digest: SHA-256 of its lines.
        pieces: where they are.
    """

    number: int
    lane: int
    rows: int
    digest: str
    pieces: tuple[Piece, ...]


class Cut:
    """A list that has been cut.

    Args:
        folder: where it is.
        shards: what it was cut into.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.shards: Sequence[Shard] = shards
        self._folder = folder

    @property
    def rows(self) -> int:
        """How many lines the list has."""
        return sum(shard.rows for shard in self.shards)

    def lines(self, shard: Shard) -> bytes:
        """Return the lines of *shard*, packed.

        Raises:
            StoreFailed: they cannot be read.
        """
        with _said("read", self._folder):
            return zlib.compress(b"".join(map(self._read, shard.pieces)), 1)

    def _read(self, piece: Piece) -> bytes:
        bucket, offset, length = piece
        with _bucket_in(self._folder, bucket).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def forget_lines(self) -> None:
        """Remove the lines; what they were cut into stays known."""
        for bucket in {piece[0] for shard in self.shards for piece in shard.pieces}:
            with suppress(OSError):
                _bucket_in(self._folder, bucket).unlink(missing_ok=True)

    def has_lines(self) -> bool:
        """Return whether the lines are there."""
        buckets = {piece[0] for shard in self.shards for piece in shard.pieces}
        return all(_bucket_in(self._folder, bucket).exists() for bucket in buckets)


def known_cut(folder: Path, identity: str, shard_size: int) -> Cut | None:
    """Return what is in *folder* where that is a cut of the same list, into as large shards.

    Args:
        folder: of the cut.
        identity: of the list; of one without, nobody knows.
        shard_size: lines of a shard.
    """
    try:
        table = json.loads((folder / _TABLE).read_text(encoding="utf-8"))
        if not identity or table["of"] != [_FORMAT, identity, shard_size]:
            return None
        shards = [
            Shard(**{**shard, "pieces": tuple(map(tuple, shard["pieces"]))})
            for shard in table["shards"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Cut(folder, shards)


def cut(
    lines: Iterable[Line],
    folder: Path,
    identity: str,
    shard_size: int,
    tell: Callable[[int], None] = lambda _: None,
) -> Cut:
    """Cut *lines* into shards of at most *shard_size*, in *folder*, in the place of another cut.

    Equal lists make equal shards. Memory is bounded by 32 MiB and what the table of the
    shards takes.

    Args:
        lines: of the list.
        folder: for the cut.
        identity: of the list.
        shard_size: 1 or more.
        tell: called from time to time with the number of lines so far.

    Raises:
        SettingError: the list cannot be read on.
        StoreFailed: the folder cannot be written.
    """
    with _said("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for file in (folder / _TABLE, *folder.glob(_BUCKET_FILES)):
            file.unlink(missing_ok=True)
    buckets: dict[int, _Bucket] = {}
    for count, line in enumerate(lines):
        number = _bucket_of(line)
        bucket = buckets.get(number)
        if bucket is None:
            bucket = buckets[number] = _Bucket(_bucket_in(folder, number), shard_size)
        bucket.add(source_line((line.number, line.url, line.columns)))
        if count % _TOLD_LINES == 0:
            tell(count)
    for bucket in buckets.values():
        bucket.flush()
    shards = [*_numbered(_grouped(sorted(buckets.items()), shard_size))]
    table = {"of": [_FORMAT, identity, shard_size], "shards": [asdict(shard) for shard in shards]}
    with _said("write", folder):
        (folder / _TABLE).write_text(json.dumps(table), encoding="utf-8")
    return Cut(folder, shards)


def _bucket_of(line: Line) -> int:
    host = host_of(line.url)
    # who has no host asks nobody, so that nobody minds where it is
    return crawl_of(host, BUCKETS) if host else line.number // 64 % BUCKETS


class _Bucket:
    """The lines of some hosts, in a file, with marks where a shard is full."""

    def __init__(self, path: Path, shard_size: int) -> None:
        self.pieces: list[tuple[int, int, int, str]] = []  # offset, length, rows, digest
        self._path = path
        self._shard_size = shard_size
        self._buffer = bytearray()
        self._begin = self._end = self._rows = 0
        self._digest = sha256()

    @property
    def rows(self) -> int:
        return sum(rows for _, _, rows, _ in self.pieces)

    def add(self, line: bytes) -> None:
        self._buffer += line
        self._end += len(line)
        self._digest.update(line)
        self._rows += 1
        if self._rows == self._shard_size:
            self._end_piece()
        if len(self._buffer) >= _BUFFER:
            self._write()

    def _end_piece(self) -> None:
        length = self._end - self._begin
        self.pieces.append((self._begin, length, self._rows, self._digest.hexdigest()))
        self._begin, self._rows, self._digest = self._end, 0, sha256()

    def _write(self) -> None:
        with _said("write", self._path), self._path.open("ab") as file:
            file.write(self._buffer)
        self._buffer.clear()

    def flush(self) -> None:
        if self._rows:
            self._end_piece()
        self._write()


#: Lane, and what is to be in a shard: bucket, and one of its pieces.
_Group: TypeAlias = tuple[int, list[tuple[int, tuple[int, int, int, str]]]]


def _grouped(buckets: Iterable[tuple[int, _Bucket]], shard_size: int) -> Iterator[_Group]:
    """Yield small buckets together, and the pieces of large ones alone."""
    some: list[tuple[int, tuple[int, int, int, str]]] = []
    rows = 0
    for number, bucket in buckets:
        if bucket.rows > shard_size:
            yield from ((number, [(number, piece)]) for piece in bucket.pieces)
            continue
        if some and rows + bucket.rows > shard_size:
            yield some[0][0], some
            some, rows = [], 0
        some += [(number, piece) for piece in bucket.pieces]
        rows += bucket.rows
    if some:
        yield some[0][0], some


def _numbered(groups: Iterable[_Group]) -> Iterator[Shard]:
    for number, (lane, group) in enumerate(groups):
        digests = "".join(piece[3] for _, piece in group)
        yield Shard(
            number,
            lane,
            sum(piece[2] for _, piece in group),
            sha256(digests.encode()).hexdigest(),
            tuple((bucket, piece[0], piece[1]) for bucket, piece in group),
        )


def _bucket_in(folder: Path, number: int) -> Path:
    return folder / f"{number:04}.jsonl"  # as _BUCKET_FILES


@contextmanager
def _said(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = os.fspath(path)
        raise StoreFailed(f"Could not {what} {place!r}: {error.strerror or error}") from None


def lines_in(packed: bytes) -> list[Any]:
    """Return the lines of a shard, as :meth:`Cut.lines` has packed them: number, URL, columns."""
    return [json.loads(line) for line in zlib.decompress(packed).splitlines()]
