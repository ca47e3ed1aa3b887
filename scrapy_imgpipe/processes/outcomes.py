"""What came of a call, as a value that can be handed on: in one process or to another.

Nothing but an ``Exception`` is: ``SystemExit`` and ``KeyboardInterrupt``, raised where an
event loop awaits a result, would end the loop, and who awaits the others would wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scrapy_imgpipe.errors import HookFailed

#: Whether it went well, and what was returned or raised.
Outcome = tuple[bool, Any]


def applied(function: Callable[..., Any], data: bytes | None, args: tuple[Any, ...]) -> Any:
    """Return ``function(data, *args)``, without the first argument where *data* is None."""
    return function(*args) if data is None else function(data, *args)


def outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Return what *function* returned, or what it raised as :func:`harmless`; it raises nothing."""
    try:
        return True, function(*args)
    except BaseException as error:  # noqa: BLE001 - raised where it is awaited
        return False, harmless(error)


def harmless(error: BaseException) -> Exception:
    """Return *error*, or an error that says the same where it is no ``Exception``.

    In worker threads and processes no Ctrl-C arrives, so it is a hook's. The end of an item
    that is given up is no ``CancelledError`` there either.
    """
    if isinstance(error, Exception):
        return error
    if type(error).__name__ == "CancelledError":  # asyncio's, which takes long to import
        return HookFailed("A hook ended in CancelledError", "interrupted")
    return in_words(error).with_traceback(error.__traceback__)


def in_words(error: BaseException) -> Exception:
    """Return an error that says of which class *error* is, and what it says."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its class may do anything
        text = "it has no text"
    name = type(error).__name__
    return RuntimeError(f"{name}: {text}" if text else name)
