"""Which responses hold no image, told from status and length alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scrapy_imgpipe.compat import translate
from scrapy_imgpipe.errors import DownloadFailed, SourceRejected
from scrapy_imgpipe.optouts import TDM, refused_by_robots_tag, refused_by_tdm_header

if TYPE_CHECKING:
    from scrapy.http import Headers, Response

#: Bytes of all headers of one name that are looked at.
_MOST_VALUE = 16 << 10

_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a response is none.

    Attributes:
        reason: what the error says.
        code: of the error.
        words: what Scrapy's log line says: the kind, and what was done.
        redirected: whether it would have led elsewhere.
    """

    reason: str
    code: str
    words: tuple[str, str]
    redirected: bool = False

    def error(self, hint: str = "") -> Exception:
        """Return the error to raise; *hint* follows its reason."""
        error = translate(DownloadFailed(self.reason + hint, self.code))
        error.imgpipe_words = self.words  # type: ignore[attr-defined]
        return error


def check_bytes(count: int, least: int, most: int) -> None:
    """Refuse a body of *count* bytes for its length; *most* of 0 is any.

    Raises:
        FileException: ours, ``too-few-bytes`` or ``too-many-bytes``.
    """
    if count < least:
        msg, code = f"Only {count} bytes came (< {least})", "too-few-bytes"
    elif most and count > most:
        msg, code = f"{count} bytes came (> {most})", "too-many-bytes"
    else:
        return
    raise translate(SourceRejected(msg, code))


def check_permission(response: Response, words: frozenset[str]) -> None:
    """Refuse an image whose response says that it is not for us.

    Raises:
        FileException: ours, ``opted-out``.
    """
    sent = response.request.headers if response.request is not None else {}
    agent = (sent.get("User-Agent") or b"").decode("latin-1")
    said = said_no(response.headers, words, agent)
    if said:
        raise translate(SourceRejected(said, "opted-out"))


def said_no(headers: Headers, words: frozenset[str], user_agent: str) -> str:
    """Return in which words *headers* say that an image is not for us; empty where not."""
    values = _values(headers, "X-Robots-Tag")
    directive = refused_by_robots_tag(values, words, user_agent)
    if directive:
        return f"Not for us: X-Robots-Tag says {directive}"
    reserved = TDM in words and refused_by_tdm_header(_values(headers, "TDM-Reservation"))
    return "Not for us: TDM-Reservation says 1" if reserved else ""


def _values(headers: Headers, name: str) -> list[str]:
    """Return the values of the headers *name*, as far as anybody needs so many."""
    left, values = _MOST_VALUE, []
    for value in headers.getlist(name):
        values.append(value[:left].decode("latin-1"))
        left -= len(values[-1])
        if left <= 0:
            break
    return values


def refusal(response: Response, statuses: Collection[int]) -> Refusal | None:
    """Return why *response* cannot hold an image, or None where it can."""
    status = response.status
    if status not in statuses:
        redirected = status in _REDIRECTS and "Location" in response.headers
        return Refusal(
            f"download-error: HTTP status {status}",
            "redirect-refused" if redirected else "http-status",
            (f"code: {status}", "Error downloading file"),
            redirected,
        )
    if not response.body:
        words = ("empty-content", "Empty file")
        return Refusal("empty-content: no bytes came", "download-failed", words)
    return None
