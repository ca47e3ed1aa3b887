"""The page on disk: scripts with the data, our static files, and ``index.html`` at last.

What changes has another name than before, so that the old page is good until the new
``index.html`` is there, whenever a run is stopped. Only then goes what is not needed any more,
and of that only what is called as files of ours are.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2s
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.records import SUCCESSES
from scrapy_imgpipe.report.gallery.scripts import call, named
from scrapy_imgpipe.report.gallery.thumbnails import MADE, Looked

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from scrapy_imgpipe.report.gallery.thumbnails import Tile
    from scrapy_imgpipe.stores import FileSystemStore

#: Rows of one script; and records, which are read one script at a time when one is opened.
_ROWS, _RECORDS = 2000, 200

#: What an earlier run has found out.
_KNOWN: Final = "data/known.jsonl"

#: What tells our page from another one.
_MARK: Final = '<meta name="generator" content="scrapy-imgpipe gallery">'

_INDEX: Final = "index.html"
_OURS: Final = re.compile(
    rf"{MADE.pattern}"
    r"|data/(?:rows-\d+|records-\d+|page)-[0-9a-f]{12}\.js"
    r"|assets-[0-9a-f]{12}/[\w./-]+"
)
_FOLDERS: Final = re.compile(r"thumbs|views|data|assets-[0-9a-f]{12}")


class _Numbers:
    """Texts that many rows share, each as its place in a list."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def of(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


class Page:
    """One page that is being written.

    Args:
        folder: where to.
        base: URL of the store's files, which most URLs of pictures begin with.

    Attributes:
        rows: that it has.
        pictures: that it shows, each file once.
        failures: of sources.
        faults: pictures that cannot be shown.
        made: files that were made for them in this run.
    """

    def __init__(self, folder: FileSystemStore, base: str) -> None:
        self._folder = folder
        self._base = base
        self._rows: list[list[Any]] = []
        self._records: list[Any] = []
        self._scripts: dict[str, list[str]] = {"rows": [], "records": []}
        self._outcomes, self._formats, self._hosts = _Numbers(), _Numbers(), _Numbers()
        self._seen: set[str] = set()
        self._wanted: set[str] = set()
        self._known: dict[str, Looked] = {}
        self.rows: int = 0
        self.pictures: int = 0
        self.failures: int = 0
        self.faults: int = 0
        self.made: int = 0

    def add(self, tile: Tile) -> None:
        """Add one picture, or one failure, behind the others."""
        entry, looked = tile.entry, tile.looked
        again = entry.path in self._seen
        if entry.path and not again:
            self._seen.add(entry.path)
            self.pictures += 1
            self.faults += bool(tile.fault)
        self.rows += 1
        self.failures += entry.is_failed
        self.made += tile.made
        self._rows.append(self._row(tile, again=again))
        self._records.append([list(cell) for cell in entry.record])
        if looked is not None:
            self._known[tile.key] = looked
            self._wanted.update(path for path in (looked.thumb, looked.view) if path)
        if len(self._rows) >= _ROWS:
            self._flush("rows", self._rows)
        if len(self._records) >= _RECORDS:
            self._flush("records", self._records)

    def _row(self, tile: Tile, *, again: bool) -> list[Any]:
        """Return what the page has of *tile*; data.js reads it in this order."""
        entry = tile.entry
        width, height, form = tile.looked[:3] if tile.looked else entry[2:5]
        is_base = bool(self._base) and tile.source.startswith(self._base)
        return [
            entry.url,
            entry.path,
            f"@{tile.source[len(self._base) :]}" if is_base else tile.source,
            "=" if tile.thumb == tile.source else tile.thumb,
            width,
            height,
            self._outcomes.of(entry.outcome),
            self._formats.of(form),
            self._hosts.of(entry.host),
            tile.bytes,
            round(entry.finished or tile.modified, 3),
            entry.is_failed * 1 + again * 2,
            entry.reason,
            tile.fault,
            entry.alt,
            entry.words,
            entry.colour,
        ]

    def _flush(self, stem: str, some: list[Any]) -> None:
        scripts = self._scripts[stem]
        number = len(scripts)
        scripts.append(self._put(f"data/{stem}-{number:05}", call(stem, number, some)))
        some.clear()

    def _put(self, stem: str, data: bytes) -> str:
        path = named(stem, data)
        self._wanted.add(path)
        if self._folder.stat(path) is None:
            self._folder.put(path, data)
        return path

    def finish(self, title: str) -> int:
        """Write the rest, ``index.html`` at last, and remove what is stale; return how much."""
        for stem, some in (("rows", self._rows), ("records", self._records)):
            if some:
                self._flush(stem, some)
        outcomes = self._outcomes.texts
        told = {
            "title": title,
            "made": datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z",
            "base": self._base,
            "count": self.rows,
            **self._scripts,
            "recordsEach": _RECORDS,
            "outcomes": outcomes,
            "fine": [outcome in SUCCESSES for outcome in outcomes],
            "formats": self._formats.texts,
            "hosts": self._hosts.texts,
        }
        assets = self._put_assets()
        page = self._put("data/page", call("page", told))
        # Here, not earlier: that a run was stopped says nothing of the files.
        self._put_known()
        text = (files(__package__) / "static" / _INDEX).read_text(encoding="utf-8")
        # One by one, the title last: nothing in it is replaced.
        for name, value in (("assets", assets), ("page", page), ("title", title)):
            text = text.replace(f"@{name}@", html.escape(value))
        self._folder.put(_INDEX, text.encode(errors="replace"))  # a file's name may be the title
        return self._clean()

    def _put_assets(self) -> str:
        assets = dict(_assets(files(__package__) / "static"))
        digest = blake2s(digest_size=6)
        for name, data in sorted(assets.items()):
            digest.update(name.encode() + b"\0" + data)
        folder = f"assets-{digest.hexdigest()}"
        for name, data in assets.items():
            self._wanted.add(f"{folder}/{name}")
            self._folder.put(f"{folder}/{name}", data)
        return folder

    def _put_known(self) -> None:
        lines = (json.dumps([key, *looked]) for key, looked in self._known.items())
        self._folder.put(_KNOWN, "".join(f"{line}\n" for line in lines).encode())

    def _clean(self) -> int:
        """Remove files of ours that no page needs any more, and folders that are empty then."""
        stale = [path for path in _ours(self._folder) if path not in self._wanted]
        for path in stale:
            self._folder.delete(path)
        for folder in sorted({parent for path in stale for parent in _parents(path)}, reverse=True):
            with suppress(OSError):  # others have something there
                Path(self._folder.base, folder).rmdir()
        return len(stale)


