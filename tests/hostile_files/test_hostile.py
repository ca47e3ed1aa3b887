"""Hostile files: one outcome each, little memory, no program started, nothing foreign raised."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.crawl.crawls import environment
from tests.fakes import Crawl
from tests.hostile_files import measuring
from tests.hostile_files.files import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)  # the first test waits for all that are measured

#: What one file takes in a crawl is bounded by the tests of rendering: here it only has to end.
SETTINGS = {"IMAGES_THUMBS": {"small": (50, 50)}, "IMGPIPE_MAX_BYTES": 1 << 28}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all of them."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, file in FILES.items():
        (folder / name).write_bytes(file.make())
    return folder


@pytest.fixture(scope="module")
def measured(folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what rendering each of them comes to, by plan."""
    env = environment()
    env["PYTHONPATH"] += f":{request.config.rootpath}"
    command = [sys.executable, measuring.__file__, str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and kilobytes of ru_maxrss")
@pytest.mark.parametrize("name", FILES)
def test_rendered_or_refused_within_bounds(measured: dict[str, Any], name: str) -> None:
    file, ends = FILES[name], measured[name]
    assert {plan: end["outcome"] for plan, end in ends.items()} == {
        "jpeg": file.outcome,
        "thumb": file.outcome,
        "stripped": file.stripped,
        "truncated": file.truncated,
        "moving": file.moving,
        "looks": "stored",
    }
    assert max(end["megabytes"] for end in ends.values()) < file.megabytes
    assert not any(end["programs"] for end in ends.values())


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_that_a_program_would_have_been_seen(measured: dict[str, Any]) -> None:
    assert measured["trusted"]["trusting"]["programs"]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawl]:
    store = tmp_path_factory.mktemp("store")
    with Crawl(store, IMGPIPE_INDEX="off", **SETTINGS) as crawl:
        yield crawl


@pytest.mark.filterwarnings("ignore")  # Pillow's words on what is odd are none of our affair
@pytest.mark.parametrize("name", FILES)
def test_one_outcome_in_a_crawl(crawl: Crawl, name: str) -> None:
    url = f"http://93.184.216.34/{name}"
    crawl.site.answers = {url: FILES[name].make()}
    before = crawl.outcomes()
    crawl.images(url)
    now = crawl.outcomes()
    assert {code for code in now if now[code] != before.get(code)} == {
        # Scrapy's own check comes first: there is no body.
        "download-failed" if name == "empty" else FILES[name].outcome
    }


def test_no_file_has_left_more_than_its_images(crawl: Crawl) -> None:
    stored = [path for path in crawl.store.rglob("*") if path.is_file()]
    assert len(stored) == 2 * crawl.outcomes()["stored"]
