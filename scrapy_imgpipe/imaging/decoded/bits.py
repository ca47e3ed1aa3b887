"""Bits, highest first, as AV1 and HEVC have them."""

from __future__ import annotations

_MOST_ZEROS = 32


class Bits:
    """The bits of a few bytes, to be taken in their order.

    Args:
        data: their bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data)
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """Return the number in the next *count* bits.

        Raises:
            ValueError: there are not so many.
        """
        self._left -= count
        if self._left < 0:
            raise ValueError("Expected more bits")
        return self._number >> self._left & (1 << count) - 1

    def take_long(self) -> int:
        """Return a number that says itself how long it is: uvlc of AV1, ue of HEVC.

        Raises:
            ValueError: it has no end.
        """
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise ValueError("Expected a number of 32 bits")
        return (1 << zeros) - 1 + self.take(zeros)
