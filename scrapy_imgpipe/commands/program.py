"""From arguments to an exit status: which command, what it works on, how it may fail."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from scrapy.utils.log import configure_logging

from scrapy_imgpipe.commands.arguments import parser
from scrapy_imgpipe.commands.console import Console
from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.parsers import parse, whole_number
from scrapy_imgpipe.values import DAYS, FOLDER

if TYPE_CHECKING:
    from scrapy.settings import Settings

#: Exit statuses; those of signals as a shell says them: 128 and the signal's number.
FINE, FAILED, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141

_TOP = whole_number(1, "lines")


def run(arguments: Sequence[str], settings: Settings, options: argparse.Namespace) -> int:
    """Run what *arguments* ask for, and return the exit status.

    Args:
        arguments: behind the command's name.
        settings: of the project, or of none, with what the command line sets.
        options: Scrapy's global ones.
    """
    known = parser()
    wanted = known.parse_args(arguments)
    if wanted.command is None:
        known.print_help()
        return FINE
    if options.logfile or options.loglevel or options.nolog:
        configure_logging(settings)  # else warnings go to standard error, and nothing more
    with suppress(AttributeError):  # a stream of somebody's own
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return _guarded(wanted, settings, sys.stdout, sys.stderr)


def _guarded(wanted: argparse.Namespace, settings: Settings, out: TextIO, err: TextIO) -> int:
    """Run the command, and say in one sentence what went wrong."""
    console = Console(out, err)
    try:
        status = _run(wanted, settings, console)
        console.wipe()
        out.flush()
    except KeyboardInterrupt:
        console.wipe()
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output(out)
        return PIPE_CLOSED
    except (ImagePipeError, ImportError) as error:
        reason = str(error)
    except OSError as error:
        name = f": {error.filename!r}" if error.filename is not None else ""
        reason = f"{error.strerror or error}{name}"
        _forget_output(out)  # it may be what failed
    else:
        return status
    console.wipe()
    err.write(f"scrapy imgpipe {wanted.command}: {reason}\n")
    return FAILED


def _run(wanted: argparse.Namespace, settings: Settings, console: Console) -> int:
    if wanted.command == "report":
        from scrapy_imgpipe.commands.reporting import report  # noqa: PLC0415 - see below

        most = parse(_TOP, "--top", wanted.top)
        return report(wanted.report, console, wanted.later, most=most, failed=wanted.failed)
    if wanted.command == "gallery":
        from scrapy_imgpipe.commands.gallery import write_gallery  # noqa: PLC0415 - see below

        return write_gallery(wanted, settings, console)
    if wanted.command == "fetch":
        from scrapy_imgpipe.commands.fetching import fetch_list  # noqa: PLC0415 - see below

        _name_store(wanted, settings)
        return fetch_list(wanted, settings, console)
    if wanted.command == "render":
        from scrapy_imgpipe.commands.rendering import render  # noqa: PLC0415 - see below
        from scrapy_imgpipe.progress import Progress  # noqa: PLC0415

        _name_store(wanted, settings)
        return render(wanted, settings, console, Progress(sys.stderr))
    return _run_at_place(wanted, settings, console)


def _name_store(wanted: argparse.Namespace, settings: Settings) -> None:
    if wanted.store is not None:
        settings.set("IMAGES_STORE", wanted.store, priority="cmdline")


def _run_at_place(wanted: argparse.Namespace, settings: Settings, console: Console) -> int:
    # Each command imports what it needs: reading a report takes no Pillow.
    from scrapy_imgpipe.commands.importing import import_store  # noqa: PLC0415
    from scrapy_imgpipe.commands.place import place_of  # noqa: PLC0415
    from scrapy_imgpipe.commands.pruning import prune  # noqa: PLC0415
    from scrapy_imgpipe.commands.verifying import verify  # noqa: PLC0415

    age = parse(DAYS, "--min-age", wanted.min_age) if wanted.command == "prune" else 0
    _name_store(wanted, settings)
    place = place_of(settings, wanted.pipeline)
    if wanted.command != "verify":
        excluded = [parse(FOLDER, "--exclude", folder) for folder in wanted.exclude]
        place = replace(place, excluded=tuple(f"{folder}/" for folder in excluded))
        for folder in place.excluded:
            if next(place.store.list(folder), None) is None:
                console.line(f"--exclude {folder}: no file of the store is there")
    with closing(place.index):
        if wanted.command == "import":
            return import_store(place, console, wanted.items)
        if wanted.command == "verify":
            return verify(place, console, fast=wanted.fast, repair=wanted.repair)
        return prune(place, console, delete=wanted.delete, min_age_days=age)


def _forget_output(out: TextIO) -> None:
    """Let the interpreter's end find nothing to complain of, where *out* takes no more."""
    try:
        out.flush()
    except io.UnsupportedOperation:
        return
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)
