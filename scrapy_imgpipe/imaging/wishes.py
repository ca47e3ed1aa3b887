"""How names become steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from PIL import Image

from scrapy_imgpipe.imaging.steps import STEPS
from scrapy_imgpipe.parsers import Wrong, parse_part
from scrapy_imgpipe.variants import Step, name_of_step


def step_of(wish: Any) -> Step:
    """Return the step that *wish* asks for.

    Args:
        wish: a function; the name of a ready one or the import path of any; or a dict of
            one such name to the arguments of it: of a function, those after the image.

    Raises:
        Wrong: a ready one does not take these arguments.
        ValueError: there is none of that name, or it does not take these arguments.
    """
    if isinstance(wish, Mapping):
        ((name, arguments),) = wish.items()
        if not isinstance(arguments, Mapping):
            raise ValueError  # noqa: TRY004 - as for wrong arguments
    elif isinstance(wish, str):
        name, arguments = wish, {}
    else:
        return wish  # type: ignore[no-any-return]  # a function, as the parser saw
    try:
        if name in STEPS:
            return _ready(name, arguments)
        arguments = {key: _frozen(value) for key, value in arguments.items()}
        function = _imported(name)
        if isinstance(function, type):
            function, arguments = function(**arguments), {}
    except Wrong:
        raise
    except (TypeError, OSError, ImportError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if not callable(function):
        raise ValueError(function)  # noqa: TRY004 - as for a name of nothing
    return Configured(function, tuple(sorted(arguments.items()))) if arguments else function


def _ready(name: str, arguments: Mapping[str, Any]) -> Step:
    """Return the ready step *name* with *arguments*, each of them checked."""
    step: Any = STEPS[name]
    where = f"[{name!r}]"
    parsed: dict[str, Any] = {}
    for key, value in arguments.items():
        if key not in step.arguments:
            raise Wrong(where, f"arguments out of {', '.join(step.arguments) or 'none'}", key)
        parsed[key] = parse_part(step.arguments[key], f"{where}[{key!r}]", value)
    try:
        return step(**parsed)  # type: ignore[no-any-return]
    except ValueError as error:
        raise Wrong(where, str(error), dict(arguments)) from None


def _frozen(value: Any) -> Any:
    """Return *value* with tuples for lists, so that nobody changes a step."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _imported(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ImportError(name)
    return getattr(import_module(module), attribute)


@dataclass(frozen=True, slots=True)
class Configured:
    """A function with arguments of its own.

    Attributes:
        function: called with the image first.
        arguments: by keyword, sorted pairs.
    """

    function: Callable[..., Image.Image]
    arguments: tuple[tuple[str, Any], ...]

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return what the function makes of *image*."""
        return self.function(image, **dict(self.arguments))

    @property
    def before_resize(self) -> bool:
        """Whether the function gets the picture at full scale."""
        return bool(getattr(self.function, "before_resize", False))

    @property
    def takes_grey(self) -> bool:
        """Whether the function takes grey pictures."""
        return bool(getattr(self.function, "takes_grey", False))

    def __repr__(self) -> str:
        """Say the same in every process, as digests need."""
        return f"{name_of_step(self.function)}{self.arguments!r}"
