"""Perceptual hashes that are near each other: which parts of them to look for.

A hash of 64 bits has four bands of 16. Two hashes of which at most ``4 r + 3`` bits differ
have a band of which at most ``r`` do (else there were ``4 (r + 1)``), so one look-up for each
word within ``r`` bits of each band finds all of them, and few others. (Norouzi, Punjani and
Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012.)
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import combinations
from typing import Final

#: Digits of a band, hexadecimal.
BAND_DIGITS: Final = 4
BANDS: Final = 4

_HASH = re.compile(rf"[0-9a-f]{{{BANDS * BAND_DIGITS}}}")
_BAND_BITS = 4 * BAND_DIGITS


def is_hash(value: object) -> bool:
    """Return whether *value* is a hash as ``phash`` writes it: 16 hexadecimal digits."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def distance(one: str, other: str) -> int:
    """Return how many bits differ, 0-64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def words_near(bits: str, most: int) -> list[list[str]]:
    """Return for each band the words that a hash within *most* bits of *bits* may have there.

    Args:
        bits: 16 hexadecimal digits.
        most: 0 to 11, where each band has 137 words.
    """
    flips = _flips(most // BANDS)
    starts = range(0, len(bits), BAND_DIGITS)
    bands = [int(bits[start : start + BAND_DIGITS], 16) for start in starts]
    return [[f"{band ^ flip:0{BAND_DIGITS}x}" for flip in flips] for band in bands]


@lru_cache
def _flips(radius: int) -> tuple[int, ...]:
    """Return all words of a band with up to *radius* bits set."""
    places = [1 << place for place in range(_BAND_BITS)]
    return tuple(sum(chosen) for size in range(radius + 1) for chosen in combinations(places, size))
