"""Scripts of users, which fetch in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.crawl.crawls import TIMEOUT_SECONDS, environment

if TYPE_CHECKING:
    from pathlib import Path

STRICT = ("-X", "dev", "-W", "error")


def run_script(text: str, folder: Path, *arguments: str) -> list[Any]:
    """Run *text* as a script with warnings as errors; return the JSON lines that it prints."""
    script = folder / "script.py"
    script.write_text(text)
    environ = environment()
    here = os.getcwd()  # the scripts import modules of these tests  # noqa: PTH109
    done = subprocess.run(
        [sys.executable, *STRICT, str(script), *arguments],
        env={**environ, "PYTHONPATH": os.pathsep.join((environ["PYTHONPATH"], here))},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
