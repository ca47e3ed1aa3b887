"""Crawl the example's own web site with both spiders, offline, and say what happened.

Run it twice: the second run finds the images of the first and downloads none of
them. Exit status: 0 when both crawls stored images, 1 when one did not, 2 when
the run could not start.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shop.site.build import SiteError, ensure_site, served_folder
from shop.site.server import DEFAULT_PORT, PortError, SiteServer, serving
from shop.summary import closing_lines, crawl_lines, crawl_of

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).resolve().parent
SPIDERS = ("gallery", "shop")
HIGHEST_PORT = 65535
LOG_TAIL = 15
"""Lines of the log shown when a crawl fails."""


class CrawlError(Exception):
    """A crawl did not come to its end; the message says what its log says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _check_library()
        if ensure_site(options.site):
            print(f"made the web site in {options.site}")
        with serving(served_folder(options.site), options.port) as server:
            if options.serve:
                return _serve(server)
            return _crawl_all(server, options.output, fresh=options.fresh)
    except (SiteError, PortError) as error:
        print(error, file=sys.stderr)
        return 2
    except CrawlError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    port = os.environ.get("EXAMPLE_PORT") or str(DEFAULT_PORT)
    output = os.environ.get("EXAMPLE_OUTPUT") or HERE / "output"
    site = os.environ.get("EXAMPLE_SITE") or HERE / ".site"
    parser.add_argument(
        "-p",
        "--port",
        type=_port,
        default=port,
        help=f"of the site on 127.0.0.1 (EXAMPLE_PORT, {DEFAULT_PORT}); 0 takes any free one; "
        "image files are named after their URLs, so another port downloads all anew",
    )
    parser.add_argument(
        "--output",
        type=_folder,
        default=output,
        help="folder for images, items, logs and stats (EXAMPLE_OUTPUT, example_project/output)",
    )
    parser.add_argument(
        "--site",
        type=_folder,
        default=site,
        help="folder in which the site is made and kept (EXAMPLE_SITE, example_project/.site)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="remove the results of earlier runs first"
    )
    parser.add_argument(
        "--serve", action="store_true", help="only serve the site, to look at it in a browser"
    )
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST_PORT:
        message = f"{number} is not a port; ports are 0 to {HIGHEST_PORT}"
        raise argparse.ArgumentTypeError(message)
    return number


def _folder(text: str | Path) -> Path:
    return Path(text).expanduser().resolve()


def _check_library() -> None:
    if importlib.util.find_spec("scrapy_imgpipe") is None:
        message = f"scrapy_imgpipe is not installed; run: pip install -e {HERE.parent}"
        raise SiteError(message)


def _serve(server: SiteServer) -> int:
    print(f"the site is at {server.url} until you press Ctrl-C", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
    return 0


def _crawl_all(server: SiteServer, output: Path, *, fresh: bool) -> int:
    """Crawl with each spider in turn and print the summary."""
    output.mkdir(parents=True, exist_ok=True)
    if fresh:
        _remove_results(output)
    print(f"crawling {server.url}\n")
    crawls, requests = [], {}
    for spider in SPIDERS:
        stats = _crawl(spider, f"{server.url}{spider}/index.html", output)
        requests[spider] = server.take_tally()
        crawls.append(crawl_of(spider, stats))
        print("\n".join(crawl_lines(crawls[-1], output)), end="\n\n")
    # What the server was asked for is the one account that no pipeline can embellish.
    account = json.dumps({"url": server.url, "requests": requests}, indent=1)
    (output / "site.json").write_text(account, encoding="utf-8")
    print("\n".join(closing_lines(crawls)))
    return 0 if all(crawl.stored + crawl.kept for crawl in crawls) else 1


def _crawl(spider: str, start_url: str, output: Path) -> dict[str, Any]:
    """Run `scrapy crawl` and return its stats.

    Raises:
        CrawlError: it failed, or was stopped before its end.
    """
    log, stats_file = output / f"{spider}.log", output / f"{spider}.stats.json"
    for leftover in (log, stats_file):
        leftover.unlink(missing_ok=True)
    command = [sys.executable, "-m", "scrapy", "crawl", spider, "-a", f"start_url={start_url}"]
    done = subprocess.run(
        [*command, "-s", f"LOG_FILE={log}"], cwd=HERE, env=_environment(output), check=False
    )
    stats = json.loads(stats_file.read_text(encoding="utf-8")) if stats_file.exists() else {}
    if done.returncode or stats.get("finish_reason") != "finished":
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        tail = "\n".join(lines[-LOG_TAIL:])
        message = f"{tail}\n\nThe crawl {spider!r} failed (status {done.returncode}); see {log}"
        raise CrawlError(message)
    return dict(stats)


def _environment(output: Path) -> dict[str, str]:
    """Return this process's environment, without what would lead a crawl elsewhere."""
    strangers = {"SCRAPY_SETTINGS_MODULE", "SCRAPY_PROJECT"}
    kept = {name: value for name, value in os.environ.items() if name not in strangers}
    # A proxy of the environment is not asked for pages on loopback.
    return {**kept, "EXAMPLE_OUTPUT": str(output), "no_proxy": "127.0.0.1"}


def _remove_results(output: Path) -> None:
    """Remove what runs leave in *output*, and nothing else that may be there."""
    (output / "site.json").unlink(missing_ok=True)
    for spider in SPIDERS:
        shutil.rmtree(output / spider, ignore_errors=True)
        for name in ("jsonl", "log", "stats.json", "report.csv", "index.sqlite*"):
            for file in output.glob(f"{spider}.{name}"):
                file.unlink()


if __name__ == "__main__":
    sys.exit(main())
