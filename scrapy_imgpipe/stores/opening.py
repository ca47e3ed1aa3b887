"""Which store a URI names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.keyed import bucket_of, checked_prefix
from scrapy_imgpipe.stores.memory import MemoryStore
from scrapy_imgpipe.stores.objects import HEADERS, ObjectStore, has_path_for
from scrapy_imgpipe.stores.protocol import Store
from scrapy_imgpipe.stores.s3 import PLAIN_ACLS, S3Store
from scrapy_imgpipe.stores.texts import endpoint_of_environment

#: Which extra of this package brings what each scheme needs.
_EXTRAS: Final = {"s3": "s3", "az": "azure", "gs": "gcs"}


def open_store(uri: str, access: Access | None = None) -> Store:
    """Return the store that *uri* names, with one of :data:`SCHEMES`; no request is sent.

    Args:
        uri: scheme, bucket or host, and a prefix for all keys if there is to be one.
        access: how it is reached; credentials of the environment if left out.

    Raises:
        ValueError: the scheme is another one, or the rest names no place.
        SettingError: something in *access* does not go together.
        ImportError: what the scheme needs is not installed; the sentence names the extra.
    """
    scheme = urlsplit(uri).scheme
    if scheme not in SCHEMES:
        msg = f"it has to begin with one of {', '.join(SCHEMES)}"
        raise ValueError(msg)
    try:
        return SCHEMES[scheme](uri, access or Access())
    except ImportError as error:
        missing = error
    extra = _EXTRAS.get(scheme, scheme)
    if scheme == "s3" and access is not None and access.object_store == "obstore":
        extra = "obstore"
    msg = f"{missing}: pip install 'scrapy-imgpipe[{extra}]'"
    raise ImportError(msg)


def _open_s3(uri: str, access: Access) -> Store:
    return ObjectStore.of_s3(uri, access) if _is_for_obstore(uri, access) else S3Store(uri, access)


def _is_for_obstore(uri: str, access: Access) -> bool:
    """Return whether obstore is to be used; by itself, where it is there and can do all.

    Raises:
        ValueError: *uri* names no bucket.
    """
    if access.object_store != "auto":
        return access.object_store == "obstore"
    prefix = bucket_of(uri)[1]
    secure = access.aws_use_ssl or access.aws_endpoint_url or endpoint_of_environment()[1]
    return (
        all(name.lower() in HEADERS for name in access.headers)
        and access.s3_acl in PLAIN_ACLS
        and (not prefix or has_path_for(prefix))
        and bool(secure)
        and find_spec("obstore") is not None
    )


def _open_gcs(uri: str, access: Access) -> Store:
    from scrapy_imgpipe.stores.gcs import GcsStore  # noqa: PLC0415 - for who needs it

    return GcsStore(uri, access)


def _open_ftp(uri: str, access: Access) -> Store:
    from scrapy_imgpipe.stores.ftp import FtpStore  # noqa: PLC0415 - as above

    return FtpStore(uri, access)


def _open_memory(uri: str, _: Access) -> Store:
    parts = urlsplit(uri)
    return MemoryStore(parts.netloc, checked_prefix(parts.path))


#: What opens the stores of each scheme.
SCHEMES: Final[Mapping[str, Callable[[str, Access], Store]]] = MappingProxyType(
    {
        "s3": _open_s3,
        "az": ObjectStore.of_azure,
        "gs": _open_gcs,
        "ftp": _open_ftp,
        "ftps": _open_ftp,
        "memory": _open_memory,
    }
)
