"""Renditions on an FTP server.

A put writes a temporary file beside its target and renames it, so readers meet the old file
or the new one. Connections are kept and used again; one that broke is replaced by another.

A process that is killed meanwhile leaves a temporary file there, which no listing shows.
"""

from __future__ import annotations

import ftplib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from scrapy_imgpipe.errors import StoreFailed
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.ftp_pool import Pool
from scrapy_imgpipe.stores.ftp_session import Session, is_absent, is_refused
from scrapy_imgpipe.stores.keyed import KeyedStore
from scrapy_imgpipe.stores.protocol import Facts, Stat
from scrapy_imgpipe.stores.temporary import new_name

_T = TypeVar("_T")

#: Directories known to exist; one that was forgotten costs a command when it is met again.
_KNOWN_DIRECTORIES: Final = 4096

#: Directories in one another. Not all servers let links in a circle be known, and one that
#: ends them at 40 links (path_resolution(7)) has 2**40 ways through two of them.
_DEEPEST: Final = 32

# In user and password; a line break would begin another command.
_NOT_SENT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class FtpStore(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` on an FTP server; safe for threads.

    ``ftps`` is explicit TLS on both connections (RFC 4217). The certificate has to be of
    that host and of a CA that :func:`ssl.create_default_context` trusts: the environment
    variable ``SSL_CERT_FILE`` names a file with a CA of one's own.

    A file is absent where the server says so in words, or does not list it. Where it
    refuses to tell, that is a failure. On servers that do not rename over a file, readers
    find none for a moment during a put.

    Args:
        uri: ``ftp://user:password@host:port/base`` or ``ftps:``; all but the host may be
            left out. User and password are percent-encoded; the base is as it stands, and
            is counted from the server's root, as Scrapy does.
        access: user and password where *uri* has none, patience, and active mode.

    Raises:
        ValueError: *uri* names no host, or something that FTP cannot carry.
    """

    failures: tuple[type[Exception], ...] = ftplib.all_errors

    def __init__(self, uri: str, access: Access) -> None:
        scheme, (host, port), base, access = _parts_of(uri, access)
        shown = f"[{host}]" if ":" in host else host
        tail = "" if port == ftplib.FTP_PORT else f":{port}"
        super().__init__(f"{scheme}://{shown}{tail}", base)
        context = ssl.create_default_context() if scheme == "ftps" else None
        self._password = access.ftp_password
        self._pool = Pool(partial(Session, (host, port), context, access), access)
        self._known: set[str] = set()

    def close(self) -> None:
        """End the connections that nobody uses; the next call opens new ones."""
        self._pool.close()

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:  # noqa: ARG002 - no place
        upload = _Upload(_where(key), data, self._known)
        try:
            return self._pool.run(upload.attempt)
        finally:
            if upload.left:
                with suppress(*self.failures):
                    self._pool.run(upload.clear, retries=0)

    def _get(self, key: str) -> bytes | None:
        return self._unless_absent(key, Session.download)

    def _stat(self, key: str) -> Stat | None:
        found = self._ask(Session.look, key)
        return found if isinstance(found, Stat) else None

    def _delete(self, key: str) -> bool:
        return self._unless_absent(key, Session.remove) is not None

    def _unless_absent(self, key: str, deed: Callable[[Session, str], _T]) -> _T | None:
        def ask(session: Session, path: str) -> _T | None:
            try:
                return deed(session, path)
            except ftplib.error_perm as error:
                if not is_absent(error, path) and isinstance(session.look(path), Stat):
                    raise
                return None

        return self._ask(ask, key)

    def _list(self, prefix: str) -> Iterator[str]:
        """Yield files, one directory after the other; links are followed, but not in circles."""
        start = prefix.rpartition("/")[0]
        waiting = [(start, [self._ask(Session.identity, start)])]
        while waiting:
            directory, way = waiting.pop()
            if len(way) > _DEEPEST:
                raise OSError(f"a circle of links, or {_DEEPEST} directories deep: {directory!r}")
            for name, kind, unique in self._ask(Session.listing, directory):
                key = f"{directory}/{name}" if directory else name
                if not key.startswith(prefix) or not self._is_path(key):
                    continue
                if kind not in {"file", "dir"}:
                    kind = self._ask(Session.kind, key)  # noqa: PLW2901 - the server did not tell
                if kind == "file":
                    yield key
                elif kind == "dir":
                    identity = unique or self._ask(Session.identity, key)
                    if not identity or identity not in way:
                        waiting.append((key, [*way, identity]))

    def _ask(self, deed: Callable[[Session, str], _T], key: str) -> _T:
        return self._pool.run(lambda session: deed(session, _where(key)))

    def _is_path(self, key: str) -> bool:
        """Return whether *key* could have been put: no temporary file, nothing too long."""
        try:
            checked_path(key.removeprefix(self.prefix))
        except StoreFailed:
            return False
        return True

    def _reason(self, error: Exception) -> str:
        told = str(error)  # the server's words, and some repeat what they were sent
        return told.replace(self._password, "***") if self._password else told


class _Upload:
    """One file on its way to the server.

    Each try has its own temporary file: of one that was cut off, the server may still write.
    """

    def __init__(self, path: str, data: bytes, known: set[str]) -> None:
        self.path = path
        self.data = data
        self.directory = path.rpartition("/")[0]
        self.known = known
        self.left: list[str] = []

    def attempt(self, session: Session) -> Stat:
        temporary = f"{self.directory}/{new_name()}"
        self.left.append(temporary)
        stat = self._written(session, temporary)
        self._replace(session, temporary)
        self.left.remove(temporary)
        return stat

    def clear(self, session: Session) -> None:
        for name in self.left:  # of tries that failed
            with suppress(ftplib.error_perm):
                session.remove(name)

    def _written(self, session: Session, temporary: str) -> Stat:
        if self.directory in self.known:
            try:
                return session.upload(temporary, self.data)
            except ftplib.error_perm:
                self.known.discard(self.directory)  # it may have been removed
        session.make_directory(self.directory or "/")
        if len(self.known) >= _KNOWN_DIRECTORIES:
            self.known.clear()
        self.known.add(self.directory)
        return session.upload(temporary, self.data)

    def _replace(self, session: Session, temporary: str) -> None:
        try:
            session.rename(temporary, self.path)
        except ftplib.error_perm as error:
            if is_refused(error, self.path) or not isinstance(session.look(self.path), Stat):
                raise
        else:
            return
        # IIS and others do not rename over a file; so it is moved first, and not lost.
        aside = f"{self.directory}/{new_name()}"
        session.rename(self.path, aside)
        try:
            session.rename(temporary, self.path)
        except ftplib.all_errors:
            with suppress(*ftplib.all_errors):
                session.rename(aside, self.path)
            raise
        self.left.append(aside)


def _where(key: str) -> str:
    """Return the absolute path of *key*, in the one spelling that it has in a file system."""
    return "/" + "/".join(part for part in key.split("/") if part not in {"", "."})


def _parts_of(uri: str, access: Access) -> tuple[str, tuple[str, int], str, Access]:
    """Return scheme, host and port, base, and *access* with the credentials of *uri*."""
    scheme = uri.partition(":")[0].lower()
    host = fault = ""
    try:
        parts = urlsplit(uri)
        port = parts.port or ftplib.FTP_PORT
        checked_path(parts.path.strip("/") or "none")
        user = unquote(parts.username or "") or access.ftp_user
        password = unquote(parts.password or "") or access.ftp_password
        if not (parts.query or parts.fragment or _NOT_SENT.search(f"{user} {password}")):
            host = parts.hostname or ""
    except (ValueError, StoreFailed) as error:  # the former may quote the password
        fault = f": {error.reason}" if isinstance(error, StoreFailed) else ""
    if host:
        access = replace(access, ftp_user=user, ftp_password=password)
        return scheme, (host, port), parts.path, access
    expected = f"{scheme}://HOST/BASE, user and password before the host percent-encoded"
    raise ValueError(f"it has to be {expected}, without control characters{fault}")
