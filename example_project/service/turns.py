"""How much is in memory at once: who has no turn waits, or comes again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.problems import Busy


class Turns:
    """Turns at having the bytes of a whole image in memory.

    Args:
        most: at once, 1 or more.
        waiting: how many more may wait for theirs, who have nothing in memory yet.
    """

    def __init__(self, most: int, waiting: int = 0) -> None:
        self._free = asyncio.Semaphore(most)
        self._left = most + waiting

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have one, when it comes.

        Raises:
            Busy: too many wait already.
        """
        if not self._left:
            raise Busy("As many images are under way as there may be")
        self._left -= 1
        try:
            async with self._free:
                yield
        finally:
            self._left += 1
