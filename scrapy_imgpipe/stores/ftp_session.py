"""One connection to an FTP server: what it is asked, and what the answers mean.

Nothing is tried twice here, and a session serves one thread at a time. Paths are absolute, so
the working directory means nothing between two calls, and they have passed
:func:`~scrapy_imgpipe.paths.checked_path`: a line break in one would begin another command.

The RFCs do not settle what servers answer: 550 is "there is no such file" as well as "you may
not". Words decide where they are plain, and a listing where they are not.
"""

# ruff: noqa: S321 - ftps: is there for who wants more

from __future__ import annotations

import ftplib
import re
import socket
import ssl
import tempfile
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import IO, Any, Final, Literal, TypeAlias

from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.protocol import Stat

#: What is at a path: a file with this stat, a directory, or neither.
Found: TypeAlias = Stat | Literal["dir", "nothing"]

#: A name in a listing; its kind, ``file``, ``dir`` or another; and what all names of a directory
#: have in common. The latter two are empty where the server does not tell.
Entry: TypeAlias = tuple[str, str, str]

#: Bytes for one ``sendall``, whose time-out is for all that it is given (Python's socket module).
_PIECE: Final = 1 << 16

#: Bytes of a listing in memory; a longer one waits in a temporary file on this side.
_LISTING_IN_MEMORY: Final = 1 << 20

# RFC 3659, 2.3: always UTC.
_TIME = re.compile(r"(\d{4})(0[1-9]|1[0-2])(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?", re.ASCII)

# As vsftpd, ProFTPD, Pure-FTPd, pyftpdlib, FileZilla Server and IIS put it.
_REFUSED = re.compile("denied|permission|privilege|not permitted|not allowed")
_ABSENT = re.compile("no such|no files|not found|cannot find|not exist|n't exist")

# In an argument of NLST these may be read as a pattern, as an option, or not at all.
_NOT_PLAIN = re.compile(r"^[-\s]|[*?\[\]{}~\\]|\s$")


