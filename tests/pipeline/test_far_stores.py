"""Our stores on other machines, in the place of which one in memory stands here."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from types import SimpleNamespace
from typing import ClassVar

import pytest
from scrapy.http import Response
from scrapy.utils.defer import ensure_awaitable

from scrapy_imgpipe import ImagesPipeline, SettingError
from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.store_adapter import FarFilesStore
from scrapy_imgpipe.stores import Facts, MemoryStore, Stat
from tests.fakes import Crawl
from tests.pictures import encoded, jpeg, noise, opened

A, B = "http://shop.example/a.jpg", "http://shop.example/b.jpg"
THUMBS = {"small": (50, 50)}


class Bucket(MemoryStore):
    """Counts what is asked of it, and fails where it is told to.

    It does not tell the time of what was just put, as S3 does not.
    """

    def __init__(self, name):
        super().__init__(name)
        self.asked: list[tuple[str, str]] = []
        self.threads: set[str] = set()
        self.broken: dict[str, str] = {}

    def _told(self, deed, key):
        self.asked.append((deed, key))
        self.threads.add(threading.current_thread().name.rpartition("_")[0])
        if deed in self.broken:
            raise OSError(self.broken[deed])

    def _get(self, key):
        self._told("get", key)
        return super()._get(key)

    def _stat(self, key):
        self._told("stat", key)
        return super()._stat(key)

    def _put(self, key, data, facts):
        self._told("put", key)
        super()._put(key, data, facts)
        return Stat(len(data), 0, facts.checksum)


@pytest.fixture
def bucket(tmp_path):
    store = Bucket(tmp_path.name)
    yield store
    store.clear()


@pytest.fixture
def once(bucket, tmp_path):
    """Return a function that crawls once into the bucket."""

    class Far(FarFilesStore):
        def __init__(self, uri, access=None):
            self.native = bucket

    def run(answers=None, urls=(A,), base=ImagesPipeline, engine=None, **settings):
        kind = type("IntoBucket", (base,), {"STORE_SCHEMES": run.schemes})
        bucket.asked.clear()
        settings = {
            "IMAGES_STORE": f"memory://{tmp_path.name}",
            "IMGPIPE_KEEP_FAILED": True,
            "IMGPIPE_INDEX": str(tmp_path / "index.sqlite"),
            **settings,
        }
        with Crawl("unused", answers, kind, **settings) as crawl:
            if engine is not None:
                crawl.crawler.engine = Engine(crawl.site, engine)
            crawl.images_ = crawl.images(*urls)
        return crawl

    run.schemes = {**ImagesPipeline.STORE_SCHEMES, "memory": Far}
    return run


def test_renditions_are_put_full_image_last_with_type_size_and_checksum(once, bucket):
    data = jpeg((300, 200))
    (image,) = once({A: data}, IMAGES_THUMBS=THUMBS).images_
    small = image["renditions"][0]
    assert [key for deed, key in bucket.asked if deed == "put"] == [small["path"], image["path"]]
    assert bucket.get(image["path"]) == data
    assert bucket.facts(image["path"]) == Facts("image/jpeg", 300, 200, image["checksum"])
    thumb = bucket.get(small["path"])
    digest = hashlib.md5(thumb).hexdigest()
    assert bucket.facts(small["path"]) == Facts("image/jpeg", 50, 33, digest)
    assert opened(thumb).size == (50, 33)


def test_who_waits_for_the_store_is_no_renderer(once, bucket):
    once({A: jpeg()}, IMAGES_THUMBS=THUMBS)
    once(IMAGES_THUMBS={"small": (40, 40)})
    assert bucket.threads == {"imgpipe-store"}


def test_what_is_stored_costs_one_question(once, bucket):
    (first,) = once({A: jpeg()}, IMAGES_THUMBS=THUMBS).images_
    crawl = once(IMAGES_THUMBS=THUMBS)
    assert crawl.images_ == [{**first, "status": "uptodate"}]
    assert bucket.asked == [("stat", first["path"])]
    assert crawl.site.urls == []


def test_with_trust_it_costs_none(once, bucket):
    once({A: jpeg()})
    assert once(IMGPIPE_TRUST_INDEX=True).images_[0]["status"] == "uptodate"
    assert bucket.asked == []


@pytest.mark.parametrize("change", ["gone", "empty", "other bytes", "as many other bytes"])
def test_what_is_not_there_as_it_was_stored_is_downloaded(once, bucket, change):
    data = jpeg()
    (first,) = once({A: data}).images_
    others = {"empty": b"", "other bytes": b"other", "as many other bytes": b"x" * len(data)}
    if change == "gone":
        bucket.delete(first["path"])
    else:
        bucket.put(first["path"], others[change])
    crawl = once({A: data})
    assert crawl.images_[0]["status"] == "downloaded"
    assert bucket.get(first["path"]) == data


def test_what_somebody_else_has_stored_is_up_to_date(once, bucket):
    path = f"full/{hashlib.sha1(A.encode()).hexdigest()}.jpg"
    bucket.put(path, b"as Scrapy left it")
    crawl = once()
    checksum = hashlib.md5(b"as Scrapy left it").hexdigest()
    assert crawl.images_ == [{"url": A, "path": path, "checksum": checksum, "status": "uptodate"}]
    assert crawl.site.urls == []


def test_thumbnails_of_another_size_are_made_from_what_is_stored(once, bucket):
    (first,) = once({A: jpeg((300, 200))}, IMAGES_THUMBS=THUMBS).images_
    crawl = once(IMAGES_THUMBS={"small": (40, 40), "big": (100, 100)})
    (image,) = crawl.images_
    assert crawl.site.urls == []
    assert image["status"] == "uptodate"
    assert [deed for deed, _ in bucket.asked] == ["stat", "get", "put", "put"]
    sizes = [opened(bucket.get(made["path"])).size for made in image["renditions"]]
    assert sizes == [(40, 27), (100, 67)]
    assert crawl.stats["imgpipe/renditions/restored"] == 2
    assert once(IMAGES_THUMBS={"small": (40, 40), "big": (100, 100)}).images_ == [image]
    assert bucket.asked == [("stat", first["path"])]


def test_a_convert_image_of_the_users_makes_them_too(once, bucket):
    class Grey(ImagesPipeline):
        def convert_image(self, image, size=None, *, response_body):
            if size is None:
                return super().convert_image(image, response_body=response_body)
            return super().convert_image(image.convert("L"), size, response_body=response_body)

    once({A: jpeg((300, 200))}, base=Grey)
    crawl = once(base=Grey, IMAGES_THUMBS=THUMBS)
    assert crawl.site.urls == []
    made = opened(bucket.get(crawl.images_[0]["renditions"][0]["path"]))
    assert made.size == (50, 33)
    red, green, blue = made.convert("RGB").split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_what_has_lost_something_is_downloaded_for_its_thumbnails(once, bucket):
    data = encoded(noise((300, 200), "RGBA"), "PNG")
    settings = {"IMGPIPE_RENDITIONS": {"clear": {"width": 50, "format": "PNG"}}}
    once({A: data})
    crawl = once({A: data}, **settings)
    assert crawl.site.urls == [A]
    assert opened(bucket.get(crawl.images_[0]["renditions"][0]["path"])).mode == "RGBA"


def test_an_expired_one_is_renewed_without_a_download(once):
    def origin(request):
        if request.headers.get("If-None-Match") == b'"1"':
            return Response(request.url, status=304, request=request)
        return Response(request.url, body=body, headers={"ETag": '"1"'}, request=request)

    body = jpeg()
    (first,) = once({A: origin}, IMAGES_THUMBS=THUMBS).images_
    crawl = once({A: origin}, IMAGES_EXPIRES=0, IMAGES_THUMBS=THUMBS)
    assert crawl.images_ == [{**first, "status": "revalidated"}]


@pytest.mark.parametrize("deed", ["put", "stat"])
def test_a_store_that_fails_is_said_and_never_taken_for_empty(once, bucket, deed, caplog):
    once({A: jpeg()})
    before = {path: bucket.get(path) for path in bucket.list()}
    bucket.broken[deed] = "403 Forbidden"
    crawl = once({A: jpeg(), B: jpeg()}, urls=(A, B))
    ends = [image.get("outcome", image["status"]) for image in crawl.images_]
    assert ends == (["uptodate", "store-failed"] if deed == "put" else ["store-failed"] * 2)
    assert crawl.site.urls == ([B] if deed == "put" else [])
    assert "403 Forbidden" in crawl.images_[1]["reason"]
    lines = [r for r in caplog.records if B in r.getMessage() and r.levelname != "DEBUG"]
    assert [(line.levelname, line.exc_info) for line in lines] == [("ERROR", None)]
    bucket.broken.clear()
    assert {path: bucket.get(path) for path in bucket.list()} == before


def test_a_thumbnail_that_cannot_be_written_leaves_the_image_up_to_date(once, bucket):
    once({A: jpeg()})
    bucket.broken["put"] = "503 Slow Down"
    crawl = once(IMAGES_THUMBS=THUMBS)
    assert crawl.images_[0]["status"] == "uptodate"
    bucket.broken.clear()
    assert once(IMAGES_THUMBS=THUMBS).images_[0]["renditions"]


# --- equal bytes behind many URLs ---

DEDUPE = {"IMGPIPE_DEDUPE": "content", "IMAGES_THUMBS": THUMBS}


def test_equal_bytes_are_stored_under_one_key(once, bucket):
    data = jpeg()
    first, second = once({A: data, B: data}, (A, B), **DEDUPE).images_
    assert first["path"] == second["path"]
    assert len(list(bucket.list())) == 2


@pytest.mark.parametrize("gone", ["full", "thumbs", "all"])
def test_bytes_that_are_gone_from_the_store_are_put_again(once, bucket, gone):
    data = jpeg()
    once({A: data}, **DEDUPE)
    for path in list(bucket.list()):
        if gone == "all" or path.startswith(gone):
            bucket.delete(path)
    for url in (A, B):
        (image,) = once({url: data}, (url,), IMAGES_EXPIRES=0, **DEDUPE).images_
        assert bucket.get(image["path"]) == data
        assert bucket.stat(image["renditions"][0]["path"])


@pytest.mark.parametrize("tells_times", [True, False])
def test_what_has_no_checksum_is_read_only_where_the_time_does_not_tell(tmp_path, tells_times):
    class Plain(MemoryStore):
        """Knows no checksums, as FTP servers do not."""

        read: ClassVar = []

        def _put(self, key, data, facts):
            stat = super()._put(key, data, facts)
            return Stat(stat.bytes, stat.modified if tells_times else 0)

        def _stat(self, key):
            stat = super()._stat(key)
            return stat and Stat(stat.bytes, stat.modified)

        def _get(self, key):
            self.read.append(key)
            return super()._get(key)

    store = Plain()

    class Far(FarFilesStore):
        def __init__(self, uri, access=None):
            self.native = store

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "memory": Far}

    settings = {"IMAGES_STORE": "memory://x", "IMGPIPE_INDEX": str(tmp_path / "index.sqlite")}
    with Crawl("unused", {A: jpeg()}, Into, **settings) as crawl:
        (image,) = crawl.images(A)
    with Crawl("unused", {}, Into, **settings) as crawl:
        assert crawl.images(A) == [{**image, "status": "uptodate"}]
    assert store.read == ([] if tells_times else [image["path"]])
    store.put(image["path"], b"of another size")
    store.read.clear()
    with Crawl("unused", {A: jpeg()}, Into, **settings) as crawl:
        assert crawl.images(A)[0]["status"] == "downloaded"
    assert store.read == []


# --- public URLs ---


def test_a_public_url_is_the_base_and_the_path(once):
    class Spaced(ImagesPipeline):
        def file_path(self, request, response=None, info=None, *, item=None):
            return "full/é a#.jpg"

    base = "https://cdn.example/images/"
    settings = {"base": Spaced, "IMGPIPE_PUBLIC_URL": base, "IMAGES_THUMBS": THUMBS}
    for status in ("downloaded", "uptodate"):
        (image,) = once({A: jpeg()}, **settings).images_
        assert image["status"] == status
        assert image["public_url"] == "https://cdn.example/images/full/%C3%A9%20a%23.jpg"
        (small,) = image["renditions"]
        assert small["public_url"] == base + small["path"]


def test_a_directory_may_be_public_as_well(tmp_path):
    settings = {"IMGPIPE_PUBLIC_URL": "https://cdn.example"}
    with Crawl(tmp_path, {A: jpeg()}, **settings) as crawl:
        (image,) = crawl.images(A)
    assert image["public_url"] == f"https://cdn.example/{image['path']}"


def test_without_the_setting_there_is_none(once):
    (image,) = once({A: jpeg()}, IMAGES_THUMBS=THUMBS).images_
    assert "public_url" not in image
    assert "public_url" not in image["renditions"][0]


def test_signed_urls_come_from_the_store(once, bucket):
    bucket.signed_url = lambda path, seconds: f"https://signed/{path}?for={seconds}"
    settings = {"IMGPIPE_PUBLIC_URL": "signed", "IMGPIPE_PUBLIC_URL_SECONDS": 60}
    (image,) = once({A: jpeg()}, **settings).images_
    assert image["public_url"] == f"https://signed/{image['path']}?for=60"


def test_a_subclass_that_overrides_scrapys_methods_signs_as_well(once, bucket, tmp_path):
    class Noting(FarFilesStore):
        def __init__(self, uri, access=None):
            self.native = bucket

        def persist_file(self, *args, **kwargs):
            return super().persist_file(*args, **kwargs)

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "memory": Noting}

    bucket.signed_url = lambda path, seconds: f"https://signed/{path}"
    settings = {"IMAGES_STORE": "memory://x", "IMGPIPE_PUBLIC_URL": "signed"}
    with Crawl("unused", {A: jpeg()}, Into, **settings) as crawl:
        (image,) = crawl.images(A)
    assert image["public_url"] == f"https://signed/{image['path']}"


def test_a_report_has_no_signed_urls(once, bucket, tmp_path):
    bucket.signed_url = lambda path, seconds: f"https://signed/{path}"
    report = tmp_path / "report.jsonl"
    settings = {"IMGPIPE_PUBLIC_URL": "signed", "IMAGES_THUMBS": THUMBS}
    (image,) = once({A: jpeg()}, IMGPIPE_REPORT=str(report), **settings).images_
    assert image["renditions"][0]["public_url"]
    assert "https://signed/" not in report.read_text()


def test_what_cannot_be_signed_is_stored_all_the_same(once, bucket, caplog):
    def signed_url(path, seconds):
        if "small" in path:
            raise StoreFailed(f"Could not sign a URL of {path!r}: no key")
        return f"https://signed/{path}"

    bucket.signed_url = signed_url
    crawl = once({A: jpeg(), B: jpeg()}, (A, B), IMGPIPE_PUBLIC_URL="signed", IMAGES_THUMBS=THUMBS)
    for image in crawl.images_:
        assert image["public_url"] == f"https://signed/{image['path']}"
        assert image["renditions"][0]["public_url"] is None
    (line,) = [r.getMessage() for r in caplog.records if "public_url" in r.getMessage()]
    assert line.startswith("No public_url: Could not sign a URL of 'thumbs/small/")


@pytest.mark.parametrize("store", ["memory://x", "here"])
def test_signed_urls_of_a_store_that_cannot_are_refused_at_the_start(tmp_path, store):
    place = str(tmp_path) if store == "here" else store
    with pytest.raises(SettingError, match="IMGPIPE_PUBLIC_URL is 'signed', but this store"):
        Crawl("unused", IMAGES_STORE=place, IMGPIPE_PUBLIC_URL="signed")


# --- a store that keeps failing ---


class Engine(SimpleNamespace):
    """Notes why it was told to close the spider."""

    def __init__(self, site, told=None):
        told = told or threading.Event()
        super().__init__(download_async=site.download_async, reasons=[], told=told)

    async def close_spider_async(self, *, reason):
        self.reasons.append(reason)
        self.told.set()


def urls(count):
    return [f"http://shop.example/{number}.jpg" for number in range(count)]


@pytest.fixture
def failing(tmp_path):
    """Return a function that crawls into a store that fails for some."""

    class Failing(MemoryStore):
        bad: ClassVar[set[int]] = set()

        def _put(self, key, data, facts):
            if data[-1] in self.bad:
                raise OSError(28, "No space left on device")
            return super()._put(key, data, facts)

    class Far(FarFilesStore):
        def __init__(self, uri, access=None):
            self.native = Failing()

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "memory": Far}

    def run(count, bad, one_by_one=False, **settings):
        Failing.bad = set(bad)
        data = jpeg()
        site = {url: data + bytes([number]) for number, url in enumerate(urls(count))}
        settings = {"IMAGES_STORE": "memory://x", "IMGPIPE_KEEP_FAILED": True, **settings}
        settings["IMGPIPE_STORE_CONNECTIONS"] = 1
        with Crawl("unused", site, Into, **settings) as crawl:
            crawl.crawler.engine = Engine(crawl.site)
            if one_by_one:
                for url in site:
                    crawl.images(url)
            else:
                crawl.images_ = crawl.images(*site)
        return crawl

    return run


def test_a_store_that_fails_so_often_in_a_row_ends_the_crawl(failing, caplog):
    crawl = failing(40, range(40), one_by_one=True, IMGPIPE_CLOSE_ON_STORE_ERRORS=5)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]
    assert crawl.outcomes() == {"store-failed": 5, "interrupted": 35}
    assert len(crawl.site.urls) == 5
    (line,) = [r for r in caplog.records if "Closing the spider" in r.getMessage()]
    assert line.getMessage().startswith("Closing the spider: the store failed 5 times in a row")


def test_what_waits_for_its_turn_then_is_not_downloaded(failing):
    one_by_one = {"IMGPIPE_MEMORY_BUDGET": 1}
    crawl = failing(200, range(200), IMGPIPE_CLOSE_ON_STORE_ERRORS=3, **one_by_one)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]
    assert len(crawl.site.urls) < 10
    assert crawl.outcomes() == {"store-failed": 3, "interrupted": 197}
    assert "3 times in a row" in crawl.images_[-1]["reason"]


def test_one_that_is_stored_begins_the_count_anew(failing):
    bad = set(range(40)) - {4, 9, 14, 19, 24, 29, 34, 39}
    crawl = failing(40, bad, one_by_one=True, IMGPIPE_CLOSE_ON_STORE_ERRORS=5)
    assert crawl.crawler.engine.reasons == []
    assert crawl.outcomes() == {"store-failed": 32, "stored": 8}


@pytest.mark.parametrize("trust", [False, True])
def test_what_is_there_already_says_nothing_of_writing(once, bucket, tmp_path, trust):
    known, new = urls(6), [f"http://new.example/{number}.jpg" for number in range(6)]
    once(dict.fromkeys(known, jpeg()), known)
    bucket.broken["put"] = "403 Forbidden"
    mixed = [url for pair in zip(known, new, strict=True) for url in pair]
    settings = {"IMGPIPE_CLOSE_ON_STORE_ERRORS": 3, "IMGPIPE_TRUST_INDEX": trust}
    settings |= {"IMGPIPE_INDEX": str(tmp_path / "index.sqlite"), "IMGPIPE_KEEP_FAILED": True}
    with Crawl(
        "unused",
        {url: jpeg() for url in new},
        type("Into", (ImagesPipeline,), {"STORE_SCHEMES": once.schemes}),
        IMAGES_STORE=f"memory://{tmp_path.name}",
        **settings,
    ) as crawl:
        crawl.crawler.engine = Engine(crawl.site)
        for url in mixed:
            crawl.images(url)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]
    assert crawl.outcomes()["store-failed"] == 3


def test_thumbnails_that_cannot_be_written_count_as_well(once, bucket):
    once(dict.fromkeys(urls(6), jpeg()), urls(6))
    bucket.broken["put"] = "403 Forbidden"
    settings = {"IMGPIPE_CLOSE_ON_STORE_ERRORS": 3, "IMAGES_THUMBS": THUMBS}
    crawl = once(None, urls(6), engine=threading.Event(), **settings)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]


def test_what_stands_in_line_for_a_store_that_was_given_up_is_not_asked(once, bucket):
    given_up = threading.Event()

    def stat(key):
        bucket.asked.append(("stat", key))
        if len(bucket.asked) > 3:
            given_up.wait(10)
        raise OSError("no answer")

    bucket._stat = stat
    settings = {"IMGPIPE_CLOSE_ON_STORE_ERRORS": 3, "IMGPIPE_STORE_CONNECTIONS": 1}
    crawl = once(None, urls(200), engine=given_up, **settings)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]
    assert len(bucket.asked) == 4
    assert crawl.outcomes() == {"store-failed": 4, "interrupted": 196}


def test_with_zero_it_goes_on(failing):
    crawl = failing(20, range(20), one_by_one=True, IMGPIPE_CLOSE_ON_STORE_ERRORS=0)
    assert crawl.crawler.engine.reasons == []
    assert crawl.outcomes() == {"store-failed": 20}


def test_a_full_disk_counts_as_well(tmp_path):
    settings = {"IMGPIPE_CLOSE_ON_STORE_ERRORS": 2, "IMGPIPE_KEEP_FAILED": True}
    (tmp_path / "full").write_bytes(b"where a directory should be")
    with Crawl(tmp_path, dict.fromkeys(urls(5), jpeg()), **settings) as crawl:
        crawl.crawler.engine = Engine(crawl.site)
        for url in urls(5):
            crawl.images(url)
    assert crawl.crawler.engine.reasons == ["imgpipe_store_errors"]
    assert crawl.outcomes() == {"store-failed": 2, "interrupted": 3}


# --- Scrapy's protocol ---


def test_a_far_store_speaks_scrapys_protocol(tmp_path):
    from io import BytesIO

    store = FarFilesStore(f"memory://{tmp_path.name}")

    async def speak():
        meta, headers = {"width": 3, "height": "2"}, {"Content-Type": "image/png"}
        await ensure_awaitable(
            store.persist_file("full/a.png", BytesIO(b"x"), None, meta=meta, headers=headers)
        )
        await ensure_awaitable(store.persist_file("full/empty.png", BytesIO(b""), None))
        names = ("full/a.png", "full/empty.png", "full/none.png")
        return [await ensure_awaitable(store.stat_file(name, None)) for name in names]

    there, *nothing = asyncio.run(speak())
    stat = store.native.stat("full/a.png")
    assert there == {"checksum": hashlib.md5(b"x").hexdigest(), "last_modified": stat.modified}
    assert nothing == [{}, {}]
    assert store.native.facts("full/a.png") == Facts("image/png", 3, 2)


def test_a_subclass_that_overrides_it_is_called_through_it(tmp_path):
    class Noting(FarFilesStore):
        put: ClassVar = []

        def persist_file(self, path, buf, info, meta=None, headers=None):
            self.put.append(path)
            return super().persist_file(path, buf, info, meta, headers)

    class Into(ImagesPipeline):
        STORE_SCHEMES: ClassVar = {**ImagesPipeline.STORE_SCHEMES, "memory": Noting}

    with Crawl("unused", {A: jpeg()}, Into, IMAGES_STORE=f"memory://{tmp_path.name}") as crawl:
        (image,) = crawl.images(A)
    assert Noting.put == [image["path"]]


def test_two_pipelines_have_two_ways_in():
    class Public(ImagesPipeline):
        pass

    settings = {
        "IMAGES_STORE_S3_ACL": "private",
        "PUBLIC_IMAGES_STORE_S3_ACL": "public-read",
        "AWS_REGION_NAME": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    private = Crawl("unused", {}, IMAGES_STORE="s3://bucket/a", **settings).pipeline
    public = Crawl("unused", {}, Public, IMAGES_STORE="s3://bucket/b", **settings).pipeline
    assert (private.access.s3_acl, public.access.s3_acl) == ("private", "public-read")
    assert "secret" not in repr(private.access)


def test_each_server_has_an_index_of_its_own():
    from scrapy_imgpipe.pipeline.places import index_path

    aws = {"AWS_REGION_NAME": "x", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    found = {str(index_path("s3://bucket"))}
    for server in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        settings = {**aws, "IMAGES_STORE": "s3://bucket", "AWS_ENDPOINT_URL": server}
        found.add(Crawl("unused", {}, **settings).pipeline.knowledge.index.path)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("settings", "connections"),
    [
        ({}, 16),
        ({"AWS_MAX_POOL_CONNECTIONS": 50}, 50),
        ({"AWS_MAX_POOL_CONNECTIONS": "50", "IMGPIPE_STORE_CONNECTIONS": 4}, 4),
    ],
)
def test_as_many_connections_as_scrapys_setting_says_unless_ours_does(settings, connections):
    pipeline = Crawl("unused", {}, IMAGES_STORE="memory://x", **settings).pipeline
    assert pipeline.access.connections == connections
    assert pipeline.workers._sizes["store"] == connections


def test_a_store_of_ours_raises_our_errors():
    with pytest.raises(StoreFailed):
        MemoryStore().put("../a.jpg", b"x")
