"""The downloader alone: a pipeline that downloads, and does nothing with what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.pipelines.images import ImagesPipeline

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.http import Response
    from scrapy.pipelines.media import FileInfo, MediaPipeline


class DownloadOnly(ImagesPipeline):
    """What remains of an images pipeline when looking, making and storing cost nothing."""

    def media_to_download(
        self, request: Request, info: MediaPipeline.SpiderInfo, *, item: Any = None
    ) -> None:
        """Say that nothing is known: always download."""

    async def media_downloaded(
        self,
        response: Response,  # noqa: ARG002 - the signature is Scrapy's
        request: Request,
        info: MediaPipeline.SpiderInfo,  # noqa: ARG002
        *,
        item: Any = None,  # noqa: ARG002
    ) -> FileInfo:
        """Return a result for the body and let the body go."""
        return {"url": request.url, "path": "", "checksum": None, "status": "downloaded"}
