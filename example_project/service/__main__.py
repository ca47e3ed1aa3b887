"""``python -m service``: the service on uvicorn, on this machine alone unless told otherwise."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

import uvicorn

from scrapy_imgpipe import ImagePipeError
from scrapy_imgpipe.parsers import parse, whole_number
from service.app import create_app
from service.settings import Settings

#: How long who reads slowly, or nothing, may hold up the end, in seconds.
_PATIENCE_SECONDS: Final = 5


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser("python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", default="8000", help="0 for any (%(default)s)")
    parser.add_argument("--store", help="directory or URI; else IMAGES_STORE, else images")
    parser.add_argument("--index", help="file or URL of the index; else IMGPIPE_INDEX, else none")
    given = parser.parse_args()
    told = {"IMAGES_STORE": given.store, "IMGPIPE_INDEX": given.index}
    environment = {**os.environ, **{key: value for key, value in told.items() if value}}
    try:
        port = parse(whole_number(0, maximum=65535), "--port", given.port)
        app = create_app(Settings.of(environment))
    except (ImagePipeError, ImportError) as error:
        sys.exit(str(error))
    uvicorn.run(
        app,
        host=given.host,
        port=port,
        proxy_headers=False,  # no proxy is believed,
        server_header=False,  # and nobody is told what serves here
        timeout_graceful_shutdown=_PATIENCE_SECONDS,
    )


if __name__ == "__main__":
    main()
