"""The index on a Redis or Valkey server, for crawls on several machines that share a store.

A call is one message to the server and one answer, for however many keys or records: that of
``near`` two as a rule, that of ``records`` one for some hundred of them. What changes records
changes what else they are found by in the same script, which happens as a whole or not at
all, whoever dies. Whether it survives the death of the server is the server's matter
(``appendonly yes``), and that it throws nothing away (``maxmemory-policy noeviction``).

A value that is damaged counts as unknown, and is replaced by the next put. While the server
is away, one call in five seconds tries, and all others fail at once.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from scrapy_imgpipe.errors import IndexFailed
from scrapy_imgpipe.index import redis_scripts as scripts
from scrapy_imgpipe.index.nearness import distance, words_near
from scrapy_imgpipe.index.protocol import Key, Near
from scrapy_imgpipe.index.redis_rows import (
    SIZE,
    content_bytes,
    id_bytes,
    is_near_able,
    packed,
    replaced_by,
    unpacked,
)
from scrapy_imgpipe.index.redis_server import connect, prefix_in, shown_server, without_secrets
from scrapy_imgpipe.index.referred import Referred
from scrapy_imgpipe.index.rows import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from scrapy_imgpipe.records import ImageRecord

_logger = logging.getLogger(__name__)

#: How long all but one call fail at once after the server did not answer, in seconds.
AWAY_SECONDS: Final = 5.0

#: How long a server that was away may take to show that it is back, in seconds.
_PROBE_SECONDS = 0.5

#: Records that :meth:`RedisIndex.records` asks for at a time, about.
_STRIDE = 500

#: Hashes that it looks into at a time at most.
_MOST_BUCKETS = 512

#: Records of one perceptual hash that are looked at at a time.
_SOME = 32

#: Indexes that a worker process keeps open; a crawl has one for each of its stores.
_KNOWN_INDEXES = 16


class RedisIndex:
    """An :class:`~scrapy_imgpipe.index.protocol.Index` on a Redis or Valkey server.

    Safe for threads, processes and machines at once, and after a fork.

    Args:
        url: of the server, as :func:`~scrapy_imgpipe.index.redis_server.connect` takes it;
            ``?prefix=NAME`` names the index where machines have one store under several names.
        store: address of the store that it belongs to, the same on all machines.
        key: of the setting that the URL stands in.

    Attributes:
        url: as given, with its password.
        prefix: of all keys, ``imgpipe:{...}:``: of a digest of *store*, or the name.

    Raises:
        SettingError: the URL cannot be used, or redis is not installed; no network.
    """

    def __init__(self, url: str, store: str, key: str = "IMGPIPE_INDEX") -> None:
        self._client = connect(url, key)
        self.url: str = url
        digest = sha1(store.encode(errors="replace"), usedforsecurity=False).hexdigest()
        self.prefix: str = f"imgpipe:{{{prefix_in(url) or digest[:16]}}}:"
        self._store = store
        self._lock = threading.Lock()
        self._away_until: float | None = None
        self._away_reason = ""
        self._referred: Referred | None = None
        self._said = False

    def __reduce__(self) -> tuple[Callable[..., RedisIndex], tuple[Any, ...]]:
        """Let other processes use it too; each keeps it open for all it is sent."""
        return _kept, (self.url, self._store)

    def __repr__(self) -> str:
        return f"RedisIndex({shown_server(self.url)!r}, prefix={self.prefix!r})"

    def get(self, keys: Sequence[Key]) -> list[ImageRecord | None]:
        """Return the record of each of *keys*; one script for all of them."""
        if not keys:
            return []
        # The same id twice where there is no name, and nothing that an import could know.
        names = [Key("", key.asked) if key.asked else key for key in keys]
        ids = b"".join(id_bytes(one) for pair in zip(keys, names, strict=True) for one in pair)
        found = self._records(self._run(scripts.GET, ids))
        return [
            record if record is not None and key_of(record) in {key, name} else None
            for key, name, record in zip(keys, names, found, strict=True)
        ]

    def put(self, records: Sequence[ImageRecord]) -> None:
        """Keep *records* in one script."""
        try:
            values = [id_bytes(key_of(record)) + packed(record) for record in records]
        except (TypeError, ValueError) as error:  # not what a record may hold
            failed = self._failed(str(error))
        else:
            if values:
                replaced = b"".join(filter(None, map(replaced_by, records)))
                self._run(scripts.PUT, time.time(), replaced, *values)
            return
        raise failed

    def forget(self, keys: Sequence[Key]) -> None:
        """Remove the records of *keys*."""
        if keys:
            self._run(scripts.FORGET, b"".join(map(id_bytes, keys)))

    def alike(self, content: str, most: int) -> list[ImageRecord]:
        """Return up to *most* records, and up to 512, of what came as the same bytes."""
        found = self._run(scripts.LISTED, "c", content_bytes(content), 0, max(most, 0))
        return [
            record
            for record in self._records(found)
            if record is not None and record.full is not None and record.content == content
        ]

    def near(self, phash: str, most: int, but: Collection[str]) -> Near | None:
        """Return the source whose picture is nearest to one with the hash *phash*."""
        words = (
            f"{band}{word}" for band, near in enumerate(words_near(phash, most)) for word in near
        )
        answer = self._run(scripts.NEAR, "".join(words))
        found = [one.hex() for one in answer if len(one) == SIZE]
        for bits, close in sorted((distance(phash, one), one) for one in found):
            if bits > most:
                break
            for record in self._of_phash(close):
                if record.fingerprint not in but:
                    return Near(record.url, bits)
        return None

    def _of_phash(self, phash: str) -> Iterator[ImageRecord]:
        """Yield the records that have *phash* and count."""
        first = 0
        while found := self._run(scripts.LISTED, "h", bytes.fromhex(phash), first, _SOME):
            for record in self._records(found):
                if record and is_near_able(record) and record.measured["phash"] == phash:
                    yield record
            first += _SOME

    def records(self) -> Iterator[ImageRecord]:
        """Yield all records, some hundreds at a time."""
        each = max(self.count() / scripts.BUCKETS, _STRIDE / _MOST_BUCKETS)
        step = max(int(_STRIDE / each), 1)
        for first in range(0, scripts.BUCKETS, step):
            last = min(first + step, scripts.BUCKETS) - 1
            found = self._records(self._run(scripts.NEXT, first, last))
            yield from (record for record in found if record is not None)

    def refers_to(self, paths: Sequence[str]) -> set[str]:
        """Return those of *paths* that some record refers to; the first call reads them all."""
        with self._lock:
            referred = self._referred
        if referred is None:
            referred = Referred(self.records())
            with self._lock:
                self._referred = referred
        return referred.among(paths)

    def since(self) -> float:
        """Return from when on it was told of everything, Unix seconds."""
        told = self._run(scripts.SINCE, time.time())
        try:
            return float(told)
        except (TypeError, ValueError):
            return time.time()

    def knows_all(self) -> None:
        """Take note that it has been told of all files."""
        self._run(scripts.KNOWS_ALL, time.time())

    def count(self) -> int:
        """Return how many records there are; the server looks into 4096 places."""
        return int(self._run(scripts.COUNT))

    def close(self) -> None:
        """Close all connections; what comes later opens them again."""
        self._client.close()
        self._client.connection_pool.disconnect()
        with self._lock:
            referred, self._referred = self._referred, None
        if referred is not None:
            referred.close()

    def _run(self, script: scripts.Script, *args: str | bytes | float) -> Any:
        """Return what *script* answers, which the server may have to be told once more.

        Raises:
            IndexFailed: the server refuses it, or is away.
        """
        from redis import exceptions  # noqa: PLC0415 - an extra

        self._fail_if_away()
        about = f"{self.prefix}about"
        try:
            try:
                answer: Any = self._client.evalsha(script.digest, 1, about, *args)
            except exceptions.NoScriptError:
                answer = self._client.eval(script.text, 1, about, *args)
        except exceptions.AuthenticationError as error:
            failed = self._failed(str(error))
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            failed = self._away(str(error) or type(error).__name__)
        except exceptions.RedisError as error:
            failed = self._failed(_reason(error))
        else:
            self._away_until = None
            return answer
        raise failed

    def _fail_if_away(self) -> None:
        """Let one call try from time to time, and no other one wait.

        Raises:
            IndexFailed: the server did not answer lately.
        """
        with self._lock:
            if self._away_until is None:
                return
            now = time.monotonic()
            if now >= self._away_until:
                self._away_until = now + AWAY_SECONDS
                tries = True
            else:
                tries = False
            reason = self._away_reason
        if not tries or not self._is_back():
            raise self._failed(reason)

    def _is_back(self) -> bool:
        """Return whether the server answers at once: there may be many behind who asks."""
        from redis import exceptions  # noqa: PLC0415 - an extra

        client = connect(self.url)
        client.connection_pool.connection_kwargs.update(
            socket_connect_timeout=_PROBE_SECONDS, socket_timeout=_PROBE_SECONDS
        )
        try:
            client.ping()
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError):
            return False
        except exceptions.RedisError:
            return True  # it says why when it is asked
        finally:
            client.close()
        return True

    def _away(self, reason: str) -> IndexFailed:
        with self._lock:
            self._away_until = time.monotonic() + AWAY_SECONDS
            self._away_reason = reason
        return self._failed(reason)

    def _records(self, values: Any) -> list[ImageRecord | None]:
        """Return the record of each value; None for one that is missing or damaged."""
        found = [unpacked(value) for value in values]
        damaged = sum(
            bool(value) and record is None for value, record in zip(values, found, strict=True)
        )
        if damaged and not self._said:
            self._said = True
            shown = shown_server(self.url)
            _logger.warning("Damaged records in the index %r count as unknown", shown)
        return found

    def _failed(self, reason: str) -> IndexFailed:
        plain = without_secrets(reason, self.url)
        return IndexFailed(f"Could not use the index {shown_server(self.url)!r}: {plain}")


def _reason(error: Exception) -> str:
    """Return what the server said, in our words where it needs them."""
    from redis import exceptions  # noqa: PLC0415 - an extra

    if isinstance(error, exceptions.MovedError):
        return f"its keys are on another node of the cluster, {error.host}:{error.port}: name that"
    said = str(error)
    _, is_ours, version = said.partition(scripts.OTHER_VERSION)
    return f"it has version {version}, this package knows {scripts.VERSION}" if is_ours else said


@lru_cache(_KNOWN_INDEXES)
def _kept(url: str, store: str) -> RedisIndex:
    return RedisIndex(url, store)
