"""What holds in a crawl holds here: digests, guards, retries, redirects, those who say no."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from scrapy_imgpipe import SettingError, fetch_images
from tests.crawl.crawls import files
from tests.crawl.site import Answer
from tests.fetching.reports import outcomes_of, photos, rows_of
from tests.pictures import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawl.site import Site

KINDS = ("md5", "sha1", "sha256", "sha384", "sha512")


def test_digests_are_compared_where_there_are_any(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 12)
    bodies: list[Any] = list(site.answers.values())
    right = [hashlib.new(kind, bodies[number]).hexdigest() for number, kind in enumerate(KINDS)]
    cells = [*right[:4], f"  {right[4].upper()} ", "", None, "   ", float("nan")]
    cells += [hashlib.md5(b"another").hexdigest(), "no digest", 5]
    entries = [{"url": url, "checksum": cell} for url, cell in zip(urls, cells, strict=True)]
    fetched = fetch_images(entries, tmp_path / "store", verify_hash="checksum")
    rows = rows_of(fetched)
    assert [row["outcome"] for row in rows] == ["stored"] * 9 + ["hash-mismatch"] * 3
    found = hashlib.md5(bodies[9]).hexdigest()
    assert rows[9]["reason"] == f"Its md5 is {found}, not {cells[9]}"
    assert "'no digest'" in rows[10]["reason"]
    assert "'5'" in rows[11]["reason"]
    assert len(files(tmp_path / "store")) == 9


def test_what_has_another_digest_is_downloaded_once_more(site: Site, tmp_path: Path) -> None:
    """A proxy that cuts an image off may mend its length; the next download is whole."""
    whole, other = jpeg((300, 200)), jpeg((300, 200))
    entry = {"url": site.url("/a.jpg"), "sha256": hashlib.sha256(whole).hexdigest()}
    site.answers["/a.jpg"] = [other, whole]
    (row,) = rows_of(fetch_images([entry], tmp_path / "store", verify_hash="sha256"))
    assert (row["outcome"], row["attempts"]) == ("stored", 2)
    assert list(files(tmp_path / "store").values()) == [whole]


def test_digests_are_verified_in_shards_as_well(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 2)
    digests = [hashlib.md5(site.answers["/0.jpg"]).hexdigest(), "0" * 32]
    entries = [{"url": url, "md5": md5} for url, md5 in zip(urls, digests, strict=True)]
    fetched = fetch_images(entries, tmp_path, verify_hash="md5", output="webdataset")
    assert outcomes_of(fetched) == ["stored", "hash-mismatch"]


@pytest.mark.parametrize(
    ("argument", "said"), [("verify_hash", "digests"), ("caption", "captions")]
)
def test_a_column_that_no_line_has_is_refused(
    site: Site, tmp_path: Path, argument: str, said: str
) -> None:
    """A slip of the pen would verify nothing, and say nothing."""
    entries = [{"url": url, "sha256": ""} for url in photos(site, 3)]
    report = tmp_path / "report.jsonl"
    report.write_text("the report of an earlier run\n")
    options: dict[str, Any] = {argument: "sha265", "report": report}
    with pytest.raises(
        SettingError, match=rf"\(sha256\) for the column of {said} but received 'sha265'"
    ):
        fetch_images(entries, tmp_path / "store", **options)
    assert report.read_text() == "the report of an earlier run\n"
    assert not site.asked()


def test_a_record_may_lack_the_column(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 2)
    entries: list[Any] = [urls[0], {"url": urls[1], "md5": "0" * 32}]
    fetched = fetch_images(entries, tmp_path / "store", verify_hash="md5")
    assert outcomes_of(fetched) == ["stored", "hash-mismatch"]


def test_redirects_are_followed_unless_they_are_not_to_be(site: Site, tmp_path: Path) -> None:
    (url,) = photos(site, 1)
    moved = Answer(status=301, headers={"Location": url})
    site.answers |= {"/moved.jpg": moved, "/again.jpg": moved}
    (row,) = rows_of(fetch_images([site.url("/moved.jpg")], tmp_path / "store"))
    assert (row["outcome"], row["url"]) == ("stored", site.url("/moved.jpg"))
    fetched = fetch_images(
        [site.url("/again.jpg")], tmp_path / "other", settings={"MEDIA_ALLOW_REDIRECTS": False}
    )
    assert outcomes_of(fetched) == ["redirect-refused"]


def test_those_who_say_no_are_heard(site: Site, tmp_path: Path) -> None:
    urls = photos(site, 2)
    site.answers["/1.jpg"] = Answer(jpeg(), headers={"X-Robots-Tag": "noai"})
    fetched = fetch_images(urls, tmp_path / "store", settings={"IMGPIPE_OPT_OUT": True})
    assert outcomes_of(fetched) == ["stored", "opted-out"]


@pytest.mark.parametrize("private", ["deny", "allow"])
def test_private_addresses_are_asked_only_where_they_may_be(
    site: Site, tmp_path: Path, private: str
) -> None:
    settings = {"IMGPIPE_PRIVATE_ADDRESSES": private}
    fetched = fetch_images(photos(site, 1), tmp_path / "store", settings=settings)
    assert outcomes_of(fetched) == ["address-not-allowed" if private == "deny" else "stored"]


def test_server_errors_are_retried(site: Site, tmp_path: Path) -> None:
    site.answers["/a.jpg"] = [Answer(status=503), Answer(status=503), Answer(jpeg())]
    assert outcomes_of(fetch_images([site.url("/a.jpg")], tmp_path / "store")) == ["stored"]
    assert site.asked() == {"/a.jpg": 3}


def test_private_addresses_are_refused_once_an_image_has_come_from_a_public_one(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list has no pages: its images count as these. The site is the proxy that reaches it."""
    (private,) = photos(site, 1)
    public = "http://93.184.216.34/photo.jpg"
    site.answers[public] = jpeg()
    for name in ("HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", site.url(""))
    monkeypatch.setenv("no_proxy", site.host)
    one = {"CONCURRENT_REQUESTS": 1}
    fetched = fetch_images([private], tmp_path / "store", settings=one)
    assert outcomes_of(fetched) == ["stored"]
    fetched = fetch_images([public, f"{private}?2"], tmp_path / "store", settings=one)
    assert outcomes_of(fetched) == ["stored", "address-not-allowed"]
