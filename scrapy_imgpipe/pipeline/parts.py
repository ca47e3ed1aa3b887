"""What the flow of a source leaves to the parts of the pipeline that know more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.pipeline.asking import Asking

if TYPE_CHECKING:
    from scrapy.http import Request, Response
    from scrapy.pipelines.media import FileInfo, MediaPipeline
    from twisted.python.failure import Failure

    from scrapy_imgpipe.pipeline.asks import Work
    from scrapy_imgpipe.pipeline.hops import Watch


class Parts(Asking):
    """Declares them; each is defined in a class that derives from this one."""

    def _let_go(self, work: Work) -> None:
        """Let those go on who wait for what *work* obtains."""
        raise NotImplementedError

    async def _remember(self, request: Request, outcome: str, result: FileInfo | Failure) -> None:
        """Tell the index how *request* ended."""
        raise NotImplementedError

    async def _published(self, result: FileInfo) -> FileInfo:
        """Say in *result* where its files can be read from."""
        raise NotImplementedError

    def _check_store(self) -> None:
        """Raise where the store fails for all."""
        raise NotImplementedError

    def _watch_store(self, outcome: str, *, written: bool) -> None:
        """Take note of how a source has ended."""
        raise NotImplementedError

    async def _renewed(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        """Return what is stored of *request*, which has not changed; None to fetch it after all."""
        raise NotImplementedError

    async def _news(
        self, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> FileInfo | None:
        """Return what another crawl has stored of *request* meanwhile; None for nothing."""
        raise NotImplementedError

    def _conditions(self, request: Request) -> dict[str, str]:
        """Return the headers with which *request* asks only for what has changed."""
        raise NotImplementedError

    def _watch(self, work: Work) -> Watch:
        """Return what is to be looked at while the request of *work* is downloaded."""
        raise NotImplementedError

    def _weights(self, response: Response) -> tuple[int, int]:
        """Return the bytes of memory that *response* holds, and that storing it will take."""
        raise NotImplementedError
