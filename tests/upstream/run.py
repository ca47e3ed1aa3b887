"""Run Scrapy's own tests of its media pipelines against our class.

    python tests/upstream/run.py --reactor asyncio|default|none [pytest arguments]

The tests come from the source distribution of the Scrapy that is installed, through pip;
nothing of them is kept in this repository. They run in a folder that holds Scrapy's tests
but not Scrapy, so what they import is the installed one. Exit status: pytest's; 1 when
pytest was content and this script is not (see ``faults``).
"""
# ruff: noqa: T201 - a script whose output is its result

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
MODULES = [f"tests/test_pipeline_{name}.py" for name in ("images", "media", "files", "crawl")]
NEEDED = {"tests", "conftest.py", "pyproject.toml"}
"""What of the source distribution is unpacked; of pyproject.toml pytest reads its own section."""

COUNTS = {"2.19.0": 167}
"""Scrapy version -> tests in the four modules; a version not listed is not checked for it."""

TEST_TIMEOUT_SECONDS = 60
"""For one test; on an idle machine the slowest takes under 1 s, to start a mock server."""

EXPLAINED_SKIP = re.compile(r"This test is only run when the --reactor value is ")
"""What Scrapy's conftest.py says of a test that the chosen reactor mode rules out."""

MODES = {
    "asyncio": ["--reactor=asyncio", "-p", "no:asyncio"],
    "default": ["--reactor=default", "-p", "no:asyncio"],
    # As Scrapy's tox.ini does it. The scope is pytest-asyncio's default; older releases warn
    # when it is not spelled out, and Scrapy's tests turn warnings into errors.
    "none": [
        *("--reactor=none", "-p", "no:twisted"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
    ],
}
"""pytest-twisted and pytest-asyncio both want the async tests: each mode puts out the other."""


def parse_arguments(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split *arguments* into ours and those for pytest."""
    work = os.environ.get("TOX_WORK_DIR") or HERE.parents[1] / ".tox"
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--reactor", choices=sorted(MODES), default="asyncio")
    parser.add_argument(
        "--pipeline",
        default="scrapy_imgpipe.ImagesPipeline",
        help="dotted name of the class under test (%(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(work) / "upstream",
        help="folder for the source distribution and what is unpacked of it (%(default)s)",
    )
    return parser.parse_known_args(arguments)


def fetch_sdist(release: str, cache: Path) -> Path:
    """Return the source distribution of Scrapy *release*, from *cache* or through pip.

    Complete or not there at all, also when several runs fetch at once.
    """
    kept = cache / f"scrapy-{release}.tar.gz"
    if kept.exists():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder]
        wanted = ["--no-deps", "--no-binary", "scrapy", f"scrapy=={release}"]
        subprocess.run([*pip, *wanted], check=True)
        (fetched,) = Path(folder).glob("*.tar.gz")
        fetched.replace(kept)
    return kept


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack afresh what the tests need of *sdist* below *folder*; return its root."""
    root = folder / sdist.name.removesuffix(".tar.gz")
    if root.exists():
        shutil.rmtree(root)
    with tarfile.open(sdist) as archive:
        members = [
            member
            for member in archive
            if len(parts := Path(member.name).parts) > 1
            and parts[0].lower() == root.name
            and parts[1] in NEEDED
        ]
        for member in members:
            member.name = str(Path(root.name, *Path(member.name).parts[1:]))
        archive.extractall(folder, members=members, filter="data")
    if absent := sorted(name for name in NEEDED if not (root / name).exists()):
        sys.exit(f"{sdist.name} has no {', '.join(absent)}")
    return root


def run_pytest(root: Path, command: list[str]) -> int:
    """Run pytest in *root* with our plugins at hand; return its exit status."""
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XDG_DATA_HOME": str(root / "data"),  # indexes are no concern of the user's
    }
    return subprocess.run(
        [sys.executable, "-m", "pytest", *command], cwd=root, env=environment, check=False
    ).returncode


def pytest_command(
    options: argparse.Namespace, tally: Path, deselected: dict[str, str]
) -> list[str]:
    """Return pytest's arguments for the chosen mode and class."""
    return [
        *MODES[options.reactor],
        *("-p", "substitute", "--class-under-test", options.pipeline),
        *("-p", "tally", "--tally", str(tally)),
        *("--timeout", str(TEST_TIMEOUT_SECONDS), "--durations", "5", "-q"),
        *(f"--leave-out={node}" for node in deselected),
        *MODULES,
    ]


def faults(tally: dict[str, Any], deselected: dict[str, str], release: str) -> Iterator[str]:
    """Yield what pytest does not mind and we do."""
    collected: list[str] = tally["collected"]
    if len(collected) != COUNTS.get(release, len(collected)):
        yield f"Expected {COUNTS[release]} tests for Scrapy {release} but found {len(collected)}"
    for module in MODULES:
        if not any(node.startswith(f"{module}::") for node in collected):
            yield f"no test in {module}"
    for node, reason in tally["skipped"].items():
        if not EXPLAINED_SKIP.search(reason):
            yield f"skipped for no reason of the reactor mode: {node}: {reason}"
    for node in deselected.keys() - set(collected):
        yield f"deselected.toml names a test that is not there: {node}"


def print_summary(tally: dict[str, Any], deselected: dict[str, str], title: str) -> None:
    """Print the counts per module and, by name, all that did not run."""
    print(f"\n{title}")
    for module in MODULES:
        counts = Counter(
            outcome for node, outcome in tally["outcomes"].items() if node.startswith(f"{module}::")
        )
        print(f"  {module:<34}" + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())))
    total = Counter(tally["outcomes"].values())
    print(f"  {len(tally['collected'])} tests: {', '.join(f'{n} {o}' for o, n in total.items())}")
    for node, reason in deselected.items():
        print(f"  deselected: {node}: {reason}")
    for node, reason in tally["skipped"].items():
        print(f"  skipped: {node}: {reason}")


def main(arguments: list[str]) -> int:
    """Fetch, unpack, run, judge; return the exit status."""
    options, pytest_arguments = parse_arguments(arguments)
    release = version("scrapy")
    cache = options.cache.resolve()
    deselected: dict[str, str] = tomllib.loads((HERE / "deselected.toml").read_text())["deselected"]
    # A folder per mode: the modes may run side by side.
    root = unpack(fetch_sdist(release, cache), cache / options.reactor)
    tally_path = cache / options.reactor / "tally.json"
    tally_path.unlink(missing_ok=True)
    command = [*pytest_command(options, tally_path, deselected), *pytest_arguments]
    status = run_pytest(root, command)
    if not tally_path.exists():
        return status or 1
    tally = json.loads(tally_path.read_text())
    title = f"Scrapy {release}, reactor {options.reactor}, {options.pipeline}"
    print_summary(tally, deselected, title)
    found = list(faults(tally, deselected, release))
    for fault in found:
        print(f"  FAULT: {fault}")
    return status or int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
