"""Fuzz all that reads bytes: probe, Prober, strip, data mining, render.

``python tests/fuzz/run.py --seconds 600 [--seed N] [--keep DIR]`` prints what failed, and
keeps its bytes where it is told to. ``--count`` ends it after so many inputs, whatever the
time. ``--again FILE...`` runs kept files instead. Exit status 1 where anything failed.

Each batch runs in a process of its own with bounded memory and time; the one in hand when
it dies is the one that failed. What must hold: renditions as they say they are, or an error
of ours; a stripped file stays one; chunk by chunk or at once, a header says the same.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402 - a script; its path is above

from scrapy_imgpipe.errors import ImagePipeError  # noqa: E402
from scrapy_imgpipe.imaging import (  # noqa: E402
    Plan,
    Variant,
    check_early,
    data_mining,
    end_of_image,
    render,
    strip,
    trailing_bytes,
)
from scrapy_imgpipe.imaging.metadata import count_frames  # noqa: E402
from scrapy_imgpipe.probe import Prober, probe  # noqa: E402
from tests.fuzz import seeds  # noqa: E402
from tests.fuzz.mutator import mutated  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESSES = 3 << 30
#: Longest that one input may take, in seconds: a hundred times what any takes.
MOST_SECONDS = 20
#: Pixels of an input: a damaged header may say anything, and that is a test of its own.
MOST_PIXELS = 200_000
BATCH = 1_000
THUMB = Variant("a", 20, 20)
MOVING = Variant("b", 12, format="GIF", frames=3)
PLANS = (
    Plan((THUMB,), max_pixels=MOST_PIXELS),
    Plan(full="source", strip="all", max_pixels=MOST_PIXELS),
    Plan(full="source", strip="copyright", truncated=True, max_pixels=MOST_PIXELS),
    Plan((THUMB, MOVING), truncated=True, max_pixels=MOST_PIXELS),
    Plan(full=Variant("", 30, format="WEBP", metadata="all", frames=3), max_pixels=MOST_PIXELS),
)


def try_probe(data: bytes, draw: random.Random) -> None:
    prober, at = Prober(), 0
    while at < len(data):
        size = draw.choice([1, 3, 50, 5_000])
        prober.feed(data[at : at + size])
        at += size
    assert prober.probe == probe(data), "chunk by chunk is not at once"
    with suppress(ImagePipeError):
        check_early(prober, PLANS[0])


def try_metadata(data: bytes, _: random.Random) -> None:
    data_mining(data)
    count_frames(data)
    end, trailing = end_of_image(data), trailing_bytes(data)
    assert end is None or 0 < end <= len(data), "an end outside"
    assert 0 <= trailing <= len(data), "more follows than there is"
    for rights in (False, True):
        bare = strip(data, copyright=rights)
        assert strip(bare, copyright=rights) == bare, "stripped twice is not stripped once"


def try_render(data: bytes, draw: random.Random) -> None:
    plan = draw.choice(PLANS)
    try:
        pictures = render(data, plan)
    except ImagePipeError:
        return
    for made in pictures:
        # A JPEG may be larger: it is decoded at a fraction of its size.
        within = made.width * made.height <= MOST_PIXELS
        assert within or made.format == "JPEG", "larger than allowed"
        if made.data is not data and made.name is not None:
            with Image.open(io.BytesIO(made.data)) as image:
                image.load()
                assert image.size == (made.width, made.height), "not as large as it says"


TARGETS: dict[str, Callable[[bytes, random.Random], None]] = {
    "probe": try_probe,
    "metadata": try_metadata,
    "render": try_render,
}


def tried(data: bytes, number: str) -> str:
    """Return what fails on *data*; empty where nothing does."""
    for name, target in TARGETS.items():
        try:
            target(data, random.Random(number))
        except MemoryError:
            return f"{name}: it wants more than {ADDRESSES >> 30} GiB"
        except Exception:
            return f"{name}: {traceback.format_exc(limit=-4)}"
    return ""


def inputs(seed: int, first: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield a number and its input, the same for the same seed."""
    starts = [*seeds.made(), *seeds.hostile()]
    for number in range(first, first + count):
        name = f"{seed}-{number}"
        yield name, mutated(random.Random(name), starts)


def work(seed: int, first: int, count: int) -> None:
    """Try a batch, in a process of its own: one JSON line before each input, one for a failure."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    warnings.simplefilter("ignore")
    for name, data in inputs(seed, first, count):
        signal.alarm(MOST_SECONDS)  # its default action ends the process
        tell(begun=name)
        failed = tried(data, name)
        if failed:
            tell(failed=name, why=failed)
    signal.alarm(0)
    tell(done=count)


def tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def batch(seed: int, first: int, count: int) -> tuple[int, dict[str, str]]:
    """Run one batch; return how many inputs were tried, and why each failed that did."""
    command = [sys.executable, __file__, "--work", str(seed), str(first), str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {line["failed"]: line["why"] for line in lines if "failed" in line}
    begun = [line["begun"] for line in lines if "begun" in line]
    if not any("done" in line for line in lines):
        if not begun:
            raise RuntimeError("Fuzzing did not start")
        failed[begun[-1]] = f"the process died of it, status {done.returncode}"
    return len(begun), failed


def fuzz(seed: int, seconds: float, count: int) -> tuple[int, dict[str, str]]:
    """Try inputs until the time or their number is up."""
    last, tries, failed = time.monotonic() + seconds, 0, {}
    while tries < count and time.monotonic() < last:
        more, wrong = batch(seed, tries, min(BATCH, count - tries))
        tries += more
        failed |= wrong
    return tries, failed


def bytes_of(name: str) -> bytes:
    """Return the input that has this number."""
    seed, number = map(int, name.split("-"))
    ((_, data),) = inputs(seed, number, 1)
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", type=Path, help="folder for the inputs that fail")
    parser.add_argument("--again", type=Path, nargs="+", help="files that were kept")
    parser.add_argument("--work", type=int, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(*args.work)
        return 0
    if args.again:
        failed = {path.name: tried(path.read_bytes(), path.name) for path in args.again}
        failed = {name: why for name, why in failed.items() if why}
        tries = len(args.again)
    else:
        sys.stdout.write(f"seed {args.seed}\n")
        tries, failed = fuzz(args.seed, args.seconds, args.count)
    for name, why in failed.items():
        sys.stdout.write(f"FAILED: {name}: {why}\n")
        if args.keep and not args.again:
            args.keep.mkdir(parents=True, exist_ok=True)
            (args.keep / name).write_bytes(bytes_of(name))
    sys.stdout.write(f"{tries} inputs, {len(failed)} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
