"""A file that grows by whole pieces, for the formats that are lines of text."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


class GrowingFile:
    """A file that is only written at its end.

    What a piece leaves behind when it cannot be written whole (a full disk) is cut
    off, at once or before the next piece. There is no buffer and no fsync: a piece
    that was added survives the death of the process, not the loss of power.

    Args:
        path: made when it is not there.
        kept: bytes to keep of what is there; the rest is cut off.

    Raises:
        OSError: as for every method.
    """

    def __init__(self, path: Path, kept: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._end = kept
        self._is_torn = True
        try:
            self._mend()
        except OSError:
            self._file.close()
            raise

    def add(self, piece: bytes) -> None:
        """Write *piece* at the end, whole or not at all."""
        self._mend()
        self._is_torn = True
        try:
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except BaseException:
            with suppress(OSError):
                self._mend()
            raise
        self._end += len(piece)
        self._is_torn = False

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def _mend(self) -> None:
        if self._is_torn:
            self._file.truncate(self._end)
            self._is_torn = False