class Session:
    """A connection that is open, logged in and in binary mode.

    All methods raise what ftplib does; after anything but an answer, it is of no more use.
    *context* is for TLS on both connections; without a user it is ``anonymous``.
    """

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext | None, access: Access
    ) -> None:
        self.used = False  # one that waited may have been ended meanwhile
        self._control = _Control(timeout=access.timeout_seconds, context=context)
        try:
            self._control.connect(*address)
            self._control.login(access.ftp_user, access.ftp_password, secure=context is not None)
            if context is not None:
                self._control.prot_p()
            self._control.set_pasv(not access.ftp_active)
            features = self._features()
            if "UTF8" in features:
                with suppress(ftplib.error_perm):  # RFC 2640: some speak it only when told to
                    self._control.sendcmd("OPTS UTF8 ON")
            self._control.voidcmd("TYPE I")
        except BaseException:
            self._control.close()
            raise
        self._has_facts = "MLST" in features  # and MLSD with it: RFC 3659, 7.8

    def close(self, *, politely: bool = False) -> None:
        """End the connection; *politely* tells the server, and waits for no answer."""
        with suppress(*ftplib.all_errors), closing(self._control):
            if politely:
                self._control.putcmd("QUIT")

    def look(self, path: str) -> Found:
        """Return what is at *path*; ``error_perm`` where the server does not let us know."""
        try:
            found = _found_in(self._facts(path))
            return found or Stat(self._size(path), self._modified(path))
        except ftplib.error_perm as error:
            if is_absent(error, path):
                return "nothing"
            if not str(error).startswith("550") or is_refused(error, path):
                raise
            there = self._tells("RNFR", path)  # in plainer words; does nothing without an RNTO
            inside = there is not False and self._tells("CWD", path)
            if inside:
                return "dir"
            if inside is None and (there or self._is_listed(path)):
                raise
            return "nothing"

    def upload(self, path: str, data: bytes) -> Stat:
        """Write *data* to *path*, and return what :meth:`look` will; on failure a part stays."""
        view = memoryview(data)
        cut = True
        connection = self._control.transfercmd(f"STOR {path}")
        with connection, suppress(ConnectionError, ssl.SSLError):
            for start in range(0, len(view), _PIECE):
                connection.sendall(view[start : start + _PIECE])
            cut = False
            _end_tls(connection)
        self._control.voidresp()  # who cut it off says why here: a full disk, for example
        if cut:
            raise ConnectionError("the server closed the data connection")
        try:
            found = self.look(path)
        except ftplib.error_perm:
            return Stat(len(data), 0)  # it said that all had come, and lets nobody look
        if isinstance(found, Stat) and found.bytes == len(data):
            return found
        msg = f"of {len(data)} bytes not all arrived"
        raise ConnectionError(msg)

    def download(self, path: str) -> bytes:
        """Return the bytes of *path*."""
        pieces: list[bytes] = []
        self._receive(f"RETR {path}", pieces.append)
        return b"".join(pieces)

    def remove(self, path: str) -> str:
        """Delete the file at *path*; return the server's answer."""
        return self._control.voidcmd(f"DELE {path}")

    def rename(self, path: str, target: str) -> None:
        """Give the file at *path* the name *target*."""
        self._control.rename(path, target)

    def make_directory(self, path: str) -> None:
        """Make *path* and what is above it, where they are not there yet."""
        try:
            self._control.voidcmd(f"MKD {path}")
        except ftplib.error_perm as error:
            # Pure-FTPd answers ever more slowly to who tries directories that are not there.
            if not is_absent(error, path) and self._tells("CWD", path):
                return
            above = path.rpartition("/")[0]
            if not above:
                raise
            self.make_directory(above)
            if not self._tells("MKD", path) and not self._tells("CWD", path):
                raise  # and no other one made it at the same time

    def listing(self, path: str) -> Iterator[Entry]:
        """Return what is in *path*, and nothing where is no directory; it has all been read."""
        try:
            # A name as the argument of a listing may be read as a pattern.
            self._control.voidcmd(f"CWD {path}")
            lines = self._spooled("MLSD") if self._has_facts else self._names()
        except (ftplib.error_perm, ftplib.error_temp) as error:
            if is_absent(error, path) or self.look(path) != "dir":
                return iter(())
            raise
        return _entries(lines, facts=self._has_facts)

    def kind(self, path: str) -> str:
        """Return ``file``, ``dir`` or ``nothing``, at less cost than :meth:`look` for files."""
        with suppress(ftplib.error_perm):
            self._size(path)
            return "file"
        found = self.look(path)
        return "file" if isinstance(found, Stat) else found

    def identity(self, path: str) -> str:
        """Return the same for all names of the directory at *path*, where the server can."""
        with suppress(ftplib.error_perm):
            unique = self._facts(path).get("unique")
            # Where links are followed, PWD tells the path without them.
            return unique or (self._control.pwd() if self._tells("CWD", path) else "")
        return ""

    def _features(self) -> set[str]:
        with suppress(ftplib.error_perm):  # RFC 2389 is an extension itself
            lines = self._control.sendcmd("FEAT").splitlines()[1:-1]
            return {line.split()[0].upper() for line in lines if line.strip()}
        return set()

    def _facts(self, path: str) -> dict[str, str]:
        answer = self._control.sendcmd(f"MLST {path}") if self._has_facts else ""
        return _facts_of("".join(answer.split("\n")[1:2]).lstrip(" ").partition(" ")[0])

    def _size(self, path: str) -> int:
        answer = self._control.voidcmd(f"SIZE {path}")[4:].strip()
        if not answer.isdecimal():
            raise ftplib.error_proto(answer)
        return int(answer)

    def _modified(self, path: str) -> float:
        with suppress(ftplib.error_perm):
            return seconds_of(self._control.voidcmd(f"MDTM {path}")[4:])
        return 0

    def _tells(self, command: str, path: str) -> bool | None:
        """Return whether *command* can be done to *path*; None where not, but it may be there."""
        try:
            self._control.sendcmd(f"{command} {path}")
        except ftplib.error_perm as error:
            return False if is_absent(error, path) else None
        return True

    def _is_listed(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        if not name:
            return True  # the root
        try:
            self._control.voidcmd(f"CWD {above or '/'}")
        except ftplib.error_perm:
            if self.look(above or "/") == "dir":
                raise
            return False
        if not _NOT_PLAIN.search(name):  # the whole directory may be a million lines
            with suppress(ftplib.error_perm, ftplib.error_temp):
                names = {told for told, *_ in _entries(self._spooled(f"NLST {name}"), facts=False)}
                if name in names or not names:  # others are in a directory of that name
                    return bool(names)
        return any(told == name for told, *_ in _entries(self._names(), facts=False))

    def _names(self) -> IO[bytes]:
        with suppress(ftplib.error_perm, ftplib.error_temp):
            lines = self._spooled("NLST -a")  # else vsftpd leaves out what begins with a dot
            if lines.read(1):
                lines.seek(0)
                return lines
            lines.close()
        return self._spooled("NLST")

    def _receive(self, command: str, take: Callable[[bytes], Any]) -> str:
        with self._control.transfercmd(command) as connection:
            while piece := connection.recv(_PIECE):
                take(piece)
            _end_tls(connection)
        return self._control.voidresp()

    def _spooled(self, command: str) -> IO[bytes]:
        """Return the listing that *command* asks for: whole, for its reader asks more."""
        spool = tempfile.SpooledTemporaryFile(_LISTING_IN_MEMORY)  # noqa: SIM115 - returned
        try:
            answer = self._receive(command, spool.write)
            if "failed to open" in answer:  # vsftpd, with 226
                raise ftplib.error_perm(answer)  # noqa: TRY301
        except BaseException:
            spool.close()
            raise
        spool.seek(0)
        return spool


class _Control(ftplib.FTP_TLS):
    """ftplib's client, plain unless told to be secure."""

    def getline(self) -> str:
        """Return one line of an answer; bytes that are not UTF-8 do no harm."""
        line = self.file.buffer.readline(self.maxline + 1) if self.file else b""
        if not line:
            raise EOFError("the server closed the connection")
        return line.rstrip(b"\r\n").decode("utf-8", "replace")

    def makeport(self) -> socket.socket:
        """Listen for the server; where it refuses, ftplib's own would leave the socket open."""
        assert self.sock is not None  # noqa: S101 - connected
        host = self.sock.getsockname()[0]
        listening = socket.create_server((host, 0), family=self.af, backlog=1)
        try:
            listening.settimeout(self.timeout)
            tell = self.sendport if self.af == socket.AF_INET else self.sendeprt
            tell(host, listening.getsockname()[1])
        except BaseException:
            listening.close()
            raise
        return listening

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        """Open a data connection, in the TLS session of the control connection."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if isinstance(self.sock, ssl.SSLSocket):
            # vsftpd, ProFTPD and FileZilla Server refuse another: it could be anybody's.
            wrap, session = self.context.wrap_socket, self.sock.session
            connection = wrap(connection, server_hostname=self.host, session=session)
        return connection, size


def _entries(lines: IO[bytes], *, facts: bool) -> Iterator[Entry]:
    """Yield what *lines* tell: facts and names (RFC 3659, 7.2), or names with their paths."""
    with lines:
        for raw in lines:
            line = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "surrogateescape")
            told, _, name = line.partition(" ") if facts else ("", "", line)
            found = _facts_of(told)
            kind = found.get("type", "").lower()
            if kind not in {"cdir", "pdir"}:  # the directory itself, and the one above
                yield name.rpartition("/")[2], kind, found.get("unique", "")


def seconds_of(text: str) -> float:
    """Return the Unix seconds of a time of RFC 3659, 2.3; 0 for anything else."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return 0
    return timegm(tuple(map(int, found.groups()[:6]))) + float(found[7] or 0)


def is_absent(error: Exception, path: str) -> bool:
    """Return whether *error* says in words that there is nothing at *path*."""
    words = _words(error, path)
    return words.startswith(("550", "450")) and _ABSENT.search(words) is not None


def is_refused(error: Exception, path: str) -> bool:
    """Return whether *error* says in words that we may not ask about *path*."""
    return _REFUSED.search(_words(error, path)) is not None


def _words(error: Exception, path: str) -> str:
    """Return what *error* says; without the path, for a file may be called 'not found'."""
    named = f"{re.escape(path)}|{re.escape(path.rpartition('/')[2])}"
    return re.sub(rf"(?<!\w)(?:{named})(?!\w)", "", str(error)).lower()


def _facts_of(text: str) -> dict[str, str]:
    pairs = (fact.partition("=") for fact in text.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def _found_in(facts: dict[str, str]) -> Found | None:
    """Return what the facts of MLST tell; None where one is missing."""
    kind, size = facts.get("type", "").lower(), facts.get("size", "")
    if kind in {"dir", "cdir", "pdir"}:
        return "dir"
    modified = seconds_of(facts.get("modify", ""))
    return Stat(int(size), modified) if kind == "file" and size.isdecimal() and modified else None


def _end_tls(connection: socket.socket) -> None:
    """Say, and wait to hear, that this is all; many servers just close the connection."""
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):  # the answer tells whether all has come
            connection.unwrap()
