"""Shards as the readers see them that they are made for: the package ``webdataset``."""

from __future__ import annotations

import gc
import json
import warnings
from io import BytesIO

import pytest
from PIL import Image

from scrapy_imgpipe.stores import FileSystemStore
from scrapy_imgpipe.webdataset import ShardWriter
from tests.imaging.pictures import encoded, noisy

webdataset = pytest.importorskip("webdataset")


def written(folder, count=7, shard_size=3):
    writer = ShardWriter(FileSystemStore(folder), shard_size=shard_size, caption="caption")
    photos = {}
    for number in range(count):
        row = {"url": f"https://example.com/{number}.jpg", "caption": f"Bild {number}: ü"}
        if number % 3 == 1:
            writer.add({**row, "status": "failed", "outcome": "http-status", "reason": "no"})
            continue
        photo, small = encoded(noisy((64, 48 + number))), encoded(noisy((16, 12)), "WEBP")
        row |= {"status": "downloaded", "width": 64, "height": 48 + number}
        photos[writer.add(row, [("jpg", photo), ("small.webp", small)])] = (photo, small)
    writer.close()
    return photos


def read(folder, *stages):
    """Return what ``webdataset`` makes of the shards, which never closes the last of them."""
    tars = sorted(str(path) for path in folder.glob("*.tar"))
    assert len(tars) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        dataset = webdataset.WebDataset(tars, shardshuffle=False)
        for name, *arguments in stages:
            dataset = getattr(dataset, name)(*arguments)
        found = list(dataset)
        del dataset
        gc.collect()
    return found


def test_samples_come_whole_and_by_name(tmp_path):
    photos = written(tmp_path)
    found = read(tmp_path)
    assert [sample["__key__"] for sample in found] == list(photos)
    for sample in found:
        photo, small = photos[sample["__key__"]]
        assert (sample["jpg"], sample["small.webp"]) == (photo, small)
        facts = json.loads(sample["json"])
        assert facts["key"] == sample["__key__"]
        number = facts["url"].rpartition("/")[2].removesuffix(".jpg")
        assert sample["txt"].decode() == facts["caption"] == f"Bild {number}: ü"
        assert Image.open(BytesIO(sample["jpg"])).size == (facts["width"], facts["height"])


def test_pictures_captions_and_facts_are_decoded(tmp_path):
    pytest.importorskip("numpy")
    photos = written(tmp_path)
    tuples = read(tmp_path, ("decode", "pil"), ("to_tuple", "jpg", "txt", "json"))
    assert len(tuples) == len(photos)
    for picture, caption, facts in tuples:
        assert (picture.width, picture.height) == (facts["width"], facts["height"])
        assert caption == facts["caption"]
        assert facts["status"] == "success"
