"""What the renditions of local images are called, and whether two would have one name."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Self

FULL: Final = "full/"
THUMBS: Final = "thumbs/"

#: Other spellings of extensions, which are as true.
SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        ".jpg": (".jpeg", ".jpe", ".jfif"),
        ".tif": (".tiff",),
        ".heif": (".heic",),
    }
)

_BYTES = 16  # of a digest: no two of a million million paths have the same

# The first path of each digest; on disk, for there may be millions.
_SET_UP = """
PRAGMA temp_store = FILE;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -16384;
CREATE TABLE taken (path BLOB PRIMARY KEY, by BLOB) WITHOUT ROWID;
BEGIN;
"""


def default_path(path: str, name: str | None, extension: str) -> str:
    """Return where a rendition goes: ``full/<path>`` or ``thumbs/<name>/<path>``.

    The folders stay, and an extension that is another spelling of *extension*; any other
    gives way to it.

    Args:
        path: of the image, below the folder that was named.
        name: of the rendition; None for the full image.
        extension: of its format, with the dot.
    """
    stem, own = os.path.splitext(path)  # noqa: PTH122 - of a key
    same = own.lower() in {extension, *SPELLINGS.get(extension, ())}
    named = path if same else stem + extension
    return f"{FULL}{named}" if name is None else f"{THUMBS}{name}/{named}"


class Taken:
    """Which paths renditions have, and of which inputs; for one thread, and a ``with``.

    Args:
        folds: whether the store takes upper and lower case for one.
    """

    def __init__(self, *, folds: bool) -> None:
        self._folds = folds
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SET_UP)

    @classmethod
    def of_files(cls) -> Self:
        """Return one for a store in the file system of this machine."""
        return cls(folds=os.name == "nt" or sys.platform == "darwin")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def take(self, path: str, by: str) -> str:
        """Let *path* belong to *by*; return whose it is already, or nothing."""
        key = _digest(unicodedata.normalize("NFC", path).casefold() if self._folds else path)
        whose = by.encode(errors="surrogatepass")  # a name of a file may be no text
        done = self._database.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (key, whose))
        if done.rowcount:
            return ""
        query = "SELECT by FROM taken WHERE path = ?"
        owner: bytes = self._database.execute(query, (key,)).fetchone()[0]
        return owner.decode(errors="surrogatepass")


def _digest(path: str) -> bytes:
    return hashlib.blake2b(path.encode(errors="surrogatepass"), digest_size=_BYTES).digest()
