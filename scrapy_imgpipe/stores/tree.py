"""Walk a directory tree as a stream, through links, but never in circles."""

# os.scandir() knows the types without a stat; Path.iterdir() does not.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def walk(
    base: str,
    directory: str,
    prefix: str = "",
    *,
    failed: Callable[[str, OSError], None] | None = None,
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the path relative to *base* and the entry of all that is no directory.

    In no order. One directory is open at a time, and what waits are the names
    of those still to be read. A directory that is not there, or vanishes, is
    empty.

    A link to a directory is followed unless that holds one on the way to it.

    Args:
        base: an absolute path.
        directory: where to begin, relative to *base*; ``""`` for *base* itself.
        prefix: do not enter directories in which no path can begin with it.
        failed: told of each directory that cannot be read, and why; the others go on.

    Raises:
        OSError: when a directory cannot be read, and there is nobody to tell.
    """
    real = os.path.realpath(os.path.join(base, directory))
    waiting: list[tuple[str, tuple[str, ...]]] = [(directory, (real,))]
    while waiting:
        relative, way = waiting.pop()
        try:
            entries = os.scandir(os.path.join(base, relative))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if failed is None:
                raise
            failed(relative, error)
            continue
        with entries:
            for entry in entries:
                path = f"{relative}/{entry.name}" if relative else entry.name
                if not _is_directory(entry):
                    yield path, entry
                elif f"{path}/".startswith(prefix):
                    onward = _onward(entry, way)
                    if onward is not None:
                        waiting.append((path, onward))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _onward(entry: os.DirEntry[str], way: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the real directories on the way into *entry*, or ``None`` for a circle.

    *way* holds the real path of the directory of *entry*, last, and before it
    those at which links were taken. That is enough: the others hold one of them.
    """
    if not entry.is_symlink():
        return (*way[:-1], os.path.join(way[-1], entry.name))
    real = os.path.realpath(entry.path)
    inside = os.path.join(real, "")
    if any(f"{passed}{os.sep}".startswith(inside) for passed in way):
        return None
    return (*way, real)
