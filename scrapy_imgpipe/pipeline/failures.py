"""How a failed source is judged, said and kept: its outcome, its log line, its error.

Works on exceptions only. What travels through users' hooks is the exception
itself, so what has to be known later is noted on it (``imgpipe_*``).
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from scrapy.exceptions import IgnoreRequest
from twisted.python.failure import Failure

from scrapy_imgpipe.compat import FileException, translate
from scrapy_imgpipe.compat.middlewares import grew_too_large
from scrapy_imgpipe.errors import (
    DownloadFailed,
    HookFailed,
    ImagePipeError,
    SourceRejected,
    StoreFailed,
)
from scrapy_imgpipe.guards import shown_text
from scrapy_imgpipe.pipeline.log import is_heard, referrer, shown
from scrapy_imgpipe.records import Outcome

if TYPE_CHECKING:
    from scrapy.pipelines.media import MediaPipeline

    from scrapy_imgpipe.records import ImageRecord

_logger = logging.getLogger(__name__)


def log_once(error: Exception, request: object, info: MediaPipeline.SpiderInfo) -> None:
    """Log one line for a failed source, unless *error* or what it came from has had one."""
    if is_logged(error):
        return
    mark(error, logged=True)
    level, exc_info = level_of(error)
    if not is_heard(_logger, level):
        return
    kind, deed = words_of(error)
    _logger.log(
        level,
        "File (%(kind)s): %(deed)s from %(request)s referred in <%(referer)s>: %(reason)s",
        {
            "kind": kind,
            "deed": deed,
            "request": shown(request),
            "referer": referrer(request),
            "reason": one_line(error),
        },
        exc_info=exc_info,
        extra={"spider": info.spider},
    )


def outcome_of(error: BaseException) -> str:
    """Return the outcome code of a failed source.

    A user's error raised while ours was handled ends as ours; a user's own
    ``FileException`` is a refusal; anything else is a mistake in a hook.
    """
    for link in _chain(error):
        code = getattr(link, "imgpipe_outcome", getattr(link, "code", None))
        if isinstance(link, ImagePipeError) or hasattr(link, "imgpipe_outcome"):
            return str(code)
    return Outcome.FILTERED if isinstance(error, FileException) else Outcome.HOOK_FAILED


def error_in(failure: Failure) -> Exception:
    """Return the error in *failure*, as the type checker cannot know it."""
    error = failure.value
    return error if isinstance(error, Exception) else HookFailed(str(error))


def judged(error: Exception, *, downloaded: bool) -> Exception:
    """Return *error* where it is Scrapy's or ours already, else ours for it.

    Args:
        error: what the downloader or ``media_downloaded`` raised.
        downloaded: whether there was a response, so that a hook made the mistake.
    """
    if isinstance(error, IgnoreRequest):
        if grew_too_large(error):
            grown = "Its Content-Encoding makes more of it than any picture needs"
            return SourceRejected(grown, "too-many-bytes")
        return SourceRejected(one_line(error), "filtered")
    if isinstance(error, (ImagePipeError, FileException)):
        return error
    return HookFailed(one_line(error)) if downloaded else DownloadFailed(one_line(error))


def level_of(error: Exception) -> tuple[int, Exception | None]:
    """Return the level, and the error itself where its traceback helps."""
    if isinstance(error, SourceRejected) or getattr(error, "imgpipe_known", False):
        return logging.DEBUG, None
    if isinstance(error, StoreFailed):
        return logging.ERROR, None
    if isinstance(error, (ImagePipeError, FileException)):
        return logging.WARNING, None
    return logging.ERROR, error


def words_of(error: Exception) -> tuple[str, str]:
    """Return the two words of Scrapy's log lines for this kind of error."""
    if isinstance(error, ImagePipeError) and error.code == "filtered":
        return "filtered", "Not downloading image"
    if getattr(error, "imgpipe_known", False):
        return "known", "Not downloading image"
    if isinstance(error, DownloadFailed):
        return getattr(error, "imgpipe_words", ("unknown-error", "Error downloading image"))
    if isinstance(error, (ImagePipeError, FileException)):
        return "error", "Error processing file"
    return "unknown-error", "Error processing file"


def as_scrapys(error: Exception) -> Exception:
    """Return *error* as Scrapy users expect it, with all that was noted on it."""
    if not isinstance(error, ImagePipeError):
        return error
    translated = translate(error)
    translated.__dict__.update(vars(error))
    return translated


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and error not in links:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links


def is_logged(error: BaseException) -> bool:
    """Tell whether *error*, or what it was raised from, has had its log line."""
    return any(getattr(link, "imgpipe_logged", False) for link in _chain(error))


def mark(error: BaseException, **facts: object) -> None:
    """Note *facts* on *error* itself: it is what travels through users' hooks."""
    with suppress(AttributeError):  # an exception class with __slots__
        for name, fact in facts.items():
            setattr(error, f"imgpipe_{name}", fact)


# httpx takes a password for a port, and says it.
_ODD_LOCATION = re.compile(r"(Invalid URL in location header):.*")


def one_line(error: BaseException | None) -> str:
    """Return the message of *error* on one line, with its type where that says more.

    Without users and passwords of URLs: messages of others have them.
    """
    text = shown_text(" ".join(str(error).split()))
    text = _ODD_LOCATION.sub(r"\1", text)
    if isinstance(error, (ImagePipeError, FileException, IgnoreRequest)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def known_failure(record: ImageRecord, *, just_now: bool = False) -> ImagePipeError:
    """Return the error that *record* ended with, for a source that is not asked again."""
    reason = record.reason
    if record.failed_at and not just_now:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.failed_at))
        reason = f"{reason} (not asked again since {when})"
    for kind in (SourceRejected, DownloadFailed):
        if record.outcome in kind.codes:
            error = kind(reason, record.outcome)
            mark(error, known=True)
            return error
    return HookFailed(reason)
