"""Whether a line of the log would be written by anybody.

Scrapy lets every line through to the handlers, and those drop what is below
``LOG_LEVEL``: each line that is made for nobody costs the event loop some 50 us.
"""

from __future__ import annotations

import logging


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
