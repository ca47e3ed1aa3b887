"""Whether a line of the log would be written by anybody, and how it shows a request.

Scrapy lets every line through to the handlers, and those drop what is below
``LOG_LEVEL``: each line that is made for nobody costs the event loop some 50 us.
"""

from __future__ import annotations

import logging

from scrapy.http import Request
from scrapy.utils.request import referer_str

from scrapy_imgpipe.guards import shown_url
from scrapy_imgpipe.pipeline.sources import UnusableRequest, asked_url


def is_heard(logger: logging.Logger, level: int) -> bool:
    """Return whether any handler that *logger* reaches takes lines of *level*."""
    if not logger.isEnabledFor(level):
        return False
    at: logging.Logger | None = logger
    while at is not None:
        if any(handler.level <= level for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


def shown(request: object) -> object:
    """Return what stands for *request* in the log: no passwords, no megabytes."""
    if not isinstance(request, Request):
        return asked_url(request)
    if isinstance(request, UnusableRequest) or shown_url(request.url) == request.url:
        return request
    return f"<{request.method} {shown_url(request.url)}>"


def referrer(request: object) -> str | None:
    """Return the page that *request* comes from, as the log shows it."""
    page = referer_str(request) if isinstance(request, Request) else None
    return page and shown_url(page)
