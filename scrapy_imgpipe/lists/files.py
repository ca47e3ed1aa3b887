"""Files with lists, and streams: opened, unpacked, and how much of them is through."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Final, cast

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.lists.formats import TEXTS, entries_in
from scrapy_imgpipe.lists.lines import Entry

_BUFFER = 1 << 20

_UNPACKED: Final[Mapping[str, Callable[[BinaryIO], Any]]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}

#: What may stand behind the extension of a text file.
PACKINGS: Final = tuple(_UNPACKED)


def extensions_of(path: str) -> tuple[str, str]:
    """Return the extension that tells the format, and that of the packing, or empty ones."""
    name = PurePath(path).name.lower()
    packing = next((ending for ending in PACKINGS if name.endswith(ending)), "")
    kind = PurePath(name.removesuffix(packing)).suffix
    return (kind, packing) if kind in TEXTS else ("", packing)


def opened(path: str | os.PathLike[str]) -> tuple[BinaryIO, BinaryIO]:
    """Return a file, and what is in it, unpacked where its name ends in one of :data:`PACKINGS`.

    Both are closed with the second, but for the first of a packed one.

    Raises:
        OSError: it cannot be opened.
    """
    file = Path(path).open("rb", buffering=_BUFFER)  # noqa: SIM115 - the caller's
    packing = extensions_of(os.fspath(path))[1]
    if not packing:
        return file, file
    unpacked = io.BufferedReader(_UNPACKED[packing](file), _BUFFER)
    return file, cast("BinaryIO", unpacked)


@contextmanager
def said(place: str) -> Iterator[None]:
    """Turn what goes wrong with reading into one sentence."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SettingError(f"Could not read {place}: {reason}") from None


class TextFile:
    """A file of lines or of JSON; checked at once where it can be read twice.

    Attributes:
        path: where it is.
        weight: its bytes; None of a pipe.
        identity: path, bytes and time; None of a pipe.

    Raises:
        SettingError: it is not there, or is no list.
    """

    def __init__(self, path: str, column: str) -> None:
        self._place = repr(path)
        self.path: str = os.path.abspath(path)  # noqa: PTH100 - keeps links as they are
        self._column = column
        self._kind = extensions_of(path)[0]
        self._files: tuple[BinaryIO, ...] = ()
        self._is_through = False
        with said(self._place):
            found = Path(self.path).stat()
        self.weight: int | None = None
        self.identity: list[Any] | None = None
        if stat.S_ISREG(found.st_mode):
            self.weight = found.st_size
            self.identity = [self.path, found.st_size, found.st_mtime_ns]
            self._check()

    def _check(self) -> None:
        entries = self.entries()
        try:
            next(entries, None)
        finally:
            cast("Any", entries).close()
        self._is_through = False

    def entries(self) -> Iterator[Entry]:
        """Yield URL and columns of each line."""
        with said(self._place):
            try:
                self._files = opened(self.path)
                yield from entries_in(self._files[1], self._kind, self._column, self._place)
            finally:
                self.close()

    def done(self) -> int:
        """Return how many bytes of it are through, before they were unpacked."""
        if self._is_through:
            return self.weight or 0
        files = self._files
        try:
            return files[0].tell() if files else 0
        except ValueError:  # closed this moment
            return self.weight or 0

    def close(self) -> None:
        """Close the file."""
        self._is_through = True
        files, self._files = self._files, ()
        for file in reversed(files):
            file.close()


class Stream:
    """Standard input, or a file that a caller has open; nobody knows how long it is."""

    weight = None
    identity = None

    def __init__(self, file: BinaryIO | None, column: str) -> None:
        self._file = file
        self._column = column

    @property
    def path(self) -> str:
        """What is the same file as the one that is read; empty where none is."""
        try:
            file = self._file if self._file is not None else sys.stdin.buffer
            found = f"/dev/fd/{file.fileno()}"
        except (OSError, AttributeError, ValueError):  # closed, or in memory
            return ""
        return found if Path(found).exists() else ""

    def entries(self) -> Iterator[Entry]:
        """Yield URL and columns of each line."""
        file = self._file if self._file is not None else sys.stdin.buffer
        if not hasattr(file, "peek"):
            file = cast("BinaryIO", io.BufferedReader(cast("Any", file)))
        with said("standard input"):
            yield from entries_in(file, "", self._column, "standard input")

    def done(self) -> int:
        """Return 0."""
        return 0

    def close(self) -> None:
        """Leave it open, for it is the caller's."""
