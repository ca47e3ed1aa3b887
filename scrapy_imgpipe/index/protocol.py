"""What every index can do, and what callers may rely on.

All methods block, so they are called from workers only, several at once. What goes
wrong raises :class:`~scrapy_imgpipe.errors.IndexFailed`. An index belongs to one store,
and several processes may use it at the same time.

The contract is a test class, ``tests/index/contract.py``: derive from it, give it your
index, and it tells what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from scrapy_imgpipe.records import ImageRecord


class Key(NamedTuple):
    """What a record is found by.

    Attributes:
        fingerprint: of the request, in hexadecimal; empty where only the name is known.
        asked: as :attr:`scrapy_imgpipe.records.ImageRecord.asked`.
    """

    fingerprint: str
    asked: str


class Near(NamedTuple):
    """A source whose picture is much like another.

    Attributes:
        url: of its request.
        bits: how many bits of the two perceptual hashes differ.
    """

    url: str
    bits: int


@runtime_checkable
class Index(Protocol):
    """What is known about the sources of one store."""

    def get(self, keys: Sequence[Key]) -> list[ImageRecord | None]:
        """Return the record of each of *keys*, in their order.

        A record that has no fingerprint, because an import saw only the file, is found
        by its name, where there is none with this fingerprint and this name.
        """

    def put(self, records: Sequence[ImageRecord]) -> None:
        """Keep *records*, each in the place of the one with its key; all or none.

        When it returns, they survive the death of this process. The record of an import
        is replaced by the first one with a fingerprint and the same name.
        """

    def forget(self, keys: Sequence[Key]) -> None:
        """Remove the records of *keys*, where there are any."""

    def alike(self, content: str, most: int) -> list[ImageRecord]:
        """Return up to *most* records of what is stored and came as bytes of MD5 *content*."""

    def near(self, phash: str, most: int, but: Collection[str]) -> Near | None:
        """Return the source whose picture is nearest to one with the hash *phash*.

        That are records with something stored, ``phash`` among what was measured, and
        no ``near_duplicate``: what is marked as like another one counts for nothing.

        Args:
            phash: 64 bits as 16 hexadecimal digits.
            most: bits that may differ, 0 to 11.
            but: fingerprints of sources that are not meant.
        """

    def records(self) -> Iterator[ImageRecord]:
        """Yield all records, in no order, in bounded memory.

        What is put or forgotten meanwhile may or may not show.
        """

    def refers_to(self, paths: Sequence[str]) -> set[str]:
        """Return those of *paths* that a record's full image or thumbnail is kept under.

        The answer may be as old as the first call, until :meth:`close`.
        """

    def since(self) -> float:
        """Return the time from which on this index was told of everything that was stored.

        Unix seconds: when it was made, or 0 after :meth:`knows_all`.
        """

    def knows_all(self) -> None:
        """Take note that this index has been told of all files of its store."""

    def count(self) -> int:
        """Return how many records there are."""

    def close(self) -> None:
        """Let go of files and connections; what comes later opens them again."""
