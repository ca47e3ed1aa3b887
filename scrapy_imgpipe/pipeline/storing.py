"""Stores that are elsewhere: ours on other machines, and those of users.

Ours are called from threads that do nothing but wait for them; a user's is called on the
event loop, as Scrapy does. A store that fails for one source after the other ends the crawl.
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scrapy.utils.defer import deferred_from_coro, ensure_awaitable

from scrapy_imgpipe import imaging, tasks
from scrapy_imgpipe.errors import HookFailed, StoreFailed
from scrapy_imgpipe.pipeline.failures import one_line
from scrapy_imgpipe.pipeline.naming import Naming
from scrapy_imgpipe.records import Outcome
from scrapy_imgpipe.store_adapter import far_store, stat_info
from scrapy_imgpipe.values import SIGNED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy.pipelines.media import FileInfo, MediaPipeline

    from scrapy_imgpipe.leases import Lease
    from scrapy_imgpipe.records import Rendition

_logger = logging.getLogger(__name__)

#: Why a spider is closed whose store keeps failing.
CLOSED_BY_STORE = "imgpipe_store_errors"


class Storing(Naming):
    """The part of the pipeline that reaches stores which no renderer reaches."""

    _store_errors: dict[bool, int]
    _signing_failed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In a row: of those that were to be written, and of those that were looked for.
        self._store_errors = {True: 0, False: 0}

    # --- files ---

    async def _saved(
        self,
        made: tasks.Prepared | tasks.Saved,
        info: MediaPipeline.SpiderInfo,
        lease: Lease | None,
    ) -> tasks.Saved:
        """Store what was *made*, the full image last, where a worker has not done so."""
        if isinstance(made, tasks.Saved):
            return made
        far = far_store(self.store)
        if far is not None:
            return await self.workers.run_to_store(tasks.save, made, far, lease)
        if lease is not None:
            lease.check()
        for output in reversed(made.outputs):
            await self._persist(output, info)
        return made.saved

    async def _persist(self, output: tasks.Output, info: MediaPipeline.SpiderInfo) -> None:
        """Hand *output* to a store that only Scrapy's protocol reaches, on the event loop."""
        size = {"width": output.width, "height": output.height}
        headers = {"Content-Type": imaging.media_type_of(output.format)}
        buffer = BytesIO(output.data)
        try:
            await ensure_awaitable(
                self.store.persist_file(output.path, buffer, info, meta=size, headers=headers)
            )
        except Exception as error:
            raise StoreFailed(f"Could not store {output.path}: {one_line(error)}") from error

    async def _are_there(self, files: Sequence[Rendition], info: MediaPipeline.SpiderInfo) -> bool:
        """Return whether *files* are stored as they were recorded; each costs a question."""
        far = far_store(self.store)
        if far is not None:
            return await self.workers.run_to_store(tasks.are_there, files, far)
        for file in files:
            stat = await self._stat_elsewhere(file.path, info)
            if not stat or stat.get("checksum") not in {None, file.checksum}:
                return False
        return True

    async def _stat_elsewhere(
        self, path: str, info: MediaPipeline.SpiderInfo, known: Rendition | None = None
    ) -> Any:
        """Return what Scrapy's ``stat_file`` does; None where a user's store cannot tell.

        Args:
            path: of the file.
            info: for a user's store.
            known: what is recorded of it, which spares one of ours to read it.

        Raises:
            StoreFailed: one of ours cannot: that is no reason to download a million images.
        """
        far = far_store(self.store)
        if far is not None:
            return await self.workers.run_to_store(stat_info, far, path, known)
        try:
            return await ensure_awaitable(self.store.stat_file(path, info))
        except Exception as error:  # noqa: BLE001 - many stores raise for what is not there
            _logger.debug(
                "File (stat-error): Downloading %(path)s, the store cannot tell of it: %(error)s",
                {"path": path, "error": error},
                extra={"spider": info.spider},
            )
            return None

    # --- public URLs ---

    async def _published(self, result: FileInfo) -> FileInfo:
        """Say in *result* where each file can be read from, where the settings know."""
        base = self.options.public_url
        told: Any = result  # anything, of who overrides media_downloaded
        if not base or not isinstance(told, dict) or not told.get("path"):
            return result
        files: list[Any] = [told, *told.get("renditions", ())]
        paths = [file["path"] for file in files]
        if base == SIGNED:
            store: Any = self.store
            store, seconds = store.native, self.options.public_url_seconds
            urls, trouble = await self.workers.run(_signed, store, paths, seconds)
            if trouble and not self._signing_failed:
                self._signing_failed = True
                _logger.warning(
                    "No public_url: %(trouble)s (said once)",
                    {"trouble": trouble},
                    extra={"spider": self.crawler.spider},
                )
        else:
            urls = [f"{base.rstrip('/')}/{quote(path)}" for path in paths]
        for file, url in zip(files, urls, strict=True):
            file["public_url"] = url
        return result

    # --- a store that keeps failing ---

    def _check_store(self) -> None:
        """Refuse to go on where the store has failed too often.

        Raises:
            HookFailed: ``interrupted``.
        """
        if self.workers.given_up:
            raise HookFailed(self.workers.given_up, "interrupted")

    def _watch_store(self, outcome: str, *, written: bool) -> None:
        """Count failures in a row, and what shows that the store works.

        Args:
            outcome: of a source.
            written: whether it got so far that it was to be written.
        """
        if outcome == Outcome.STORE_FAILED:
            self._count_store_error(written=written)
        elif outcome in {Outcome.STORED, Outcome.CACHED}:
            self._store_errors = {True: 0, False: 0}
        elif outcome == Outcome.UP_TO_DATE and not self.options.trust_index:
            self._store_errors[False] = 0  # that it can be read says nothing of writing

    def _count_store_error(self, *, written: bool) -> None:
        """Count one more, and close the spider at the last one that is suffered."""
        most = self.options.close_on_store_errors
        self._store_errors[written] += 1
        if not most or self._store_errors[written] != most or self.workers.given_up:
            return
        self.workers.given_up = f"The store failed {most} times in a row"
        _logger.error(
            "Closing the spider: the store failed %(count)d times in a row"
            " (IMGPIPE_CLOSE_ON_STORE_ERRORS)",
            {"count": most},
            extra={"spider": self.crawler.spider},
        )
        engine: Any = self.crawler.engine
        closed = deferred_from_coro(engine.close_spider_async(reason=CLOSED_BY_STORE))
        closed.addErrback(_say_not_closed)


def _signed(store: Any, paths: list[str], seconds: int) -> tuple[list[str | None], str]:
    """Return a URL for each of *paths*, and why one has none: that costs no source."""
    urls: list[str | None] = []
    trouble = ""
    for path in paths:
        try:
            urls.append(store.signed_url(path, seconds))
        except StoreFailed as error:
            urls.append(None)
            trouble = error.reason
    return urls, trouble


def _say_not_closed(failure: Any) -> None:
    _logger.error("The spider could not be closed: %s", failure.getErrorMessage())
