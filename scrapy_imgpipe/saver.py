"""Images that a program hands over one by one, stored while it goes on with its work.

An event loop in a thread of its own drives the pipeline's workers; there is no second kind.
All state is under one lock, but for the lines of saves, which belong to that loop.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import multiprocessing
import os
import threading
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.util import Finalize
from pathlib import PurePosixPath
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeAlias

from scrapy_imgpipe.errors import HookFailed, ImagePipeError, SaveFailed, SettingError, StoreFailed
from scrapy_imgpipe.imaging import DEFAULT_FORMATS, Variant
from scrapy_imgpipe.loop_thread import LoopThread
from scrapy_imgpipe.options import usable_cpus
from scrapy_imgpipe.parsers import COLOUR, parse, whole_number
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.stores import FileSystemStore, Store, store_at
from scrapy_imgpipe.stores.access import CONNECTIONS
from scrapy_imgpipe.tasks.giving import Given, copied, file_of_given, settled
from scrapy_imgpipe.workers import Workers

_logger = logging.getLogger(__name__)

#: How long somebody waits at a time: Python may see an interrupt only when a wait has ended.
_GLANCE_SECONDS = 1.0

#: What can be saved: a whole file, a picture of Pillow's, or whatever has
#: ``__array_interface__``.
Saveable: TypeAlias = Any

_QUEUE_SIZE = whole_number(1, "images")
_WORKERS = whole_number(1, "threads")


@dataclass(slots=True, eq=False)
class _Save:
    """One image on its way.

    Attributes:
        path: in the store.
        given: what is to be stored, copied.
        is_seen: whether the loop knows of it.
    """

    path: str
    given: Given
    is_seen: bool = False


class ImageSaver:
    """Stores images in the background, in the order of saves where they have one name.

    May be used by many threads, in scripts, in notebooks and inside of any event loop (where
    :meth:`save` blocks like any other call). What is still under way when the interpreter
    ends is stored first, and what failed is logged. In a forked process it is of no use:
    there :meth:`save` raises and :meth:`close` does nothing; images that were given before
    are stored by the process that made it.

    Args:
        store: a directory, a URI as for :func:`~scrapy_imgpipe.stores.open_store`, or a store.
        queue_size: images that may wait, 1 or more, beside those that are worked on: one for
            each worker, and 16 more for a store on another machine.
        workers: threads that encode and write; the usable CPUs where it is left out.
        background: behind transparent pixels where a format has none; red, green, blue.
        check: whether bytes that are no whole image of a known format are refused.
        variant: what all pictures are to be like; its name and format do not matter.
        **options: of the encoder, for all: ``quality``, ``lossless``, ``effort``, ...; as for
            renditions. Those that a format does not know are left out there.

    Raises:
        SettingError: an argument cannot be used.
        StoreFailed: the directory cannot be made.
        ImportError: what the store needs is not installed.
    """

    def __init__(  # noqa: PLR0913 - named ones
        self,
        store: str | os.PathLike[str] | Store,
        queue_size: int = 8,
        *,
        workers: int | None = None,
        background: tuple[int, int, int] = (255, 255, 255),
        check: bool = True,
        variant: Variant | None = None,
        **options: Any,
    ) -> None:
        threads = usable_cpus() if workers is None else parse(_WORKERS, "workers", workers)
        queue = parse(_QUEUE_SIZE, "queue_size", queue_size)
        self._background: tuple[int, int, int] = parse(COLOUR, "background", background)
        self._formats = DEFAULT_FORMATS if check else ()
        self._variant = settled(variant, options)
        self._store = store_at(store)
        self._is_near = isinstance(self._store, FileSystemStore)
        self._workers = Workers(threads, "thread")
        self._most = queue + threads + (0 if self._is_near else CONNECTIONS)
        self._process = os.getpid()
        # Not the condition's ``with``: written in Python, an interrupt may leave it locked.
        self._lock = threading.RLock()
        self._closing = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._open: dict[_Save, None] = {}  # accepted and not ended; new ones are behind
        self._failures: dict[str, Exception] = {}
        self._saved = 0
        self._closed = self._ended_workers = False
        self._loop: LoopThread | None = None
        self._forget: Callable[[], object] | None = None  # what is to be done at the exit
        self._lines: dict[str, deque[_Save]] = {}  # by name, on the loop
        self._tasks: set[asyncio.Task[None]] = set()

    def save(
        self,
        name: str | os.PathLike[str],
        image: Saveable,
        sub_folder: str | os.PathLike[str] | None = None,
        *,
        variant: Variant | None = None,
        **options: Any,
    ) -> None:
        """Have *image* stored under *name*; return before that, unless too many wait.

        The image is copied: the caller may change it, use it again or close it at once. Of two
        saves under one name the later one stays, whole. A failure is told by :meth:`close`.

        Bytes are stored as they are, whatever their name says of their format, once a look has
        shown a whole image. Pictures and arrays are encoded in the format of the extension:
        ``.jpg``, ``.jpeg``, ``.png``, ``.webp``, ``.avif`` or ``.gif``. They are upright, in
        sRGB and without metadata, unless the variant keeps it. Arrays are of bool, ``uint8``
        or ``uint16``; greys of 16 bits stay so in PNG, all else has 8.

        Args:
            name: path in the store, or in its *sub_folder*, separated by ``/``.
            image: bytes of a file, a picture of Pillow's, or an array.
            sub_folder: in the store.
            variant: in place of that of the saver.
            **options: over those of the saver.

        Raises:
            StoreFailed: ``bad-path``, for a name that would leave the store or make no file;
                ``store-failed``, when the saver is closed, or of another process.
            SettingError: for a name without a known extension, an image of another type, an
                array of floats, or an option that is none.
        """
        self._check_usable()
        path = self._path(name, sub_folder)
        look = settled(variant or self._variant, options)
        try:
            given = Given.of(image, path, look, self._background, self._formats)
        except SettingError:
            raise
        except ImagePipeError as error:  # pixels that do not decode
            with self._lock:
                self._failures[path] = error.with_traceback(None)  # it would keep the image
            return
        with self._lock:
            while len(self._open) >= self._most and not self._closed:
                self._changed.wait(_GLANCE_SECONDS)
            self._check_usable()
            loop = self._started()
            save = _Save(path, copied(given))
            self._open[save] = None
            # An interrupt may come between any two lines: whoever comes next tells the loop.
            loop.call(self._look)

    @property
    def failures(self) -> Mapping[str, Exception]:
        """What went wrong so far: path in the store, to the last error of it."""
        return MappingProxyType(dict(self._failures))  # no lock: a fork may have left it locked

    def close(self) -> None:
        """Wait for all that was given, and end. A second call does nothing.

        Interrupted, it may be called again; nothing is lost.

        Raises:
            SaveFailed: some of it is not stored; its ``failures`` say what, and why.
        """
        if os.getpid() != self._process:
            return
        self._finish()
        with self._closing:
            if self._loop is not None and not self._ended_workers:
                self._loop.begin(self._workers.close()).result()
                self._ended_workers = True
            self._end()
        self._tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close; failures are a note on the exception that left the block, where one did."""
        try:
            self.close()
        except SaveFailed as failed:
            if error is None:
                raise
            error.add_note(str(failed))

    def _check_usable(self) -> None:
        if os.getpid() != self._process:
            raise StoreFailed("This ImageSaver belongs to another process: make one in this one")
        if self._closed:
            raise StoreFailed("The ImageSaver is closed")

    def _path(self, name: str | os.PathLike[str], sub_folder: str | os.PathLike[str] | None) -> str:
        windows = os.name == "nt" and self._is_near
        path = checked_path(name, windows=windows)
        if sub_folder is not None and sub_folder != "":
            text = sub_folder.removesuffix("/") if isinstance(sub_folder, str) else sub_folder
            folder = checked_path(text, windows=windows)
            path = checked_path(f"{folder}/{path}", windows=windows)
        self._store.url(path)  # what only this store refuses
        return path

    def _started(self) -> LoopThread:
        if self._forget is None:
            self._forget = _at_exit(self._end_at_exit)
        if self._loop is None:
            self._loop = LoopThread("imgpipe-saver")
        return self._loop

    # --- on the loop ---

    def _look(self) -> None:
        """Put what is new in line, behind what has its name."""
        with self._lock:
            new = list(takewhile(lambda save: not save.is_seen, reversed(self._open)))
        for save in reversed(new):
            save.is_seen = True
            line = self._lines.setdefault(_file_named(save.path), deque())
            line.append(save)
            if len(line) == 1:
                self._begin(line)

    def _begin(self, line: deque[_Save]) -> None:
        task = asyncio.get_running_loop().create_task(self._work_off(line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, line: deque[_Save]) -> None:
        """Store all that is in *line*, one after another."""
        name = _file_named(line[0].path)
        while line:
            error: Exception | None = None
            try:
                await self._stored(line[0])
            except Exception as caught:  # noqa: BLE001 - told at the end
                error = caught.with_traceback(None)
                error.__context__ = error.__cause__ = None
            self._ended(line.popleft(), error)
        del self._lines[name]

    async def _stored(self, save: _Save) -> None:
        try:
            if self._is_near:
                await self._workers.run(_store, save, self._store)
            else:
                file = await self._workers.run(file_of_given, save.given, save.path)
                await self._workers.run_to_store(self._store.put, *file)
        except HookFailed as error:
            if error.code != "interrupted":
                raise
            _store(save, self._store)  # no thread is to be had: the interpreter is ending

    def _ended(self, save: _Save, error: Exception | None) -> None:
        with self._lock:
            del self._open[save]
            if error is None:
                self._saved += 1
            else:
                self._failures[save.path] = error
            self._changed.notify_all()

    # --- the end ---

    def _finish(self) -> None:
        """Accept no more, and wait until all has ended."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()  # those who wait for room
            if self._open and self._loop is not None:
                self._loop.call(self._look)  # a save may have been interrupted
            while self._open:
                self._changed.wait(_GLANCE_SECONDS)

    def _end(self) -> None:
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if self._forget is not None:
            self._forget()
            self._forget = None

    def _tell(self) -> None:
        failures, self._failures = self._failures, {}
        if failures:
            raise SaveFailed(MappingProxyType(failures), self._saved)

    def _end_at_exit(self) -> None:
        """Store what is left when the interpreter ends and nobody has closed the saver."""
        if os.getpid() != self._process:
            return
        self._finish()
        with self._closing:
            self._end()
        try:
            self._tell()
        except SaveFailed as failed:
            _logger.error("%s", failed)  # noqa: TRY400 - nobody asks for the traceback


def _store(save: _Save, store: Store) -> None:
    """Encode and write; in a worker."""
    store.put(*file_of_given(save.given, save.path))


def _at_exit(function: Callable[[], object]) -> Callable[[], object]:
    """Have *function* called when this process ends; return what takes that back."""
    if multiprocessing.parent_process() is None:
        atexit.register(function)
        return functools.partial(atexit.unregister, function)
    return Finalize(None, function, exitpriority=0).cancel  # a child ends without atexit


def _file_named(path: str) -> str:
    """Return what is one for all spellings that may name one file."""
    return unicodedata.normalize("NFC", str(PurePosixPath(path))).casefold()
