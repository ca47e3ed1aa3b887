"""Whether worker processes find a function of the user's, which travels by its name."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from scrapy_imgpipe.processes.frames import packed
from scrapy_imgpipe.processes.pool import Processes
from scrapy_imgpipe.processes.process import Terms

# Where names come from that every worker process has.
_ALWAYS_THERE = frozenset({"scrapy_imgpipe", "builtins", "functools", "operator"})


def why_not_found(things: Iterable[object], terms: Terms) -> list[str]:
    """Return why a worker process would not find each of *things*; empty where it would.

    A process is started and asked, unless there is nothing to ask: what has been imported
    here, from a place that is on no path any more, need not be importable there. Where none
    can be started, all of them are found: threads will do the work.
    """
    with closing(Processes(1, terms)) as processes:
        return [_why(thing, processes) for thing in things]


def _why(thing: object, processes: Processes) -> str:
    try:
        reader = _Reader(io.BytesIO(packed(thing)))
        reader.load()
    except Exception as error:  # noqa: BLE001 - pickle raises what the classes raise
        return " ".join(str(error).split())
    return "" if reader.roots <= _ALWAYS_THERE else processes.why_not_found(thing)


class _Reader(pickle.Unpickler):
    """Notes where names come from; of ``__main__``, which is another one there, takes none."""

    def __init__(self, source: io.BytesIO) -> None:
        super().__init__(source)
        self.roots: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__":
            raise pickle.UnpicklingError("worker processes do not import __main__")
        self.roots.add(module.partition(".")[0])
        return super().find_class(module, name)
