"""Connections to an FTP server: kept, used again, and replaced where one has ended."""

from __future__ import annotations

import ftplib
import random
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.ftp_session import Session

_T = TypeVar("_T")

#: Seconds before the first further try, and the most before a later one; each doubles.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Pool:
    """Sessions for several threads, each used again; at most so many at once.

    A server that wants fewer is not asked for more.

    Args:
        connect: makes a session.
        access: how many there may be, and how often what fails for now is asked again.
    """

    def __init__(self, connect: Callable[[], Session], access: Access) -> None:
        self._connect = connect
        self._retries = access.retries
        self._most = access.connections
        self._open = 0  # with those that are being made
        self._made = 0
        self._idle: list[Session] = []
        self._changed = threading.Condition()
        weakref.finalize(self, _end, self._idle)

    def run(self, ask: Callable[[Session], _T], retries: int | None = None) -> _T:
        """Return what *ask* does of a session; what fails for now is asked again.

        One more try is free: where a connection had ended while it waited.
        """
        left = self._retries if retries is None else retries
        pause = _FIRST_PAUSE
        forgiven = False
        while True:
            waited = False
            try:
                session = self._take()
                waited = session.used
                return self._asked(session, ask)
            except ftplib.all_errors as error:
                if waited and not forgiven and _is_end(error):
                    forgiven = True
                    self.close()  # the others waited as long
                    continue
                if left <= 0 or not _is_passing(error):
                    raise
            left -= 1
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    def close(self) -> None:
        """End those that nobody uses."""
        with self._changed:
            idle, self._idle[:] = self._idle[:], []
            self._open -= len(idle)
            self._made -= len(idle)
            self._changed.notify_all()
        for session in idle:
            session.close(politely=True)

    def _take(self) -> Session:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._idle or self._open < self._most)
                if self._idle:
                    return self._idle.pop()
                self._open += 1
            session = self._new()
            if session is not None:
                return session

    def _new(self) -> Session | None:
        """Return a new session; None where the server has others of ours and wants no more."""
        session = None
        try:
            session = self._connect()
        except ftplib.Error:
            if not self._made:
                raise
            self._most = min(self._most, self._made)
        finally:
            with self._changed:
                self._made += session is not None
                self._open -= session is None
                self._changed.notify_all()
        return session

    def _asked(self, session: Session, ask: Callable[[Session], _T]) -> _T:
        keep = False
        try:
            answer = ask(session)
            keep = True
        except (ftplib.error_perm, ftplib.error_temp) as error:
            keep = not _is_end(error)
            raise
        finally:
            session.used = True
            if not keep:
                session.close()
            with self._changed:
                self._idle += [session] if keep else []
                self._made -= not keep
                self._open -= not keep
                self._changed.notify_all()
        return answer


def _end(sessions: list[Session]) -> None:
    while sessions:
        sessions.pop().close()


def _is_end(error: Exception) -> bool:
    """Return whether *error* is the end of a connection; 421 says so (RFC 959, 4.2.1)."""
    ended = (EOFError, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    return isinstance(error, ended) or str(error).startswith("421")


def _is_passing(error: Exception) -> bool:
    """Return whether another try may go better; 4xx says so (RFC 959, 4.2.1)."""
    passing = isinstance(error, (ftplib.error_temp, EOFError, OSError))
    return passing and not isinstance(error, ssl.SSLCertVerificationError)
