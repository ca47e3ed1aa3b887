"""Write down which of Scrapy's tests were collected, deselected, skipped and passed.

A pytest plugin; ``run.py`` loads it with ``-p`` and judges what it wrote. It leaves out the
tests it is told to by their exact ids, and changes nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say where to write and what to leave out."""
    parser.addoption("--tally", type=Path, required=True, help="JSON file to write")
    parser.addoption(
        "--leave-out",
        action="append",
        default=[],
        # pytest's --deselect takes a prefix: test_get_images_exception would go with
        # test_get_images.
        help="node id of a test not to run; it must match to the last character",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin that keeps the tally."""
    config.pluginmanager.register(Tally(config.getoption("--tally")), "upstream-tally")


class Tally:
    """Node ids by what became of them."""

    def __init__(self, path: Path) -> None:
        """Prepare to write to *path*."""
        self.path = path
        self.collected: list[str] = []
        self.deselected: list[str] = []
        self.skipped: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Note every test before anything is deselected, then leave out the named ones."""
        self.collected = [item.nodeid for item in items]
        unwanted = set(config.getoption("--leave-out"))
        if left_out := [item for item in items if item.nodeid in unwanted]:
            items[:] = [item for item in items if item.nodeid not in unwanted]
            config.hook.pytest_deselected(items=left_out)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note what was left out, by us or by pytest's own options."""
        self.deselected += [item.nodeid for item in items]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a module that skips itself as a whole."""
        if report.skipped:
            self.skipped[report.nodeid] = _reason(report.longrepr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test; a failure in any of its phases is final."""
        if hasattr(report, "wasxfail"):
            self.outcomes[report.nodeid] = "xfailed"
        elif report.skipped:
            self.skipped[report.nodeid] = _reason(report.longrepr)
            self.outcomes[report.nodeid] = "skipped"
        elif report.failed:
            self.outcomes[report.nodeid] = "failed"
        elif report.when == "call":
            self.outcomes.setdefault(report.nodeid, "passed")

    def pytest_sessionfinish(self) -> None:
        """Write the tally, also of a session cut short."""
        fields = ("collected", "deselected", "skipped", "outcomes")
        self.path.write_text(json.dumps({name: getattr(self, name) for name in fields}, indent=1))


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
