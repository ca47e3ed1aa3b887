"""Start crawls as processes of their own, and read what came of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import scrapy_imgpipe

OURS = "scrapy_imgpipe.ImagesPipeline"
OTHER = "__main__.OtherPipeline"
PROGRAM = Path(__file__).with_name("program.py")
MODES = ("asyncio", "select", "none")
TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.02

_LINE = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL)\|([\w.-]+)\|(.*)")


def environment() -> dict[str, str]:
    # The crawl is to import the same package as these tests, installed or not.
    library = str(Path(scrapy_imgpipe.__file__).parents[1])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SCRAPY"))}
    return {**kept, "PYTHONPATH": library}


@dataclass
class Crawled:
    """What is left of a process that crawled."""

    code: int
    log: str
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def items(self) -> list[dict[str, Any]]:
        return self.report["crawls"][-1]["items"]

    @property
    def images(self) -> list[dict[str, Any]]:
        (item,) = self.items
        return item["images"]

    @property
    def stats(self) -> dict[str, Any]:
        """Return all stats about images."""
        stats = self.report["crawls"][-1]["stats"]
        return {k: v for k, v in stats.items() if k.startswith(("imgpipe/", "file_"))}

    @property
    def outcomes(self) -> dict[str, int]:
        prefix = "imgpipe/outcome/"
        return {k.removeprefix(prefix): v for k, v in self.stats.items() if k.startswith(prefix)}

    def lines(self, text: str = "", logger: str = "scrapy_imgpipe") -> list[tuple[str, str]]:
        """Return level and message of each line that has *text*, of *logger* and those below."""
        found = [match.groups() for match in map(_LINE.fullmatch, self.log.splitlines()) if match]
        return [
            (level, message)
            for level, name, message in found
            if text in message and f"{name}.".startswith(f"{logger}.")
        ]

    def went_well(self) -> Crawled:
        """Return itself, after a look for what a healthy crawl never shows."""
        assert self.code == 0, self.log
        for word in ("Traceback", "Unhandled", "Exception ignored", "ResourceWarning", "CRITICAL|"):
            assert word not in self.log, self.log
        everywhere = [self.report["threads"], *(c["threads"] for c in self.report["crawls"])]
        assert not [name for names in everywhere for name in names if name.startswith("imgpipe")]
        return self


class Crawl:
    """A crawl that has been started."""

    def __init__(
        self,
        folder: Path,
        *pages: str,
        store: Path,
        mode: str = "asyncio",
        how: str = "process",
        python: tuple[str, ...] = (),
        pipelines: dict[str, int] | None = None,
        task: dict[str, Any] | None = None,
        terminal: int | None = None,
        **settings: Any,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.report = folder / "report.json"
        self.report.unlink(missing_ok=True)
        settings = {
            "ITEM_PIPELINES": pipelines or {OURS: 1},
            "IMAGES_STORE": str(store),
            **settings,
        }
        work = {
            "mode": mode,
            "how": how,
            "pages": pages,
            "settings": settings,
            "report": str(self.report),
            **(task or {}),
        }
        (folder / "task.json").write_text(json.dumps(work))
        # The log goes to a file: nobody has to empty a pipe while the crawl goes on. To a
        # terminal it goes only where somebody reads that.
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *python, str(PROGRAM), str(folder / "task.json")],
                env=environment(),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log if terminal is None else terminal,
                stderr=subprocess.STDOUT,
            )

    def wait_for_line(self, text: str) -> None:
        """Return as soon as the log has *text*, or the crawl is over."""
        with self.log.open() as log:
            seen = ""
            while text not in seen and not self.is_over_after(POLL_SECONDS):
                seen += log.read()

    def is_over_after(self, seconds: float) -> bool:
        """Wait for the end of the crawl, but no longer than *seconds*."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> Crawled:
        """Wait for the end of the crawl; whoever takes too long is killed."""
        try:
            code = self.process.wait(TIMEOUT_SECONDS)
        finally:
            if self.process.returncode is None:
                self.process.kill()
                self.process.wait()
        report = json.loads(self.report.read_text()) if self.report.exists() else {}
        return Crawled(code, self.log.read_text(), report)


def crawl(folder: Path, *pages: str, store: Path, **options: Any) -> Crawled:
    """Crawl *pages* into *store* from beginning to end."""
    return Crawl(folder, *pages, store=store, **options).end()


def scrapy(*arguments: str, folder: Path) -> Crawled:
    """Run the ``scrapy`` command in *folder*."""
    done = subprocess.run(
        [sys.executable, "-m", "scrapy", *arguments],
        env=environment(),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    return Crawled(done.returncode, done.stdout)


def name_of(url: str) -> str:
    """Return Scrapy's name for the file of *url*."""
    return f"{hashlib.sha1(url.encode()).hexdigest()}.jpg"


def files(store: Path) -> dict[str, bytes]:
    """Return everything below *store*, temporary files as well: path to content."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }
