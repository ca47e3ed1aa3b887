"""What is got: variants on demand, files, and the store of a crawl."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from scrapy_imgpipe import FileSystemStore, ImageRecord, Rendition
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.paths import image_path, thumb_path
from scrapy_imgpipe.records import checksum
from tests.integration.s3_server import BUCKET, KEY, SECRET, seaweed
from tests.pictures import encoded, jpeg, noise, opened
from tests.service.conftest import PHOTO, id_of


def test_fifty_who_want_a_variant_have_it_made_once(serve, tmp_path):
    url = "http://shop.example/1.jpg"
    store = FileSystemStore(tmp_path)
    store.put(image_path(url), jpeg((900, 600)))
    image_id = image_path(url)[5:45]
    server = serve(tmp_path)
    with ThreadPoolExecutor(50) as threads:
        answers = list(
            threads.map(lambda _: server.client.get(f"/images/{image_id}/medium"), range(50))
        )
    assert {answer.status_code for answer in answers} == {307}
    assert {answer.headers["location"] for answer in answers} == {
        f"/files/{thumb_path(url, 'medium')}"
    }
    assert server.health()["renders"] == 1
    assert opened(store.get(thumb_path(url, "medium"))).size == (600, 400)


def test_the_store_of_a_crawl_is_served(serve, tmp_path):
    store, index = FileSystemStore(tmp_path / "store"), SqliteIndex(tmp_path / "index")
    urls = [f"http://shop.example/{number}.jpg" for number in range(5)]
    for number, url in enumerate(urls):
        data = jpeg((300 + number, 200))
        path = image_path(url)
        store.put(path, data)
        store.put(thumb_path(url, "small"), jpeg((50, 33)))
        full = Rendition("", path, 300 + number, 200, len(data), 1.0, checksum(data))
        index.put([ImageRecord(f"{number:040}", path, url, full, "JPEG", stored_at=1.0)])
    index.close()
    renditions = {
        "small": {"width": 50, "height": 50},
        "wide": {"width": 100, "height": 20, "fit": "cover"},
        "grey": {"width": 60, "steps": ["grayscale"], "format": "WEBP"},
    }
    server = serve(
        tmp_path / "store", tmp_path / "index", IMGPIPE_RENDITIONS=json.dumps(renditions)
    )
    ids = sorted(image_path(url)[5:45] for url in urls)
    listed, after = [], ""
    while after is not None:
        page = server.client.get("/images", params={"limit": 2, "after": after}).json()
        assert len(page["images"]) <= 2
        listed += page["images"]
        after = page["after"]
    assert [each["id"] for each in listed] == ids
    assert {each["source"] for each in listed} == set(urls)
    assert sorted(each["width"] for each in listed) == [300, 301, 302, 303, 304]
    info = server.client.get(listed[0]["url"]).json()
    assert info["width"] == listed[0]["width"]
    small, wide, grey = info["variants"][1:]
    assert (small["made"], small["width"], small["height"]) == (True, 50, 33)
    assert (wide["made"], wide["width"], wide["height"]) == (False, 100, 20)
    assert (grey["made"], grey["width"]) == (False, None)  # its steps decide
    made = server.client.get(grey["url"], follow_redirects=True)
    assert made.headers["content-type"] == "image/webp"
    assert opened(made.content).width == 60
    assert server.client.get(listed[0]["url"]).json()["variants"][3]["width"] == 60


def test_without_an_index_files_are_listed(serve, tmp_path):
    store = FileSystemStore(tmp_path)
    paths = [image_path(str(number), ".png") for number in range(3)]
    for path in paths:
        store.put(path, encoded(noise((30, 20)), "PNG"))
    store.put("full/of my own.jpg", jpeg())
    server = serve(tmp_path)
    listed = server.client.get("/images").json()
    assert [each["path"] for each in listed["images"]] == sorted(paths)
    assert listed["after"] is None
    info = server.client.get(listed["images"][0]["url"]).json()
    assert (info["format"], info["width"], info["height"]) == ("PNG", 30, 20)
    location = server.client.get(info["variants"][0]["url"]).headers["location"]
    assert server.client.get(location).headers["content-type"] == "image/png"


def test_a_file_is_not_sent_twice(server):
    info = server.upload(PHOTO.read_bytes()).json()
    answer = server.client.get(info["variants"][1]["url"])
    assert "max-age" in answer.headers["cache-control"]
    file = server.client.get(answer.headers["location"])
    assert file.headers["content-type"] == "image/jpeg"
    assert file.headers["x-content-type-options"] == "nosniff"
    for name, value, status in [
        ("If-None-Match", file.headers["etag"], 304),
        ("If-None-Match", f'"x", W/{file.headers["etag"]}', 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", '"x"', 200),
        ("If-Modified-Since", file.headers["last-modified"], 304),
        ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ]:
        again = server.client.get(answer.headers["location"], headers={name: value})
        assert again.status_code == status, (name, value)
        assert again.headers["etag"] == file.headers["etag"]
        assert again.content == (b"" if status == 304 else file.content)


def test_files_are_what_they_are_and_not_what_they_are_called(serve, tmp_path):
    store = FileSystemStore(tmp_path)
    path = image_path("x")
    store.put(path, b"<html><script>alert(1)</script>")
    server = serve(tmp_path)
    answer = server.client.get(f"/files/{path}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]
    broken = server.client.get(f"/images/{path[5:45]}/thumb")
    assert (broken.status_code, broken.json()["code"]) == (500, "not-an-image")


@pytest.mark.parametrize(
    "path",
    [
        "/files/full/../uploads/x",
        "/files/full/%2e%2e%2fuploads%2fx",
        "/files/uploads/{id}",
        "/files/jobs/{id}.json",
        "/files/full/{id}",
        "/files/thumbs/%2e%2e/{id}.jpg",
        "/files/thumbs/%2e%2e%2f%2e%2e/{id}.jpg",
        "/files/thumbs/%00/{id}.jpg",
        "/files/thumbs/thumb/{id}.png",
        "/images/{id}",
        "/images/{id}/thumb",
        "/images/{id}/nothing",
        "/jobs/{id}",
        "/images/ABC",
        "/images/%0a{id}",
        "/nothing",
    ],
)
def test_where_nothing_is_nothing_is_found(server, place, path):
    (place / "secret.jpg").write_bytes(jpeg())
    answer = server.client.get(path.format(id="0" * 40))
    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_store_in_s3_signs_its_urls(serve, tmp_path):
    with seaweed(tmp_path) as endpoint:
        server = serve(
            f"s3://{BUCKET}/crawl",
            AWS_ENDPOINT_URL=endpoint,
            AWS_ACCESS_KEY_ID=KEY,
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_REGION="us-east-1",
        )
        data = PHOTO.read_bytes()
        info = server.upload(data).json()
        assert info["id"] == id_of(data)
        answer = server.client.get(info["variants"][1]["url"])
        assert answer.status_code == 307
        assert "private" in answer.headers["cache-control"]
        location = answer.headers["location"]
        assert location.startswith(endpoint)
        assert SECRET not in location
        file = httpx.get(location, trust_env=False)
        assert file.headers["content-type"] == "image/jpeg"
        assert opened(file.content).size == (150, 100)
        assert server.upload(jpeg(), "background").status_code == 202
        server.end()
