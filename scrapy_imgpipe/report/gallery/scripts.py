"""Data as scripts: a page that is opened from a disk may read nothing else.

What comes out is ASCII, and has no ``<``: neither ``</script>`` nor a line separator of
JavaScript is in it, wherever it may be put.
"""

from __future__ import annotations

import json
from hashlib import blake2s
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def call(name: str, *values: Any) -> bytes:
    """Return a script that calls ``imgpipe.<name>`` with *values*.

    Raises:
        ValueError, TypeError: JSON cannot say one of them.
    """
    texts = ",".join(_ENCODER.encode(value) for value in values)
    safe = texts.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f"imgpipe.{name}({safe});\n".encode("ascii")


def named(stem: str, data: bytes) -> str:
    """Return the name of a script with that content: what changes gets another one."""
    return f"{stem}-{blake2s(data, digest_size=6).hexdigest()}.js"
