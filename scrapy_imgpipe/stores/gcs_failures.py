"""What Google's client raises: which of it passes, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

# What is worth another try (cloud.google.com/storage/docs/retry-strategy).
_BUSY: Final = frozenset({408, 429})
_SERVER_FAILED: Final = 500  # and all above


def failures() -> tuple[type[Exception], ...]:
    """Return what the client raises, and lets pass from what it is made of."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - an extra
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.resumable_media import DataCorruption, InvalidResponse  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    # What requests raises is an OSError; what it does not wrap while a body is read is not.
    return (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, HTTPError, OSError)


def passes(error: Exception) -> bool:
    """Return whether another try may do better."""
    import requests.exceptions as above  # noqa: PLC0415 - an extra
    import urllib3.exceptions as below  # noqa: PLC0415
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415
    from google.resumable_media import DataCorruption  # noqa: PLC0415

    if isinstance(error, GoogleAPICallError):
        code = int(error.code or 0)
        return code in _BUSY or code >= _SERVER_FAILED
    cut = (above.ConnectionError, above.ChunkedEncodingError, below.ProtocolError, ConnectionError)
    slow = (above.Timeout, below.TimeoutError)
    return bool(getattr(error, "retryable", False)) or any(
        isinstance(link, (*cut, *slow, DataCorruption)) for link in _inside(error)
    )


def words_of(error: Exception) -> str:
    """Return what *error* says; of an answer, its status and what the server says in it."""
    from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415 - an extra
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    if isinstance(error, GoogleAPICallError):
        return f"{int(error.code or 0)} {_answer_of(error)}"
    *_, innermost = _inside(error)
    if isinstance(innermost, GoogleAuthError) and innermost.args:
        return str(innermost.args[0])  # an answer with tokens may be beside it
    return str(innermost)


def _answer_of(error: Any) -> str:
    """Return the sentence in a server's answer: in JSON, bare, or its status line."""
    answer = error.response
    if answer is None:
        return str(error.message)
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        text = str(answer.text)
    is_page = text.lstrip().startswith("<")
    return str(answer.reason) if is_page or not text.strip() else text


def _inside(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, what it was made from, and so on.

    requests and google-auth wrap what urllib3 raises, which wraps what the system says.
    """
    found: Any = error
    while isinstance(found, BaseException):
        yield found
        reason = getattr(found, "reason", None)
        within = [reason, *reversed(found.args)]
        found = next((link for link in within if isinstance(link, BaseException)), None)
