"""One record compared with its files, and what can be done about the difference.

Called in worker threads. Reading finds everything; without it, sizes and times are all
there is to go by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrapy_imgpipe.errors import ImageBroken, SourceRejected, StoreFailed
from scrapy_imgpipe.freshness import Verdict
from scrapy_imgpipe.imaging import inspect
from scrapy_imgpipe.pipeline.hooks import is_overridden
from scrapy_imgpipe.records import ImageRecord, Rendition, checksum, stamp
from scrapy_imgpipe.tasks import Found, Mended, Output, mend, with_time

if TYPE_CHECKING:
    from scrapy_imgpipe.commands.place import Place

#: What is said of a file that is not there.
MISSING = "missing"

_OTHER_SIZE = "made for another size"


@dataclass(slots=True)
class Compared:
    """What is wrong with the files of one record.

    Attributes:
        record: as the index has it.
        now: as it is to have it.
        full: what is wrong with the full image; empty where nothing is.
        thumbs: path, and what is wrong, of each thumbnail that is not right, by name.
        times: files whose time alone is another than was recorded.
        made: names of thumbnails that were made again.
        is_forgotten: whether the next crawl is to download it.
        trouble: why thumbnails could not be made again.
    """

    record: ImageRecord
    now: ImageRecord
    full: str = ""
    thumbs: dict[str, tuple[str, str]] = field(default_factory=dict)
    times: int = 0
    made: frozenset[str] = frozenset()
    is_forgotten: bool = False
    trouble: str = ""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield path and what is wrong, and what was done about it, of each file."""
        forgotten = ", to be downloaded again" if self.is_forgotten else ""
        if self.full and self.record.full is not None:
            yield self.record.full.path, f"{self.full}{forgotten}"
        for name, (path, what) in self.thumbs.items():
            done = ", made again" if name in self.made else forgotten if not self.full else ""
            yield path, f"{what}{done}{f' ({self.trouble})' if self.trouble else ''}"


class Check:
    """Compares records with files, and mends where it is to.

    Args:
        place: whose they are.
        fast: read no file.
        repair: make thumbnails again, record times, and have the rest downloaded again.
    """

    def __init__(self, place: Place, *, fast: bool = False, repair: bool = False) -> None:
        self._place = place
        self._fast = fast
        self._repair = repair
        self._one_at_a_time = threading.Lock()

    def of(self, record: ImageRecord) -> Compared:
        """Return what is wrong with the files of *record*; nothing, where it has none."""
        compared = Compared(record, record)
        if record.full is None:
            return compared
        self._look_at_full(compared, record.full)
        self._look_at_thumbs(compared)
        if self._repair:
            self._mend(compared)
        return compared

    def _look_at_full(self, compared: Compared, full: Rendition) -> None:
        compared.full, modified, data = self._file(full)
        if data is not None:
            try:
                inspect(data, self._place.rules.plan.formats, to_end=True)
            except ImageBroken as error:
                compared.full = error.reason
            except SourceRejected as error:
                if compared.record.format and not self._place.rules.any_content:
                    compared.full = error.reason
        if not compared.full and _has_another_time(full, modified):
            compared.times += 1
            if data is not None:
                compared.now = with_time(compared.now, full, modified)

    def _look_at_thumbs(self, compared: Compared) -> None:
        rules, record = self._place.rules, compared.record
        # what another pipeline has made of it, over the same store, is that one's business
        ours = not rules.any_thumbs and not self._place.is_of_another(record.plan)
        files = []
        for file in record.renditions:
            files.append(file)
            what, modified, data = self._file(file)
            if not what and ours:
                what = "" if rules.digests.get(file.name, file.plan) == file.plan else _OTHER_SIZE
            if what:
                compared.thumbs[file.name] = file.path, what
            elif _has_another_time(file, modified):
                compared.times += 1
                if data is not None:
                    files[-1] = file._replace(modified=modified)
        compared.now = compared.now._replace(renditions=tuple(files))
        known = {file.name for file in files}
        full = record.full.path if record.full else ""
        for name, path in self._place.certain_thumbs(full, record.url).items():
            if ours and name not in known:
                compared.thumbs[name] = path, MISSING

    def _file(self, file: Rendition) -> tuple[str, float, bytes | None]:
        """Return what is wrong with *file*, its time, and its bytes where they were read."""
        store = self._place.store
        try:
            stat = store.stat(file.path)
            if stat is None:
                return MISSING, 0, None
            if not stat.bytes:
                return "empty", 0, None
            modified, data = stamp(stat.modified), None
            if not self._fast:
                data = store.get(file.path) or b""
        except StoreFailed as error:
            return error.reason, 0, None
        size = stat.bytes if data is None else len(data)
        if size != file.bytes:
            return f"{size:,} bytes in place of {file.bytes:,}", modified, data
        if data is not None and checksum(data) != file.checksum:
            return "other bytes than were stored", modified, data
        return "", modified, data

    # --- repair ---

    def _mend(self, compared: Compared) -> None:
        if compared.full:
            # What is missing is fetched in any case; and should only its disk be missing,
            # what is known of it is still good when that is back.
            if compared.full != MISSING:
                self._forget(compared)
        elif compared.thumbs and self._place.rules.any_thumbs:
            self._forget(compared)  # nobody but a crawl can make them
        elif compared.thumbs:
            self._make_thumbs(compared)

    def _forget(self, compared: Compared) -> None:
        compared.now = compared.now._replace(checked_at=0)
        compared.is_forgotten = True

    def _make_thumbs(self, compared: Compared) -> None:
        """Make what is wrong and still asked for; what is not asked for is dropped."""
        rules, record = self._place.rules, compared.now
        good = {file.name: file for file in record.renditions if file.name not in compared.thumbs}
        missing = tuple(name for name in rules.digests if name in compared.thumbs)
        paths = {name: file.path for name, file in good.items()}
        paths.update((name, compared.thumbs[name][0]) for name in missing)
        thumbs = {name: paths[name] for name in (*rules.digests, *good) if name in paths}
        known = record._replace(renditions=tuple(good.values()))
        mended = self._mended(Found(Verdict.FRESH, known, missing, thumbs))
        if isinstance(mended, str):
            compared.trouble = mended
            return
        compared.now, compared.made = mended.record, frozenset(missing)

    def _mended(self, found: Found) -> Mended | str:
        """Return what mending gave, or why there is nothing."""
        pipeline, rules = self._place.pipeline, self._place.rules
        remake = None
        if is_overridden(pipeline, "convert_image"):
            remake = self._remake(found)
        try:
            mended = mend(found, rules, remake)
        except Exception as error:  # noqa: BLE001 - anybody's hook or record function
            return f"not made again: {error!r}"
        if mended is None:
            return "not made again: the full image is not good enough"
        return f"not made again: {mended.trouble}" if mended.trouble else mended

    def _remake(self, found: Found) -> Callable[[bytes, str], Output]:
        def remake(data: bytes, name: str) -> Output:
            with self._one_at_a_time:  # a user's hook was written for one thread
                pipeline = self._place.pipeline
                return pipeline._remake_thumb(found.thumbs, data, name)  # noqa: SLF001 - a hook's

        return remake


def _has_another_time(file: Rendition, modified: float) -> bool:
    """Return whether *file* was put at another time than *modified*; some stores do not tell."""
    return bool(file.modified) and modified != file.modified
