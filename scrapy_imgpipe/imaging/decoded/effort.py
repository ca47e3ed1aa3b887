"""How much may be looked at in one file.

Hostile ones have a million pieces, or point at the same piece from everywhere.
"""

from __future__ import annotations

from scrapy_imgpipe.errors import ImageBroken

#: Boxes, units and references of one file. A photo in 600 tiles has some 5,000, an hour of
#: animation 300,000; a million take about a second (2026-11).
MOST_STEPS = 1_000_000


class Effort:
    """What is left of the steps that one file may take."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def spend(self, steps: int = 1) -> None:
        """Take *steps* of what is left.

        Raises:
            ImageBroken: nothing is left.
        """
        self._left -= steps
        if self._left < 0:
            raise ImageBroken("Image cannot be decoded: it is in too many pieces")
