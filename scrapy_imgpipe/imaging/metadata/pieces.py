"""The words that the walkers of :mod:`~scrapy_imgpipe.imaging.metadata` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple, ParamSpec

P = ParamSpec("P")

#: How many pieces an image may have: 800 MB of PNG in the usual chunks of 8 KiB, or an
#: animation of an hour. Five megabytes of empty pieces, a million, take seconds to walk.
MOST_PIECES = 100_000


@dataclass(frozen=True, slots=True)
class Keep:
    """What is kept beside pixels and orientation.

    Attributes:
        rights: the EXIF tags Copyright and Artist.
        profile: the ICC profile.
    """

    rights: bool = False
    profile: bool = True


class Piece(NamedTuple):
    """One piece of an image file; each begins where the one before it ends.

    Attributes:
        kind: a JPEG marker's second byte, a chunk's name, a GIF block's first byte or
            an extension's two.
        start: offset of its first byte.
        body: offset of its payload, behind name and length.
        end: offset of the first byte that is no longer part of it.
    """

    kind: bytes
    start: int
    body: int
    end: int


def bounded(walk: Callable[P, Iterator[Piece]]) -> Callable[P, Iterator[Piece]]:
    """Let *walk* raise ``ValueError`` where there are more than :data:`MOST_PIECES`."""

    @wraps(walk)
    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[Piece]:
        for count, piece in enumerate(walk(*args, **kwargs)):
            if count == MOST_PIECES:
                raise ValueError("Expected fewer pieces")
            yield piece

    return call
