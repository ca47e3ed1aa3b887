"""What every store can do, and what callers may rely on.

All methods block, so they are called from worker threads, several at once, and
never on the event loop. Paths are relative, separated by ``/``, and pass
:func:`scrapy_imgpipe.paths.checked_path` first; what that refuses raises
:class:`~scrapy_imgpipe.errors.StoreFailed` with code ``bad-path``. Any other
failure raises it with code ``store-failed`` and without a chained exception or
the data, so that a kept failure keeps nothing alive.

The contract is a test class, ``tests/stores/contract.py``: derive from it, give
it your store, and it tells what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store knows of a file without reading it.

    Attributes:
        bytes: its size, 0 or more.
        modified: when it was last put, Unix seconds UTC; 0 from a put where the store does
            not tell then.
        checksum: MD5 of its bytes, 32 hexadecimal digits, where the store knows it.
    """

    bytes: int
    modified: float
    checksum: str = ""


class Facts(NamedTuple):
    """What travels beside the bytes of a file, to stores that serve it to others.

    Attributes:
        media_type: for ``Content-Type``; empty where nobody knows.
        width: in pixels; 0 where nobody knows.
        height: in pixels; 0 where nobody knows.
        checksum: MD5 of the bytes, 32 hexadecimal digits; empty where nobody knows.
    """

    media_type: str = ""
    width: int = 0
    height: int = 0
    checksum: str = ""


NO_FACTS = Facts()


class File(NamedTuple):
    """What is to be put: where to, the bytes, and what is known of them."""

    path: str
    data: bytes
    facts: Facts = NO_FACTS


@runtime_checkable
class Store(Protocol):
    """A place where renditions are kept."""

    def put(self, path: str, data: bytes, facts: Facts = NO_FACTS) -> Stat:
        """Keep *data* under *path*, replacing what was there; return what :meth:`stat` will.

        A store of files has no place for *facts*.

        Readers see the old file or the new one, never a part. On failure the
        old one is untouched. Of two puts at once, one wins whole.
        """

    def put_all(self, files: Sequence[File | tuple[str, bytes]]) -> list[Stat]:
        """Keep several files that belong together; they appear in the given order.

        Each is a :class:`File`, or path and bytes where no facts are known.

        Returns the stat of each.

        Give the one whose presence tells that all are there last. A store that
        can prepare prepares all of them before the first appears, so that a
        full disk leaves every old file as it was; a store that cannot puts one
        after the other and stops at the first failure.
        """

    def get(self, path: str) -> bytes | None:
        """Return the whole file, or ``None`` when there is none."""

    def stat(self, path: str) -> Stat | None:
        """Return size and time of the file, or ``None`` when there is none."""

    def delete(self, path: str) -> bool:
        """Remove the file; return whether there was one."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the paths that begin with *prefix*, in no order, while reading.

        *prefix* is compared as text: ``full/a`` matches ``full/ab.jpg`` and
        ``full/a/b.jpg``. Temporary files are never among them, and every path
        can be given to :meth:`get`. What is put or deleted meanwhile may or may
        not show.
        """

    def url(self, path: str) -> str:
        """Return a URI of the file, whether it exists or not; no I/O."""


@runtime_checkable
class Linking(Protocol):
    """A store that can keep one file under several paths."""

    def link_all(self, files: Sequence[tuple[str, str]]) -> list[Stat]:
        """Keep what is stored under the second path of each pair under the first as well.

        Each path may be put, or deleted, without a change to the others. Returns the stat
        of each. Raises :class:`~scrapy_imgpipe.errors.StoreFailed` where one is not there
        or cannot be linked; every old file is as it was then.
        """


@runtime_checkable
class Signing(Protocol):
    """A store that can let others read a file for a while."""

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL under which anybody may read *path* for so many *seconds*; no I/O."""


@runtime_checkable
class Adopting(Protocol):
    """A store that can take a file of this machine without reading it into memory."""

    def put_file(self, path: str, file: str) -> Stat:
        """Keep the local *file* under *path*, as :meth:`Store.put` keeps bytes.

        *file* belongs to the store then, and its name is gone; on failure it is as it was.
        """


def put_file(store: Store, path: str, file: str, facts: Facts = NO_FACTS) -> Stat:
    """Move the local *file* into *store*, whatever kind it is.

    One that is not :class:`Adopting` is given all of its bytes at once, so that they have
    to fit into memory.

    Args:
        store: to put into.
        path: there.
        file: removed once it is stored; as it was on failure.
        facts: of the bytes, for a store that serves them.

    Raises:
        StoreFailed: it is not stored.
        OSError: it cannot be read.
    """
    if isinstance(store, Adopting):
        return store.put_file(path, file)
    local = Path(file)
    stat = store.put(path, local.read_bytes(), facts)
    local.unlink()
    return stat
