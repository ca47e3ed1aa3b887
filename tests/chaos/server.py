"""An image server that misbehaves at random, in a process of its own.

``python server.py SEED SECONDS`` prints two ports, answers on the first, redirects to the
second, and ends with its standard input. Pages have items with random image URLs, until
the seconds since the first page are over: then they have no next page. What an image URL answers is
drawn from its own text, so that a seed names the same answers whatever their order.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.hostile_files.making import jpeg, picture, written

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

ITEMS, URLS = 6, 8
#: Different URLs that pages draw from; some come again, in one item and in several.
SOURCES = 10_000
NO_END = 30.0  # seconds; more than a download may take
RESET = b""

FORMS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "ICO", "PPM")
IMAGES = [written(picture((90 + 7 * n, 60 + 5 * n), seed=n), FORMS[n % 9]) for n in range(27)]
PHOTO = jpeg()
LARGE = written(picture((900, 700)), "JPEG", quality=92)
BOMB = gzip.compress(b"\xff\xd8\xff" + bytes(60_000_000), 9)
PAGE = b"<!doctype html><title>Log in</title>" + b"<p>text</p>" * 500

UNUSABLE = (
    "", "/relative.jpg", "//127.0.0.1/x.jpg", "http://", "http://[::1", "gopher://127.0.0.1/x.jpg",
    "file:///etc/hostname", "javascript:alert(1)", "http://127.0.0.1:1/refused.jpg",
    "http://127.0.0.1:99999/port.jpg", "data:image/png;base64,AAAA", "data:,", "http://a b/",
    "http://127.0.0.1:1/%00%ff.jpg", None, 17,
)  # fmt: skip

#: What is sent, and the seconds of a pause before each piece but the first; RESET resets.
Script = list[tuple[float, bytes]]
ANSWERS: list[tuple[int, Callable[[random.Random, int], Script]]] = []


def often(weight: int):
    """Add an answer that is drawn with this *weight*."""

    def add(answer):
        ANSWERS.append((weight, answer))
        return answer

    return add


def head(status: str = "200 OK", **headers: object) -> bytes:
    named = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *named, "Connection: close", "", ""]).encode()


def whole(body: bytes, status: str = "200 OK", **headers: object) -> Script:
    return [(0, head(status, Content_Length=len(body), **headers) + body)]


@often(60)
def good(draw: random.Random, other: int) -> Script:
    return whole(draw.choice(IMAGES))


@often(6)
def large(draw: random.Random, other: int) -> Script:
    return whole(LARGE)


@often(4)
def cut_off_image(draw: random.Random, other: int) -> Script:
    body = draw.choice(IMAGES)
    return whole(body[: draw.randrange(len(body))])


@often(4)
def damaged(draw: random.Random, other: int) -> Script:
    body = bytearray(draw.choice(IMAGES))
    for _ in range(draw.randint(1, 30)):
        body[draw.randrange(len(body))] = draw.randrange(256)
    return whole(bytes(body))


@often(3)
def dripping(draw: random.Random, other: int) -> Script:
    head_, pieces = whole(PHOTO)[0][1], draw.randint(3, 12)
    size = -(-len(head_) // pieces)
    return [(0.05, head_[at : at + size]) for at in range(0, len(head_), size)]


@often(1)
def dripping_for_ever(draw: random.Random, other: int) -> Script:
    return [(0, head(Content_Length=10**6)), *[(0.3, b"\xff\xd8\xff\xe0")] * 100]


@often(2)
def slow_headers(draw: random.Random, other: int) -> Script:
    return [(0, b"HTTP/1.1 200 OK\r\n"), (draw.random(), b"X-Slow: 1\r\n\r\n" + PHOTO)]


@often(1)
def headers_that_never_come(draw: random.Random, other: int) -> Script:
    return [(0, b"HTTP/1.1 200 OK\r\nX-"), (NO_END, b"\r\n\r\n")]


@often(3)
def wrong_length(draw: random.Random, other: int) -> Script:
    told = draw.choice([len(PHOTO) // 2, len(PHOTO) + 99, 10**12, -1, "many", "5, 7"])
    return [(0, head(Content_Length=told) + PHOTO)]


@often(2)
def no_length(draw: random.Random, other: int) -> Script:
    return [(0, head() + PHOTO)]


@often(3)
def chunked_garbage(draw: random.Random, other: int) -> Script:
    size = f"{len(PHOTO):x}\r\n".encode()
    bodies = [b"zz\r\n", size + PHOTO, size + PHOTO[:99], b"-5\r\n" + PHOTO, b"f" * 99, b"0\r\n"]
    return [(0, head(Transfer_Encoding="chunked") + draw.choice(bodies))]


@often(3)
def reset(draw: random.Random, other: int) -> Script:
    before = draw.choice([b"", b"HTTP/1.1 2", head(), head(Content_Length=len(PHOTO)) + PHOTO[:99]])
    return [(0, before), (0, RESET)]


@often(3)
def other_status(draw: random.Random, other: int) -> Script:
    status = draw.choice(["204 No", "206 Part", "304 Same", "403 No", "404 No", "410 No", "500 Oh",
                          "503 Later", "999 What", "299 Fine"])  # fmt: skip
    return [(0, head(status) + draw.choice([b"", PHOTO]))]


@often(1)
def too_many(draw: random.Random, other: int) -> Script:
    told = draw.choice(["1", "86400", "soon", "-1", "Wed, 21 Oct 2099 07:28:00 GMT"])
    return whole(b"", "429 Too Many", Retry_After=told)


@often(4)
def redirected(draw: random.Random, other: int) -> Script:
    where = draw.choice([
        "/image/round.jpg", f"http://127.0.0.1:{other}/image/{draw.randrange(99)}.jpg",
        "http://127.0.0.1:1/x.jpg", "file:///etc/hostname", "gopher://x/", "data:image/png,x",
        "//[", "", "/image/" + "x" * 3_000, f"http://127.0.0.1:{other}/%zz\xe9.jpg",
    ])  # fmt: skip
    return whole(b"", draw.choice(["301 A", "302 B", "303 C", "307 D", "308 E"]), Location=where)


@often(1)
def encoding_bomb(draw: random.Random, other: int) -> Script:
    return whole(BOMB, Content_Encoding="gzip")


@often(3)
def encoding_lie(draw: random.Random, other: int) -> Script:
    way = draw.choice(["gzip", "deflate", "br", "zstd", "gzip, gzip", "none", "x" * 99])
    return whole(draw.choice([PHOTO, gzip.compress(PHOTO), gzip.compress(PHOTO)[:-9]]),
                 Content_Encoding=way)  # fmt: skip


@often(3)
def no_image(draw: random.Random, other: int) -> Script:
    body = draw.choice([PAGE, b"", b"x", b'{"a": 1}', b"<svg/>", b"%!PS-Adobe\n", bytes(9_999)])
    return whole(body, Content_Type="image/jpeg")


@often(1)
def huge_headers(draw: random.Random, other: int) -> Script:
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(draw.choice([9, 99, 999])))
    return [(0, b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + PHOTO)]


@often(1)
def no_http(draw: random.Random, other: int) -> Script:
    return [(0, draw.choice([b"220 ftp\r\n", bytes(99), b"\r\n" * 99, b"HTTP/9.9 x y\r\n\r\n"]))]


def script_of(path: str, seed: str, other: int) -> Script:
    """Draw the answer of *path*."""
    if path == "/image/round.jpg":
        return whole(b"", "302 Round", Location=path)
    draw = random.Random(f"{seed} {path}")
    (answer,) = draw.choices([each for _, each in ANSWERS], [weight for weight, _ in ANSWERS])
    return answer(draw, other)


class Server:
    def __init__(self, seed: str, seconds: float) -> None:
        self.seed, self.seconds = seed, seconds
        self.began: float | None = None
        self.ports: list[int] = []

    def page(self, path: str) -> Script:
        """Return items with their image URLs, and the next page while there is time."""
        self.began = self.began or time.monotonic()
        number = int(path.rpartition("/")[2])
        draw = random.Random(f"{self.seed} page {number}")
        items = [[self.url(draw) for _ in range(draw.randint(0, URLS))] for _ in range(ITEMS)]
        over = time.monotonic() - self.began > self.seconds
        following = None if over else f"/page/{number + 1}"
        return whole(json.dumps({"items": items, "next": following}).encode())

    def url(self, draw: random.Random) -> str | int | None:
        if draw.random() < 0.06:
            return draw.choice(UNUSABLE)
        return f"http://127.0.0.1:{self.ports[0]}/image/{draw.randrange(SOURCES)}.jpg"

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            asked = await reader.readuntil(b"\r\n\r\n")
            path = asked.split(b" ", 2)[1].decode("latin-1")
            script = (
                self.page(path)
                if path.startswith("/page/")
                else script_of(path, self.seed, self.ports[1])
            )
            for pause, piece in script:
                if pause:
                    await asyncio.sleep(pause)
                if piece is RESET:
                    writer.transport.abort()
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def run(self) -> None:
        for _ in range(2):
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=256)
            self.ports.append(server.sockets[0].getsockname()[1])
        sys.stdout.write(json.dumps(self.ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        os._exit(0)  # answers that were to take longer have nobody who waits for them


if __name__ == "__main__":
    asyncio.run(Server(sys.argv[1], float(sys.argv[2])).run())
