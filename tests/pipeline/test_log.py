"""Lines that nobody would write are not made; all others are."""

from __future__ import annotations

import logging

import pytest

from scrapy_imgpipe.pipeline.log import is_heard


@pytest.fixture
def loggers():
    """Three loggers, each below the one before, that no one else knows."""
    names = ("a", "a.b", "a.b.c")
    highest, between, lowest = (logging.Logger(name) for name in names)  # noqa: LOG001 - as said
    lowest.parent, between.parent = between, highest
    return highest, between, lowest


@pytest.mark.parametrize(("level", "heard"), [("DEBUG", True), ("INFO", True), ("WARNING", False)])
def test_a_line_is_heard_where_a_handler_above_takes_its_level(loggers, level, heard):
    handler = logging.NullHandler(logging.getLevelName(level))
    loggers[0].addHandler(handler)
    assert is_heard(loggers[2], logging.INFO) is heard


def test_nobody_hears_where_there_is_no_handler(loggers):
    assert not is_heard(loggers[2], logging.CRITICAL)


def test_a_logger_that_does_not_pass_on_is_the_last_one_asked(loggers):
    loggers[0].addHandler(logging.NullHandler())
    loggers[1].propagate = False
    assert not is_heard(loggers[2], logging.CRITICAL)


def test_the_level_of_the_logger_counts_first(loggers):
    loggers[0].addHandler(logging.NullHandler())
    loggers[2].setLevel(logging.ERROR)
    assert not is_heard(loggers[2], logging.WARNING)
    assert is_heard(loggers[2], logging.ERROR)
