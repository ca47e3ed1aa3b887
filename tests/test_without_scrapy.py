"""Rendering, stores, the index and records are for programs without Scrapy, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import scrapy_imgpipe
from tests.pictures import jpeg

LIBRARY = str(Path(scrapy_imgpipe.__file__).parents[1])

#: An import of either of them ends the program.
GUARD = """
import sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"scrapy", "twisted", "itemadapter"}:
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Guard())
"""

WORK = """
from pathlib import Path
from scrapy_imgpipe import ImageRecord, Plan, Rendition, Variant, render
from scrapy_imgpipe.index import Key, SqliteIndex
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.stores import open_store, store_at
from scrapy_imgpipe.surroundings import surroundings

folder = Path(sys.argv[1])
data = (folder / "photo.jpg").read_bytes()
plan = Plan((Variant("small", 50, 50),), strip="all")
processes = Processes(1, surroundings=surroundings)
full, small = processes.call(render, data, plan)
processes.close()
assert [full, small] == render(data, plan)
for store in (store_at(folder / "store"), open_store("memory://")):
    store.put_all([("thumbs/small/a.jpg", small.data), ("full/a.jpg", full.data)])
    assert store.get("thumbs/small/a.jpg") == small.data
    assert sorted(store.list()) == ["full/a.jpg", "thumbs/small/a.jpg"]
index = SqliteIndex(folder / "index.sqlite")
file = Rendition("", "full/a.jpg", full.width, full.height, len(full.data), 0, "0" * 32)
index.put([ImageRecord("", "full/a.jpg", "", file)])
assert index.get([Key("", "full/a.jpg")])[0].full == file
index.close()
print("done")
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", GUARD + code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": LIBRARY},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "room",
    [
        "errors",
        "records",
        "paths",
        "imaging",
        "stores",
        "index",
        "probe",
        "renditions",
        "processes",
    ],
)
def test_a_room_does_not_import_scrapy(room):
    done = run(f"import scrapy_imgpipe.{room}")
    assert done.returncode == 0, done.stderr


def test_the_guard_sees_an_import():
    done = run("import scrapy_imgpipe.pipeline")
    assert "scrapy" in done.stderr
    assert done.returncode == 1


def test_an_image_is_made_stored_and_recorded_without_scrapy(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(jpeg((200, 100)))
    done = run(WORK, tmp_path)
    assert (done.stdout, done.stderr) == ("done\n", "")
