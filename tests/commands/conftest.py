"""The command where Scrapy finds it, from a clone as well as from an installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crawl.crawls import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that, on the path, announces the entry points of pyproject.toml.

    Of two distributions with one name the first on the path counts, so it stands before an
    installed one.
    """
    folder = tmp_path_factory.mktemp("registered")
    metadata = folder / "scrapy_imgpipe-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: scrapy-imgpipe\nVersion: 0\n")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    with (metadata / "entry_points.txt").open("w") as file:
        for group, points in groups.items():
            file.write(f"[{group}]\n")
            file.writelines(f"{name} = {value}\n" for name, value in points.items())
    return folder


@pytest.fixture
def environ(registered: Path) -> dict[str, str]:
    """Return the environment of a process that has the command."""
    found = environment()
    return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}{os.pathsep}{registered}"}


@pytest.fixture
def scrapy(environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs ``scrapy`` with arguments in a folder, to its end."""

    def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "scrapy", *map(str, arguments)],
            env=environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run
