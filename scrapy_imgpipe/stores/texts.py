"""What may be in addresses, credentials and headers: found wrong before a request is made.

obstore panics at a line break in a header, and what comes of a panic is no Exception; botocore
fails at each request anew. No sentence from here has a secret in it: a setting is named, and
only addresses are shown.

No network, no clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scrapy_imgpipe.errors import SettingError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_HOST = re.compile(r"[\x00-\x20\x7f@\\]")

#: Headers of a put that this package says itself, for each object anew, or that would have
#: one be refused: beginnings, in lower case.
_OURS = (
    "content-length",
    "content-md5",
    "content-type",
    "if-match",
    "if-none-match",
    "x-amz-checksum-",
    "x-amz-sdk-checksum-",
    "x-amz-write-offset-bytes",
)


def check_texts(texts: Mapping[str, str]) -> None:
    """Refuse control characters in *texts*: name of the setting to what it says.

    Raises:
        SettingError: for the first of them; it does not show what the setting says.
    """
    for name, text in texts.items():
        if CONTROL.search(text) is not None:
            where = " (at its end)" if CONTROL.search(text.rstrip()) is None else ""
            raise SettingError(
                f"Expected text without line breaks and other control characters for {name}"
                f" but received one that has them{where}"
            )


def check_headers(headers: Mapping[str, str], *, refused: Iterable[str] = _OURS) -> None:
    """Refuse headers that are not the user's to say, or that would be several.

    Raises:
        SettingError: for the first of them.
    """
    name = "IMGPIPE_STORE_HEADERS"
    check_texts({f"{name}[{header!r}]": text for header, text in headers.items()})
    ours = [header for header in headers if header.lower().startswith(tuple(refused))]
    if ours:
        raise SettingError(
            f"Expected headers that are not said for each object anew for {name} but received"
            f" {ours}"
        )


def check_endpoint(name: str, url: str) -> None:
    """Refuse *url*, which the setting *name* says, if it is no address; empty is well.

    Raises:
        SettingError: it does not begin with http:// or https:// and a host, or has more than
            a path behind that; user and password are not shown.
    """
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or half an IPv6 address
        parts, good = None, False
    if good and parts is not None and not parts.query and _NO_HOST.search(url) is None:
        return
    shown = repr(url.rpartition("@")[2].partition("?")[0])
    raise SettingError(
        f"Expected a URL that begins with http:// or https:// and a host for {name}"
        f" but received {shown} of type str"
    )


def check_pair(key: tuple[str, str], secret: tuple[str, str]) -> None:
    """Refuse one of *key* and *secret* without the other; each is a name and what it says.

    Raises:
        SettingError: it names the one that is missing.
    """
    for (there, one), (missing, other) in ((key, secret), (secret, key)):
        if one and not other:
            raise SettingError(f"Expected {missing} to be set, as {there} is, but it is empty")


def verify_of(told: bool | str) -> bool | str:  # noqa: FBT001 - it is the value of a setting
    """Return what AWS_VERIFY means: whether to look at certificates, or a file of good ones.

    On the command line all is text: ``False``, ``no`` and ``0`` are False there, and what is
    empty is as if it were not set.

    Raises:
        SettingError: there is no such file.
    """
    if not isinstance(told, str):
        return told
    if told.lower() in {"false", "no", "0"}:
        return False
    if told.lower() in {"", "true", "yes", "1"}:
        return True
    if not Path(told).is_file():
        raise SettingError(
            f"Expected True, False or a file of certificates for AWS_VERIFY but received"
            f" {told!r} of type str"
        )
    return told


def endpoint_of_environment() -> tuple[str, str]:
    """Return the name and the value of the variable that says where S3 is; empty without one.

    As botocore has it since 1.31 (docs.aws.amazon.com/sdkref, "Service-specific endpoints").
    """
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return "", ""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return name, os.environ[name]
    return "", ""
