"""Jobs in the background: none is lost, and no upload is gone too early."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from contextlib import asynccontextmanager

import pytest

from scrapy_imgpipe import StoreFailed
from scrapy_imgpipe.stores import NO_FACTS, MemoryStore
from tests.pictures import jpeg, opened
from tests.service.conftest import PHOTO, id_of

PATIENCE_SECONDS = 60


def wait(holds):
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < until
    return found


def finished(server, image_id):
    def job():
        told = server.client.get(f"/jobs/{image_id}").json()
        return told if told["status"] in {"complete", "failed"} else None

    return wait(job)


def variants(store, image_id):
    names = ("full", "thumbs/thumb", "thumbs/medium", "thumbs/large")
    return [store / name / f"{image_id}.jpg" for name in names]


def test_a_job_is_done_in_the_background(server, place):
    data = PHOTO.read_bytes() + b"\0"
    answer = server.upload(data, "background")
    assert answer.status_code == 202
    image_id = id_of(data)
    assert answer.headers["location"] == f"/jobs/{image_id}"
    assert answer.json()["status"] == "pending"
    job = finished(server, image_id)
    assert job["status"] == "complete"
    assert job["image"] == f"/images/{image_id}"
    assert server.client.get(job["image"]).json()["width"] == 600


def test_a_job_that_fails_says_why_and_an_upload_at_fault_goes(server, place):
    data = jpeg((400, 300))[:-2000]
    assert server.upload(data, "background").status_code == 202
    job = finished(server, id_of(data))
    assert (job["status"], job["code"]) == ("failed", "broken")
    assert "decoded" in job["reason"]
    wait(lambda: not (place / "store" / "uploads" / id_of(data)).exists())
    assert server.client.get(f"/images/{id_of(data)}/thumb").status_code == 404


def test_what_is_wanted_now_does_not_wait_for_its_turn(serve, tmp_path):
    server = serve(tmp_path, SERVICE_WORKERS="1")
    bodies = [jpeg((1500, 1000)) for _ in range(5)]
    for data in bodies:
        assert server.upload(data, "background").status_code == 202
    shown = server.client.get(f"/images/{id_of(bodies[-1])}/thumb", follow_redirects=True)
    assert opened(shown.content).size == (150, 100)
    for data in bodies:
        assert finished(server, id_of(data))["status"] == "complete"


def test_a_job_survives_the_death_of_its_process(serve, tmp_path):
    server = serve(tmp_path, SERVICE_WORKERS="1")
    ids = []
    for _ in range(12):
        data = jpeg((2000, 1500))
        assert server.upload(data, "background").status_code == 202
        ids.append(id_of(data))
    server.end(kill=True)
    left = {path.name for path in (tmp_path / "uploads").iterdir()}
    assert left, "all was done before the end: give it more to do"
    done = set(ids) - left
    server = serve(tmp_path, SERVICE_WORKERS="1")
    until = time.monotonic() + PATIENCE_SECONDS
    while done != set(ids) and time.monotonic() < until:
        for image_id in ids:
            if not (tmp_path / "uploads" / image_id).exists():  # then, and only then
                assert all(opened(path.read_bytes()) for path in variants(tmp_path, image_id))
                done.add(image_id)
    assert done == set(ids)
    assert {finished(server, image_id)["status"] for image_id in ids} == {"complete"}


def test_what_was_finished_is_not_taken_up_again(serve, tmp_path):
    server = serve(tmp_path)
    data = jpeg()
    server.upload(data, "background")
    finished(server, id_of(data))
    server.end()
    (tmp_path / "uploads" / id_of(data)).write_bytes(data)  # as if the end had come in between
    server = serve(tmp_path)
    wait(lambda: not (tmp_path / "uploads" / id_of(data)).exists())
    assert server.health() == {"status": "ok", "jobs": 0, "renders": 0}


def jobs_file(store, image_id, status, **more):
    path = store / "jobs" / f"{image_id}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"id": image_id, "status": status, "image": "", **more}))
    return path


def test_what_is_no_upload_of_ours_is_left_alone(serve, tmp_path):
    ours = jpeg()
    others = [
        tmp_path / "uploads" / name
        for name in ("holiday.jpg", "2024/b.jpg", "notes", "0" * 40, f"{id_of(ours)}.jpg")
    ]
    (tmp_path / "uploads" / "2024").mkdir(parents=True)
    for path in others:
        path.write_bytes(jpeg((30, 20)))
    (tmp_path / "uploads" / id_of(ours)).write_bytes(ours)
    server = serve(tmp_path)
    wait((tmp_path / "full" / f"{id_of(ours)}.jpg").exists)
    wait(lambda: server.logged("left alone"))
    wait(lambda: server.health()["jobs"] == 0)
    assert all(path.exists() for path in others)
    assert [path.stem for path in (tmp_path / "full").iterdir()] == [id_of(ours)]
    assert server.client.get(f"/jobs/{'0' * 40}").status_code == 404


def test_a_store_that_is_away_is_waited_for(serve, tmp_path):
    (tmp_path / "full").write_bytes(b"no directory")
    server = serve(tmp_path)
    data = jpeg()
    assert server.upload(data, "background").status_code == 202
    wait(lambda: server.logged("waits for"))
    assert server.client.get(f"/jobs/{id_of(data)}").json()["status"] in {"pending", "processing"}
    assert server.health()["jobs"] == 1
    (tmp_path / "full").unlink()
    assert finished(server, id_of(data))["status"] == "complete"
    assert server.health()["jobs"] == 0


def test_where_a_process_died_the_upload_stays_for_the_next_start(serve, tmp_path):
    steps = {"thumb": {"width": 50, "steps": ["tests.service.steps.die"]}}
    server = serve(tmp_path, IMGPIPE_RENDITIONS=json.dumps(steps))
    data = jpeg()
    server.upload(data, "background")
    job = finished(server, id_of(data))
    assert (job["status"], job["code"]) == ("failed", "crashed")
    assert (tmp_path / "uploads" / id_of(data)).read_bytes() == data
    server.end()
    server = serve(tmp_path)
    wait(lambda: server.client.get(f"/jobs/{id_of(data)}").json()["status"] == "complete")
    wait(lambda: not (tmp_path / "uploads" / id_of(data)).exists())


def test_jobs_are_forgotten_after_a_week(serve, tmp_path):
    long_ago = time.time() - 8 * 24 * 3600
    ids = [f"{number:040}" for number in range(4)]
    states = [("failed", "crashed"), ("complete", ""), ("failed", "broken"), ("pending", "")]
    files = [
        jobs_file(tmp_path, image_id, status, code=code)
        for image_id, (status, code) in zip(ids, states, strict=True)
    ]
    recent = jobs_file(tmp_path, "5" * 40, "failed", code="broken")
    upload = tmp_path / "uploads" / ids[0]
    upload.parent.mkdir()
    upload.write_bytes(b"x")
    for path in files:
        os.utime(path, (long_ago, long_ago))
    server = serve(tmp_path)
    wait(lambda: not any(path.exists() for path in (*files, upload)))
    assert server.client.get(f"/jobs/{recent.stem}").json()["code"] == "broken"


def test_uploads_that_were_left_are_taken_up_as_many_as_may_wait(serve, tmp_path):
    bodies = [jpeg((600, 400)) for _ in range(6)]
    (tmp_path / "uploads").mkdir()
    for data in bodies:
        (tmp_path / "uploads" / id_of(data)).write_bytes(data)
    server = serve(tmp_path, SERVICE_JOBS="1", SERVICE_WORKERS="1")
    most = 0

    def all_done():
        nonlocal most
        most = max(most, server.health()["jobs"])
        return not list((tmp_path / "uploads").iterdir())

    wait(all_done)
    assert most == 1
    assert {finished(server, id_of(data))["status"] for data in bodies} == {"complete"}


def test_a_failed_job_is_closed_when_its_image_comes_another_way(server, place):
    for mode, status in (("now", 201), ("background", 200)):
        data = jpeg()
        upload = place / "store" / "uploads" / id_of(data)
        if mode == "background":
            server.upload(data)
        jobs_file(place / "store", id_of(data), "failed", code="crashed", reason="It did")
        upload.parent.mkdir(exist_ok=True)
        upload.write_bytes(data)
        assert server.client.get(f"/jobs/{id_of(data)}").json()["status"] == "failed"
        assert server.upload(data, mode).status_code == status
        assert server.client.get(f"/jobs/{id_of(data)}").json()["status"] == "complete"
        assert not upload.exists()


def test_a_job_whose_upload_is_gone_has_failed_unless_its_image_is_there(server, place):
    jobs_file(place / "store", "6" * 40, "pending")
    job = server.client.get(f"/jobs/{'6' * 40}").json()
    assert (job["status"], job["code"]) == ("failed", "upload-gone")
    data = jpeg()
    server.upload(data)
    jobs_file(place / "store", id_of(data), "pending")
    assert server.client.get(f"/jobs/{id_of(data)}").json()["status"] == "complete"


def test_who_comes_second_waits_until_the_upload_is_kept():
    class Slow(MemoryStore):
        begun, go_on = threading.Event(), threading.Event()

        def put(self, path, data, facts=NO_FACTS):
            self.begun.set()
            self.go_on.wait(PATIENCE_SECONDS)
            raise StoreFailed("The disk is full")

    async def run():
        store = Slow()
        async with working(store, most=9) as (_, jobs):
            first = asyncio.create_task(jobs.accept("a", b"x"))
            await asyncio.to_thread(store.begun.wait, PATIENCE_SECONDS)
            second = asyncio.create_task(jobs.accept("a", b"x"))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not second.done()
            store.go_on.set()
            ended = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(each) for each in ended] == [StoreFailed, StoreFailed]
            assert await jobs.get("a") is None
            assert len(jobs) == 0

    asyncio.run(run())


@asynccontextmanager
async def working(store, most):
    """Yield images and jobs of *store*; nobody works on these."""
    from service.catalogue import Catalogue
    from service.engine import Engine
    from service.images import Images
    from service.jobs import Jobs
    from service.settings import Settings
    from service.turns import Turns

    plan, engine = Settings().plan, Engine(1, 0, 0)
    images = Images(Catalogue(store, None, plan), plan, engine, Turns(1))
    yield images, Jobs(images, engine, most, 1)
    await engine.close()


def test_no_more_jobs_than_may_wait():
    from service.problems import Busy

    async def run():
        data = jpeg()
        async with working(MemoryStore(), most=1) as (images, jobs):
            assert (await jobs.accept("a", data)).status == "pending"
            assert (await jobs.accept("a", data)).status == "pending"
            with pytest.raises(Busy) as caught:
                await jobs.accept("b", data)
            assert caught.value.status_code == 503
            assert int(caught.value.headers["Retry-After"]) > 0
            assert images.store.get("uploads/a") == data
            assert images.store.get("uploads/b") is None

    asyncio.run(run())


def test_no_more_images_in_memory_than_may_be():
    from service.problems import Busy
    from service.turns import Turns

    async def run():
        turns = Turns(1, waiting=1)
        had = []

        async def take():
            async with turns.taken():
                had.append(1)

        async with turns.taken():
            waiting = asyncio.create_task(take())
            await asyncio.sleep(0)
            assert not had
            with pytest.raises(Busy):
                await take()
        await waiting
        await take()
        assert len(had) == 2

    asyncio.run(run())
