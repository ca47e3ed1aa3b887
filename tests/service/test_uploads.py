"""What is uploaded, which way, and what is refused."""

from __future__ import annotations

import io
import struct
import zlib

import httpx
import pytest
from PIL import Image

from scrapy_imgpipe.index import Key, SqliteIndex
from tests.pictures import encoded, jpeg, noise, opened
from tests.service.conftest import PHOTO, id_of

MOST = 20 << 20


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of few bytes and many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def problem(answer, status, code):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    told = answer.json()
    assert told["status"] == status
    assert told["code"] == code
    return told["detail"]


def test_an_upload_has_all_variants_at_once(server, place):
    data = PHOTO.read_bytes()
    answer = server.upload(data)
    assert answer.status_code == 201
    info = answer.json()
    assert info["id"] == id_of(data)
    assert answer.headers["location"] == info["url"] == f"/images/{id_of(data)}"
    assert (info["width"], info["height"], info["format"]) == (600, 400, "JPEG")
    assert {
        (each["name"], each["made"], each["width"], each["height"]) for each in info["variants"]
    } == {
        ("original", True, 600, 400),
        ("thumb", True, 150, 100),
        ("medium", True, 600, 400),
        ("large", True, 600, 400),
    }
    assert server.client.get(info["url"]).json() == info
    for variant in info["variants"]:
        shown = server.client.get(variant["url"], follow_redirects=True)
        assert opened(shown.content).size == (variant["width"], variant["height"])
        assert len(shown.content) == variant["bytes"]
    assert not list(place.glob("store/uploads/*"))


def test_the_same_upload_twice_is_the_same_image(server):
    data = jpeg()
    first, second = server.upload(data), server.upload(data)
    form = server.client.post("/images", files={"file": ("x.gif", data, "text/html")})
    later = server.upload(data, "background")
    assert [first.status_code, second.status_code, form.status_code, later.status_code] == [
        201,
        200,
        200,
        200,
    ]
    assert first.json() == second.json() == form.json() == later.json()


def test_what_it_is_is_told_by_its_bytes(server):
    data = encoded(noise((40, 30), "RGBA"), "PNG")
    info = server.upload(data, **{"Content-Type": "image/gif"}).json()
    assert (info["width"], info["height"], info["format"]) == (40, 30, "JPEG")


def test_metadata_does_not_stay(server):
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    data = jpeg(exif=exif, comment=b"and when")
    info = server.upload(data).json()
    stored = server.client.get(info["variants"][0]["url"], follow_redirects=True).content
    assert b"where I live" in data
    assert b"where I live" not in stored
    assert b"and when" not in stored
    assert opened(stored).tobytes() == opened(data).tobytes()


def test_the_index_is_told(server, place):
    data = jpeg((300, 200))
    server.upload(data)
    path = f"full/{id_of(data)}.jpg"
    index = SqliteIndex(place / "index.sqlite")
    (record,) = index.get([Key("", path)])
    index.close()
    assert record.full.path == path
    assert (record.full.width, record.full.height) == (300, 200)
    assert [file.name for file in record.renditions] == ["thumb", "medium", "large"]


BAD = {
    "empty": (b"", "empty", "nothing"),
    "text": (b"no image at all", "not-an-image", "Not an image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not-an-image", "SVG"),
    "html": (b"<!doctype html><script>alert(1)</script>", "not-an-image", "HTML"),
    "bomb": (bomb(100_000, 100_000), "too-many-pixels", "pixels"),
}


@pytest.mark.parametrize("mode", ["now", "background"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_image_is_refused_with_the_reason(server, name, mode):
    data, code, words = BAD[name]
    assert words in problem(server.upload(data, mode), 400, code)
    form = server.client.post(f"/images?mode={mode}", files={"file": ("a.jpg", data, "image/jpeg")})
    problem(form, 400, code)


def test_what_was_cut_off_is_refused(server):
    data = jpeg((400, 300))[:-2000]
    assert "decoded" in problem(server.upload(data), 400, "broken")
    problem(server.client.get(f"/images/{id_of(data)}"), 404, "not-found")


def test_what_is_too_large_is_not_read_to_its_end(server):
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b"\xff" * (1 << 16)

    try:
        answer = server.upload(endless())
    except (OSError, httpx.TransportError):  # it hung up while we sent
        pass
    else:
        problem(answer, 413, "too-many-bytes")
    assert MOST < sent < 3 * MOST
    assert server.health()["status"] == "ok"


def test_one_byte_too_many_is_too_many(server):
    head = jpeg()
    most = head + b"\0" * (MOST - len(head))
    assert server.upload(most).status_code == 201
    problem(server.upload(most + b"\0"), 413, "too-many-bytes")
    problem(server.upload(most + b"\0" * (1 << 20)), 413, "too-many-bytes")


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/html", b"x", 415),
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=a", b"--a", 400),
        ("multipart/form-data; boundary=a", b"--a--\r\n", 400),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="file"\r\n\r\n\xff\xff\r\n--a--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="b"; filename="x"\r\n\r\nx\r\n--a--\r\n',
            400,
        ),
    ],
)
def test_a_body_of_another_kind_is_refused(server, kind, body, status):
    answer = server.upload(body, **{"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_pages_of_other_sites_may_not_upload(server):
    problem(server.upload(jpeg(), **{"Sec-Fetch-Site": "cross-site"}), 403, "another-site")


def test_other_names_are_not_answered_to(server):
    for path in ("/health", "/schema/openapi.json", "/images"):
        answer = server.client.get(path, headers={"Host": "evil.example"})
        problem(answer, 421, "host")
    assert server.client.get("/health", headers={"Host": "localhost:1"}).status_code == 200


def test_names_are_told_without_their_case(serve, tmp_path):
    server = serve(tmp_path, SERVICE_HOSTS="Images.Example, b.example ,[::1]")
    for host in ("images.example", "IMAGES.example:80", "B.Example", "[::1]:8000"):
        assert server.client.get("/health", headers={"Host": host}).status_code == 200
    problem(server.client.get("/health"), 421, "host")


def test_an_animation_is_taken(server):
    frames = [noise((50, 40)) for _ in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert server.upload(file.getvalue()).status_code == 201
