"""``python -m service``: the service on uvicorn, on this machine alone unless told otherwise."""

from __future__ import annotations

import argparse
import os

import uvicorn

from service.app import create_app
from service.settings import Settings


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser("python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="0 for any (%(default)s)")
    parser.add_argument("--store", help="directory or URI; else IMAGES_STORE, else images")
    parser.add_argument("--index", help="file of the index; else IMGPIPE_INDEX, else none")
    given = parser.parse_args()
    told = {"IMAGES_STORE": given.store, "IMGPIPE_INDEX": given.index}
    environment = {**os.environ, **{key: value for key, value in told.items() if value}}
    app = create_app(Settings.of(environment))
    # No proxy is believed, and nobody is told what serves here.
    uvicorn.run(app, host=given.host, port=given.port, proxy_headers=False, server_header=False)


if __name__ == "__main__":
    main()
