"""What ``scrapy imgpipe`` can be asked for, and how it is told: names, options, examples."""

from __future__ import annotations

import argparse
from typing import NoReturn, TypeAlias

from scrapy_imgpipe.commands.failing import add_fail_on
from scrapy_imgpipe.commands.renditions import add_renditions

_DESCRIPTION = "Do something about a store of images, or about the report of a crawl."

_EXAMPLES = """\
examples:
  scrapy imgpipe fetch urls.txt --store images    download a list, without a spider
  scrapy imgpipe import                     know what Scrapy's own pipeline has stored
  scrapy imgpipe verify --repair            look at every file, and mend what is damaged
  scrapy imgpipe prune                      list the files that belong to no image
  scrapy imgpipe render photos --store out  make renditions of local images
  scrapy imgpipe report crawl.jsonl         say how a crawl went
  scrapy imgpipe gallery crawl.jsonl -o web write a page that shows its images

Inside of a project, its settings count; outside of one, give the store with --store DIR.
Each setting may be given with -s NAME=VALUE, and Scrapy's other global options work, too.
'scrapy imgpipe COMMAND --help' tells more of each command.
"""

_FETCH = """\
Download, render and store the images of a list, as a crawl does: its settings, guards, retries
and limits per host count, and what is stored and fresh is not downloaded again. Columns beside
the URLs go into the report. A run that was ended goes on where it stopped, when it is started
again with the same list and the same report, or into the same shards.
"""

_FETCH_EXAMPLES = """\
examples:
  scrapy imgpipe fetch urls.txt --store images --thumb small=50x50
  scrapy imgpipe fetch products.csv --column image --store images --report run.jsonl
  zcat urls.txt.gz | scrapy imgpipe fetch - --store images --processes 2
  scrapy imgpipe fetch laion.parquet --column URL --caption TEXT --store s3://bucket/set \\
      --format webdataset --full '{"width": 256, "height": 256, "fit": "cover"}'
"""

_IMPORT = """\
Enter into the index what is in the store: every image that is not below thumbs/, with those
of its thumbnails that are whole and of the right size. Nothing is downloaded. A crawl then
finds these images up to date without reading them. Files that are damaged are named and left
out; what the index knows already stays as it is, unless the file has changed since.
"""

_IMPORT_EXAMPLES = """\
examples:
  scrapy imgpipe import
  scrapy imgpipe import --items products.jsonl
  scrapy imgpipe import --store images -s IMAGES_THUMBS='{"small": [50, 50]}'
"""

_VERIFY = """\
Compare every image that the index knows with its files: missing, empty or of another size,
other bytes than were stored, full images that do not decode to their end, and thumbnails that
are missing, damaged or not of today's size. Prints a line for each problem (path, what is
wrong, URL) and the totals. The exit status is 1 where there was any problem, mended or not.
"""

_VERIFY_EXAMPLES = """\
examples:
  scrapy imgpipe verify
  scrapy imgpipe verify --fast              sizes and times only, no file is read
  scrapy imgpipe verify --repair
"""

_PRUNE = """\
List the files of the store that belong to no image the index knows, with their bytes, and the
images whose file is gone. Nothing is changed unless --delete is given. Anything else that lies
in the store's directory counts as such a file, so look at the list first; and where Scrapy's
own pipeline has filled the store, run 'scrapy imgpipe import' before. Not while a crawl with
IMGPIPE_DEDUPE is running: a hard link is as old as the file it was made from.
"""

_PRUNE_EXAMPLES = """\
examples:
  scrapy imgpipe prune
  scrapy imgpipe prune --delete
  scrapy imgpipe prune --min-age 30
"""

_REPORT = """\
Say how a crawl went, by the report it wrote (IMGPIPE_REPORT): outcomes, hosts, the slowest and
the largest images. With two reports, say how the later differs from the earlier.
"""

_REPORT_EXAMPLES = """\
examples:
  scrapy imgpipe report crawl.jsonl
  scrapy imgpipe report monday.jsonl tuesday.jsonl
  scrapy imgpipe report crawl.jsonl --failed - | sort > again.txt
"""

_GALLERY = """\
Write a web page that shows what a crawl brought home: thumbnails in rows, a lightbox with the
record of each image, failures by their outcome, charts; with search, filters and sorting. It
opens from disk, without a server and without any network. Shown are the rows of a report
(IMGPIPE_REPORT), or what the index knows of a store, or the images of a plain folder. A second
run makes only what is missing.
"""

_GALLERY_EXAMPLES = """\
examples:
  scrapy imgpipe gallery crawl.jsonl -o gallery
  scrapy imgpipe gallery crawl.jsonl --store images -o gallery
  scrapy imgpipe gallery s3://bucket/images -o gallery
"""

_RENDER = """\
Make renditions of local files, the same as a crawl with these settings would; or, where no
files are named, of what the index knows to be in the store: those that are missing, or were
made for other settings. Nothing is downloaded. Files keep their folders: shoes/a.png becomes
full/shoes/a.jpg and thumbs/<name>/shoes/a.jpg. What is in the store is left as it is. Prints a
line for each image that failed (file, outcome, why) and the totals.
"""

