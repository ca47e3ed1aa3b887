"""Some thousands of damaged files, as a part of the suite; ``run.py`` goes on for longer."""

from __future__ import annotations

import random
import sys

import pytest

from tests.fuzz import run, seeds
from tests.fuzz.mutator import mutated

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and alarms of POSIX")

COUNT, SEED = 3_000, 6


def test_nothing_foreign_is_raised_and_nothing_dies():
    tries, failed = run.fuzz(SEED, run.MOST_SECONDS * 5, COUNT)
    assert tries
    assert not failed


def test_a_seed_names_its_inputs():
    (first, second), again = list(run.inputs(3, 40, 2)), list(run.inputs(3, 41, 1))
    assert second == again[0]
    assert first[0] == "3-40"
    assert run.bytes_of("3-40") == first[1]


def test_damage_is_of_every_kind_and_mostly_small():
    draw, data = random.Random(1), bytes(range(256)) * 4
    made = [mutated(draw, [data]) for _ in range(500)]
    assert len(set(made)) > 450
    assert any(len(each) > len(data) for each in made)
    assert any(len(each) < len(data) for each in made)
    assert sum(data[-300:] in each for each in made) > 250


@pytest.mark.parametrize("fault", ["raises", "dies", "hangs"])
def test_that_it_would_have_been_seen(fault, monkeypatch, tmp_path):
    # The process that does the work is another: it gets its fault as a module of its own.
    what = {
        "raises": "raise KeyError('foreign')",
        "dies": "__import__('os').abort()",
        "hangs": "run.signal.alarm(1); __import__('threading').Event().wait()",
    }[fault]
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(run.ROOT)!r})\n"
        "from tests.fuzz import run\n"
        "def target(data, _):\n"
        "    if len(data) % 2:\n"
        f"        {what}\n"
        "run.TARGETS = {'bad': target}\n"
        "run.main()\n"
    )
    monkeypatch.setattr(run, "__file__", str(script))
    tries, failed = run.batch(1, 0, 40)
    assert tries
    assert failed
    assert all(len(run.bytes_of(name)) % 2 for name in failed)


def test_good_seeds_are_good():
    good = seeds.made()
    assert len({run.probe(data).format for data in good if run.probe(data)}) > 6
    for data in good:
        assert not run.tried(data, "0")
