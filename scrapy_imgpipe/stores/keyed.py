"""What stores have in common that keep bytes under keys, on another machine.

There are no directories, and no temporary files: a key has its old bytes until the new ones
have come whole. Several files are put one after the other, so who wants many under way at
once has as many threads.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import quote, urlsplit

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.stores.protocol import NO_FACTS, Facts, File, Stat
from scrapy_imgpipe.stores.texts import CONTROL

_T = TypeVar("_T")

#: Names of buckets and containers: what botocore takes (``VALID_BUCKET``), and the dollar of
#: Azure's own. What is new has to be shorter and in lower case, but old ones are there, and
#: servers with rules of their own.
_BUCKET = re.compile(r"[A-Za-z0-9._$-]{1,255}")

#: Longest word of a client library that is passed on, in characters.
_MOST_SAID = 300


class KeyedStore(ABC):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` over a place of keys and bytes.

    Subclasses say how one request is made; what goes wrong there and is among
    :attr:`failures` becomes a StoreFailed, with nothing attached to it.

    Args:
        address: of the place, without a prefix and without credentials: ``s3://bucket``.
        prefix: what all keys begin with; a slash comes between it and the path.
    """

    #: What the client library raises; :meth:`_is_failure` may know of more.
    failures: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, address: str, prefix: str = "") -> None:
        self.address: str = address
        self.prefix: str = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    # --- the protocol ---

    def put(self, path: str, data: bytes, facts: Facts = NO_FACTS) -> Stat:
        """Keep *data* under *path*; what was there stays until all of it has come."""
        try:
            return self._about("store", path, partial(self._put, data=data, facts=facts))
        except StoreFailed as error:
            failure = error.with_traceback(None)
        del data  # a failure that is kept keeps the frames that it came through
        raise failure

    def put_all(self, files: Sequence[File | tuple[str, bytes]]) -> list[Stat]:
        """Put one after the other, in the given order, and stop at the first failure.

        Bad paths are found before anything is put.
        """
        for file in files:
            self._key(file[0])
        stats = []
        try:
            for file in files:
                stats.append(self.put(*file))
        except StoreFailed as error:
            failure = error.with_traceback(None)
        else:
            return stats
        del files, file
        raise failure

    def get(self, path: str) -> bytes | None:
        """Return all bytes under *path*."""
        return self._about("read", path, self._get)

    def stat(self, path: str) -> Stat | None:
        """Ask for size, time and checksum."""
        return self._about("look at", path, self._stat)

    def delete(self, path: str) -> bool:
        """Remove what is under *path*."""
        return self._about("delete", path, self._delete)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield paths page by page; what :meth:`put` refuses is passed over."""
        if prefix:
            checked_path(prefix.removesuffix("/"))
        return self._paths(prefix)

    def url(self, path: str) -> str:
        """Return address, prefix and path as a URI, percent-encoded UTF-8."""
        return f"{self.address}/{quote(self._key(path))}"

    # --- what a subclass says ---

    @abstractmethod
    def _put(self, key: str, data: bytes, facts: Facts) -> Stat: ...

    @abstractmethod
    def _get(self, key: str) -> bytes | None: ...

    @abstractmethod
    def _stat(self, key: str) -> Stat | None: ...

    @abstractmethod
    def _delete(self, key: str) -> bool: ...

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with *prefix*, compared as text."""

    def _is_failure(self, error: BaseException) -> bool:
        """Return whether *error* is a failure of the store, and no mistake or interruption."""
        return isinstance(error, self.failures)

    def _reason(self, error: Exception) -> str:
        """Return what *error* says, in one line and without secrets."""
        return str(error)

    # --- in common ---

    def _key(self, path: str) -> str:
        return self.prefix + checked_path(path)

    def _about(self, deed: str, path: str, ask: Callable[[str], _T]) -> _T:
        key = self._key(path)
        try:
            return ask(key)
        except BaseException as error:
            if not self._is_failure(error):
                raise
            failure = self._failed(deed, path, error)
        raise failure  # out here, or it would keep the other one, and its frames, alive

    def _paths(self, prefix: str) -> Iterator[str]:
        try:
            for key in self._list(self.prefix + prefix):
                path = key.removeprefix(self.prefix)
                if _is_good(path):
                    yield path
        except BaseException as error:
            if not self._is_failure(error):
                raise
            failure = self._failed("list", prefix or self.address, error)
        else:
            return
        raise failure

    def _failed(self, deed: str, path: str, error: BaseException) -> StoreFailed:
        said = error if isinstance(error, Exception) else RuntimeError(str(error))
        reason = " ".join(self._reason(said).split())[:_MOST_SAID]
        return StoreFailed(f"Could not {deed} {path!r}: {reason or type(error).__name__}")


def _is_good(path: str) -> bool:
    try:
        checked_path(path)
    except StoreFailed:
        return False
    return True


def bucket_of(uri: str) -> tuple[str, str]:
    """Return bucket and prefix that *uri* names.

    ``s3://bucket``, ``s3://bucket/`` and ``s3://bucket/images`` with or without a slash at
    the end are all well.

    Raises:
        ValueError: it names no bucket, or what is behind it can be no beginning of a path. The
            sentence does not have *uri* in it: ``s3://key:secret@bucket`` has been seen.
    """
    scheme = uri.partition(":")[0]
    msg = f"it has to be {scheme}://BUCKET or {scheme}://BUCKET/PREFIX"
    if CONTROL.search(uri) is not None:  # urlsplit() would pass over line breaks
        raise ValueError(f"{msg}, without control characters")
    parts = urlsplit(uri)
    if parts.query or parts.fragment or _BUCKET.fullmatch(parts.netloc) is None:
        raise ValueError(msg)
    return parts.netloc, checked_prefix(parts.path)


def checked_prefix(text: str) -> str:
    """Return *text* without slashes around it.

    Raises:
        ValueError: no path begins so: it climbs out, or is too long, or ...
    """
    prefix = text.strip("/")
    try:
        return checked_path(prefix) if prefix else ""
    except StoreFailed as error:
        msg = error.reason
    raise ValueError(msg)
