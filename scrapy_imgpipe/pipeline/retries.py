"""Whether what came broken is downloaded once more, and when.

Transfers do break without anybody noticing: a proxy that cuts off mends the length, too.
The same bytes twice are what the server has, so that nothing is asked a third time.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from scrapy_imgpipe import stats
from scrapy_imgpipe.promises import pause
from scrapy_imgpipe.records import Outcome, checksum

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Request, Response

    from scrapy_imgpipe.pipeline.asks import Work
    from scrapy_imgpipe.workers import Workers

#: How long the pause before the second download is, in seconds, give or take a half; it
#: doubles from one to the next.
PAUSE_SECONDS = 0.5


#: How what broke on its way ends.
_MAY_BE_BROKEN = frozenset({Outcome.BROKEN, Outcome.HASH_MISMATCH})


class Retries:
    """Decides for one pipeline.

    Args:
        crawler: whose stats count, and which may have switched retries off.
        workers: that take digests.
        most: how often one source is downloaded once more.
    """

    def __init__(self, crawler: Crawler, workers: Workers, most: int) -> None:
        self._stats = crawler.stats
        self._workers = workers
        self._most = most if crawler.settings.getbool("RETRY_ENABLED") else 0

    async def may_help(
        self, error: Exception, response: Response | None, request: Request, work: Work
    ) -> bool:
        """Return whether to download *request* once more after *error*, and make ready for it."""
        if getattr(error, "code", "") not in _MAY_BE_BROKEN or response is None:
            return False
        if len(work.broken) >= self._most:
            return False
        came = await self._workers.run(checksum, response.body)
        if came in work.broken:
            return False
        work.broken.append(came)
        assert self._stats is not None  # noqa: S101 - the crawl has begun
        self._stats.inc_value(stats.RETRIES)
        request.meta["dont_cache"] = True  # or Scrapy's cache gives the same again
        return True

    @staticmethod
    async def wait(work: Work) -> None:
        """Wait before what *work* does is done once more."""
        spread = random.uniform(0.5, 1.5)  # noqa: S311 - so that not all come at once
        await pause(PAUSE_SECONDS * 2.0 ** (len(work.broken) - 1) * spread)
