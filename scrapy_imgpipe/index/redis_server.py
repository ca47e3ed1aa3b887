"""A Redis or Valkey server by its URL: how it is reached, and how it is named to people.

All about the URL is found while the crawler starts, and without a network: the server itself
is asked by the first call. The URL may hold a password: what is shown comes from
:func:`shown_server` and :func:`without_secrets`, never from the URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.guards import shown_entry
from scrapy_imgpipe.parsers import Parser, Wrong, parse

if TYPE_CHECKING:
    import redis

#: Longest time until a connection stands, in seconds.
CONNECT_SECONDS: Final = 2.0

#: Longest time until an answer comes, in seconds; ours take milliseconds.
ANSWER_SECONDS: Final = 5.0

_EXPECTED = (
    "path of a file, 'off', or URL of a Redis or Valkey server"
    " (redis://host:6379/0, rediss://..., unix:///path)"
)
_EXPECTED_PREFIX = f"{_EXPECTED} whose prefix is 1 to 64 letters, digits, '.', '_' or '-'"

_URL = re.compile(r"[a-z][a-z0-9+.-]+://|rediss?:", re.IGNORECASE)
_SCHEMES = ("redis", "rediss", "unix")
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DATABASE = re.compile(r"/?[0-9]{0,9}", re.ASCII)

#: Parts of the query that name a secret.
_SECRETS = ("password", "username", "ssl_password")


def is_url(place: str) -> bool:
    """Return whether *place* is written as a URL, and not as a path."""
    return _URL.match(place) is not None


def connect(url: str, key: str = "IMGPIPE_INDEX") -> redis.Redis:
    """Return a client for the server at *url*; it connects when it is first used.

    Safe for threads, and after a fork. A connection takes 2 seconds at most and an answer 5,
    unless the URL says otherwise (``?socket_timeout=9``). What breaks a connection that stood
    already is sent once more: the first call may have been heard, so that no command should
    mind being heard twice. Answers are bytes.

    Args:
        url: as ``redis.Redis.from_url`` takes it, and ``?prefix=NAME``, see :func:`prefix_in`.
        key: of the setting that the URL stands in.

    Raises:
        SettingError: for a URL that cannot be used, or where redis is not installed.
    """
    try:
        import redis  # noqa: PLC0415 - an extra
    except ImportError:
        missing = SettingError(
            f"{key} names a Redis server, and redis is not installed:"
            " pip install 'scrapy-imgpipe[redis]'"
        )
    else:
        client: redis.Redis = parse(_parser(redis), key, url)
        return client
    raise missing


def check(url: str, key: str = "IMGPIPE_INDEX") -> None:
    """Find a URL that cannot be used; no network.

    Raises:
        SettingError: as :func:`connect`.
    """
    connect(url, key).close()


def prefix_in(url: str) -> str | None:
    """Return the name that *url* gives to what is kept on the server: ``?prefix=NAME``."""
    return parse_qs(urlsplit(url).query).get("prefix", [None])[0]


def shown_server(url: str) -> str:
    """Return *url* as people may see it: without user, password and all that is behind ``?``."""
    return shown_entry(url).partition("?")[0].partition("#")[0]


def without_secrets(text: str, url: str) -> str:
    """Return *text* on one line, with ``...`` in the place of user and password of *url*.

    Servers repeat what they did not understand, which may be the password.
    """
    for secret in _secrets(url):
        text = text.replace(secret, "...")
    return " ".join(text.split())


def _secrets(url: str) -> list[str]:
    """Return passwords and users of *url*, the longest first; none where it is no URL."""
    try:
        parts = urlsplit(url)
        named = parse_qs(parts.query)
        found = [parts.password, *(value for name in _SECRETS for value in named.get(name, []))]
    except ValueError:
        return []
    plain = {unquote(secret) for secret in found if secret} | {each for each in found if each}
    return sorted(plain, key=len, reverse=True)


def _parser(library: Any) -> Parser:
    def client_of(value: Any) -> redis.Redis:
        if not isinstance(value, str):
            raise TypeError
        try:
            plain = _plain(value)
        except ValueError:
            expected = _EXPECTED
        else:
            if plain is not None:
                try:
                    return _client(library, plain)
                except (ValueError, TypeError, library.RedisError):  # of an option in it
                    expected = _EXPECTED
            else:
                expected = _EXPECTED_PREFIX
        raise Wrong("", expected, shown_server(value))  # out here: the others may show it all

    return Parser(_EXPECTED, client_of)


def _plain(url: str) -> str | None:
    """Return *url* as the library takes it; None where the prefix cannot be used.

    Raises:
        ValueError: it names no server.
    """
    parts = urlsplit(url)
    is_path = parts.scheme == "unix"
    if parts.scheme not in _SCHEMES or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError
    if (is_path and not parts.path) or parts.fragment:
        raise ValueError
    if not is_path:
        _ = parts.port  # ValueError: it is none
        if _DATABASE.fullmatch(unquote(parts.path)) is None:  # the library would take 0 for it
            raise ValueError
    prefix = prefix_in(url)
    if prefix is not None and _PREFIX.fullmatch(prefix) is None:
        return None
    rest = [pair for pair in parse_qsl(parts.query) if pair[0] != "prefix"]
    query = f"?{urlencode(rest)}" if rest else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def _client(library: Any, url: str) -> redis.Redis:
    """Return a client; an unknown option in *url* is found here, not by the first call.

    Raises:
        TypeError: for one.
        ValueError: for a value that its option cannot have.
    """
    again = library.retry.Retry(library.backoff.NoBackoff(), 1, (library.ConnectionError,))
    client: redis.Redis = library.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=again,
        protocol=2,  # what all of them speak, and nothing comes that was not asked for
    )
    pool = client.connection_pool
    pool.connection_kwargs.update(decode_responses=False, encoding="utf-8")
    pool.connection_class(**pool.connection_kwargs)
    return client
