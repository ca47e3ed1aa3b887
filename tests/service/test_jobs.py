"""Jobs in the background: none is lost, and no upload is gone too early."""

from __future__ import annotations

import asyncio
import time

import pytest

from scrapy_imgpipe.stores import MemoryStore
from tests.pictures import jpeg, opened
from tests.service.conftest import PHOTO, id_of

PATIENCE_SECONDS = 60


def finished(server, image_id):
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        job = server.client.get(f"/jobs/{image_id}").json()
        if job["status"] in {"complete", "failed"}:
            return job
    raise AssertionError(f"{image_id} is not finished")


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


def test_a_job_that_fails_says_why_and_keeps_the_upload(server, place):
    data = jpeg((400, 300))[:-2000]
    assert server.upload(data, "background").status_code == 202
    job = finished(server, id_of(data))
    assert (job["status"], job["code"]) == ("failed", "broken")
    assert "decoded" in job["reason"]
    assert (place / "store" / "uploads" / id_of(data)).read_bytes() == data
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
    assert not (tmp_path / "uploads" / id_of(data)).exists()
    assert server.health() == {"status": "ok", "jobs": 0, "renders": 0}


def test_no_more_jobs_than_may_wait():
    from service.engine import Engine
    from service.images import Images
    from service.jobs import Jobs
    from service.problems import Busy
    from service.settings import Settings

    async def run():
        engine = Engine(1, 0, 0)
        images = Images(MemoryStore(), None, Settings().plan, engine)
        jobs = Jobs(images, engine, 1, 1)  # nobody works
        data = jpeg()
        assert (await jobs.accept("a", data)).status == "pending"
        assert (await jobs.accept("a", data)).status == "pending"
        with pytest.raises(Busy) as caught:
            await jobs.accept("b", data)
        assert caught.value.status_code == 503
        assert int(caught.value.headers["Retry-After"]) > 0
        assert images.store.get("uploads/a") == data
        assert images.store.get("uploads/b") is None
        await engine.close()

    asyncio.run(run())


def test_no_more_uploads_than_may_be_in_memory():
    from service.problems import Busy
    from service.uploads import Turns

    turns = Turns(1)
    with turns.taken(), pytest.raises(Busy), turns.taken():
        pass
    with turns.taken():
        pass
