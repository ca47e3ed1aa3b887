"""Lists into a real server's store, and shards as the readers see them that they are for."""

from __future__ import annotations

import gc
import io
import json
import tarfile
import warnings
from typing import TYPE_CHECKING

import pytest

from scrapy_imgpipe import SettingError, fetch_images
from tests.crawl.site import Site
from tests.fetching.reports import outcomes_of, photos, rows_of
from tests.integration.s3_server import BUCKET
from tests.integration.test_crawl import s3_settings, s3_store
from tests.pictures import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

both = pytest.mark.parametrize("client", ["botocore", "obstore"])


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def test_the_package_webdataset_reads_what_was_fetched(site: Site, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    urls = [*photos(site, 7), site.url("/gone.jpg")]
    entries = [{"url": url, "text": f"Bild {n}: ü"} for n, url in enumerate(urls)]
    fetch_images(
        entries,
        tmp_path,
        output="webdataset",
        shard_size=3,
        caption="text",
        full={"width": 40, "height": 40, "fit": "cover"},
    )
    tars = sorted(str(path) for path in tmp_path.glob("*.tar"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it never closes the last one
        dataset = webdataset.WebDataset(tars, shardshuffle=False)
        found = list(dataset.decode("pil").to_tuple("jpg", "txt", "json"))
        del dataset
        gc.collect()
    assert sorted(caption for _, caption, _ in found) == [f"Bild {n}: ü" for n in range(7)]
    for picture, caption, facts in found:
        assert picture.size == (40, 40)
        assert urls.index(facts["url"]) == int(caption.split()[1].rstrip(":"))


@both
def test_images_go_into_a_bucket(site: Site, s3: str, client: str) -> None:
    uri = f"s3://{BUCKET}/fetch-files-{client}"
    fetched = fetch_images(photos(site, 5), uri, settings=s3_settings(s3, client), processes=2)
    store = s3_store(s3, uri)
    for number, row in enumerate(rows_of(fetched)):
        assert store.get(row["path"]) == site.answers[f"/{number}.jpg"]
    again = fetch_images(photos(site, 5), uri, settings=s3_settings(s3, client))
    assert outcomes_of(again) == ["up-to-date"] * 5


@both
def test_shards_go_into_a_bucket_and_are_gone_on_behind(
    site: Site, s3: str, client: str, tmp_path: Path
) -> None:
    uri = f"s3://{BUCKET}/fetch-shards-{client}"
    settings = s3_settings(s3, client)
    path = tmp_path / "list.txt"
    path.write_text("\n".join(photos(site, 5)))
    fetch_images(path, uri, settings=settings, output="webdataset", shard_size=2)
    store = s3_store(s3, uri)
    assert {f"0000{shard}.tar" for shard in range(3)} <= {*store.list("0")}
    found = {}
    for shard in range(3):
        with tarfile.open(fileobj=io.BytesIO(store.get(f"0000{shard}.tar") or b"")) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        found |= {
            json.loads(data)["line"]: members[name.replace(".json", ".jpg")]
            for name, data in members.items()
            if name.endswith(".json")
        }
    assert found == {number: site.answers[f"/{number}.jpg"] for number in range(5)}
    assert opened(found[0]).format == "JPEG"
    again = fetch_images(path, uri, settings=settings, output="webdataset", shard_size=2)
    assert again.passed_over == 5
    assert outcomes_of(again) == ["stored"] * 5
    with pytest.raises(SettingError, match="shards of another list"):
        fetch_images([], uri, settings=settings, output="webdataset")
