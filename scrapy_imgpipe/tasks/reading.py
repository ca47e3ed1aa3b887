"""Sources that are read, not downloaded: local files, and what is in another store."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import DownloadFailed, SourceRejected
from scrapy_imgpipe.imaging import measure, render
from scrapy_imgpipe.tasks.making import Prepared, Source, check_permission, keep, save
from scrapy_imgpipe.tasks.outputs import Saved, file_of, output_of, stored_file

if TYPE_CHECKING:
    from scrapy_imgpipe.stores import Store
    from scrapy_imgpipe.tasks.rules import Rules


@dataclass(frozen=True, slots=True)
class ReadRules:
    """What counts for sources before they are rendered.

    Attributes:
        min_bytes: of fewer bytes a source is refused.
        max_bytes: of more bytes a source is refused, and not read; 0 for any number.
        opt_out: whether one is refused whose metadata prohibits data mining.
    """

    min_bytes: int = 0
    max_bytes: int = 0
    opt_out: bool = False

    def check_length(self, count: int) -> None:
        """Refuse a source of *count* bytes.

        Raises:
            SourceRejected: ``too-few-bytes`` or ``too-many-bytes``.
        """
        if count < self.min_bytes:
            raise SourceRejected(f"Only {count} bytes (< {self.min_bytes})", "too-few-bytes")
        if self.max_bytes and count > self.max_bytes:
            raise SourceRejected(f"{count} bytes (> {self.max_bytes})", "too-many-bytes")

    def check(self, data: bytes) -> None:
        """Refuse *data*.

        Raises:
            SourceRejected: for its length, or ``opted-out``.
        """
        self.check_length(len(data))
        if self.opt_out:
            check_permission(data)


def read_file(path: str, rules: ReadRules) -> bytes:
    """Return what is in the local file *path*.

    Raises:
        OSError: it cannot be read.
        SourceRejected: *rules* refuse it.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - a Path costs more than it gives
        if rules.max_bytes:
            rules.check_length(file.seek(0, 2))
            file.seek(0)
        data = file.read()
    rules.check(data)
    return data


def read_stored(store: Store, path: str, rules: ReadRules) -> bytes:
    """Return what *store* has under *path*.

    Raises:
        DownloadFailed: it has nothing there any more.
        StoreFailed: it fails.
        SourceRejected: *rules* refuse it.
    """
    data = store.get(path)
    if data is None:
        raise DownloadFailed(f"There is no {path} any more")
    rules.check(data)
    return data


def make_of_file(
    path: str, source: Source, rules: Rules, reading: ReadRules, missing: tuple[str, ...] | None
) -> tuple[Saved, int]:
    """Render the local file *path* and write what is made; return that, and its bytes.

    Args:
        path: of the file.
        source: where renditions go.
        rules: with a store.
        reading: what is looked at before.
        missing: variants to be made where the full image is there; None makes all.

    Raises:
        OSError: the file cannot be read.
        SourceRejected, ImageBroken, HookFailed, StoreFailed: as for ``make_and_save``.
    """
    assert rules.store is not None  # noqa: S101 - the caller knows
    data = read_file(path, reading)
    return put(prepared_of(data, source, rules, missing), rules.store), len(data)


def prepared_of(
    data: bytes, source: Source, rules: Rules, missing: tuple[str, ...] | None
) -> Prepared:
    """Render *data*, and write nothing yet; arguments as for :func:`make_of_file`."""
    if missing is None:
        return keep(data, source, rules)
    began = time.perf_counter()
    made = render(data, rules.plan, only=set(missing))
    outputs = [output_of(picture, "", source.thumbs) for picture in made]
    files = [stored_file(output, None, rules.digests) for output in outputs]
    measured: dict[str, Any] = {}
    if rules.measures:
        measured = measure(data, rules.measures, rules.plan.formats, data)
    saved = Saved(
        "",
        renditions=tuple(files),
        measured=measured,
        written=sum(file.bytes for file in files),
        files=len(files),
        rendering=time.perf_counter() - began,
    )
    return Prepared(outputs, saved)


def put(prepared: Prepared, store: Store) -> Saved:
    """Write what :func:`prepared_of` gave; the full image, if it is among that, last."""
    saved = prepared.saved
    if saved.full is not None:
        return save(prepared, store)
    began = time.perf_counter()
    known = zip(prepared.outputs, saved.renditions, strict=True)
    store.put_all([file_of(output, file.checksum) for output, file in known])
    return replace(saved, storing=time.perf_counter() - began)