_RENDER_EXAMPLES = """\
examples:
  scrapy imgpipe render photos --store images --thumb small=50x50
  scrapy imgpipe render a.png b.tif --store out --full source --rendition card=400x300:cover:webp
  scrapy imgpipe render --rendition wide=1200x    of all that is stored, without a download
  scrapy imgpipe render photos --store images --report made.jsonl --fail-on broken,not-an-image
"""


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """Return what parses the arguments behind ``scrapy imgpipe``.

    The name of the command is in ``command``, None where there is none.
    """
    root = _Parser(
        prog="scrapy imgpipe",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_fetch(commands)
    _add_import(commands)
    _add_verify(commands)
    _add_prune(commands)
    _add_render(commands)
    _add_report(commands)
    _add_gallery(commands)
    return root


#: What ``add_subparsers`` returns; it has no public name.
_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001


def _add_fetch(commands: _Commands) -> None:
    command = _added(commands, "fetch", "download a list of images, without a spider", _FETCH)
    command.epilog = _FETCH_EXAMPLES
    command.add_argument(
        "sources",
        metavar="URL_OR_LIST",
        nargs="*",
        help="URLs; lists: .txt, .csv, .tsv, .jsonl, .json (also .gz, .bz2, .xz), .parquet; -",
    )
    command.add_argument(
        "--column", metavar="NAME", default="url", help="that has the URLs (default: url)"
    )
    command.add_argument(
        "--report", metavar="FILE", help="a row for each line: .jsonl, .csv, .sqlite or .parquet"
    )
    command.add_argument(
        "--verify-hash",
        metavar="COLUMN",
        default="",
        help="with the MD5, SHA-1 or SHA-2 that each download should have",
    )
    command.add_argument(
        "--processes",
        metavar="N",
        default="1",
        help="that share the list by host, where one is not enough (default: 1)",
    )
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        default="",
        help="of a Dask scheduler whose workers share the list; --report is a folder then",
    )
    command.add_argument(
        "--format",
        choices=("files", "webdataset"),
        default="files",
        help="each image by itself (default), or tar shards with Parquet files for training",
    )
    command.add_argument(
        "--shard-size", metavar="N", default="10000", help="rows of a shard (default: 10000)"
    )
    command.add_argument(
        "--caption", metavar="COLUMN", default="", help="whose text goes into shards as .txt"
    )
    add_fail_on(command)
    add_renditions(command)
    _add_place(command)


def _add_import(commands: _Commands) -> None:
    command = _added(commands, "import", "enter the files of a store into the index", _IMPORT)
    command.epilog = _IMPORT_EXAMPLES
    command.add_argument(
        "--items",
        metavar="FEED",
        nargs="+",
        action="extend",
        default=[],
        help="items of earlier crawls (.jsonl, .jl, .json or .csv), for the URLs of the images",
    )
    _add_exclude(command)
    _add_place(command)


def _add_verify(commands: _Commands) -> None:
    command = _added(commands, "verify", "compare the index with the files", _VERIFY)
    command.epilog = _VERIFY_EXAMPLES
    command.add_argument("--fast", action="store_true", help="read no file: sizes and times only")
    command.add_argument(
        "--repair",
        action="store_true",
        help="make damaged thumbnails again, and let the next crawl download damaged images",
    )
    _add_place(command)


def _add_prune(commands: _Commands) -> None:
    command = _added(commands, "prune", "list, or delete, what belongs to no image", _PRUNE)
    command.epilog = _PRUNE_EXAMPLES
    command.add_argument(
        "--delete",
        action="store_true",
        help="delete these files and left-over temporary ones, and forget images that are gone",
    )
    command.add_argument(
        "--min-age",
        metavar="DAYS",
        default="1",
        help="only files that are older (default: 1); a crawl may be writing the others",
    )
    _add_exclude(command)
    _add_place(command)


def _add_exclude(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--exclude",
        metavar="FOLDER",
        action="append",
        default=[],
        help="of the store, that is somebody else's and left alone; as often as needed",
    )


def _add_render(commands: _Commands) -> None:
    command = _added(commands, "render", "make renditions of local or stored images", _RENDER)
    command.epilog = _RENDER_EXAMPLES
    command.add_argument(
        "files", metavar="FILE_OR_FOLDER", nargs="*", help="files, folders or stores"
    )
    command.add_argument(
        "--report", metavar="FILE", help="a row for each image: .jsonl, .csv, .sqlite or .parquet"
    )
    command.add_argument("--force", action="store_true", help="make again what is there already")
    add_fail_on(command)
    add_renditions(command)
    _add_place(command)


def _add_report(commands: _Commands) -> None:
    command = _added(commands, "report", "say how a crawl went", _REPORT)
    command.epilog = _REPORT_EXAMPLES
    command.add_argument("report", metavar="REPORT", help=".jsonl, .csv, .sqlite or .parquet")
    command.add_argument("later", metavar="LATER", nargs="?", help="the report of a later crawl")
    command.add_argument(
        "--top", metavar="N", default="10", help="how many lines each list has (default: 10)"
    )
    command.add_argument(
        "--failed",
        metavar="FILE",
        help="write the URLs that failed, one a line; to standard output, and nothing else, for -",
    )


def _add_gallery(commands: _Commands) -> None:
    command = _added(commands, "gallery", "write a web page that shows the images", _GALLERY)
    command.epilog = _GALLERY_EXAMPLES
    command.add_argument(
        "what",
        metavar="STORE_OR_REPORT",
        nargs="?",
        help="a store, or a report: .jsonl, .csv, .sqlite or .parquet (default: IMAGES_STORE)",
    )
    command.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="the folder for the page"
    )
    command.add_argument("--title", metavar="TEXT", default="", help="of the page")
    _add_place(command)


def _added(commands: _Commands, name: str, line: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=line,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", metavar="DIR", help="the store, in place of IMAGES_STORE")
    command.add_argument(
        "--pipeline",
        metavar="CLASS",
        help="import path of the pipeline class whose settings and names count, where"
        " ITEM_PIPELINES has several",
    )
