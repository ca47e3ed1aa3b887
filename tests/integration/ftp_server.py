"""An FTP server on loopback, over a directory, with faults to order.

It runs in a thread of its own, which is the only one that touches its connections.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of asyncore, until Python 3.12
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.filesystems import AbstractedFS
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

logging.getLogger("pyftpdlib").setLevel(logging.ERROR)  # else every command
logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())  # else it sets the level

USER = "us er"
PASSWORD = "s%cr:t/@#"
ALL = "elradfmwMT"

#: Commands that vsftpd does not know.
WITHOUT_FACTS = frozenset({"MLST", "MLSD"})


class Server:
    """What the test sees of the server, and orders.

    Attributes:
        root: the directory that it serves.
        log: every command that came.
        logins: how many there were.
        opened: connections that are open now.
        once: the answer to a command that begins with the first word, in place of the usual
            one; used up when it was given. None closes the connection without one.
        always: the same, for good; an empty answer is none at all.
        says: what it answers in place of any answer with that code.
        cut: how many bytes of an upload are taken before both connections are closed.
        full: whether the disk is.
        changed: notified when one of the above is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self.log: list[str] = []
        self.logins = 0
        self.opened = 0
        self.once: list[tuple[str, str | None]] = []
        self.always: dict[str, str] = {}
        self.says: dict[str, str] = {}
        self.cut: int | None = None
        self.full = False
        self.changed = threading.Condition()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def files(self) -> list[str]:
        """Return every file, temporary ones too, as the system sees it."""
        found = (path for path in self.root.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def sent(self, *begins: str) -> list[str]:
        """Return the commands that came and begin so."""
        return [line for line in self.log if line.startswith(begins)]

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait until *reached*, for some seconds at most."""
        with self.changed:
            assert self.changed.wait_for(reached, 10)

    def count(self, name: str, by: int) -> None:
        with self.changed:
            setattr(self, name, getattr(self, name) + by)
            self.changed.notify_all()

    def ordered(self, line: str) -> tuple[bool, str | None]:
        """Return whether there is an order for *line*, and the answer."""
        with self.changed:
            self.log.append(line)
            self.changed.notify_all()
        for begin, answer in self.once:
            if line.startswith(begin):
                self.once.remove((begin, answer))
                return True, answer
        return next(
            ((True, answer) for begin, answer in self.always.items() if line.startswith(begin)),
            (False, None),
        )


class _Data:
    """What comes before pyftpdlib's handler of a data connection."""

    told: Server

    def handle_read_event(self) -> None:
        if self.told.full:
            self._resp = ("552 Exceeded storage allocation.", logging.debug)
            self.close()
            return
        super().handle_read_event()
        if self.told.cut is not None and self.tot_bytes_received > self.told.cut:
            self.cmd_channel.close()


class _Commands:
    """What comes before pyftpdlib's handler of a control connection."""

    told: Server

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        ordered, answer = self.told.ordered(line)
        if not ordered:
            super().pre_process_command(line, cmd, arg)
        elif answer is None:
            self.close()
        elif answer:
            self.respond(answer)
            if answer.startswith("421"):
                self.close_when_done()

    def respond(self, resp: str, *args: Any, **kwargs: Any) -> None:
        super().respond(self.told.says.get(resp[:3], resp), *args, **kwargs)

    def on_connect(self) -> None:
        self.told.count("opened", 1)

    def on_disconnect(self) -> None:
        self.told.count("opened", -1)

    def on_login(self, username: str) -> None:
        self.told.count("logins", 1)


@contextmanager
def ftp_server(
    root: Path,
    *,
    certificate: str = "",
    without: frozenset[str] = frozenset(),
    permissions: str = ALL,
    file_system: type[AbstractedFS] = AbstractedFS,
    connections: int = 0,
    user: str = USER,
    **attributes: Any,
) -> Iterator[Server]:
    """Serve *root* for as long as the block runs.

    Args:
        root: made where it is not there.
        certificate: a PEM file with key and chain; then there is nothing without TLS.
        without: commands that it does not know.
        permissions: as pyftpdlib has them; ``l`` is to list and to look.
        file_system: what it uses for *root*.
        connections: the most at once; 0 for any number.
        user: the only one; ``anonymous`` needs no password.
        attributes: for the handler of a connection.
    """
    root.mkdir(parents=True, exist_ok=True)
    told = Server(root)
    base: Any = TLS_FTPHandler if certificate else FTPHandler
    handler: Any = type("Handler", (_Commands, base), {"told": told})
    handler.dtp_handler = type("Data", (_Data, base.dtp_handler), {"told": told})
    handler.proto_cmds = {name: of for name, of in base.proto_cmds.items() if name not in without}
    handler.certfile = certificate or None
    handler.tls_control_required = handler.tls_data_required = bool(certificate)
    handler.abstracted_fs = file_system
    handler.authorizer = DummyAuthorizer()
    handler.auth_failed_timeout = 0
    for name, attribute in attributes.items():
        setattr(handler, name, attribute)
    if user == "anonymous":
        handler.authorizer.add_anonymous(str(root), perm=permissions)
    else:
        handler.authorizer.add_user(user, PASSWORD, str(root), perm=permissions)
    done = threading.Event()
    serving = FTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())
    serving.max_cons_per_ip = connections
    told.port = serving.address[1]

    def serve() -> None:
        while not done.is_set():
            serving.ioloop.loop(timeout=0.02, blocking=False)
        serving.close_all()

    thread = threading.Thread(target=serve, name="ftp server")
    thread.start()
    try:
        yield told
    finally:
        done.set()
        thread.join()
