"""Every error of the package, in one tree.

No imports but the standard library: every other room may raise these.

Each error carries ``code``, one of the stable outcome codes of
:class:`scrapy_imgpipe.records.Outcome`; the same word is the suffix of the
stat, the value in a kept failed slot and, later, the column of the report.
The message is one sentence for people and may change; the code may not.

Who raises what:

========================  =======================================================
``SettingError``          ``options``, while the crawler starts
``SourceRejected``        guards and imaging: we could, but we will not
``DownloadFailed``        the pipeline, from what the downloader answered
``ImageBroken``           imaging: the bytes do not decode to their end
``StoreFailed``           paths and stores
``Overtaken``             what would write for a source that another crawl may have
``IndexFailed``           the index; a crawl goes on without it
``FetchFailed``           a fetch of a list, whose crawl cannot go on
``HookFailed``            the pipeline, around an overridden method that raised
``SaveFailed``            ``ImageSaver.close()``: what came of saves that failed
========================  =======================================================

Scrapy users expect ``FileException`` and ``ImageException``;
:func:`scrapy_imgpipe.compat.translate` adds those bases at the pipeline's edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ImagePipeError(Exception):
    """Base of all errors of this package; never raised itself.

    Args:
        reason: one sentence for people, without a final full stop.
        code: one of :attr:`codes`; the first of them when left out.

    Raises:
        TypeError: when this class itself is instantiated.
        ValueError: when *code* is none of the class's :attr:`codes`.
    """

    #: The outcome codes this class may carry; the first is its default.
    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reason: str, code: str | None = None) -> None:
        if not self.codes:
            msg = f"{type(self).__name__} is a base class; raise one of its subclasses"
            raise TypeError(msg)
        self.reason: str = reason
        self.code: str = code if code is not None else self.codes[0]
        if self.code not in self.codes:
            msg = f"{self.code!r} is no outcome code of {type(self).__name__}"
            raise ValueError(msg)
        super().__init__(reason, self.code)

    def __str__(self) -> str:
        return self.reason


class SettingError(ImagePipeError, ValueError):
    """A setting has a value that cannot be used; the crawl does not start."""

    codes: ClassVar[tuple[str, ...]] = ("bad-setting",)


class SourceRejected(ImagePipeError):
    """A source that could have been had, but is refused by a rule or a limit."""

    codes: ClassVar[tuple[str, ...]] = (
        "bad-url",
        "url-not-allowed",
        "address-not-allowed",
        "filtered",
        "opted-out",
        "too-many-bytes",
        "too-few-bytes",
        "too-many-pixels",
        "too-small",
        "aspect-ratio",
        "not-an-image",
        "format-not-allowed",
        "placeholder",
    )


class DownloadFailed(ImagePipeError):
    """No usable response came."""

    codes: ClassVar[tuple[str, ...]] = ("download-failed", "http-status", "redirect-refused")


class ImageBroken(ImagePipeError):
    """The bytes are an image, but they do not decode to their end."""

    codes: ClassVar[tuple[str, ...]] = (
        "broken",
        "hash-mismatch",
        "crashed",
        "timed-out",
    )


class StoreFailed(ImagePipeError):
    """A rendition could not be named, written or read."""

    codes: ClassVar[tuple[str, ...]] = ("store-failed", "bad-path")


class Overtaken(StoreFailed):
    """What came of a source was dropped: its lease had ended. The source is looked for again."""


class IndexFailed(ImagePipeError):
    """The index could not be opened, read or written; it never costs a source."""

    codes: ClassVar[tuple[str, ...]] = ("index-failed",)


class FetchFailed(ImagePipeError):
    """A fetch could not go on; what it has stored is good, and it goes on when called again."""

    codes: ClassVar[tuple[str, ...]] = ("interrupted",)


class HookFailed(ImagePipeError):
    """An overridden method raised something that is none of the above."""

    codes: ClassVar[tuple[str, ...]] = ("hook-failed", "interrupted")


class SaveFailed(ImagePipeError):
    """Some of the images that were given to a saver are not stored.

    Args:
        failures: path in the store, to what went wrong with it.
        saved: how many were stored.
    """

    codes: ClassVar[tuple[str, ...]] = ("not-saved",)

    #: Failures that the message tells; :attr:`failures` has them all.
    _TOLD: ClassVar[int] = 5

    def __init__(self, failures: Mapping[str, Exception], saved: int = 0) -> None:
        self.failures: Mapping[str, Exception] = failures
        self.saved: int = saved
        told = "; ".join(f"{name}: {why}" for name, why in [*failures.items()][: self._TOLD])
        more = f"; and {len(failures) - self._TOLD} more" if len(failures) > self._TOLD else ""
        of = f"{len(failures)} of {len(failures) + saved} images were not saved"
        super().__init__(f"{of}: {told}{more}")

    def __reduce__(self) -> tuple[type[SaveFailed], tuple[Mapping[str, Exception], int]]:
        """Travel with all failures."""
        return type(self), (self.failures, self.saved)
