"""Imports point downward only: who may know whom, enforced.

The picture is in the README ("How it is built"); this test is what keeps it true.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scrapy_imgpipe"

#: Each room and its floor; a room may import rooms of lower floors, and itself.
FLOORS = {
    "errors": 0,
    "parsers": 0,
    "records": 0,
    "variants": 0,
    "renditions": 0,
    "values": 0,
    "options": 0,
    "admission": 1,
    "guards": 1,
    "probe": 1,
    "freshness": 1,
    "paths": 1,
    "candidates": 1,
    "optouts": 1,
    "progress": 1,
    "imaging": 2,
    "processes": 2,
    "promises": 2,
    "loop_thread": 2,
    "surroundings": 2,
    "stores": 2,
    "index": 2,
    "leases": 2,
    "compat": 3,
    "workers": 3,
    "stats": 3,
    "tasks": 3,
    "batches": 3,
    "store_adapter": 3,
    "report": 4,
    "saver": 4,
    "lists": 5,
    "webdataset": 5,
    "pipeline": 5,
    "local": 5,
    "addon": 6,
    "fetching": 6,
    "cluster": 7,
    "fetch": 8,
    "commands": 8,
}

#: Floor 0 is a row of rooms; each may know those before it in this way.
SIDEWAYS = {
    ("parsers", "errors"),
    ("records", "errors"),
    ("variants", "parsers"),
    ("variants", "records"),
    ("renditions", "parsers"),
    ("renditions", "variants"),
    ("values", "parsers"),
    ("values", "renditions"),
    ("values", "variants"),
    ("options", "parsers"),
    ("options", "values"),
    ("options", "variants"),
}

#: What a room may import from outside the standard library.
OUTSIDE = {
    "imaging": {"PIL"},
    "index": {"redis"},
    "leases": {"redis"},
    "surroundings": {"PIL"},
    "promises": {"scrapy", "twisted"},
    "compat": {"scrapy", "twisted", "w3lib"},
    "batches": {"scrapy"},
    "workers": {"scrapy", "twisted"},
    "tasks": {"PIL"},
    "stores": {"botocore", "obstore", "google", "requests", "urllib3"},
    "store_adapter": {"scrapy", "twisted"},
    "report": {"pandas", "pyarrow"},
    "local": {"pandas"},
    "pipeline": {"scrapy", "twisted", "itemadapter", "PIL", "platformdirs"},
    "addon": {"scrapy"},
    "fetching": {"scrapy", "pandas"},
    "cluster": {"scrapy"},
    "fetch": {"scrapy"},
    "commands": {"scrapy"},
}

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return every dotted module name that *path* imports, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names.add(base)
            if base == "scrapy_imgpipe":  # from scrapy_imgpipe import paths
                names |= {f"{base}.{alias.name}" for alias in node.names}
    return names - {"scrapy_imgpipe"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    room = room_of(path)
    if room == "__init__":
        return  # lazy names of every room; see below
    assert room in FLOORS, f"{path}: which floor is it on?"
    for name in imported(path):
        root, _, rest = name.partition(".")
        if root != "scrapy_imgpipe":
            known = root in sys.stdlib_module_names or root in OUTSIDE.get(room, set())
            assert known, f"{room} may not import {name}"
            continue
        other = rest.split(".")[0]
        below = FLOORS[other] < FLOORS[room] or (room, other) in SIDEWAYS
        assert below or other == room, f"{room} (floor {FLOORS[room]}) imports {other}"


@pytest.mark.parametrize(
    "room", ["admission", "probe", "guards", "freshness", "paths", "candidates", "optouts"]
)
def test_pure_rooms_have_no_clock_and_no_network(room):
    files = [path for path in FILES if room_of(path) == room]
    assert files
    for path in files:
        assert not imported(path) & {"time", "datetime", "socket", "asyncio", "random"}


def test_files_stay_readable():
    long = {str(path): n for path in FILES if (n := len(path.read_text().splitlines())) > 350}
    assert not long


def test_importing_the_package_imports_nothing_else():
    code = (
        "import sys, scrapy_imgpipe;"
        "print([m for m in sys.modules if m.split('.')[0] in {'scrapy', 'twisted', 'PIL'}"
        " or m.startswith('scrapy_imgpipe.')])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"


def test_every_public_name_is_there():
    import scrapy_imgpipe

    for name in scrapy_imgpipe.__all__:
        assert getattr(scrapy_imgpipe, name) is not None
    assert set(scrapy_imgpipe._HOMES) == set(scrapy_imgpipe.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        scrapy_imgpipe.Nothing  # noqa: B018
