"""Where the index is: one for each store, in the project's data directory or the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scrapy_imgpipe.pipeline.places import index_path
from tests.fakes import Crawl
from tests.pictures import jpeg

URL = "http://shop.example/a.jpg"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "settings.py").touch()
    (tmp_path / "scrapy.cfg").write_text("[settings]\ndefault = shop.settings\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCRAPY_SETTINGS_MODULE", "shop.settings")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_in_a_project_it_is_in_the_projects_data_directory(project):
    with Crawl(project / "photos", {URL: jpeg()}) as crawl:
        crawl.images(URL)
    (file,) = (project / ".scrapy" / "imgpipe").glob("*.sqlite")
    assert file.name.startswith("photos-")
    assert file == index_path(str(project / "photos"))


@pytest.mark.skipif(os.name != "posix", reason="other systems have other directories")
def test_outside_of_one_it_is_in_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("SCRAPY_SETTINGS_MODULE", raising=False)
    monkeypatch.chdir(tmp_path)
    with Crawl(tmp_path / "photos", {URL: jpeg()}) as crawl:
        crawl.images(URL)
    (file,) = (tmp_path / "data" / "scrapy-imgpipe").glob("*.sqlite")
    assert file.name.startswith("photos-")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("/data/photos", "/data/photos/"),
        ("/data/photos", "file:///data/photos"),
        ("photos", f"{Path.cwd()}/photos"),
        ("s3://bucket/photos", "s3://bucket/photos/"),
        ("ftp://me:secret@host/photos", "ftp://host/photos"),
    ],
)
def test_a_store_has_one_index_however_it_is_written(one, same):
    assert index_path(one) == index_path(same)


def test_different_stores_have_different_ones():
    uris = ["/a/photos", "/b/photos", "s3://a/photos", "s3://b/photos", "s3://a", "gs://a/photos"]
    assert len({index_path(uri) for uri in uris}) == len(uris)


@pytest.mark.parametrize(
    "uri", ["ftp://me:secret@host/photos", "s3://bucket/a b/ü?x=1", "/", "x" * 500]
)
def test_its_name_is_one_that_every_system_takes_and_tells_no_secret(uri):
    name = index_path(uri).name
    assert name.isascii()
    assert len(name) < 80
    assert "secret" not in name
    assert not set(name) & set('<>:"/\\|?* ')
