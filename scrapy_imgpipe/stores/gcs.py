"""Renditions in Google Cloud Storage, through Google's client.

The client sends each request once, and this file sends it again: the client's own retries are
bounded by time and not by number, and before its version 3.0 those of whole files cannot be
told which failures pass.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from random import uniform
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any, Final, TypeVar

from scrapy_imgpipe.errors import SettingError, StoreFailed
from scrapy_imgpipe.records import checksum
from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.gcs_failures import failures, passes, words_of
from scrapy_imgpipe.stores.keyed import KeyedStore, bucket_of
from scrapy_imgpipe.stores.protocol import Facts, Stat
from scrapy_imgpipe.stores.s3 import metadata_of

_T = TypeVar("_T")

#: Headers that an object is served with, or kept by, to what the client calls them
#: (cloud.google.com/storage/docs/xml-api/reference-headers).
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cache-control": "cache_control",
        "content-disposition": "content_disposition",
        "content-encoding": "content_encoding",
        "content-language": "content_language",
        "x-goog-storage-class": "storage_class",
    }
)

#: Longest that a V4 signature holds, in seconds
#: (cloud.google.com/storage/docs/access-control/signed-urls).
LONGEST_SIGNED: Final = 7 * 24 * 60 * 60

# Another try is made after a second, then two, four, ... up to the longest pause
# (cloud.google.com/storage/docs/retry-strategy).
_LONGEST_PAUSE = 32.0
# What retries may take besides the time-outs, in seconds, as with the other stores.
_ADDED_SECONDS = 60.0

# Of a sentence of the server; its wording is no promise, so nothing else is concluded from it.
_NO_OBJECT = "No such object"
# URLs, and the paths that urllib3 names, have queries: noise, and in some a token.
_ADDRESS = re.compile(r"\(?\b(?:https?://|url: ?/)[^\s'\"]*")


class GcsStore(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` in a bucket; safe for threads.

    Credentials are what Google's libraries find by themselves, or none where
    ``STORAGE_EMULATOR_HOST`` names another server. They need the permissions
    ``storage.objects.create``, ``delete`` (to replace), ``get`` and ``list``: without the last
    one, Google answers 403 for what is not there. No request is sent to the bucket until the
    first file; a project matters to none.

    Args:
        uri: ``gs://bucket`` or ``gs://bucket/prefix``.
        access: how it is reached.

    Raises:
        ValueError: *uri* names no bucket, or no credentials are found.
        SettingError: a header, or an ACL, that Google Cloud Storage does not know.
        ImportError: google-cloud-storage is not there.
    """

    def __init__(self, uri: str, access: Access) -> None:
        bucket, prefix = bucket_of(uri)
        self.bucket: str = bucket
        super().__init__(f"gs://{self.bucket}", prefix)
        self.failures: tuple[type[Exception], ...] = failures()
        self._properties = _properties_of(access.headers)
        self._acl = _acl_of(access.gcs_acl)
        self.client: Any = _client_of(access)
        self._bucket = self.client.bucket(self.bucket)
        self._timeout = access.timeout_seconds
        self._retries = access.retries

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL under which anybody may read *path* for up to a week.

        No request is sent with the key of a service account; impersonated credentials have
        Google sign for them.

        Raises:
            StoreFailed: the credentials cannot sign, or not for so long.
        """
        from google.auth.credentials import Signing  # noqa: PLC0415 - an extra

        def sign(key: str) -> str:
            blob = self._bucket.blob(key)
            return str(blob.generate_signed_url(timedelta(seconds=seconds), version="v4"))

        fault = ""
        if not isinstance(self.client._credentials, Signing):  # noqa: SLF001 - what will sign
            fault = "the credentials have no key; those of a service account have one"
        elif seconds > LONGEST_SIGNED:
            fault = f"it can last {LONGEST_SIGNED} seconds, not {seconds}"
        if fault:
            raise StoreFailed(f"Could not sign a URL of {path!r}: {fault}")
        return self._about("sign a URL of", path, sign)

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        """Send *data* with its MD5, which the server compares before it replaces anything.

        That is one request up to 8 MiB and two above. The MD5 is known already of what this
        package makes; the checksums that the client offers are computed anew, and above 8 MiB
        compared when the old file is gone.
        """
        md5 = b64encode(bytes.fromhex(facts.checksum or checksum(data))).decode()

        def send() -> Stat:
            blob = self._bucket.blob(key)
            for name, value in self._properties.items():
                setattr(blob, name, value)
            blob.metadata = metadata_of(facts)
            blob.md5_hash = md5
            blob.upload_from_string(
                data,
                content_type=facts.media_type or "application/octet-stream",
                predefined_acl=self._acl,
                checksum=None,
                timeout=self._timeout,
                retry=None,
            )
            return _stat_of(blob)

        return self._tried(send)

    def _get(self, key: str) -> bytes | None:
        def read() -> bytes:
            blob = self._bucket.blob(key)
            # Raw, or what was put with a Content-Encoding would come back without it.
            data: bytes = blob.download_as_bytes(
                raw_download=True, timeout=self._timeout, retry=None
            )
            return data

        return self._found(read)

    def _stat(self, key: str) -> Stat | None:
        def look() -> Stat:
            blob = self._bucket.blob(key)
            blob.reload(timeout=self._timeout, retry=None)
            return _stat_of(blob)

        return self._found(look)

    def _delete(self, key: str) -> bool:
        """Remove *key*; where the answer was lost and a second try found nothing, say False."""

        def remove() -> bool:
            self._bucket.delete_blob(key, timeout=self._timeout, retry=None)
            return True

        return self._found(remove) is not None

    def _list(self, prefix: str) -> Iterator[str]:
        token: str | None = None
        while True:
            names, token = self._tried(partial(self._page, prefix, token))
            yield from names
            if not token:
                return

    def _page(
        self, prefix: str, token: str | None, most: int | None = None
    ) -> tuple[list[str], str | None]:
        """Return names, *most* at most, and what asks for the next ones."""
        found = self.client.list_blobs(
            self._bucket,
            prefix=prefix or None,
            page_token=token,
            max_results=most,
            fields="items(name),nextPageToken",
            timeout=self._timeout,
            retry=None,
        )
        names = [blob.name for blob in next(found.pages, ())]
        return names, found.next_page_token

    def _found(self, ask: Callable[[], _T]) -> _T | None:
        """Return what *ask* does; None where there is a bucket without such an object.

        Status and reason of the answer are the same for both. Where its words do not tell, the
        bucket is asked for a list, which fails where there is none.
        """
        from google.api_core.exceptions import NotFound  # noqa: PLC0415 - an extra

        try:
            return self._tried(ask)
        except NotFound as error:
            certain = _NO_OBJECT in words_of(error)
        if not certain:
            self._tried(partial(self._page, "", None, 1))
        return None

    def _tried(self, ask: Callable[[], _T]) -> _T:
        """Return what *ask* does, asked again while it fails for reasons that pass.

        No more often than the settings say, and not once all time-outs and a minute are over:
        a server that sends a byte now and then never lets one come.
        """
        until = monotonic() + (self._retries + 1) * self._timeout + _ADDED_SECONDS
        for turn in range(self._retries):
            pause = min(2.0**turn, _LONGEST_PAUSE) * uniform(0.5, 1)  # noqa: S311 - no secret
            try:
                return ask()
            except self.failures as error:
                if not passes(error) or monotonic() + pause > until:
                    raise
            sleep(pause)
        return ask()

    def _reason(self, error: Exception) -> str:
        return _ADDRESS.sub("", words_of(error))


def _client_of(access: Access) -> Any:
    """Return a client that all threads share."""
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - an extra
    from google.cloud.storage import Client  # noqa: PLC0415

    try:
        # None is no project: left out, it would be looked for, and missed where there is none.
        client: Any = Client(project=access.gcs_project or None)
        _make_room(client._http, access.connections)  # noqa: SLF001 - else made by who is first
    except GoogleAuthError as error:
        reason = str(error.args[0] if error.args else error)
    else:
        # At least 3.17 asks for the bucket in a thread of its own, and again after each 404,
        # for traces that nobody has switched on; few may look at a bucket, and none is to wait.
        client._bucket_metadata_cache = None  # noqa: SLF001
        return client
    raise ValueError(reason.partition(". ")[0].rstrip("."))


def _make_room(session: Any, connections: int) -> None:
    """Let *session*, and the one that fetches its tokens, keep so many connections, not ten.

    Their adapters stay: they have the certificate of the client, where there is one, and the
    retries for tokens.
    """
    from requests.adapters import DEFAULT_POOLSIZE  # noqa: PLC0415 - an extra

    for one in (session, session._auth_request_session):  # noqa: SLF001
        for adapter in one.adapters.values():
            adapter.init_poolmanager(DEFAULT_POOLSIZE, connections)


def _properties_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* as the client has them."""
    unknown = [name for name in headers if name.lower() not in HEADERS]
    if unknown:
        raise SettingError(
            "Expected headers that Google Cloud Storage knows for IMGPIPE_STORE_HEADERS but"
            f" received {unknown}"
        )
    return {HEADERS[name.lower()]: value for name, value in headers.items()}


def _acl_of(name: str) -> str | None:
    """Return *name* as the client has it; None for the bucket's own."""
    from google.cloud.storage.acl import ACL  # noqa: PLC0415 - an extra

    known = {*ACL.PREDEFINED_JSON_ACLS, *ACL.PREDEFINED_XML_ACLS}
    if name and name not in known:
        raise SettingError(
            f"Expected one of {', '.join(sorted(known))} for IMAGES_STORE_GCS_ACL but received"
            f" {name!r}"
        )
    return name or None


def _stat_of(blob: Any) -> Stat:
    """Return what an answer tells of an object.

    Its time is that of the last put; ``updated`` would also be that of new metadata, such as
    a lifecycle rule sets. What was composed of several objects has no MD5.
    """
    digest = b64decode(blob.md5_hash or "").hex()
    return Stat(blob.size, blob.time_created.timestamp(), digest)
