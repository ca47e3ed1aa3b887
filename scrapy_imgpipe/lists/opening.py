"""The one way to read a list: sources in, numbered lines out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self, TypeAlias

from scrapy_imgpipe.lists.files import PACKINGS, Stream, TextFile, extensions_of
from scrapy_imgpipe.lists.formats import TEXTS
from scrapy_imgpipe.lists.lines import Entry, Line, entry_of, url_of
from scrapy_imgpipe.lists.parquet_parts import EXTENSION, ParquetPart, parts_in
from scrapy_imgpipe.parsers import Parser, parse

#: What stands for standard input.
STANDARD_INPUT = "-"

#: A source by name, or what a program has: a URL, or a record with one.
Given: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"


class _Source(Protocol):
    """Where some of the lines come from."""

    @property
    def path(self) -> str:
        """The file that they are in; empty where that is none."""

    @property
    def weight(self) -> int | None:
        """Bytes; None where nobody knows."""

    @property
    def identity(self) -> list[Any] | None:
        """What tells it from others; None where a second one cannot be told from it."""

    def entries(self) -> Iterator[Entry]:
        """Yield URL and columns of each line."""

    def done(self) -> int:
        """Return how many bytes are through."""

    def close(self) -> None:
        """Give back what it holds."""


class ImageList:
    """Lines of a list, to be gone through once; see :func:`open_list`.

    For one thread; :attr:`share` may be asked for by another.

    Attributes:
        identity: the same text for the same list, so that who reads it again can go on
            at a number; empty where nobody can know (standard input, pipes, iterables).
        files: that it is read from.
    """

    def __init__(self, sources: Sequence[_Source], column: str) -> None:
        self._sources = sources
        self.files: list[str] = [source.path for source in sources if source.path]
        self._is_read = False
        weights = [source.weight for source in sources]
        self._total = None if None in weights else sum(weight or 0 for weight in weights)
        identities = [source.identity for source in sources]
        text = json.dumps([column, identities])
        known = None not in identities
        self.identity: str = sha256(text.encode()).hexdigest() if known else ""

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines, one source after another.

        Raises:
            SettingError: a source cannot be read on (a packed file that is cut off, a JSON
                array that is damaged); all lines before that have come.
            RuntimeError: it was gone through already.
        """
        if self._is_read:
            raise RuntimeError("a list is gone through once; open it again")
        self._is_read = True
        return self._lines()

    def _lines(self) -> Iterator[Line]:
        number = 0
        for source in self._sources:
            for url, columns in source.entries():
                yield Line(number, url, columns)
                number += 1

    @property
    def share(self) -> float | None:
        """How much of it is through, 0.0 to 1.0, by bytes; None where nobody knows."""
        if self._total is None:
            return None
        if not self._total:
            return 1.0
        return min(sum(source.done() for source in self._sources) / self._total, 1.0)

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_list(
    sources: str | os.PathLike[str] | Iterable[Given],
    *,
    column: str = "url",
    stdin: BinaryIO | None = None,
) -> ImageList:
    """Open a list of image URLs; every file is looked at before the first line comes.

    A sequence names sources: URLs (with ``://``, or ``data:``), files ending in ``.txt``,
    ``.csv``, ``.tsv``, ``.jsonl``, ``.jl``, ``.ndjson`` or ``.json``, also packed (``.gz``,
    ``.bz2``, ``.xz``), files and folders of ``.parquet``, and ``-`` for standard input,
    which is text or JSON lines. A mapping in it is a record of its own. Any other
    iterable is gone through as it comes: each text is a URL, each mapping a record.

    A line without a URL has an empty one, and a line that is damaged says so in its column
    :data:`~scrapy_imgpipe.lists.lines.PROBLEM`.

    Args:
        sources: as above; a single name is one source.
        column: with the URLs, in all but plain text.
        stdin: in the place of ``sys.stdin.buffer``.

    Raises:
        SettingError: a source is none, cannot be read, or has no such column.
    """
    column = parse(_COLUMN, "the column of URLs", column)
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if not isinstance(sources, Sequence):
        return ImageList([_Given(sources, column)], column)
    return ImageList(list(_sources(sources, column, stdin)), column)


def list_of(entries: Iterable[str | Mapping[str, Any]], *, column: str = "url") -> ImageList:
    """Return what a program has as a list: each text is a URL, whatever it looks like.

    Args:
        entries: texts, and mappings with a *column*; of a sequence, the share is known.
        column: that has the URLs, in mappings.
    """
    return ImageList([_Given(entries, parse(_COLUMN, "the column of URLs", column))], column)


def _sources(names: Sequence[Given], column: str, stdin: BinaryIO | None) -> Iterator[_Source]:
    given: list[Given] = []
    for name in names:
        if isinstance(name, Mapping) or (isinstance(name, str) and _is_url(name)):
            given.append(name)
            continue
        if given:
            yield _Given(given, column)
            given = []
        text = parse(_SOURCE, "a source of URLs", name)
        if text == STANDARD_INPUT:
            yield Stream(stdin, column)
        elif _is_parquet(text):
            parts = parts_in(text) if Path(text).is_dir() else [text]
            yield from (ParquetPart(part, column) for part in parts)
        else:
            yield TextFile(text, column)
    if given:
        yield _Given(given, column)


class _Given:
    """URLs and records that a caller has."""

    path = ""

    def __init__(self, given: Iterable[Given], column: str) -> None:
        self._given = given
        self._column = column
        self._count = 0
        self.weight: int | None = None
        self.identity: list[Any] | None = None
        if isinstance(given, Sequence):
            # A byte each: beside files, they are through in no time.
            self.weight = len(given)
            if all(isinstance(one, str) for one in given):
                self.identity = list(given)

    def entries(self) -> Iterator[Entry]:
        for one in self._given:
            self._count += 1
            if isinstance(one, Mapping):
                yield entry_of(one, self._column)
            else:
                yield url_of(one), {}

    def done(self) -> int:
        return self._count

    def close(self) -> None:
        """Leave them alone, for they are the caller's."""


def _is_url(name: str) -> bool:
    return "://" in name or name[:5].lower() == "data:"


def _is_parquet(path: str) -> bool:
    return path.lower().endswith(EXTENSION) or Path(path).is_dir()


def _parse_source(value: Any) -> str:
    text = os.fspath(value)
    if not isinstance(text, str):
        raise TypeError
    if not text or "\0" in text:
        raise ValueError
    known = text == STANDARD_INPUT or _is_parquet(text) or extensions_of(text)[0]
    if not known and not _is_pipe(text):
        raise ValueError
    return text


def _is_pipe(path: str) -> bool:
    """Return whether *path* is a file of no length, as ``<(command)`` of a shell is."""
    return Path(path).exists() and not Path(path).is_file()


def _parse_column(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value:
        raise ValueError
    return value


_COLUMN = Parser("a name", _parse_column)
_SOURCE = Parser(
    f"a URL, '-', or a file that ends in {', '.join(TEXTS)} (also with {', '.join(PACKINGS)} "
    f"behind it) or {EXTENSION}",
    _parse_source,
)
