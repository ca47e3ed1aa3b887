"""The process: what it is told, how much it takes, and how it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scrapy_imgpipe.index import Key, RedisIndex, SqliteIndex, store_address
from scrapy_imgpipe.stores import Access, open_store
from tests import redis_server
from tests.integration.s3_server import BUCKET, KEY, READER, READER_SECRET, SECRET, seaweed
from tests.pictures import jpeg
from tests.service.conftest import PHOTO, ROOT, id_of
from tests.service.test_jobs import jobs_file, wait

BIG = 19 << 20


def connected(server, request):
    """Return a socket on which *request* was sent and nothing is read."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = server.url.removeprefix("http://").split(":")
    one.connect((host, int(port)))
    one.sendall(request.encode())
    return one


def most_mib(server):
    """Return the most memory that the process ever had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def big_images(store, count):
    (store / "full").mkdir(parents=True)
    ids = [f"{number:040}" for number in range(count)]
    for image_id in ids:
        (store / "full" / f"{image_id}.jpg").write_bytes(PHOTO.read_bytes() + b"\0" * BIG)
    return ids


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_more_originals_are_in_memory_than_may_be(serve, tmp_path):
    ids = big_images(tmp_path, 24)
    server = serve(tmp_path, SERVICE_WORKERS="2", SERVICE_UPLOADS="2")
    before = most_mib(server)
    readers = [
        connected(server, f"GET /files/full/{each}.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for each in ids
    ]
    with ThreadPoolExecutor(24) as threads:
        thumbs = list(threads.map(lambda each: server.client.get(f"/images/{each}/thumb"), ids))
    assert {answer.status_code for answer in thumbs} == {307}
    whole = server.client.get(f"/files/full/{ids[0]}.jpg")
    assert whole.content == (tmp_path / "full" / f"{ids[0]}.jpg").read_bytes()
    most = most_mib(server) - before
    for reader in readers:
        reader.close()
    assert most < 16 * (BIG >> 20)  # each has a copy on its way to a worker, and another


def test_who_reads_nothing_does_not_hold_up_the_end(serve, tmp_path):
    (image_id,) = big_images(tmp_path, 1)
    server = serve(tmp_path)
    head = f"GET /files/full/{image_id}.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(server, head) as reader:
        assert reader.recv(15) == b"HTTP/1.1 200 OK"
        server.process.terminate()
        server.process.wait(30)
    server.end()


def test_head_is_get_without_the_body(server):
    info = server.upload(PHOTO.read_bytes()).json()
    file = server.client.get(info["variants"][1]["url"]).headers["location"]
    paths = ["/health", "/images", info["url"], info["variants"][1]["url"], file, "/nothing"]
    for path in (*paths, f"/images/{'0' * 40}", f"/jobs/{'0' * 40}", "/schema/openapi.json"):
        got, headed = server.client.get(path), server.client.head(path)
        assert headed.content == b""
        assert headed.status_code == got.status_code
        for name in ("content-length", "content-type", "location", "etag"):
            assert headed.headers.get(name) == got.headers.get(name), (path, name)
    assert int(server.client.head(file).headers["content-length"]) > 0


def test_a_store_that_may_only_be_read_is_served(serve, tmp_path):
    left = jpeg()
    with seaweed(tmp_path) as endpoint:
        access = Access(
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            aws_endpoint_url=endpoint,
            aws_region="us-east-1",
        )
        store = open_store(f"s3://{BUCKET}/crawl", access)
        store.put(f"full/{id_of(left)}.jpg", left)
        store.put(f"uploads/{id_of(left)}", left)
        job = jobs_file(tmp_path, id_of(left), "complete")
        store.put(f"jobs/{id_of(left)}.json", job.read_bytes())
        server = serve(
            f"s3://{BUCKET}/crawl",
            AWS_ENDPOINT_URL=endpoint,
            AWS_ACCESS_KEY_ID=READER,
            AWS_SECRET_ACCESS_KEY=READER_SECRET,
            AWS_REGION="us-east-1",
        )
        wait(lambda: server.logged("Could not delete"))
        assert server.client.get(f"/images/{id_of(left)}").json()["width"]
        file = server.client.get(f"/files/full/{id_of(left)}.jpg")
        assert file.content == left
        assert file.headers["content-length"] == str(len(left))
        server.end()


@pytest.mark.parametrize("place", ["handoff", "off", ""])
def test_an_index_is_where_it_is_said_to_be(serve, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    server = serve(tmp_path / "store", IMGPIPE_INDEX=place)
    data = jpeg()
    assert server.upload(data).status_code == 201
    server.end()
    assert {path.name for path in tmp_path.iterdir() if "." not in path.name} == {
        "store",
        *(["handoff"] if place == "handoff" else []),
    }
    if place == "handoff":
        assert SqliteIndex("handoff").get([Key("", f"full/{id_of(data)}.jpg")]) != [None]


def test_an_index_may_be_on_a_redis_server(serve, tmp_path):
    pytest.importorskip("redis")
    with redis_server.server(tmp_path / "redis") as redis:
        server = serve(tmp_path / "store", IMGPIPE_INDEX=redis.url)
        data = jpeg()
        server.upload(data)
        (listed,) = server.client.get("/images").json()["images"]
        assert listed["width"]
        index = RedisIndex(redis.url, store_address(str(tmp_path / "store")))
        assert index.get([Key("", f"full/{id_of(data)}.jpg")]) != [None]
        index.close()
        server.end()


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {"SERVICE_WORKERS": "0"}, "SERVICE_WORKERS"),
        (["--port", "99999"], {}, "--port"),
        (["--index", "store/file/index"], {}, "index"),
        ([], {"IMGPIPE_INDEX": "redis://127.0.0.1:1/0"}, "redis"),
        (["--store", "store/file"], {}, "store"),
    ],
)
def test_what_is_wrong_stops_the_start_in_one_sentence(tmp_path, arguments, environment, words):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "file").touch()
    path = os.pathsep.join(map(str, (ROOT, ROOT / "example_project")))
    ended = subprocess.run(
        [sys.executable, "-m", "service", "--port", "0", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert words in line