def check_ours(folder: str) -> None:
    """Refuse to replace an ``index.html`` of somebody else.

    Raises:
        SettingError: *folder* has one.
        StoreFailed: it cannot be read.
    """
    try:
        with Path(folder, _INDEX).open(encoding="utf-8", errors="replace") as file:
            begin = file.read(4096)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise StoreFailed(f"Could not read {error.filename!r}: {error.strerror}") from None
    if _MARK not in begin:
        raise SettingError(
            f"Expected a folder without an index.html of another origin but received {folder!r}"
        )


def known_in(folder: FileSystemStore) -> dict[str, Looked]:
    """Return what an earlier run has found out; what cannot be read is as good as unknown."""
    known = {}
    for line in (folder.get(_KNOWN) or b"").splitlines():
        with suppress(ValueError, TypeError, RecursionError):
            key, *rest = json.loads(line)
            looked = Looked(*rest)
            if _is_ours(looked):
                known[str(key)] = looked
    return known


def _is_ours(looked: Looked) -> bool:
    """Return whether *looked* is such as this module writes, whoever has written it."""
    sides, files_ = (looked.width, looked.height), (looked.thumb, looked.view)
    return (
        all(isinstance(side, int) and side > 0 for side in sides)
        and isinstance(looked.format, str)
        and all(isinstance(path, str) for path in files_)
        and all(MADE.fullmatch(path) for path in files_ if path)
    )


def _ours(folder: FileSystemStore) -> Iterator[str]:
    for entry in os.scandir(folder.base):
        if _FOLDERS.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            for path in folder.list(f"{entry.name}/"):
                if _OURS.fullmatch(path):
                    yield path


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]


def _assets(folder: Traversable, before: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _assets(entry, f"{before}{entry.name}/")
        elif entry.name != _INDEX:
            yield f"{before}{entry.name}", entry.read_bytes()
