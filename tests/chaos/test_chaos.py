"""Some seconds of random crawling, as a part of the suite; ``run.py`` goes on for longer."""

from __future__ import annotations

import json
import sys

import pytest

from tests.chaos.run import Seen, chaos, thirds, wrong_with

SECONDS, SEED = 12, 7

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="RSTs and /proc")


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, list[str]]:
    return chaos(tmp_path_factory.mktemp("chaos"), SECONDS, SEED)


def test_every_url_has_its_row_and_every_file_is_whole(crawled: tuple[Seen, list[str]]) -> None:
    seen, wrong = crawled
    assert not wrong
    outcomes = {row["outcome"] for row in seen.rows}
    assert {"stored", "joined", "broken", "download-failed", "http-status"} <= outcomes


def test_that_it_would_have_been_seen(crawled: tuple[Seen, list[str]]) -> None:
    seen, _ = crawled
    rows = list(seen.rows)
    report, full = seen.folder / "report.jsonl", seen.folder / "store/full"
    cut, lost, *_ = sorted(full.iterdir())
    cut.write_bytes(cut.read_bytes()[:99])
    lost.unlink()
    (full / ".imgpipe-left-1-1-1.tmp").write_bytes(b"half")
    unknown = {**rows[1], "outcome": "lost"}
    report.write_text("".join(json.dumps(row) + "\n" for row in [unknown, *rows[2:]]))
    (seen.folder / "log.txt").write_text("Traceback (most recent call last)")
    said = "\n".join(wrong_with(Seen(seen.folder, 1, [10**8] * 60 + [2 * 10**8] * 30), 60))
    for what in (
        "exit status 1",
        "log.txt has 'Traceback'",
        f"slot {rows[0]['slot']} of {rows[0]['item']}",
        "unknown outcome",
        f"no whole image: full/{cut.name}",
        f"not in the store: full/{lost.name}",
        "in no row: full/.imgpipe-left",
        "memory rose from 100 to 200 MB",
    ):
        assert what in said


def test_thirds() -> None:
    assert thirds([9, 9, 9, 1, 2, 3, 4, 5, 6]) == (2, 5)
