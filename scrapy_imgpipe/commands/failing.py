"""Which outcomes make a command fail: ``--fail-on``, of several commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.parsers import Parser, parse
from scrapy_imgpipe.records import SUCCESSES, Outcome

if TYPE_CHECKING:
    import argparse

#: Exit status where what ``--fail-on`` names has happened.
FAILED_OUTCOME = 1

ANY = "any"

FAILURES: frozenset[str] = frozenset(map(str, Outcome)) - frozenset(map(str, SUCCESSES))


def add_fail_on(command: argparse.ArgumentParser) -> None:
    """Let *command* take ``--fail-on``."""
    command.add_argument(
        "--fail-on",
        metavar="any|OUTCOME,...",
        help="exit with status 1 where an image failed, or failed with one of these outcomes",
    )


def failing_outcomes(text: str | None) -> frozenset[str]:
    """Return the outcomes that ``--fail-on`` names, none where it is not there.

    Raises:
        SettingError: one of them is none of a failure.
    """
    return frozenset() if text is None else parse(_FAIL_ON, "--fail-on", text)


def status_of(outcomes: Mapping[str, int], failing: frozenset[str]) -> int:
    """Return the exit status for so many *outcomes*: 1 where any is among *failing*, else 0."""
    return FAILED_OUTCOME if any(outcomes.get(code) for code in failing) else 0


def _parse_fail_on(value: Any) -> frozenset[str]:
    codes = frozenset(word.strip() for word in value.split(","))
    if codes == {ANY}:
        return FAILURES
    if not codes <= FAILURES:
        raise ValueError
    return codes


_FAIL_ON = Parser(f"'any' or outcomes out of {', '.join(sorted(FAILURES))}", _parse_fail_on)
