"""Turn whatever Pillow raises into an error of ours that holds on to nothing.

Callers keep errors for the whole crawl. An exception drags its traceback along,
the traceback its frames, the frames their bitmaps (``benchmarks/failures.py`` prints
what that comes to in Scrapy). So errors leave this room without a past.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from PIL import Image

from scrapy_imgpipe.errors import ImageBroken, ImagePipeError, SourceRejected

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

#: Longest text of Pillow's that is quoted, in characters; some quote the file.
MAX_QUOTE = 160

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def as_ours(error: Exception) -> ImagePipeError:
    """Return the error of ours that says what *error* said, without its traceback."""
    if isinstance(error, ImagePipeError):
        return error.with_traceback(None)
    text = " ".join(str(error).split())[:MAX_QUOTE].rstrip(". ") or type(error).__name__
    if isinstance(error, _BOMBS):
        return SourceRejected(text, "too-many-pixels")
    if isinstance(error, MemoryError) or "out of memory" in text.lower():  # as libavif says
        return ImageBroken("There was not enough memory for it", "crashed")
    return ImageBroken(f"Image cannot be decoded: {text}")


def sealed(function: Callable[P, R]) -> Callable[P, R]:
    """Let *function* raise errors of ours only, with no frame of its own in them.

    Nothing but ``Exception`` is caught: an interrupt goes through.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - codecs raise anything on hostile bytes
            failure = as_ours(error)
        # Out here the exception is no longer "being handled", so it does not become
        # the context of ours; and this frame, which ours will keep, forgets the body.
        del args, kwargs
        failure.__context__ = failure.__cause__ = None
        try:
            raise failure
        finally:
            del failure  # or error, traceback and frame would wait for the collector

    return call
