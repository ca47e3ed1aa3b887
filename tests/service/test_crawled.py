"""The store of a crawl: all of it is served, and what became of it meanwhile is noticed."""

from __future__ import annotations

import json
import os

import pytest

from scrapy_imgpipe import FileSystemStore, ImageRecord, Rendition
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.paths import image_path, thumb_path
from scrapy_imgpipe.records import checksum
from tests.pictures import jpeg, opened
from tests.service.conftest import id_of

URL = "http://shop.example/1.jpg"
ID = image_path(URL)[5:45]


def shown(server, name):
    return server.client.get(f"/images/{ID}/{name}", follow_redirects=True)


def sizes(info):
    return {each["name"]: (each["made"], each["width"]) for each in info["variants"]}


def age(path, seconds):
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


def test_whatever_is_listed_is_found(serve, tmp_path):
    (tmp_path / "full").mkdir()
    names = [
        f"{number:040}{extension}"
        for number, extension in enumerate(
            (".heic", ".jxl", ".jp2", ".tif", ".tiff", ".jpeg", ".png", ".mpo", ".txt")
        )
    ]
    for name in names:
        (tmp_path / "full" / name).write_bytes(jpeg())
    server = serve(tmp_path)
    listed = server.client.get("/images").json()["images"]
    assert [each["path"] for each in listed] == [f"full/{name}" for name in names[:-1]]
    for each in listed:
        assert server.client.get(each["url"]).json()["format"] == "JPEG"
        assert server.client.get(f"{each['url']}/thumb").status_code == 307


@pytest.mark.parametrize("indexed", [True, False])
def test_thumbnails_of_other_names_are_served(serve, tmp_path, indexed):
    store = FileSystemStore(tmp_path / "store")
    data = jpeg((300, 200))
    store.put(image_path(URL), data)
    thumbs = [(name, thumb_path(URL, name)) for name in ("small", "a/b", "grö?#%")]
    for _, path in thumbs:
        store.put(path, jpeg((50, 33)))
    if indexed:
        made = tuple(Rendition(name, path, 50, 33, 9, 1.0, "0" * 32) for name, path in thumbs)
        full = Rendition("", image_path(URL), 300, 200, len(data), 1.0, checksum(data))
        index = SqliteIndex(tmp_path / "index")
        index.put([ImageRecord("0" * 40, image_path(URL), URL, full, "JPEG", made)])
        index.close()
    server = serve(tmp_path / "store", tmp_path / "index" if indexed else None)
    variants = server.client.get(f"/images/{ID}").json()["variants"]
    told = {each["name"]: each["url"] for each in variants[4:]}
    assert [*told] == (["a/b", "grö?#%", "small"] if indexed else [])
    for url in [*told.values(), f"/images/{ID}/small", f"/images/{ID}/a/b"]:
        assert opened(server.client.get(url, follow_redirects=True).content).size == (50, 33)
    assert shown(server, "tall").status_code == 404
    assert server.health()["renders"] == 0


def test_names_that_need_quoting_have_addresses(serve, tmp_path):
    names = ["größe", "日本", "100% wide", "a?b", "a#b", "card@2x", "%41", "a+b", 'a"b']
    server = serve(tmp_path, IMGPIPE_RENDITIONS=json.dumps({name: {"width": 20} for name in names}))
    answer = server.upload(jpeg((60, 40)))
    assert answer.status_code == 201
    variants = answer.json()["variants"][1:]
    assert [each["name"] for each in variants] == names
    for each in variants:
        got = server.client.get(each["url"], follow_redirects=True)
        assert opened(got.content).size == (20, 13)
    assert len({each["url"] for each in variants}) == len(names)


def test_a_variant_that_is_older_than_its_image_is_made_again(serve, tmp_path):
    store = FileSystemStore(tmp_path)
    store.put(image_path(URL), jpeg((500, 300)))
    server = serve(tmp_path)
    assert opened(shown(server, "thumb").content).size == (150, 90)
    assert opened(shown(server, "medium").content).size == (500, 300)
    age(tmp_path / thumb_path(URL, "thumb"), 60)
    age(tmp_path / thumb_path(URL, "medium"), 5)  # a crawl puts the full image last
    store.put(image_path(URL), jpeg((300, 500)))
    info = server.client.get(f"/images/{ID}").json()
    assert sizes(info)["thumb"] == (False, 90)
    assert sizes(info)["medium"] == (True, 500)
    assert opened(shown(server, "thumb").content).size == (90, 150)
    assert server.health()["renders"] == 3


def test_a_variant_of_other_settings_is_made_again_where_the_index_knows(serve, tmp_path):
    data = jpeg((300, 200))
    for width in (40, 60):
        renditions = json.dumps({"thumb": {"width": width}})
        server = serve(tmp_path / "store", tmp_path / "index", IMGPIPE_RENDITIONS=renditions)
        info = server.upload(data, "background" if width == 40 else "now").json()
        image_id = info["id"]
        url = f"/images/{image_id}/thumb"
        assert opened(server.client.get(url, follow_redirects=True).content).width == width
        assert sizes(server.client.get(f"/images/{image_id}").json())["thumb"] == (True, width)
        server.end()
    server = serve(tmp_path / "store", tmp_path / "index", IMGPIPE_RENDITIONS=renditions)
    assert server.upload(data, "background").status_code == 200  # nothing is left to do
    assert id_of(data) == image_id
    assert server.health()["renders"] == 0


def test_what_does_not_decode_is_tried_once(serve, tmp_path):
    store = FileSystemStore(tmp_path)
    store.put(image_path(URL), jpeg((400, 300))[:-2000])
    server = serve(tmp_path)
    answers = [shown(server, name).json() for name in ("thumb", "thumb", "medium")]
    assert {answer["code"] for answer in answers} == {"broken"}
    assert len({answer["detail"] for answer in answers}) == 1
    assert server.health()["renders"] == 1
    store.put(image_path(URL), jpeg((400, 310)))
    assert opened(shown(server, "thumb").content).size == (150, 116)
