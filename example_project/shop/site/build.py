"""Make the site once and keep it: a folder with a stamp that says what it was made from.

A folder is used again only if its stamp fits the code, the photos and Pillow of
today and every file in it has the size it was made with; otherwise it is made
anew. It appears under its name in one step, so a half-made one is never served.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import PIL
from PIL import features

from shop.site.catalogue import PICTURES, Picture
from shop.site.pages import site_pages
from shop.site.recipes import RECIPES

PHOTOS = Path(__file__).resolve().parents[2] / "photos"
STAMP = "stamp.json"


class SiteError(Exception):
    """The site cannot be made; the message says why and what helps."""


def ensure_site(folder: Path) -> bool:
    """Make the site in *folder* unless a whole and current one is there.

    Safe to run from several processes at once: each makes its own copy and one of
    them stays. What was in *folder* before goes only when the new one is whole.

    Returns:
        Whether it was made now.

    Raises:
        SiteError: Pillow cannot write one of the formats.
    """
    identity = _identity()
    if _is_whole(folder, identity):
        return False
    if not features.check("avif"):
        message = "This Pillow cannot write AVIF images; `pip install --upgrade pillow` brings one."
        raise SiteError(message)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        _make(made, identity)
        _put_in_place(made, folder, identity)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return True


def served_folder(folder: Path) -> Path:
    """Return the part of *folder* that a server may show."""
    return folder / "www"


def _identity() -> str:
    """Return the digest of all that the site depends on."""
    digest = hashlib.sha256(PIL.__version__.encode())
    for path in [*sorted(Path(__file__).parent.glob("*.py")), *sorted(PHOTOS.rglob("*.jpg"))]:
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


def _is_whole(folder: Path, identity: str) -> bool:
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return bool(stamp["identity"] == identity and stamp["sizes"] == _sizes(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of each served file, by its path in the site."""
    root = served_folder(folder)
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in files}


def _make(folder: Path, identity: str) -> None:
    root = served_folder(folder)
    (root / "images").mkdir(parents=True)
    for name, text in site_pages().items():
        page = root / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")

    def write(picture: Picture) -> None:
        make = RECIPES[picture.recipe]
        data = make(PHOTOS / picture.photo, picture.long_side, picture.name)
        (root / "images" / picture.name).write_bytes(data)

    # Pillow lets go of the interpreter's lock while it scales and encodes.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(write, PICTURES))
    stamp = {"identity": identity, "sizes": _sizes(folder)}
    (folder / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def _put_in_place(made: Path, folder: Path, identity: str) -> None:
    """Rename *made* to *folder*; a folder that is there already steps aside first."""
    aside = Path(f"{made}.old")
    with suppress(FileNotFoundError):
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        # Another process may have put the same site there in between.
        if not _is_whole(folder, identity):
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
