"""``scrapy imgpipe``: what is done about a store without a crawl.

Scrapy imports this file at each of its starts, so it imports nothing that Scrapy has not
imported by then; the rest of this room is imported when the command runs.
"""

from __future__ import annotations

import argparse

from scrapy.commands import ScrapyCommand


class Command(ScrapyCommand):
    """The command, as Scrapy finds it by its entry point."""

    requires_crawler_process = False
    exitcode: int = 0

    def syntax(self) -> str:
        """Return what stands behind the command's name."""
        return "<fetch|render|import|verify|prune|report|gallery> [options]"

    def short_desc(self) -> str:
        """Return the line in Scrapy's list of commands."""
        return "Fetch lists of images, look after image stores, and show what crawls brought home"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Let Scrapy's parser take its global options only: ours are parsed by our own."""
        super().add_options(parser)
        parser.add_argument("-h", "--help", action="store_true")  # or it would tell of Scrapy's

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        """Run what *args* ask for and set the exit status."""
        from scrapy_imgpipe.commands.program import run  # noqa: PLC0415 - see above

        if self.settings is None:  # Scrapy has set them
            raise RuntimeError("The command was run without settings")
        self.exitcode = run([*args, *["--help"] * opts.help], self.settings, opts)
