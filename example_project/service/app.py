"""The service: which address does what.

One process for each store: jobs are the business of the one that accepted them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, TypeAlias

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import Parameter

from scrapy_imgpipe import ImageBroken, ImagePipeError, SourceRejected
from scrapy_imgpipe.index import SqliteIndex
from scrapy_imgpipe.stores import Signing, store_at
from service import files, guarding, layout, problems, uploads
from service.engine import Engine
from service.images import Images
from service.jobs import Jobs
from service.problems import NotThere, Refused, responses
from service.settings import Settings
from service.wire import Health, ImageInfo, Job, Mode, Page

_Request: TypeAlias = Request[Any, Any, Any]
ImageId: TypeAlias = Annotated[
    str, Parameter(pattern=layout.ID, description="40 hexadecimal digits")
]
FileName: TypeAlias = Annotated[str, Parameter(pattern=layout.FILE)]
Name: TypeAlias = Annotated[str, Parameter(min_length=1, max_length=100)]


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
async def upload(
    request: _Request, images: Images, jobs: Jobs, turns: uploads.Turns, mode: Mode = Mode.NOW
) -> Response[ImageInfo]:
    """Store an image, and make its variants now or in the background."""
    with turns.taken():
        data = await uploads.received(request)
        image_id = layout.id_of(data)
        new = True
        if mode is Mode.BACKGROUND:
            if not await images.is_complete(image_id):
                await images.check(data)
                return _accepted(await jobs.accept(image_id, data))
            new = False
        else:
            new = await images.make(image_id, data)
    info = await images.info(image_id)
    if info is None:  # somebody removed it meanwhile
        raise NotThere(f"There is no image {image_id}")
    return Response(info, status_code=201 if new else 200, headers={"Location": info.url})


def _accepted(job: Job) -> Response[Any]:
    return Response(job, status_code=202, headers={"Location": f"/jobs/{job.id}"})


@get("/images", responses=responses(400, 500, 503))
async def listed(
    images: Images,
    after: Annotated[str, Parameter(pattern="^([0-9a-f]{40})?$")] = "",
    limit: Annotated[int, Parameter(ge=1, le=100)] = 50,
) -> Page:
    """List images, in the order of their identifiers."""
    return await images.page(after, limit)


@get("/images/{image_id:str}", responses=responses(400, 404, 500, 503))
async def info(image_id: ImageId, images: Images) -> ImageInfo:
    """Tell all about one image."""
    found = await images.info(image_id)
    if found is None:
        raise NotThere(f"There is no image {image_id}")
    return found


@get(
    "/images/{image_id:str}/{name:str}",
    status_code=307,
    responses={
        307: ResponseSpec(None, description="`Location` says where the file is."),
        **responses(400, 404, 500, 503),
    },
)
async def variant(  # noqa: PLR0913, PLR0917 - what it needs, and what it is asked
    image_id: ImageId, name: Name, images: Images, jobs: Jobs, engine: Engine, settings: Settings
) -> Response[None]:
    """Go to the file of a variant, which is made if it is not there."""
    try:
        path = await images.variant(image_id, name)
        if path is None and images.has_variant(name):
            data = await jobs.upload(image_id)  # whoever wants it now need not wait for its turn
            if data is not None:
                await images.make(image_id, data)
                path = await images.variant(image_id, name)
    except (SourceRejected, ImageBroken) as error:  # who asks has done nothing wrong
        raise Refused(500, error.code, f"What is stored is no whole image: {error}") from None
    if path is None:
        raise NotThere(f"There is no variant {name!r} of an image {image_id}")
    if isinstance(images.store, Signing):
        seconds = settings.signed_seconds
        url = await engine.run(images.store.signed_url, path, seconds)
        return _redirected(url, f"private, max-age={seconds // 2}")
    return _redirected(f"/files/{path}", f"public, max-age={files.FRESH_SECONDS}")


def _redirected(url: str, caching: str) -> Response[None]:
    headers = {"Location": url, "Cache-Control": caching}
    return Response(None, status_code=307, headers=headers, media_type=MediaType.TEXT)


_FILE: Final[dict[str, Any]] = {
    "media_type": "image/*",
    "responses": {
        200: ResponseSpec(bytes, description="The file.", media_type="image/*"),
        304: ResponseSpec(None, description="You have it."),
        **responses(400, 404, 500, 503),
    },
}


@get("/files/full/{file_name:str}", **_FILE)
async def full_file(
    file_name: FileName, request: _Request, images: Images, engine: Engine
) -> Response[bytes]:
    """Send the full image that is stored under this name."""
    return await files.sent(f"full/{file_name}", request, images.store, engine)


@get("/files/thumbs/{name:str}/{file_name:str}", **_FILE)
async def thumb_file(
    name: Name, file_name: FileName, request: _Request, images: Images, engine: Engine
) -> Response[bytes]:
    """Send the variant that is stored under this name."""
    return await files.sent(f"thumbs/{name}/{file_name}", request, images.store, engine)


@get("/jobs/{image_id:str}", responses=responses(400, 404, 500, 503))
async def job(image_id: ImageId, jobs: Jobs) -> Job:
    """Tell how far a job is; it is kept when it has ended."""
    found = await jobs.get(image_id)
    if found is None:
        raise NotThere(f"There is no job {image_id}")
    return found


@get("/health", responses=responses())
async def health(jobs: Jobs, engine: Engine) -> Health:
    """Tell that the service is there, and what it has to do."""
    return Health("ok", len(jobs), engine.renders)


def _given(part: object) -> Provide:
    """Return what gives handlers *part*."""
    return Provide(lambda: part, sync_to_thread=False)


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the service; without *settings*, as the environment says.

    Raises:
        SettingError: a setting cannot be used.
        StoreFailed: the store cannot be made.
        ImportError: what the store needs is not installed.
    """
    settings = settings or Settings.of()
    engine = Engine(settings.workers, settings.seconds, settings.memory)
    index = SqliteIndex(settings.index) if settings.index else None
    images = Images(store_at(settings.store, key="IMAGES_STORE"), index, settings.plan, engine)
    parts = {"engine": engine, "images": images, "settings": settings}
    turns = uploads.Turns(settings.uploads)
    jobs = Jobs(images, engine, settings.jobs, settings.workers)

    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        await jobs.start()
        try:
            yield
        finally:
            await jobs.close()
            await engine.close()
            if index is not None:
                index.close()

    return Litestar(
        [upload, listed, info, variant, full_file, thumb_file, job, health],
        dependencies={
            name: _given(part) for name, part in {**parts, "jobs": jobs, "turns": turns}.items()
        },
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
