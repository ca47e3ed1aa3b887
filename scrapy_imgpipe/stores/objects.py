"""Renditions in S3 and in Azure's blob storage, through obstore.

obstore is a binding of Apache's object_store (Rust): on the same work it takes a fraction of
botocore's CPU time (``benchmarks/stores.py``). It has no ACL for single objects, and its keys
have no empty parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from typing import Any, Final
from urllib.parse import quote

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.keyed import KeyedStore, bucket_of
from scrapy_imgpipe.stores.object_options import found_by_botocore, given_for_azure, patience_of
from scrapy_imgpipe.stores.protocol import Facts, Stat
from scrapy_imgpipe.stores.s3 import PLAIN_ACLS, check_s3, checksum_in, metadata_of
from scrapy_imgpipe.stores.texts import check_endpoint, check_headers, check_texts

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

#: What it says of a key in a listing that it has no path for.
_ODD_KEY = "Encountered object with invalid path"

#: Bytes that may take as long to be sent as the server may be silent: twice as many may take
#: twice as long.
_SENT_IN_TIME = 1 << 20

#: What its panics are not, though they are no Exception either.
_INTERRUPTIONS = (Exception, KeyboardInterrupt, SystemExit, GeneratorExit)


def has_path_for(key: str) -> bool:
    """Return whether obstore can name *key* at all."""
    return {"", "."}.isdisjoint(key.split("/")) and "\x7f" not in key


class ObjectStore(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` over one of obstore's; safe for threads.

    Args:
        address: as for :class:`KeyedStore`.
        prefix: as for :class:`KeyedStore`.
        make: what makes one of ``obstore.store``, given what differs in patience.
        access: how it is reached.

    Raises:
        ValueError: *prefix* is none for obstore, or it cannot use what it is given.
        SettingError: a header, or an ACL, that obstore cannot put.
    """

    def __init__(self, address: str, prefix: str, make: Callable[..., Any], access: Access) -> None:
        super().__init__(address, prefix)
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import BaseError  # noqa: PLC0415

        if prefix and not has_path_for(prefix):
            msg = "obstore has no keys with an empty or '.' part, or with U+007F"
            raise ValueError(msg + ", but botocore has" * address.startswith("s3:"))
        check_headers(access.headers)
        unknown = [name for name in access.headers if name.lower() not in HEADERS]
        if unknown:
            raise SettingError(
                f"Expected headers that obstore can put for IMGPIPE_STORE_HEADERS but received"
                f" {unknown}: IMGPIPE_OBJECT_STORE = 'botocore' has more"
            )
        self.failures: tuple[type[Exception], ...] = (BaseError, OSError)
        self._obstore: Any = obstore
        self._make, self._patience = make, access
        self._clients: dict[int, Any] = {}
        try:
            self._client = make(**patience_of(access))
        except BaseError as error:
            reason = _without_debugging(error)
        else:
            reason = ""
        if reason:
            raise ValueError(reason)
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
        check_s3(access)
        if access.s3_acl not in PLAIN_ACLS:
            raise SettingError(
                "IMGPIPE_OBJECT_STORE is 'obstore', which has no ACL for single objects, but"
                f" IMAGES_STORE_S3_ACL is {access.s3_acl!r}: use 'botocore', or 'auto'"
            )
        from obstore.store import S3Store  # noqa: PLC0415 - an extra

        found = found_by_botocore(access)
        endpoint = found["endpoint"]
        if not endpoint and not access.aws_use_ssl:
            raise SettingError(
                "AWS_USE_SSL is False, but obstore speaks plain HTTP only where AWS_ENDPOINT_URL"
                " begins with http://: use 'botocore' for IMGPIPE_OBJECT_STORE"
            )
        given: dict[str, Any] = {name: value for name, value in found.items() if value}
        given["s3_express"] = bucket.endswith("--x-s3")
        if "credential_provider" in found:
            given["skip_signature"] = False
        if endpoint:
            given["virtual_hosted_style_request"] = False  # so does botocore

        def make(**patience: Any) -> Any:
            patience["client_options"]["allow_http"] = endpoint.lower().startswith("http:")
            return S3Store(bucket, **given, **patience)

        return cls(f"s3://{bucket}", prefix, make, access)

    @classmethod
    def of_azure(cls, uri: str, access: Access) -> ObjectStore:
        """Return a store in a container of Azure's blob storage.

        Raises:
            ValueError: *uri* names no container, or nothing names an account.
            SettingError: as above.
            ImportError: obstore is not there.
        """
        container, prefix = bucket_of(uri)
        check_texts(
            {
                "IMGPIPE_AZURE_ACCOUNT": access.azure_account,
                "IMGPIPE_AZURE_KEY": access.azure_key,
                "IMGPIPE_AZURE_SAS": access.azure_sas,
            }
        )
        check_endpoint("IMGPIPE_AZURE_ENDPOINT_URL", access.azure_endpoint_url)
        from obstore.store import AzureStore  # noqa: PLC0415 - an extra

        wanted = {
            "account_name": access.azure_account,
            "account_key": access.azure_key,
            "sas_key": access.azure_sas.removeprefix("?"),
            "endpoint": access.azure_endpoint_url,
        }
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value}
        told = given_for_azure(access)
        explicit: dict[str, Any] = {}
        if told is not None:
            explicit = {"credential_provider": told, "skip_signature": False}

        def make(**patience: Any) -> Any:
            plain = access.azure_endpoint_url.lower().startswith("http:")
            patience["client_options"]["allow_http"] = plain
            if explicit:  # next to a provider it does not look at what is given
                AzureStore(container, **given, **patience)
            return AzureStore(container, **given, **explicit, **patience)

        return cls(f"az://{container}", prefix, make, access)

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
        if not has_path_for(key):
            raise StoreFailed(
                f"Refused the path {path!r}: obstore has no keys with an empty or '.' part, or"
                " with U+007F",
                "bad-path",
            )
        return key

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        attributes = self._attributes | metadata_of(facts)
        if facts.media_type:
            attributes["Content-Type"] = facts.media_type
        client = self._client_for(len(data))
        self._obstore.put(client, key, data, attributes=attributes, use_multipart=False)
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
                key = found["path"]
                if key.startswith(prefix) and (found["size"] or not self._is_marker(key)):
                    yield key

    def _is_marker(self, key: str) -> bool:
        """Return whether *key*, of no bytes, is a folder's, whose slash obstore has cut off."""
        return self._stat(key) is None

    def _client_for(self, size: int) -> Any:
        """Return a client with time enough to send *size* bytes.

        It has one time for a request, not one for each; so there is one client for up to 1
        MiB, one for up to 2, 4, ..., each made when it is needed. Two threads may make one at
        once: then one of the two is forgotten.
        """
        times = 1
        while times * _SENT_IN_TIME < size:
            times *= 2
        if times == 1:
            return self._client
        if times not in self._clients:
            self._clients[times] = self._make(**patience_of(self._patience, times))
        return self._clients[times]

    def _is_failure(self, error: BaseException) -> bool:
        """Count a panic among the failures, which is no Exception: items would vanish."""
        return super()._is_failure(error) or not isinstance(error, _INTERRUPTIONS)

    def _reason(self, error: Exception) -> str:
        reason = _without_debugging(error)
        if _ODD_KEY in str(error):
            other = "; IMGPIPE_OBJECT_STORE = 'botocore' lists it" * self.address.startswith("s3:")
            reason = f"there is a key that obstore cannot read{other} ({reason})"
        return reason


def _without_debugging(error: Exception) -> str:
    """Return what obstore says for people, without the signatures of URLs."""
    whole = str(error).partition("\n\nDebug source")[0]
    status, told = _STATUS.search(whole), _TOLD.search(whole)
    if status and told:
        return f"{status[1]}: {told[1]} ({told[2]})"
    return _QUERY.sub(r"\1", whole.rpartition(" - ")[2] or whole).rstrip(": \n")
