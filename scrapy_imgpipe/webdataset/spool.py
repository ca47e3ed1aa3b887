"""What grows on the local disk until its shard is full.

Names are those of temporary files, which tell their owner: those of a process that died
are removed by the next one that works in the same folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.stores import temporary
from scrapy_imgpipe.stores.files import write_whole

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Spool:
    """A file of this process that only grows at its end, by whole pieces.

    Args:
        folder: that it is made in.

    Attributes:
        path: of the file.
        end: its bytes.

    Raises:
        OSError: as for :meth:`add`, which leaves what was there.
    """

    def __init__(self, folder: Path) -> None:
        self.path: Path = folder / temporary.new_name()
        self.end: int = 0
        self._file = os.open(self.path, _NEW, 0o666)  # less the umask, as open() does

    def add(self, piece: bytes) -> None:
        """Write *piece* at the end, whole or not at all."""
        try:
            write_whole(self._file, piece)
        except BaseException:
            self.cut(self.end)
            raise
        self.end += len(piece)

    def cut(self, end: int) -> None:
        """Forget what lies behind *end*."""
        self.end = end
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)

    def close(self) -> None:
        """Close the file, which stays; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """Close and remove the file, where it is still there."""
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def remove_left_over(folder: Path, clock: Callable[[], float] = time.time) -> None:
    """Remove what dead processes left in *folder*; what cannot be is passed over."""
    with suppress(OSError), os.scandir(folder) as entries:
        temporary.remove_left_over(entries, clock())


@contextmanager
def said(deed: str, what: str, *others: type[Exception]) -> Iterator[None]:
    """Turn failures of the system, and *others*, into :class:`StoreFailed`."""
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StoreFailed(f"Could not {deed} {what}: {reason}") from None
