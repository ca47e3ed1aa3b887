"""A step of a user, which worker processes import from here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: A lease of so many seconds ends during the step, unless it is renewed.
LEASE_SECONDS = 1.0


def slow(image: Image.Image) -> Image.Image:
    """Take longer than a lease lasts."""
    threading.Event().wait(LEASE_SECONDS * 1.5)
    return image
