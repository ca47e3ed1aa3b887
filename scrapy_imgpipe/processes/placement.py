"""Which work goes to worker processes, and how many of these there should be.

Pure: told of each piece of work, it answers from counts. A crawl of a few images is
over before a process would have started, and one that waits for its sites needs one
process at most.
"""

from __future__ import annotations

#: Largest source, in bytes, that goes to a process unless all do.
PROCESS_BYTES = 256 << 10

#: How many small sources threads take before any goes to a process unless all do, and
#: how many have to find a crowd that does not shrink before there is one process more.
FEW_SOURCES = 64

#: A crowd is more than so many sources for each thread.
CROWD = 4

#: How much short work threads do before any goes to a process unless all does.
FEW_PIECES = 1024

#: Which share of it there has to be something to do for; the rest is done in a moment.
LEAST_USEFUL = 0.25


class Placement:
    """Answers for the work of one crawl.

    Args:
        isolation: ``thread``, ``process``, or ``auto``: processes for small sources once
            there have been some.
        threads: how many processes there may be at most.

    Attributes:
        processes: how many there should be at most, just now.
    """

    def __init__(self, isolation: str, threads: int) -> None:
        self._isolation = isolation
        self._threads = threads
        self._small = self._pieces = 0
        self._useful = 0.0  # share of late pieces that there was something to do for
        self._crowded = self._crowd = 0  # for how many sources, and how large it was then
        self.processes: int = threads if isolation == "process" else 1

    def count_source(self, size: int, under_way: int) -> None:
        """Take note of a source of *size* bytes that is to be rendered.

        *under_way* is how many sources wait or are worked on, this one included; 0 where
        that says nothing yet.
        """
        if self._isolation != "auto" or size > PROCESS_BYTES:
            return
        self._small += 1
        if self._small <= FEW_SOURCES:
            return
        crowd = under_way > CROWD * self._threads
        if crowd and not self._crowded:
            self._crowd = under_way
        self._crowded = max(self._crowded + (1 if crowd else -1), 0)
        if self._crowded >= FEW_SOURCES:
            self._crowded = 0
            if under_way >= self._crowd and self.processes < self._threads:
                self.processes += 1

    def of_source(self, size: int) -> bool:
        """Return whether a source of *size* bytes, if it is begun now, goes to a process."""
        if self._isolation != "auto":
            return self._isolation == "process"
        return size <= PROCESS_BYTES and self._small > FEW_SOURCES

    def count_pieces(self, useful: int, of: int) -> None:
        """Take note of a batch of short work: for how many *of* it there was something to do."""
        self._pieces += useful
        if of:
            self._useful += (useful / of - self._useful) / 8

    def of_pieces(self) -> bool:
        """Return whether short work goes to a process: there has been much that was useful."""
        if self._isolation != "auto":
            return self._isolation == "process"
        return self._pieces >= FEW_PIECES and self._useful >= LEAST_USEFUL
