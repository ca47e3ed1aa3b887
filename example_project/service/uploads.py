"""The body of an upload, whichever way it comes, and no more of it than is taken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request
from litestar.datastructures import UploadFile
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

from service.problems import Refused
from service.settings import MOST_BYTES

#: The part of a form that has the image.
FIELD: Final = "file"

#: Most bytes of a body: a form has some around the image.
MOST_BODY: Final = MOST_BYTES + (64 << 10)

#: Parts of a form: the image, and what a browser's form may have beside it.
MOST_PARTS: Final = 10

#: How long a body may take to come, in seconds: who sends slower holds a place that others want.
_PATIENCE_SECONDS: Final = 120

_FORM: Final = "multipart/form-data"
_RAW: Final = ("image/", "application/octet-stream")


async def received(request: Request[Any, Any, Any]) -> bytes:
    """Return the bytes of the image in *request*.

    What is too large is not read to its end, and not even begun where its length is told.

    Raises:
        Refused: 400, 408, 413 or 415, with the reason.
        HTTPException: 400 or 413: what Litestar refuses.
    """
    kind = request.content_type[0]
    if kind and kind != _FORM and not kind.startswith(_RAW):
        detail = f"Expected image/* or {_FORM} but received {kind[:100]}"
        raise Refused(415, "media-type", detail)
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            data = await (_in_form(request) if kind == _FORM else _raw(request))
    except TimeoutError:
        raise Refused(408, "too-slow", f"Not there after {_PATIENCE_SECONDS} seconds") from None
    if not data:
        raise Refused(400, "empty", "Expected an image but received nothing")
    if len(data) > MOST_BYTES:
        raise Refused(413, "too-many-bytes", f"An image may have {MOST_BYTES:,} bytes")
    return data


async def _raw(request: Request[Any, Any, Any]) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
    return bytes(data)


async def _in_form(request: Request[Any, Any, Any]) -> bytes:
    try:
        form = await request.form()
    except (ValueError, LookupError):  # text in an encoding that it has not
        raise Refused(400, "bad-form", "The form cannot be read") from None
    files = form.getall(FIELD, [])
    if len(files) != 1 or not isinstance(files[0], UploadFile):
        raise Refused(400, "bad-form", f"Expected a form with one file, named {FIELD!r}")
    return await files[0].read()


@dataclass
class Upload(Operation):
    """An operation of OpenAPI whose body is an image, which Litestar reads no types of."""

    def __post_init__(self) -> None:
        """Describe the body."""
        binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        form = Schema(type=OpenAPIType.OBJECT, required=[FIELD], properties={FIELD: binary})
        self.request_body = RequestBody(
            {"image/*": OpenAPIMediaType(binary), _FORM: OpenAPIMediaType(form)},
            description=f"An image of at most {MOST_BYTES:,} bytes; its type is told by them.",
            required=True,
        )
