"""Encode JPEG while other threads run.

Pillow releases the interpreter lock when it writes into a real file, and holds it
when it writes into a ``BytesIO`` (``benchmarks/locks.py`` prints both). So larger
images go through a file that lives in memory.
"""

from __future__ import annotations

import io
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any

from scrapy_imgpipe.imaging.failures import sealed

if TYPE_CHECKING:
    from PIL import Image

#: Images of at most this many pixels are encoded into a ``BytesIO``: they hold the
#: lock so shortly that a file would cost more.
SMALL_PIXELS = 256 * 256


def _memory_file() -> IO[bytes]:
    """Open a file without a name, in memory where the system has such.

    One per image, closed at once: keeping one per thread would save little and cost
    the care for threads that end and for processes that fork.
    """
    try:
        if hasattr(os, "memfd_create"):
            return os.fdopen(os.memfd_create("imgpipe"), "w+b", buffering=0)
        return tempfile.TemporaryFile(buffering=0)
    except OSError:  # out of descriptors, or forbidden: slower is better than lost
        return io.BytesIO()


@sealed
def encode_jpeg(image: Image.Image, **save_options: Any) -> bytes:
    """Return *image* as JPEG, the same bytes as ``image.save(BytesIO(), "JPEG")``.

    Args:
        image: a mode that JPEG has: ``RGB``, ``YCbCr``, ``L``, ``CMYK``; not modified.
        **save_options: those of Pillow's JPEG writer.

    Raises:
        ImageBroken: Pillow could not encode it.
    """
    small = image.width * image.height <= SMALL_PIXELS
    with io.BytesIO() if small else _memory_file() as file:
        image.save(file, "JPEG", **save_options)
        file.seek(0)
        return file.read()
