"""The same work for many things, by several threads, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Event
from typing import TypeVar

#: Things that a thread takes at a time: a thing may take microseconds only.
_CHUNK = 32

#: Chunks for each thread that are under way or wait to be fetched.
_AHEAD = 4

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_threads(
    function: Callable[[_T], _R], things: Iterable[_T], threads: int
) -> Generator[_R, None, None]:
    """Yield what *function* gives for each of *things*, in their order.

    *things* are taken, and results given, in the caller's thread. What *function* raises is
    raised there. Whenever this ends, threads finish the one thing each has begun, no more.

    Args:
        function: called by several threads at once.
        things: any number of them.
        threads: how many, 1 or more.
    """
    ended = Event()

    def work_off(some: list[_T]) -> list[_R]:
        return [function(thing) for thing in some if not ended.is_set()]

    pool = ThreadPoolExecutor(threads, "imgpipe-command")
    under_way: deque[Future[list[_R]]] = deque()
    try:
        for some in chunks(things, _CHUNK):
            under_way.append(pool.submit(work_off, some))
            if len(under_way) >= threads * _AHEAD:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    finally:
        ended.set()
        pool.shutdown(cancel_futures=True)


def chunks(things: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """Yield *things* in lists of up to *most*."""
    source = iter(things)
    while some := list(islice(source, most)):
        yield some
