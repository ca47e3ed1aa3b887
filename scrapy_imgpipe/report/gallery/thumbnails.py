"""What stands for each picture on the page: a thumbnail, and a view where it needs one.

Any number of threads may call :meth:`Thumbnails.of`. A bitmap lives as long as one call, and
very large ones live one at a time.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from hashlib import blake2s
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from scrapy_imgpipe.errors import ImagePipeError, StoreFailed
from scrapy_imgpipe.imaging import DEFAULT_FORMATS, Plan, Variant, extension_of, render
from scrapy_imgpipe.probe import probe
from scrapy_imgpipe.report.gallery.links import quoted

if TYPE_CHECKING:
    from scrapy_imgpipe.probe import Probe
    from scrapy_imgpipe.report.gallery.entries import Entry
    from scrapy_imgpipe.stores import FileSystemStore, Stat, Store

#: Number of the way they are made; another one has all of them made again.
_ENGINE: Final = 2

#: Height of thumbnails in pixels, of rows up to 400 px high; and the width of a panorama's.
_HEIGHT, _WIDTH = 400, 1600

#: Heights of a rendition that is as good: not too coarse, and not too heavy for a page of many.
_LEAST_HEIGHT, _MOST_HEIGHT = 240, 800

#: Bytes up to which a small picture is its own thumbnail.
_OWN_BYTES = 150_000

#: How much the aspect of a rendition may differ that nothing was cut off from.
_SAME_ASPECT = 0.02

#: Longest side of a view, in pixels.
_VIEW = 1600

#: Bytes that are read of one file: what IMGPIPE_MAX_BYTES lets into a store by default.
_MOST_BYTES = 268_435_456

#: Pixels from which pictures are decoded one at a time: 120 MB as RGB.
_LARGE = 40_000_000

#: What browsers show, by the names that imaging has for formats.
_SHOWN: Final = frozenset({"JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "BMP", "ICO"})
_SHOWN_ENDS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif")

#: How the names of files end that a browser opens as pictures. One with another end may be a
#: page to it (``.html``, ``.svg``), with scripts, whatever picture it is as well.
_OPENED_ENDS: Final = frozenset(
    {"", *_SHOWN_ENDS, ".jpe", ".jfif", ".pjpeg", ".apng", ".bmp", ".ico", ".cur"}
)

#: Of these, whose orientation every browser applies; others are shown as they lie.
_SHOWN_UPRIGHT: Final = frozenset({"JPEG", "MPO", "AVIF"})

#: Modes that may have something transparent.
_SEE_THROUGH: Final = frozenset({"RGBA", "LA", "P", "PA", "La", "RGBa"})

_FORMATS: Final = (*DEFAULT_FORMATS, "HEIF", "JXL", "JPEG2000")

#: Names of the files that are made here; what is called otherwise is somebody else's.
MADE: Final = re.compile(r"(?:thumbs|views)/[0-9a-f]{2}/imgpipe-[0-9a-f]{24}\.(?:jpg|webp)")


class Looked(NamedTuple):
    """What was found out about one file, for the next time.

    Attributes:
        width: as it is shown, in pixels.
        height: as it is shown, in pixels.
        format: in Pillow's spelling.
        thumb: path of the thumbnail below the page's folder; empty where another file serves.
        view: the same of the view; empty where the file itself is shown.
    """

    width: int
    height: int
    format: str
    thumb: str
    view: str


class Tile(NamedTuple):
    """One picture as the page has it.

    Attributes:
        entry: what it is of.
        key: what its file is known by; empty where there is none.
        looked: what was found out; None where nothing can be shown.
        thumb: URL of what is shown in the row; empty where there is nothing.
        source: URL of what is shown large; empty as above.
        bytes: of the stored file.
        modified: when it was put, Unix seconds.
        fault: why nothing can be shown; empty where it can.
        made: files that were made for it.
    """

    entry: Entry
    key: str = ""
    looked: Looked | None = None
    thumb: str = ""
    source: str = ""
    bytes: int = 0
    modified: float = 0
    fault: str = ""
    made: int = 0


@dataclass(slots=True)
class Thumbnails:
    """Makes what is missing of them.

    Args:
        store: where the pictures are.
        base: URL of its files; empty where a browser cannot have them.
        folder: of the page.
        known: what was found out, by the keys of files; added to, for many rows may have
            one file.
    """

    store: Store
    base: str
    folder: FileSystemStore
    known: dict[str, Looked]
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def of(self, entry: Entry) -> Tile | None:
        """Return the tile of *entry*, or None where its file is no image, and nobody said so."""
        if not entry.path:
            return Tile(entry)
        try:
            stat = self.store.stat(entry.path)
        except StoreFailed as error:
            return Tile(entry, fault=error.reason)
        if stat is None or not stat.bytes:
            if not entry.is_known:  # gone meanwhile, or no image
                return None
            return Tile(entry, fault="The file is empty" if stat else "The file is missing")
        key = _key_of(entry.path, stat)
        looked = self.known.get(key)
        if looked is not None and self._is_there(looked):
            tile = self._tile(entry, key, looked, stat)
            if tile.thumb:
                return tile
        return self._looked_at(entry, key, stat)

    def _is_there(self, looked: Looked) -> bool:
        return all(self.folder.stat(path) for path in (looked.thumb, looked.view) if path)

    def _looked_at(self, entry: Entry, key: str, stat: Stat) -> Tile | None:
        try:
            looked, made = self._look(entry, key, stat)
        except ImagePipeError as error:
            if error.code == "not-an-image" and not entry.is_known:
                return None
            fault = error.reason
            return Tile(entry, bytes=stat.bytes, modified=stat.modified, fault=fault)
        self.known[key] = looked
        return self._tile(entry, key, looked, stat)._replace(made=made)

    def _look(self, entry: Entry, key: str, stat: Stat) -> tuple[Looked, int]:
        """Decode the file to its end, and make of it what the page needs.

        Raises:
            ImagePipeError: it cannot be read, or shown.
        """
        if stat.bytes > _MOST_BYTES:
            raise StoreFailed(f"The file has {stat.bytes:,} bytes, more than {_MOST_BYTES:,}")
        data = self.store.get(entry.path)
        if data is None:
            raise StoreFailed("The file is missing")
        header = probe(data)
        is_shown = bool(self.base) and _is_shown(entry.path, header)
        makes_thumb = not (is_shown and self._thumb_for(entry, _sides(header), stat))
        variants = _variants(header, thumb=makes_thumb, view=not is_shown)
        plan = Plan(variants, formats=_FORMATS, full="source")
        if header is not None and header.pixels > _LARGE:
            with self._one_at_a_time:
                full, *pictures = render(data, plan)
        else:
            full, *pictures = render(data, plan)
        paths = {"thumbs": "", "views": ""}
        for picture in pictures:
            folder = str(picture.name)
            paths[folder] = f"{folder}/{key[:2]}/imgpipe-{key}{extension_of(picture.format)}"
            self.folder.put(paths[folder], picture.data)
        looked = Looked(full.width, full.height, full.format, paths["thumbs"], paths["views"])
        return looked, len(pictures)

    def _tile(self, entry: Entry, key: str, looked: Looked, stat: Stat) -> Tile:
        thumb = looked.thumb and quoted(looked.thumb)
        if not thumb:
            served = self._thumb_for(entry, (looked.width, looked.height), stat)
            thumb = served and self.base + quoted(served)
        source = quoted(looked.view) if looked.view else self.base + quoted(entry.path)
        return Tile(entry, key, looked, thumb, source, stat.bytes, stat.modified)

    def _thumb_for(self, entry: Entry, sides: tuple[int, int], stat: Stat) -> str:
        """Return which file of the store is as good as a thumbnail; empty for none."""
        width, height = sides
        if not width or not height or not self.base:
            return ""
        if height <= _HEIGHT and width <= _WIDTH and stat.bytes <= _OWN_BYTES:
            return entry.path
        good = [
            small
            for small in entry.renditions
            if _LEAST_HEIGHT <= small.height <= _MOST_HEIGHT
            and abs(small.width / small.height * height / width - 1) < _SAME_ASPECT
            and small.path.lower().endswith(_SHOWN_ENDS)
        ]
        for small in sorted(good, key=lambda small: abs(small.height - _HEIGHT)):
            if self._has(small.path):
                return small.path
        return ""

    def _has(self, path: str) -> bool:
        try:
            stat = self.store.stat(path)
        except StoreFailed:
            return False
        return stat is not None and stat.bytes > 0


def _is_shown(path: str, header: Probe | None) -> bool:
    """Return whether every browser shows the file itself, upright and as nothing but a picture."""
    if header is None or header.format not in _SHOWN:
        return False
    if PurePosixPath(path).suffix.lower() not in _OPENED_ENDS:
        return False
    return header.orientation == 1 or header.format in _SHOWN_UPRIGHT


def _sides(header: Probe | None) -> tuple[int, int]:
    """Return width and height as a viewer shows them."""
    if header is None:
        return 0, 0
    sides = (header.width, header.height)
    return sides[::-1] if header.orientation > 4 else sides  # noqa: PLR2004 - quarter turns (EXIF)


def _variants(header: Probe | None, *, thumb: bool, view: bool) -> tuple[Variant, ...]:
    """Return what is to be made; WEBP where something may be transparent."""
    form = "JPEG"
    options: tuple[tuple[str, int], ...] = (("quality", 80),)
    if header is not None and header.mode in _SEE_THROUGH:
        form, options = "WEBP", (("effort", 2), ("quality", 80))
    made = []
    if thumb:
        made.append(Variant("thumbs", _WIDTH, _HEIGHT, format=form, options=options))
    if view:
        made.append(Variant("views", _VIEW, _VIEW, format=form, options=options))
    return tuple(made)


def _key_of(path: str, stat: Stat) -> str:
    facts = repr((path, stat.bytes, stat.modified, _ENGINE)).encode()
    return blake2s(facts, digest_size=12).hexdigest()
