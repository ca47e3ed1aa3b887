"""The bridge between the event loop and the threads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
from twisted.internet.defer import Deferred

from scrapy_imgpipe import workers as workers_module
from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.workers import Workers


def run(coroutine):
    return asyncio.run(coroutine)


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("imgpipe")]


def test_work_runs_in_a_thread_of_ours_and_its_result_comes_back():
    async def main():
        workers = Workers(1)
        name = await workers.run(lambda: threading.current_thread().name)
        workers.close()
        return name

    assert run(main()).startswith("imgpipe")
    assert ours() == []


def test_an_error_in_a_worker_is_raised_at_the_caller():
    async def main():
        workers = Workers(1)
        try:
            await workers.run(int, "no number")
        finally:
            workers.close()

    with pytest.raises(ValueError, match="no number"):
        run(main())


def test_no_more_threads_than_asked_for():
    seen = set()
    both = threading.Barrier(2)

    def work():
        seen.add(threading.current_thread().name)
        both.wait(10)

    async def main():
        workers = Workers(2)
        await asyncio.gather(*(workers.run(work) for _ in range(6)))
        workers.close()

    run(main())
    assert len(seen) == 2


def test_without_work_there_is_no_thread_and_closing_twice_is_fine():
    workers = Workers(3)
    assert ours() == []
    workers.close()
    workers.close()


def test_after_closing_new_work_starts_new_threads():
    async def main():
        workers = Workers(1)
        first = await workers.run(int, "1")
        workers.close()
        second = await workers.run(int, "2")
        workers.close()
        return first, second

    assert run(main()) == (1, 2)


@pytest.mark.parametrize("kind", ["coroutine", "deferred"])
def test_a_worker_can_wait_for_what_the_loop_has_to_finish(kind):
    async def main():
        workers = Workers(1)
        loop_thread = threading.current_thread()
        seen = []

        async def on_the_loop():
            await asyncio.sleep(0)
            seen.append(threading.current_thread())
            return 7

        deferred = Deferred()
        asyncio.get_running_loop().call_soon(deferred.callback, 7)

        def work():
            return workers.wait_for(on_the_loop() if kind == "coroutine" else deferred)

        result = await workers.run(work)
        workers.close()
        return result, seen in ([], [loop_thread])

    assert run(main()) == (7, True)


def test_on_the_loop_a_hook_that_waits_for_the_loop_is_given_up(monkeypatch):
    monkeypatch.setattr(workers_module, "PATIENCE_SECONDS", 0.05)

    async def main():
        released = threading.Event()

        async def hook():
            await asyncio.to_thread(released.wait)

        try:
            with pytest.raises(HookFailed, match="waited for the event loop"):
                Workers(1).wait_for(hook())
        finally:
            released.set()

    run(main())


def test_on_the_loop_a_hook_may_wait_for_what_is_its_own():
    async def main():
        async def hook():
            await asyncio.sleep(0)
            return await asyncio.to_thread(int, "7")

        return Workers(1).wait_for(hook())

    assert run(main()) == 7


def test_it_works_under_a_reactor_that_is_not_asyncios():
    program = """
from twisted.internet import selectreactor; selectreactor.install()
from twisted.internet import reactor
from scrapy.utils.defer import deferred_from_coro
from scrapy_imgpipe.workers import Workers
import threading
workers = Workers(2)
async def seven():
    assert threading.current_thread() is threading.main_thread()
    return 7
def work():
    return workers.wait_for(seven())
def fail():
    raise ValueError("told")
async def main():
    assert await workers.run(work) == 7
    try:
        await workers.run(fail)
    except ValueError as error:
        assert str(error) == "told"
    else:
        raise AssertionError
    print("good")
def end(result):
    workers.close()
    reactor.stop()
    return result
deferred_from_coro(main()).addBoth(end).addErrback(lambda f: f.printTraceback())
reactor.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "good\n"
