"""What came of a call, as a value that can be handed on: in one process or to another."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

#: Whether it went well, and what was returned or raised.
Outcome = tuple[bool, Any]


def applied(function: Callable[..., Any], data: bytes | None, args: tuple[Any, ...]) -> Any:
    """Return ``function(data, *args)``, without the first argument where *data* is None."""
    return function(*args) if data is None else function(data, *args)


def outcome(function: Callable[..., Any], args: tuple[Any, ...]) -> Outcome:
    """Return what *function* returned or raised; it raises nothing."""
    try:
        return True, function(*args)
    except BaseException as error:  # noqa: BLE001 - raised where it is awaited
        return False, error


def travelling(error: BaseException) -> BaseException:
    """Return *error*, or one that says the same where it cannot be rebuilt elsewhere."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except BaseException:  # noqa: BLE001 - pickle raises what the class raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error.with_traceback(None)
