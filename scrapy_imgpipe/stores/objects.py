"""Renditions in S3 and in Azure's blob storage, through obstore.

obstore is a binding of Apache's object_store (Rust): on the same work it takes a fraction of
botocore's CPU time (``benchmarks/stores.py``). It has no ACL for single objects, and its keys
have no empty parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any, Final
from urllib.parse import quote

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.keyed import KeyedStore, bucket_of
from scrapy_imgpipe.stores.protocol import Facts, Stat
from scrapy_imgpipe.stores.s3 import PLAIN_ACLS, checksum_in, metadata_of

#: Headers that it can put, in its spelling; one for the class of storage is called otherwise
#: in each protocol.
HEADERS: Final = {
    name.lower(): name
    for name in ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language")
} | {"x-amz-storage-class": "Storage-Class", "x-ms-access-tier": "Storage-Class"}

# A shared access signature is a query.
_QUERY = re.compile(r"(https?://[^\s?]*)\?[^\s)]*")
_STATUS = re.compile(r"status code: (\d+ [^:<]*)")
_TOLD = re.compile(r"<Code>([^<]*)</Code>\s*<Message>([^<\n]*)")

#: What servers call a place that is not there, where they say more than 404.
_NO_PLACE = ("NoSuchBucket", "ContainerNotFound")


class ObjectStore(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` over one of obstore's; safe for threads.

    Args:
        address: as for :class:`KeyedStore`.
        prefix: as for :class:`KeyedStore`.
        client: one of ``obstore.store``.
        access: how it is reached.

    Raises:
        SettingError: a header, or an ACL, that obstore cannot put.
    """

    def __init__(self, address: str, prefix: str, client: Any, access: Access) -> None:
        super().__init__(address, prefix)
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import BaseError  # noqa: PLC0415

        unknown = [name for name in access.headers if name.lower() not in HEADERS]
        if unknown:
            raise SettingError(
                f"Expected headers that obstore can put for IMGPIPE_STORE_HEADERS but received"
                f" {unknown}: IMGPIPE_OBJECT_STORE = 'botocore' has more"
            )
        self.failures = (BaseError, OSError)
        self._obstore: Any = obstore
        self._client = client
        self._attributes = {HEADERS[name.lower()]: text for name, text in access.headers.items()}

    @classmethod
    def of_s3(cls, uri: str, access: Access) -> ObjectStore:
        """Return a store in an S3 bucket.

        Raises:
            ValueError: *uri* names no bucket.
            SettingError: as above.
            ImportError: obstore is not there.
        """
        bucket, prefix = bucket_of(uri)
        if access.s3_acl not in PLAIN_ACLS:
            raise SettingError(
                "IMGPIPE_OBJECT_STORE is 'obstore', which has no ACL for single objects, but"
                f" IMAGES_STORE_S3_ACL is {access.s3_acl!r}: use 'botocore', or 'auto'"
            )
        from obstore.store import S3Store  # noqa: PLC0415 - an extra

        wanted = {
            "access_key_id": access.aws_access_key_id,
            "secret_access_key": access.aws_secret_access_key,
            "session_token": access.aws_session_token,
            "endpoint": access.aws_endpoint_url,
            "region": access.aws_region,
        }
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        if not access.aws_access_key_id:
            given |= _found_by_botocore(access)
        plain = access.aws_endpoint_url.startswith("http:") or not access.aws_use_ssl
        client = S3Store(bucket, **given, **_patience(access, plain=plain))
        return cls(f"s3://{bucket}", prefix, client, access)

    @classmethod
    def of_azure(cls, uri: str, access: Access) -> ObjectStore:
        """Return a store in a container of Azure's blob storage.

        Raises:
            ValueError: *uri* names no container, or nothing names an account.
            SettingError: as above.
            ImportError: obstore is not there.
        """
        container, prefix = bucket_of(uri)
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import AzureStore  # noqa: PLC0415

        wanted = {
            "account_name": access.azure_account,
            "account_key": access.azure_key,
            "sas_key": access.azure_sas.removeprefix("?"),
            "endpoint": access.azure_endpoint_url,
        }
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        plain = access.azure_endpoint_url.startswith("http:")
        try:
            client = AzureStore(container, **given, **_patience(access, plain=plain))
        except BaseError as error:
            reason = _without_debugging(error)
        else:
            return cls(f"az://{container}", prefix, client, access)
        raise ValueError(reason)

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL under which anybody may read *path* for a while.

        Raises:
            StoreFailed: for Azure, a path that a URL has to encode: obstore (0.12) signs it as
                it is encoded, and Azure compares what it says.
        """

        def sign(key: str) -> str:
            if self.address.startswith("az:") and quote(key) != key:
                msg = "obstore cannot sign such a name for Azure"
                raise OSError(msg)
            return str(self._obstore.sign(self._client, "GET", key, timedelta(seconds=seconds)))

        return self._about("sign a URL of", path, sign)

    def _key(self, path: str) -> str:
        key = super()._key(path)
        if not {"", "."}.isdisjoint(key.split("/")):
            raise StoreFailed(
                f"Refused the path {path!r}: obstore has no keys with an empty or '.' part",
                "bad-path",
            )
        return key

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        attributes = self._attributes | metadata_of(facts)
        if facts.media_type:
            attributes["Content-Type"] = facts.media_type
        self._obstore.put(self._client, key, data, attributes=attributes, use_multipart=False)
        return Stat(len(data), 0, facts.checksum)

    def _get(self, key: str) -> bytes | None:
        try:
            return bytes(self._obstore.get(self._client, key).bytes())
        except FileNotFoundError as error:
            if any(word in str(error) for word in _NO_PLACE):
                raise
            return None

    def _stat(self, key: str) -> Stat | None:
        try:
            found = self._obstore.get(self._client, key, options={"head": True})
        except FileNotFoundError:
            return None
        meta = found.meta
        checksum = checksum_in(found.attributes, meta["e_tag"] or "")
        return Stat(meta["size"], meta["last_modified"].astimezone(UTC).timestamp(), checksum)

    def _delete(self, key: str) -> bool:
        if self._stat(key) is None:
            return False
        self._obstore.delete(self._client, key)
        return True

    def _list(self, prefix: str) -> Iterator[str]:
        folder = prefix.rpartition("/")[0]  # it lists by whole parts of keys
        for some in self._obstore.list(self._client, folder or None):
            for found in some:
                if found["path"].startswith(prefix):
                    yield found["path"]

    def _reason(self, error: Exception) -> str:
        return _without_debugging(error)


def _patience(access: Access, *, plain: bool) -> dict[str, Any]:
    seconds = timedelta(seconds=access.timeout_seconds)
    verify = access.aws_verify
    options: dict[str, Any] = {
        "timeout": seconds,
        "connect_timeout": seconds,
        "allow_http": plain,
        "allow_invalid_certificates": verify is False,
    }
    if isinstance(verify, str):
        with open(verify, "rb") as file:  # noqa: PTH123
            options["root_certificate"] = file.read()
    retries = {
        "max_retries": access.retries,
        "retry_timeout": (access.retries + 1) * seconds + timedelta(minutes=1),
    }
    return {"client_options": options, "retry_config": retries}


def _found_by_botocore(access: Access) -> dict[str, Any]:
    """Return credentials and region where botocore finds them: profiles, single sign-on, ...

    Where it is not there, or finds none, obstore looks by itself.
    """
    try:
        from botocore.session import Session  # noqa: PLC0415 - an extra
    except ImportError:
        return {}
    session = Session()
    found: dict[str, Any] = {}
    region = session.get_config_variable("region")
    if region and not access.aws_region:
        found["region"] = region
    credentials = session.get_credentials()
    if credentials is None:
        return found

    def frozen() -> dict[str, Any]:
        now = credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": getattr(credentials, "_expiry_time", None),
        }

    return found | {"credential_provider": frozen}


def _without_debugging(error: Exception) -> str:
    """Return what obstore says for people, without the signatures of URLs."""
    whole = str(error).partition("\n\nDebug source")[0]
    status, told = _STATUS.search(whole), _TOLD.search(whole)
    if status and told:
        return f"{status[1]}: {told[1]} ({told[2]})"
    return _QUERY.sub(r"\1", whole.rpartition(" - ")[2] or whole).rstrip(": \n")
