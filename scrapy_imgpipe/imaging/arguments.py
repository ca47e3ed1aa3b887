"""What steps are told, checked: by the steps themselves, and before them by name.

No pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.parsers import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrapy_imgpipe.parsers import Parser


def checked(step: Any, arguments: Mapping[str, Parser]) -> None:
    """Bring the attributes of *step*, a frozen dataclass, to what *arguments* make of them.

    Raises:
        SettingError: (a ``ValueError``) one has a value that cannot be used.
    """
    for name, parser in arguments.items():
        value = getattr(step, name)
        object.__setattr__(step, name, parse(parser, f"{name!r} of {type(step).__name__}", value))
