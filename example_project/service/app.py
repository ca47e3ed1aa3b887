"""The service: which address does what.

One process for each store: jobs are the business of the one that accepted them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import quote

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import Parameter

from scrapy_imgpipe import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.index import index_at, store_address
from scrapy_imgpipe.stores import Signing, store_at
from scrapy_imgpipe.stores.access import servers_of
from service import files, guarding, layout, problems, uploads
from service.catalogue import Catalogue
from service.engine import Engine
from service.images import Images
from service.jobs import Jobs
from service.problems import NotThere, Refused, responses
from service.settings import MOST_NAME, Settings
from service.turns import Turns
from service.wire import Health, ImageInfo, Job, Mode, Page

_Request: TypeAlias = Request[Any, Any, Any]
ImageId: TypeAlias = Annotated[
    str, Parameter(pattern=layout.ID, description="40 hexadecimal digits")
]
#: The rest of an address, slashes and all; it comes with one in front.
FilePath: TypeAlias = Annotated[str, Parameter(pattern=layout.FILE)]
Name: TypeAlias = Annotated[str, Parameter(min_length=1, max_length=1 + MOST_NAME)]

#: Who may wait for a turn at a full image in memory; a page has many thumbnails.
_WAITING: Final = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """What the service is made of; ``bodies`` and ``reads`` are turns."""

    settings: Settings
    engine: Engine
    images: Images
    jobs: Jobs
    bodies: Turns
    reads: Turns


@post(
    "/images",
    operation_class=uploads.Upload,
    request_max_body_size=uploads.MOST_BODY,
    guards=[guarding.not_of_another_site],
    responses={
        200: ResponseSpec(ImageInfo, description="It was there.", generate_examples=False),
        202: ResponseSpec(Job, description="It is kept, and under way.", generate_examples=False),
        **responses(400, 403, 408, 413, 415, 500, 503),
    },
)
async def upload(request: _Request, parts: Parts, mode: Mode = Mode.NOW) -> Response[ImageInfo]:
    """Store an image, and make its variants now or in the background."""
    images, jobs, run = parts.images, parts.jobs, parts.engine.run
    async with parts.bodies.taken():
        data = await uploads.received(request)
        image_id = layout.id_of(data)
        new = mode is Mode.NOW and await images.make(image_id, data)
        if mode is Mode.BACKGROUND and not await run(images.catalogue.is_complete, image_id):
            await run(images.check, data)
            kept: Any = await jobs.accept(image_id, data)
            return Response(kept, status_code=202, headers={"Location": f"/jobs/{image_id}"})
        await jobs.settle(image_id)
    told = await _info(image_id, parts)
    return Response(told, status_code=201 if new else 200, headers={"Location": told.url})


async def _info(image_id: str, parts: Parts) -> ImageInfo:
    found = await parts.engine.run(parts.images.catalogue.info, image_id)
    if found is None:
        raise NotThere(f"There is no image {image_id}")
    return found


@get("/images", responses=responses(400, 500, 503))
async def listed(
    parts: Parts,
    after: Annotated[str, Parameter(pattern="^([0-9a-f]{40})?$")] = "",
    limit: Annotated[int, Parameter(ge=1, le=100)] = 50,
) -> Page:
    """List images, in the order of their identifiers."""
    return await parts.engine.run(parts.images.catalogue.page, after, limit)


@get("/images/{image_id:str}", responses=responses(400, 404, 500, 503))
async def info(image_id: ImageId, parts: Parts) -> ImageInfo:
    """Tell all about one image."""
    return await _info(image_id, parts)


@get(
    "/images/{image_id:str}/{name:path}",
    status_code=307,
    responses={
        307: ResponseSpec(None, description="`Location` says where the file is."),
        **responses(400, 404, 500, 503),
    },
)
async def variant(image_id: ImageId, name: Name, parts: Parts) -> Response[None]:
    """Go to the file of a variant, which is made if it is not there."""
    images, jobs, name = parts.images, parts.jobs, name.removeprefix("/")
    try:
        path = await images.variant(image_id, name)
        if path is None and jobs.is_open(image_id):  # whoever wants it now does not wait
            async with parts.bodies.taken():
                data = await jobs.upload(image_id)
                if data is not None:
                    await images.make(image_id, data)
            path = await images.variant(image_id, name)
    except (SourceRejected, ImageBroken) as error:  # who asks has done nothing wrong
        raise Refused(500, error.code, f"What is stored is no whole image: {error}") from None
    if path is None:
        raise NotThere(f"There is no variant {name!r} of an image {image_id}")
    if isinstance(images.store, Signing):
        seconds = parts.settings.signed_seconds
        url = await parts.engine.run(images.store.signed_url, path, seconds)
        return _redirected(url, f"private, max-age={seconds // 2}")
    return _redirected(quote(f"/files/{path}"), f"public, max-age={files.FRESH_SECONDS}")


def _redirected(url: str, caching: str) -> Response[None]:
    headers = {"Location": url, "Cache-Control": caching}
    return Response(None, status_code=307, headers=headers, media_type=MediaType.TEXT)


@get(
    "/files/{path:path}",
    media_type="image/*",
    responses={
        200: ResponseSpec(bytes, description="The file.", media_type="image/*"),
        304: ResponseSpec(None, description="You have it."),
        **responses(400, 404, 500, 503),
    },
)
async def file(path: FilePath, request: _Request, parts: Parts) -> Response[Any]:
    """Send a full image, or a variant, that is stored under this name."""
    store = parts.images.store
    return await files.sent(path.removeprefix("/"), request, store, parts.engine, parts.reads)


@get("/jobs/{image_id:str}", responses=responses(400, 404, 500, 503))
async def job(image_id: ImageId, parts: Parts) -> Job:
    """Tell how far a job is; it is kept for a week when it has ended."""
    found = await parts.jobs.get(image_id)
    if found is None:
        raise NotThere(f"There is no job {image_id}")
    return found


@get("/health", responses=responses())
async def health(parts: Parts) -> Health:
    """Tell that the service is there, and what it has to do."""
    return Health("ok", len(parts.jobs), parts.engine.renders)


class Service(Litestar):
    """What Litestar does, and for all requests what it has no word for."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer HEAD as GET, whose body the server drops; hold what an answer needs."""
        async with AsyncExitStack() as held:
            if scope["type"] == "http":
                scope = {**scope, "state": {**scope.get("state", {}), "held": held}}
                if scope["method"] == "HEAD":
                    scope["method"] = "GET"
            await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the service; without *settings*, as the environment says.

    Raises:
        SettingError: a setting cannot be used.
        StoreFailed: the store cannot be made.
        IndexFailed: the index cannot be opened.
        ImportError: what the store or the index needs is not installed.
    """
    settings = settings or Settings.of()
    store = store_at(settings.store, settings.access, "IMAGES_STORE")
    address = store_address(settings.store, *servers_of(settings.store, settings.access))
    index = index_at(settings.index, address) if settings.index else None
    if index is not None:
        index.since()  # or it would be missed by the first who needs it
    engine = Engine(settings.workers, settings.seconds, settings.memory)
    reads = Turns(settings.uploads, _WAITING)
    images = Images(Catalogue(store, index, settings.plan), settings.plan, engine, reads)
    jobs = Jobs(images, engine, settings.jobs, settings.workers)
    parts = Parts(settings, engine, images, jobs, Turns(settings.uploads), reads)

    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        jobs.start()
        try:
            yield
        finally:
            await jobs.close()
            await engine.close()
            if index is not None:
                index.close()

    return Service(
        [upload, listed, info, variant, file, job, health],
        dependencies={"parts": Provide(lambda: parts, sync_to_thread=False)},
        lifespan=[life],
        guards=[guarding.of_host(settings.hosts)],
        response_headers=problems.HEADERS,
        exception_handlers={
            HTTPException: problems.of_http,
            ImagePipeError: problems.of_image,
            Exception: problems.of_rest,
        },
        multipart_form_part_limit=uploads.MOST_PARTS,
        openapi_config=OpenAPIConfig(
            "Images",
            "1",
            render_plugins=[JsonRenderPlugin()],  # the pages of others load scripts from afar
        ),
    )
