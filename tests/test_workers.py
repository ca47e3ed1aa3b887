"""The bridge between the event loop and the threads."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest
from twisted.internet.defer import Deferred

from scrapy_imgpipe import promises
from scrapy_imgpipe.errors import HookFailed
from scrapy_imgpipe.workers import Workers


def run(coroutine):
    return asyncio.run(coroutine)


def each(pieces, function=int):
    """Return what *function* says of each of *pieces*, errors included."""
    results = []
    for piece in pieces:
        try:
            results.append(function(piece))
        except Exception as error:
            results.append(error)
    return results


def asks(workers):
    """Return both ways to ask for ``function(argument)``."""

    async def in_batch(function, argument):
        return await workers.run_in_batch(each, argument, function)

    return workers.run, in_batch


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("imgpipe")]


def test_work_runs_in_a_thread_of_ours_and_its_result_comes_back():
    async def main():
        workers = Workers(1)
        name = await workers.run(lambda: threading.current_thread().name)
        await workers.close()
        return name

    assert run(main()).startswith("imgpipe")
    assert ours() == []


def test_an_error_in_a_worker_is_raised_at_the_caller():
    async def main():
        workers = Workers(1)
        try:
            await workers.run(int, "no number")
        finally:
            await workers.close()

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
        await workers.close()

    run(main())
    assert len(seen) == 2


def test_without_work_there_is_no_thread_and_closing_twice_is_fine():
    async def main():
        workers = Workers(3)
        assert ours() == []
        await workers.close()
        await workers.close()

    run(main())


def test_after_closing_work_is_refused_and_no_thread_comes_back():
    async def main():
        workers = Workers(1)
        assert await workers.run(int, "1") == 1
        await workers.close()
        for ask in asks(workers):
            with pytest.raises(HookFailed, match="has ended") as caught:
                await ask(int, "2")
            assert caught.value.code == "interrupted"

    run(main())
    assert ours() == []


def test_closing_answers_everybody_and_finishes_what_has_begun():
    async def main():
        workers = Workers(1)
        begun, go_on = threading.Event(), threading.Event()

        def first():
            begun.set()
            assert go_on.wait(20)
            return "done"

        asks = [asyncio.ensure_future(workers.run(first))]
        await asyncio.to_thread(begun.wait, 20)
        asks += [asyncio.ensure_future(workers.run(int, "1")) for _ in range(3)]
        asks += [asyncio.ensure_future(workers.run_in_batch(each, "1")) for _ in range(50)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(workers.close())
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert not closing.done()  # the loop runs on while the last one finishes
        go_on.set()
        await closing
        return answers

    answers = run(main())
    assert {getattr(answer, "code", answer) for answer in answers} == {"interrupted"}
    assert ours() == []


def test_a_worker_that_waits_for_the_loop_does_not_hold_up_the_close():
    async def main():
        workers = Workers(1)
        begun, release = threading.Event(), asyncio.Event()

        async def hook():
            begun.set()
            await release.wait()

        ask = asyncio.ensure_future(workers.run(lambda: workers.wait_for(hook())))
        await asyncio.to_thread(begun.wait, 20)
        closing = asyncio.ensure_future(workers.close())
        release.set()
        await closing
        with pytest.raises(HookFailed):
            await ask

    run(main())
    assert ours() == []


def test_stop_iteration_in_a_worker_is_an_error_like_any_other():
    async def main():
        workers = Workers(1)
        for ask in asks(workers):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await ask(next, iter(()))
        await workers.close()

    run(main())


class Exits:
    """A function that does what a library does that calls ``sys.exit()``."""

    def __init__(self, error):
        self.error = error

    def __call__(self, argument):
        raise self.error

    def among(self, pieces):
        """Answer in a batch, with the error itself."""
        return [self.error for _ in pieces]


@pytest.mark.parametrize("error", [SystemExit(5), KeyboardInterrupt(), GeneratorExit("end")])
def test_what_would_end_the_loop_is_an_error_that_says_so(error):
    async def main():
        workers = Workers(1)
        function, told = Exits(error), f"^{type(error).__name__}"
        for asked in (
            workers.run(function, "x"),
            workers.render(function, b"x"),
            workers.run_to_store(function, "x"),
            workers.run_in_line(lambda: function("x")),
            workers.run_in_batch(function, "x"),
            workers.run_in_batch(function.among, "x"),
        ):
            with pytest.raises(RuntimeError, match=told) as caught:
                await asked
        assert await workers.run(int, "7") == 7
        await workers.close()
        return caught.value

    assert run(main()).__cause__ is None


def test_what_would_end_the_loop_keeps_the_place_it_came_from():
    async def main():
        workers = Workers(1)
        try:
            await workers.run(Exits(SystemExit(5)), "x")
        finally:
            await workers.close()

    with pytest.raises(RuntimeError) as caught:
        run(main())
    assert "__call__" in [entry.name for entry in caught.traceback]


def test_an_error_without_a_text_is_told_all_the_same():
    class Shy(BaseException):
        def __str__(self):
            raise ValueError

    async def main():
        workers = Workers(1)
        with pytest.raises(RuntimeError, match=r"^Shy: it has no text$"):
            await workers.run(Exits(Shy()), "x")
        await workers.close()

    run(main())


@pytest.mark.parametrize("way", ["run", "line", "wait"])
def test_a_hook_in_a_worker_that_ends_in_cancelled_error_is_interrupted(way):
    async def main():
        workers = Workers(1)
        function = Exits(asyncio.CancelledError())

        async def hook():
            await asyncio.sleep(0)
            function("x")

        ask = {
            "run": lambda: workers.run(function, "x"),
            "line": lambda: workers.run_in_line(lambda: function("x")),
            "wait": lambda: workers.run(lambda: workers.wait_for(hook())),
        }[way]
        with pytest.raises(HookFailed, match="CancelledError") as caught:
            await ask()
        await workers.close()
        return caught.value.code

    assert run(main()) == "interrupted"


@pytest.mark.parametrize("answer", [[], [1, 2, 3], "ab", None])
def test_a_process_that_answers_something_else_leaves_nobody_waiting(monkeypatch, answer):
    async def main():
        workers = Workers(1, "process")
        monkeypatch.setattr(workers._processes, "call", lambda *_: answer)
        asks = [workers.run_in_batch(each, "1") for _ in range(2)]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        await workers.close()
        return answers

    assert {error.code for error in run(main())} == {"crashed"}


def test_when_no_thread_can_be_had_the_ask_fails_and_the_next_one_tries_again(monkeypatch):
    async def main():
        workers = Workers(1)

        def refuse(self):
            raise RuntimeError("can't start new thread")

        for ask in asks(workers):
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", refuse)
                with pytest.raises(HookFailed, match="thread"):
                    await ask(int, "1")
            assert await ask(int, "2") == 2
            workers._give_up("next")
        await workers.close()

    run(main())


def test_work_in_line_is_done_one_after_the_other_and_holds_up_no_worker():
    async def main():
        workers = Workers(1)
        most, now = [0], [0]
        lock, release = threading.Lock(), threading.Event()

        def in_line():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            assert release.wait(20)
            with lock:
                now[0] -= 1

        asks = [asyncio.ensure_future(workers.run_in_line(in_line)) for _ in range(5)]
        assert await workers.run(int, "7") == 7
        release.set()
        await asyncio.gather(*asks)
        await workers.close()
        return most[0]

    assert run(main()) == 1


def test_many_short_pieces_are_all_answered_in_their_own_way():
    async def main():
        workers = Workers(2)
        asks = [workers.run_in_batch(each, str(n) if n % 7 else "x") for n in range(500)]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert await workers.run_in_batch(each, "7") == 7
        await workers.close()
        return answers

    for n, answer in enumerate(run(main())):
        assert answer == n if n % 7 else isinstance(answer, ValueError)


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
        await workers.close()
        return result, seen in ([], [loop_thread])

    assert run(main()) == (7, True)


def test_on_the_loop_a_hook_that_waits_for_the_loop_is_given_up(monkeypatch):
    monkeypatch.setattr(promises, "PATIENCE_SECONDS", 0.05)

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
async def all_of_it():
    try:
        await main()
    finally:
        await workers.close()
        reactor.stop()
deferred_from_coro(all_of_it()).addErrback(lambda f: f.printTraceback())
reactor.run()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "good\n"


def test_what_waits_for_a_store_when_the_loop_ends_is_not_begun():
    release, began = threading.Event(), threading.Event()
    done: list[int] = []

    def put(number: int) -> None:
        done.append(number)
        began.set()
        release.wait(10)

    workers = Workers(1, connections=1)

    async def crawl() -> None:
        for number in range(5):
            asyncio.get_running_loop().create_task(workers.run_to_store(put, number))
        await asyncio.to_thread(began.wait, 10)

    asyncio.run(crawl())  # it ends without a close, as after a second Ctrl-C
    release.set()
    for pool in workers._pools.values():
        pool.shutdown(wait=True)
    assert done == [0]


def test_a_store_that_is_given_up_is_asked_no_more():
    workers = Workers(1, connections=1)

    async def crawl() -> None:
        assert await workers.run_to_store(abs, -1) == 1
        workers.given_up = "It is full"
        with pytest.raises(HookFailed, match="It is full") as caught:
            await workers.run_to_store(abs, -1)
        assert caught.value.code == "interrupted"
        assert await workers.run(abs, -1) == 1
        await workers.close()

    asyncio.run(crawl())
