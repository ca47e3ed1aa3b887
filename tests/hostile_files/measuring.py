"""Render files in processes of their own, and say how each ended and what it took.

``python measuring.py FOLDER`` renders every file of a folder by every plan, each in a fork,
and prints one JSON object. What a fork takes is counted from what it began with.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import ImagePipeError
from scrapy_imgpipe.imaging import (
    DEFAULT_FORMATS,
    READY,
    Plan,
    Variant,
    data_mining,
    end_of_image,
    measure,
    render,
    strip,
)
from scrapy_imgpipe.imaging.limits import check_early
from scrapy_imgpipe.imaging.metadata import count_frames
from scrapy_imgpipe.probe import Prober, probe
from tests.hostile_files.files import MARK
from tests.hostile_files.making import picture, written

if TYPE_CHECKING:
    from collections.abc import Iterator

THUMB = Variant("thumb", 50, 50)
PLANS = {
    "jpeg": Plan(),
    "thumb": Plan((THUMB,)),
    "stripped": Plan(full="source", strip="all"),
    "truncated": Plan((THUMB,), truncated=True),
    "moving": Plan((Variant("moving", 50, 50, format="WEBP", frames=20),)),
}
#: Room for addresses and seconds of CPU: who needs more has failed.
ADDRESSES, SECONDS = 4 << 30, 60
#: What may not happen while bytes are decoded.
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect")
CHUNK = 16_384
MEASURES = tuple(READY.values())

_started: list[str] = []


def looked_at(data: bytes) -> str:
    """Hand *data* to all that looks at bytes and never raises."""
    prober = Prober()
    for at in range(0, len(data), CHUNK):
        prober.feed(data[at : at + CHUNK])
    assert prober.probe == probe(data)
    data_mining(data)
    count_frames(data)
    end_of_image(data)
    bare = strip(data)
    assert strip(bare) == bare
    with suppress(ImagePipeError):
        check_early(prober, Plan())
    return "stored"


def rendered(data: bytes, plan: Plan) -> str:
    """Return how rendering *data* ends; what is rendered has to be as the plan says."""
    try:
        pictures = render(data, plan)
    except ImagePipeError as error:
        return error.code
    for made in pictures:
        assert made.width * made.height <= plan.max_pixels or made.data is data
        assert not plan.strip or MARK not in made.data
    measure(pictures[0].data, MEASURES, DEFAULT_FORMATS, data)
    return "stored"


def ended(data: bytes, name: str) -> str:
    """Return how *data* ends by the plan of that *name*."""
    try:
        return looked_at(data) if name == "looks" else rendered(data, PLANS[name])
    except BaseException as error:  # a foreign error is what is looked for
        return f"{type(error).__name__}: {error}"


@contextmanager
def in_a_fork() -> Iterator[tuple[bool, Any]]:
    """Yield whether this is the child, and the file between both."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with os.fdopen(reading) as file:
            yield False, file
        os.waitpid(child, 0)
        return
    os.close(reading)
    try:
        with os.fdopen(writing, "w") as file:
            yield True, file
    finally:
        os._exit(0)


def peak() -> int:
    """Return the most that this process has had in memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(data: bytes, name: str) -> dict[str, Any]:
    """Return outcome, seconds and megabytes of one fork; an empty outcome where it died."""
    with in_a_fork() as (is_child, file):
        if is_child:
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            before, began = peak(), time.process_time()
            outcome = ended(data, name)
            told = {
                "outcome": outcome,
                "seconds": round(time.process_time() - began, 2),
                "megabytes": round((peak() - before) / 1e6, 1),
                "programs": _started,
            }
            file.write(json.dumps(told))
        else:
            said = file.read()
    return json.loads(said) if said else {"outcome": "", "seconds": 0, "megabytes": 0}


def warm_up() -> None:
    """Load every plug-in and every table, which no file is to pay for."""
    for form in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "PPM"):
        data = written(picture((64, 64)), form)
        for name in (*PLANS, "looks"):
            ended(data, name)
            ended(data[:99], name)
    gc.collect()
    gc.freeze()


def main(folder: Path, names: list[str]) -> None:
    sys.addaudithook(lambda name, _: _started.append(name) if name in PROGRAMS else None)
    warm_up()
    found = {}
    for path in sorted(folder.iterdir()):
        if not names or path.name in names:
            data = path.read_bytes()
            found[path.name] = {name: measured(data, name) for name in (*PLANS, "looks")}
    trusting = Plan(formats=(*DEFAULT_FORMATS, "EPS"))
    PLANS["trusting"] = trusting
    found["trusted"] = {"trusting": measured((folder / "postscript").read_bytes(), "trusting")}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
