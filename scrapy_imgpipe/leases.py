"""Leases: of all crawls that share a Redis, one at a time has a source.

A lease is a key with the token of its holder, which the server forgets after some seconds
unless it is renewed: who dies, stands still or is cut off holds up nobody for longer. What
the holder still does then does no harm to the files (they are written whole, and the index
knows their digests), and :meth:`Lease.check` keeps nearly all of it away.

All methods of :class:`Leases` block, and take one round trip for any number of names. The
pattern is that of https://redis.io/docs/latest/commands/set/ (SET NX PX, compare and delete).
"""

from __future__ import annotations

import os
import platform
import time
import uuid
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from scrapy_imgpipe.errors import IndexFailed, Overtaken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Of each key that nobody has, or that we have, the end is put off, and 1 returned. One that
# would never end by itself, as none of ours, gets an end.
_TAKE = """
local answers = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('get', key)
  if not holder or holder == ARGV[1] then
    redis.call('set', key, ARGV[1], 'px', ARGV[2])
    answers[i] = 1
  else
    if redis.call('pttl', key) == -1 then redis.call('pexpire', key, ARGV[2]) end
    answers[i] = 0
  end
end
return answers
"""

# As above, but 2 for what nobody had.
_RENEW = """
local answers = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('get', key)
  if holder == ARGV[1] then answers[i] = 1 else answers[i] = holder and 0 or 2 end
  if answers[i] > 0 then redis.call('set', key, ARGV[1], 'px', ARGV[2]) end
end
return answers
"""

_GIVE_BACK = """
for _, key in ipairs(KEYS) do
  if redis.call('get', key) == ARGV[1] then redis.call('del', key) end
end
"""

#: Answers of :meth:`Leases.renew`.
ANOTHERS, OURS, OURS_AGAIN = range(3)


@dataclass(slots=True, eq=False)
class Lease:
    """What is known of one lease.

    A copy in a worker process knows what was known when it was sent.

    Attributes:
        name: of the source.
        until: :func:`now` up to which nobody else can have it; infinity where nobody asks.
    """

    name: str
    until: float = inf

    def check(self) -> None:
        """Refuse to go on once somebody else may have it; before something is written.

        Raises:
            Overtaken: it may have been lost.
        """
        late = now() - self.until
        if late >= 0:
            raise Overtaken(f"Its lease ended {late:.1f} s ago: another crawl may have it")


class Leases:
    """The leases of one crawl.

    Args:
        connect: returns a client of the server, ``redis.Redis``; called when it is first
            needed.
        prefix: what all keys begin with.
        seconds: after which a lease ends that is not renewed.
        plain: takes what nobody may see out of what the server says.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        prefix: str,
        seconds: float,
        plain: Callable[[str], str] = str,
    ) -> None:
        self._plain = plain
        self.seconds: float = seconds
        self._connect = connect
        self._prefix = f"{prefix}lease:"
        # who it is, for people that look into the server
        self._token = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._known: Any = None

    def exchange(self, taken: Sequence[str], given_back: Sequence[str]) -> list[bool]:
        """Give back *given_back*, and return for each of *taken* whether it is ours now.

        One that we have already is ours, as where an answer of the server was lost.

        Raises:
            IndexFailed: the server cannot be asked; some may have been taken.
        """

        def ask(server: Any) -> list[bool]:
            pipe = server.pipeline(transaction=False)
            if given_back:
                keys = self._keys(given_back)
                pipe.eval(_GIVE_BACK, len(keys), *keys, self._token)
            if taken:
                keys = self._keys(taken)
                pipe.eval(_TAKE, len(keys), *keys, self._token, self._milliseconds)
            answers = pipe.execute()
            return [answer == 1 for answer in answers[-1]] if taken else []

        answers: list[bool] = self._asked(ask)
        return answers

    def renew(self, names: Sequence[str]) -> list[int]:
        """Put off the end of what is ours.

        Returns:
            For each of *names* :data:`OURS`, :data:`ANOTHERS`, or :data:`OURS_AGAIN` where it
            had ended and is taken anew: somebody may have had it meanwhile.

        Raises:
            IndexFailed: the server cannot be asked.
        """
        keys = self._keys(names)
        answers: list[int] = self._asked(
            lambda server: server.eval(_RENEW, len(keys), *keys, self._token, self._milliseconds)
        )
        return answers

    def are_taken(self, names: Sequence[str]) -> list[bool]:
        """Return for each of *names* whether anybody has it.

        Raises:
            IndexFailed: the server cannot be asked.
        """
        holders = self._asked(lambda server: server.mget(self._keys(names)))
        return [holder is not None for holder in holders]

    def ping(self) -> None:
        """Find out whether the server answers.

        Raises:
            IndexFailed: it does not.
        """
        self._asked(lambda server: server.ping())

    def close(self) -> None:
        """Let go of the connection; leases that are not given back end by themselves."""
        if self._known is not None:
            self._known.close()

    @property
    def _milliseconds(self) -> int:
        return max(int(self.seconds * 1000), 1)

    def _keys(self, names: Sequence[str]) -> list[str]:
        return [f"{self._prefix}{name}" for name in names]

    def _asked(self, ask: Callable[[Any], Any]) -> Any:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

        try:
            if self._known is None:
                self._known = self._connect()
            return ask(self._known)
        except (RedisError, OSError) as error:
            reason = self._plain(f"Could not use the leases: {type(error).__name__}: {error}")
        raise IndexFailed(reason)


_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Return the time by a clock that all processes of a machine share, in seconds.

    On Linux it goes on while the machine sleeps, as the server's does.
    """
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
