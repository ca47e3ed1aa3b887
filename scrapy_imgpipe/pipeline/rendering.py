"""Between the hooks and the workers: render and save.

Nothing here is a hook; hooks are called through :mod:`.hooks`. This file decides what
runs in a worker and what on the event loop, and does neither by itself.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy_imgpipe import imaging, tasks
from scrapy_imgpipe.errors import Overtaken
from scrapy_imgpipe.guards import HostRules, shown_url
from scrapy_imgpipe.optouts import DATA_MINING
from scrapy_imgpipe.pipeline.answers import check_bytes, check_permission, refusal
from scrapy_imgpipe.pipeline.finding import Finding
from scrapy_imgpipe.pipeline.hooks import call, checked, is_overridden
from scrapy_imgpipe.pipeline.hops import Watch, WatchRules
from scrapy_imgpipe.pipeline.latest import LatestResults
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.promises import Promise, keep, new_promise
from scrapy_imgpipe.records import result_of

if TYPE_CHECKING:
    from scrapy.http import Request, Response
    from scrapy.pipelines.media import FileInfo, MediaPipeline

    from scrapy_imgpipe.pipeline.asks import Work

#: Contents whose URLs are counted at a time; what many URLs have is met again soon.
_MOST_MET = 10_000

#: Key of an item with the digest, in hexadecimal, that its downloads should have.
EXPECTED_HASH = "imgpipe_hash"

_logger = logging.getLogger(__name__)


class Rendering(Finding):
    """The part of the pipeline that renders and stores one source."""

    _redirect_hinted = False
    _isolation_hinted = False
    _hosts: HostRules
    _opt_out: frozenset[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._contents: dict[str, list[Promise]] = {}  # being rendered, and who waits
        # URLs of each host and content
        self._met: LatestResults[tuple[str | None, str], int] = LatestResults(_MOST_MET)

    def _check_response(self, response: Response) -> None:
        refused = refusal(response, self.options.statuses)
        if refused is None:
            check_bytes(len(response.body), self.options.min_bytes, self.options.max_bytes)
            if self._opt_out:
                check_permission(response, self._opt_out)
            return
        if refused.redirected and not self.allow_redirects and not self._redirect_hinted:
            self._redirect_hinted = True
            raise refused.error(" (set MEDIA_ALLOW_REDIRECTS = True to follow redirects)")
        raise refused.error()

    def _watch(self, work: Work) -> Watch:
        chain = is_overridden(self, "get_images", "convert_image")
        rules = WatchRules(self.options, self._hosts, self._opt_out, self._plan(), whole=chain)
        return Watch(rules, work)

    def _weights(self, response: Response) -> tuple[int, int]:
        body = getattr(response, "body", b"")  # who overrides media_downloaded takes anything
        if not body or response.status not in self.options.statuses:
            return len(body), 0
        chain = is_overridden(self, "get_images", "convert_image")
        return len(body), imaging.rendering_bytes(body, probe(body), self._plan(), whole=chain)

    async def _render_and_save(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> tasks.Saved:
        work, rules, body = self._work(request), self._rules(), response.body
        source = tasks.Source(shown_url(request.url))
        expected = item.get(EXPECTED_HASH) if isinstance(item, dict) else None
        if expected is not None:
            await self.workers.run(tasks.check_hash, body, expected)
        if DATA_MINING in self._opt_out:
            await self.workers.run(tasks.check_permission, body)
        if is_overridden(self, "get_images", "convert_image"):
            self._say_who_renders(info)
            made = await self._run_users_chain(response, request, info, item)
        else:
            path = work.path or await self._full_path(request, response, info, item)
            thumbs = await self._thumb_paths(request, response, info, item)
            source = replace(source, full=path, thumbs=thumbs, lease=work.lease)
            if rules.dedupe or rules.placeholders.urls:
                content = await self._turn_of_content(body, work, alone=rules.dedupe)
                source = replace(source, content=content, urls=self._urls_of(content, request))
            if rules.store is not None:
                return await self._made_and_saved(body, source, rules)
            if rules.dedupe:
                twin = await self.workers.run(tasks.twin_of, source, rules)
                if twin is not None and await self._are_there(twin.files, info):
                    return self._shared(twin, source, work)
            made = await self.workers.render(tasks.keep, body, source, rules)
        return await self._saved(made, info, work.lease)

    async def _made_and_saved(
        self, body: bytes, source: tasks.Source, rules: tasks.Rules
    ) -> tasks.Saved:
        try:
            return await self.workers.render(tasks.make_and_save, body, source, rules)
        except Overtaken:
            if source.lease is None or rules.store is None:
                raise
            source.lease.check()
        # It was renewed meanwhile, which a worker process does not see: so it is written here.
        kept = await self.workers.render(tasks.keep, body, source, rules)
        return await self.workers.run(tasks.save, kept, rules.store, source.lease)

    def _urls_of(self, content: str, request: Request) -> int:
        """Return behind how many URLs of the host this crawl has met *content*, this one too."""
        key = (urlsplit(request.url).hostname, content)
        urls = self._met[key] = self._met.get(key, 0) + 1
        return urls

    async def _turn_of_content(self, body: bytes, work: Work, *, alone: bool) -> str:
        """Return the MD5 of *body*; where it is to be *alone*, once no equal bytes are rendered."""
        content = await self.workers.run(tasks.content_of, body)
        if not alone:
            return content
        while content in self._contents:
            promise = new_promise()
            self._contents[content].append(promise)
            await promise
        self._contents[content] = []
        work.content = content
        return content

    def _let_go(self, work: Work) -> None:
        """Let those go on who wait for equal bytes."""
        if work.content:
            for promise in self._contents.pop(work.content, []):
                keep(promise, None)
            work.content = ""

    @staticmethod
    def _shared(twin: Any, source: tasks.Source, work: Work) -> tasks.Saved:
        """Return what is stored under the keys of *twin* as what is stored of *source*."""
        work.path = twin.full.path
        return tasks.Saved(
            twin.full.checksum,
            twin.full,
            twin.format,
            twin.renditions,
            source.content,
            twin.placeholder,
            twin.measured,
        )

    def _say_who_renders(self, info: MediaPipeline.SpiderInfo) -> None:
        """Say once that a user's chain, which may do anything here, goes to no other process."""
        if self.workers.isolation == "process" and not self._isolation_hinted:
            self._isolation_hinted = True
            hooks = [name for name in ("get_images", "convert_image") if is_overridden(self, name)]
            _logger.warning(
                "Rendering in this process: %(hooks)s overridden",
                {"hooks": " and ".join(hooks)},
                extra={"spider": info.spider},
            )

    async def _run_users_chain(
        self, response: Response, request: Request, info: MediaPipeline.SpiderInfo, item: Any
    ) -> tasks.Prepared | tasks.Saved:
        hook = functools.partial(call, self.get_images, response, request, info, item=item)
        if inspect.iscoroutinefunction(self.get_images):
            images = await hook()
            hook = functools.partial(_same, images)
        elif inspect.isasyncgenfunction(self.get_images):
            images = await _drained(hook())
            hook = functools.partial(_same, images)
        source = tasks.Source(shown_url(request.url), lease=self._work(request).lease)
        path_of = functools.partial(self._path_for_chain, request, response, info, item)
        collect = functools.partial(self._collect, hook, response.body, source, path_of)
        return await self.workers.run_in_line(collect)

    def _collect(
        self,
        make: Callable[[], Any],
        body: bytes,
        source: tasks.Source,
        path_of: Callable[[str], str],
    ) -> tasks.Prepared | tasks.Saved:
        """Run a user's chain to its end, and save what came where a worker may."""
        began = time.perf_counter()
        images = make()
        if inspect.isasyncgen(images):
            images = _drained(images)
        outputs = tasks.collect(self._finished(images), self.options.formats)
        rules = self._rules()
        if self.renditions and outputs[0].format:  # of what the hooks made, if it is an image
            made = imaging.render(outputs[0].data, rules.plan, only=set(self.renditions))
            paths = {name: path_of(name) for name in self.renditions}
            outputs += [tasks.output_of(picture, "", paths) for picture in made]
        for output in outputs:
            checked(output.path)
        prepared = tasks.prepare(outputs, body, source, rules, began)
        return prepared if rules.store is None else tasks.save(prepared, rules.store, source.lease)

    def _path_for_chain(
        self,
        request: Request,
        response: Response,
        info: MediaPipeline.SpiderInfo,
        item: Any,
        thumb: str | None = None,
    ) -> Any:
        """Return what ``file_path`` or ``thumb_path`` says, to code that cannot ``await``.

        ``async`` ones have been asked before, in ``media_downloaded``.
        """
        work = self._work(request)
        known: Any = {None: work.path, **work.thumbs}
        name = None if thumb is None else str(thumb)
        hook, arguments = (self.file_path, ()) if thumb is None else (self.thumb_path, (thumb,))
        if inspect.iscoroutinefunction(hook) and known.get(name):
            return known[name]
        path = call(hook, request, *arguments, response=response, info=info, item=item)
        return self._finished(path)

    @staticmethod
    def _result(request: Request, work: Work, status: str, checksum: str) -> FileInfo:
        """Return what the item gets for what was just stored."""
        saved = work.saved
        if saved is None or saved.full is None:
            return {"url": request.url, "path": work.path, "checksum": checksum, "status": status}
        full = saved.full._replace(path=work.path, checksum=checksum)
        return result_of(request.url, status, full, saved)  # type: ignore[return-value]


def _same(images: Any) -> Any:
    return images


async def _drained(images: AsyncIterator[Any]) -> list[Any]:
    return [tasks.snapshot(image) async for image in images]
