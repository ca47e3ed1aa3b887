"""What an answer may consist of: written in a worker process, read by who does not trust it.

A decoder with a hole does in its process what an attacker wants, and reading a pickle calls
whatever it names. So an answer consists of plain data (None, booleans, numbers, text, bytes,
and lists, tuples, dicts and sets of them), of records of ours that :data:`_RECORDS` names, and
of errors of ours and of ``builtins``. It never has a class or a function in its hands: it
names what is to be made of which values, and :mod:`.forms` looks at these first.

Who reads imports nothing that an answer names, but what is listed here. It is no sandbox: a
pickle may still cost memory, and a process may end another of the same user anyway.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

from scrapy_imgpipe import errors
from scrapy_imgpipe.processes.forms import Form, Unchanging, are
from scrapy_imgpipe.processes.frames import RAISED, REFUSED, RETURNED, BadAnswer
from scrapy_imgpipe.processes.outcomes import harmless, in_words

#: Records that answers may have, by module: named tuples, and dataclasses that do nothing
#: when they are made.
_RECORDS: Final[Mapping[str, frozenset[str]]] = {
    "scrapy_imgpipe.imaging.plan": frozenset({"Picture"}),
    "scrapy_imgpipe.records": frozenset({"ImageRecord", "Rendition"}),
    "scrapy_imgpipe.tasks.looking": frozenset({"Found"}),
    "scrapy_imgpipe.tasks.making": frozenset({"Prepared"}),
    "scrapy_imgpipe.tasks.mending": frozenset({"Mended", "Remade"}),
    "scrapy_imgpipe.tasks.outputs": frozenset({"Output", "Saved"}),
}

# Where errors may be from.
_OF_ERRORS: Final = frozenset({"builtins", errors.__name__})

# Categories of warnings that are shown as they are, besides those of builtins.
_CATEGORIES: Final = frozenset({("PIL.Image", "DecompressionBombWarning")})

# What travels in the place of text or a number that has a class of its own.
_PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    bytes: bytes.__bytes__,
}

# Characters that are said of an answer that is none: it may have chosen them.
_MOST_SAID: Final = 160

# Most pieces that are written at once: POSIX knows 16, all of our systems 1024 (writev(2)).
_MOST_PIECES: Final = 512

#: What the value of an answer of each kind is.
_VALUES: Final[Mapping[object, type]] = {RETURNED: object, RAISED: Exception, REFUSED: str}


#: A warning as it travels: text, module and name of its category, file name and line.
Warned = tuple[str, str, str, str, int]

#: What an answer is: its kind, its value, and arguments of ``warnings.warn_explicit``.
Answer = tuple[int, Any, list[tuple[str, type[Warning], str, int]]]


def warned_of(text: object, category: type[Warning], file_name: str, line: int) -> Warned:
    """Return a warning as it travels; of a class that may not, its next base that may."""
    bases = category.__mro__
    kind = next(kind for kind in bases if _named(kind.__module__, kind.__qualname__) is kind)
    return str.__str__(str(text)), kind.__module__, kind.__qualname__, file_name, line


def travelling(error: BaseException) -> Exception:
    """Return *error*, or one that says the same where it cannot be made again elsewhere."""
    error = harmless(error)
    try:
        read(io.BytesIO(b"".join(written(RAISED, error, ()))))
    except Exception:  # noqa: BLE001 - pickle raises what the class raises
        return in_words(error)
    return error.with_traceback(None)


def written(kind: int, value: object, warned: Sequence[Warned]) -> list[bytes]:
    """Return an answer, pickled, in some pieces: large bytes are not copied.

    Raises:
        PicklingError: *value* has what no answer has, or what its class raises.
    """
    pieces = _Pieces()
    _Writer(pieces, pickle.HIGHEST_PROTOCOL).dump((kind, value, warned))
    return pieces if len(pieces) <= _MOST_PIECES else [b"".join(pieces)]


class _Pieces(list[bytes]):
    """What a pickler takes for a file."""

    write = list.append


def read(stream: io.BytesIO) -> Answer:
    """Return kind and value of an answer, and the warnings that are to be shown.

    Raises:
        BadAnswer: it is none.
    """
    try:
        kind, value, warned = _Reader(stream).load()
        shown = [_shown(*one) for one in warned]
        good = type(kind) is int and isinstance(value, _VALUES[kind])
    except Exception as error:  # noqa: BLE001 - any bytes
        why = f"{type(error).__name__}: {error}"[:_MOST_SAID]
    else:
        if good:
            return kind, value, shown
        why = "it has another form"
    raise BadAnswer(why)


def _shown(
    text: str, module: str, name: str, file_name: str, line: int
) -> tuple[str, type[Warning], str, int]:
    kind = _named(module, name)
    if not are((text, file_name, line, kind), (str, str, int, type)):
        raise TypeError("no warning")
    # In brackets nobody reads the file for the line that is shown: it may be any, and have no end.
    return text, kind if issubclass(kind, Warning) else Warning, f"<{file_name}>", line


_form: Callable[[Any], Form] = cache(Form)


class _Writer(pickle.Pickler):
    """Writes what is no plain data as its class and its values."""

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is type and _may_be_made(thing):
            return NotImplemented  # by its name
        if _is_record(kind):
            return kind, _form(kind).written(thing)
        if isinstance(thing, Exception) and _may_be_made(kind):
            return kind, thing.__reduce__()[1]
        for plain, taken in _PLAIN.items():
            if isinstance(thing, plain):
                return plain, (taken(thing),)
        name = getattr(thing, "__qualname__", "")
        raise pickle.PicklingError(f"No answer has a {kind.__module__}.{kind.__qualname__} {name}")


class _Reader(pickle.Unpickler):
    """Knows the names that an answer may have, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        return _maker(module, name)


class _Maker(Unchanging):
    """Makes errors, text and numbers."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *values: Any) -> Any:
        return self._make(*values)


@cache
def _maker(module: str, name: str) -> Unchanging:
    kind = _named(module, name)
    if not _may_be_made(kind):
        raise pickle.UnpicklingError(f"no answer has a {module}.{name}")
    return _form(kind) if _is_record(kind) else _Maker(kind)


def _named(module: str, name: str) -> Any:
    """Return what an answer may mean by *name*; None where that is nothing."""
    names = _RECORDS.get(module, ())
    if module in _OF_ERRORS or name in names or (module, name) in _CATEGORIES:
        return vars(import_module(module)).get(name)
    return None


def _may_be_made(kind: Any) -> bool:
    if not isinstance(kind, type):
        return False
    of_errors = issubclass(kind, Exception) and kind.__module__ in _OF_ERRORS
    return of_errors or kind in _PLAIN or _is_record(kind)


def _is_record(kind: type) -> bool:
    return kind.__qualname__ in _RECORDS.get(kind.__module__, ())
