"""How values that users write are checked: what is expected, and one grammar for what is not.

No imports but the standard library and the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scrapy_imgpipe.errors import SettingError


class Wrong(ValueError):
    """A part of a value cannot be used.

    Attributes:
        where: which part, as it is written behind the whole: ``['card']['fit']``.
        expected: what a good one is.
        value: what it is.
    """

    def __init__(self, where: str, expected: str, value: object) -> None:
        self.where: str = where
        self.expected: str = expected
        self.value: object = value
        super().__init__(where, expected, value)


@dataclass(frozen=True, slots=True)
class Parser:
    """Turns what a user wrote into a value.

    Attributes:
        expected: what a good value is, to follow the word "Expected".
        parse: raises ``ValueError`` or ``TypeError`` for anything else, and :class:`Wrong`
            where it can tell which part.
    """

    expected: str
    parse: Callable[[Any], Any]


def whole_number(minimum: int | None = None, unit: str = "", maximum: int | None = None) -> Parser:
    """Accept an int, or its decimal digits as the command line gives them."""

    def parse(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise TypeError
        number = int(value)
        if minimum is not None and number < minimum:
            raise ValueError
        if maximum is not None and number > maximum:
            raise ValueError
        return number

    of_unit = f" of {unit}" if unit else ""
    if maximum is not None:
        return Parser(f"whole number{of_unit} from {minimum} to {maximum}", parse)
    at_least = f", {minimum} or more," if minimum is not None else ""
    return Parser(f"whole number{of_unit}{at_least}", parse)


def number(minimum: float, maximum: float) -> Parser:
    """Accept a number from *minimum* to *maximum*."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError
        parsed = value if isinstance(value, int) else float(value)
        if not minimum <= parsed <= maximum:
            raise ValueError
        return parsed

    return Parser(f"number from {minimum:g} to {maximum:g}", parse)


def one_of(*words: str) -> Parser:
    """Accept one of *words*, in any case; it comes back as it stands there."""
    known = {word.lower(): word for word in words}

    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if value.lower() not in known:
            raise ValueError
        return known[value.lower()]

    *others, last = (repr(word) for word in words)
    return Parser(f"{', '.join(others)} or {last}", parse)


def _parse_boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, (bool, int, str)) and (word := str(value).lower()) in words:
        return words[word]
    raise TypeError


def _parse_colour(value: Any) -> tuple[int, int, int]:
    if isinstance(value, str) and value.startswith("#") and len(value) == len("#rrggbb"):
        value = tuple(bytes.fromhex(value[1:]))
    if not isinstance(value, (list, tuple)):
        raise TypeError
    red, green, blue = (whole_number(0).parse(part) for part in value)
    if max(red, green, blue) > 255:  # noqa: PLR2004 - 8 bits a channel
        raise ValueError
    return red, green, blue


BOOLEAN = Parser("True or False", _parse_boolean)
COLOUR = Parser("three numbers from 0 to 255 or '#rrggbb'", _parse_colour)


def parse(parser: Parser, key: str, value: object) -> Any:
    """Return *value* parsed, or say in one sentence why it cannot be used.

    Raises:
        SettingError: where *parser* refuses the value.
    """
    try:
        return parser.parse(value)
    except Wrong as wrong:
        where, expected, value = wrong.where, wrong.expected, wrong.value
    except (ValueError, TypeError, OverflowError):
        where, expected = "", parser.expected
    kind = type(value).__name__
    raise SettingError(
        f"Expected {expected} for {key}{where} but received {value!r} of type {kind}"
    )


def parse_part(parser: Parser, where: str, value: object) -> Any:
    """Return *value*, the part *where* of a larger one, parsed.

    Raises:
        Wrong: where *parser* refuses it.
    """
    try:
        return parser.parse(value)
    except Wrong as wrong:
        found = Wrong(where + wrong.where, wrong.expected, wrong.value)
    except (ValueError, TypeError, OverflowError):
        found = Wrong(where, parser.expected, value)
    raise found
