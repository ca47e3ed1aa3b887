"""Where renditions are kept, relative to the store; and which names are refused.

Pure: no I/O and no look at the platform (``windows`` is an argument). The names
made here are Scrapy's own, byte for byte, so a store filled by Scrapy goes on
being used.

A path is never repaired. A sanitiser that rewrites ``..`` lets two different
paths become one file, and the second image silently replaces the first.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from hashlib import sha1

from scrapy_imgpipe.errors import StoreFailed

#: How the temporary files of our stores begin; no rendition may look like one.
TEMPORARY_PREFIX = ".imgpipe-"

#: Bytes of UTF-8 in one component. NAME_MAX of ext4, XFS, APFS and others
#: (limits.h); NTFS has 255 UTF-16 units, which is never less.
MAX_COMPONENT_BYTES = 255

#: Bytes of UTF-8 in a whole path: the longest object key of Amazon S3
#: (docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html) and of Google
#: Cloud Storage (cloud.google.com/storage/docs/objects#naming).
MAX_PATH_BYTES = 1024

_SHOWN_CHARACTERS = 100
_REMEMBERED_CHARACTERS = 4096
# Nine paths in ten; whatever it does not match is looked at properly.
_ORDINARY = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}/){0,9}[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}"
)
_CONTROL = re.compile(r"[\x00-\x1f]")

# learn.microsoft.com/windows/win32/fileio/naming-a-file, "Naming Conventions".
# A colon would also open an alternate data stream of another file.
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')
# With any extension, too, and with spaces before it: "NUL .jpg" is the device.
_WINDOWS_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)


def image_path(url: str, extension: str = ".jpg") -> str:
    """Return the path of the full image of *url*, as Scrapy names it.

    SHA-1 is a name here, not a protection.
    """
    return f"full/{_digest(url)}{extension}"


def thumb_path(url: str, name: str, extension: str = ".jpg") -> str:
    """Return the path of the thumbnail *name* of *url*, as Scrapy names it.

    Args:
        url: the source.
        name: the thumbnail's key in ``IMAGES_THUMBS``; not checked here.
        extension: with the dot; Scrapy has JPEGs only.
    """
    return f"thumbs/{name}/{_digest(url)}{extension}"


def checked_path(path: object, *, windows: bool = False) -> str:
    """Return *path* as text, or refuse what a store cannot keep under that name.

    Refused is what would leave the store (absolute, ``..``), what no file can be
    called (control characters, lone surrogates, too long, ends in ``/``), and
    what looks like a temporary file of ours. ``a//b`` and ``./a`` are what they
    are in Scrapy: other spellings of ``a/b`` and ``a`` in a file system, other
    keys in an object store.

    Args:
        path: what a ``file_path`` or ``thumb_path`` method returned; text or
            :class:`os.PathLike`.
        windows: the store is on Windows: backslashes separate, and device
            names, drives, ``<>:"|?*`` and final dots or spaces are refused.

    Returns:
        The same path; with *windows*, its separators are ``/``.

    Raises:
        StoreFailed: ``bad-path``, with one sentence that says what is wrong.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        msg = (
            f"Expected a path as str or os.PathLike but received {_shown(path)} "
            f"of type {type(path).__name__}"
        )
        raise StoreFailed(msg, "bad-path")
    if windows:
        text = text.replace("\\", "/")
    if _ORDINARY.fullmatch(text) is not None and len(text) <= MAX_PATH_BYTES and not windows:
        return text
    fault = _fault(text, windows=windows)
    if fault is not None:
        msg = f"Refused the path {_shown(path)}: {fault}"
        raise StoreFailed(msg, "bad-path")
    return text


def _fault(text: str, *, windows: bool) -> str | None:
    whole = _whole_fault(text)
    if whole is not None:
        return whole
    if text.endswith("/") or text.rpartition("/")[2] == ".":
        return "it names a directory, not a file"
    for component in text.split("/"):
        fault = _component_fault(component)
        if fault is None and windows:
            fault = _windows_fault(component)
        if fault is not None:
            return fault
    return None


def _whole_fault(text: str) -> str | None:
    if not text:
        return "it is empty"
    if text[0] == "/":
        return "it is absolute; paths are relative to the store"
    if _CONTROL.search(text) is not None:
        return "it contains a control character"
    size = _size(text)
    if size is None:
        return "it contains a lone surrogate, which UTF-8 cannot express"
    if size > MAX_PATH_BYTES:
        return f"it is {size} bytes long, more than {MAX_PATH_BYTES}"
    return None


def _component_fault(component: str) -> str | None:
    if component[:1] == ".":
        if component == "..":
            return "it climbs out with '..'"
        # Lower case: on macOS and Windows both spellings are one name.
        if component.lower().startswith(TEMPORARY_PREFIX):
            return f"names that begin with {TEMPORARY_PREFIX!r} are our temporary files"
    size = _size(component)
    if size is not None and size > MAX_COMPONENT_BYTES:
        return f"a component is {size} bytes long, more than {MAX_COMPONENT_BYTES}"
    return None


def _windows_fault(component: str) -> str | None:
    if _WINDOWS_FORBIDDEN.search(component) is not None:
        return 'it contains one of <>:"|?*, which Windows cannot store'
    if component not in {"", "."} and component[-1] in ". ":
        return "a component ends in a dot or a space, which Windows drops"
    if _WINDOWS_DEVICE.fullmatch(component) is not None:
        return "it names a device of Windows"
    return None


def _size(text: str) -> int | None:
    """Return the bytes of *text* in UTF-8, or ``None`` when it has no such form."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _digest(url: str) -> str:
    # a data: URL may have megabytes, and the cache would keep it
    return _remembered(url) if len(url) <= _REMEMBERED_CHARACTERS else _sha1(url)


@lru_cache(maxsize=1024)  # asked for the image and for each thumbnail
def _remembered(url: str) -> str:
    return _sha1(url)


def _sha1(url: str) -> str:
    return sha1(url.encode(), usedforsecurity=False).hexdigest()
