"""Renditions in Amazon S3, or what speaks its protocol, through botocore."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.stores.access import Access
from scrapy_imgpipe.stores.keyed import KeyedStore, bucket_of
from scrapy_imgpipe.stores.protocol import Facts, Stat

_MD5 = re.compile(r"[0-9a-f]{32}")

#: Headers of an answer that say that its ETag is no MD5
#: (docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html, ETag).
_ENCRYPTED = ("SSEKMSKeyId", "SSECustomerAlgorithm")

#: Canned ACLs that say what holds without one. They are not sent: a bucket whose owner
#: has switched ACLs off has no need to be told.
PLAIN_ACLS: Final = ("", "private")

_NOT_FOUND = 404

#: How often a body is asked for that was cut off.
_TRIES = 2


class S3Store(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` in a bucket; safe for threads.

    Args:
        uri: ``s3://bucket`` or ``s3://bucket/prefix``.
        access: how it is reached.

    Raises:
        ValueError: *uri* names no bucket.
        SettingError: botocore knows no such header.
        ImportError: botocore is not there.
    """

    def __init__(self, uri: str, access: Access) -> None:
        self.bucket, prefix = bucket_of(uri)
        super().__init__(f"s3://{self.bucket}", prefix)
        from botocore.config import Config  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        self.failures = (BotoCoreError, ClientError, OSError)
        self._refused = ClientError
        self.client: Any = Session().create_client(
            "s3",
            aws_access_key_id=access.aws_access_key_id or None,
            aws_secret_access_key=access.aws_secret_access_key or None,
            aws_session_token=access.aws_session_token or None,
            endpoint_url=access.aws_endpoint_url or None,
            region_name=access.aws_region or None,
            use_ssl=access.aws_use_ssl,
            verify=None if access.aws_verify is True else access.aws_verify,
            config=Config(
                connect_timeout=access.timeout_seconds,
                read_timeout=access.timeout_seconds,
                max_pool_connections=access.connections,
                retries={"mode": "standard", "total_max_attempts": access.retries + 1},
                signature_version="s3v4",  # what is signed for others lasts a week then
            ),
        )
        self._extra = self._arguments_of(access.headers)
        if access.s3_acl not in PLAIN_ACLS:
            self._extra["ACL"] = access.s3_acl

    def signed_url(self, path: str, seconds: int) -> str:
        """Return a URL under which anybody may read *path* for up to a week."""

        def sign(key: str) -> str:
            params = {"Bucket": self.bucket, "Key": key}
            return str(
                self.client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds)
            )

        return self._about("sign a URL of", path, sign)

    def _put(self, key: str, data: bytes, facts: Facts) -> Stat:
        extra = dict(self._extra)
        if facts.media_type:
            extra["ContentType"] = facts.media_type
        metadata = metadata_of(facts)
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data, Metadata=metadata, **extra)
        return Stat(len(data), 0, facts.checksum)

    def _get(self, key: str) -> bytes | None:
        from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415

        for left in reversed(range(_TRIES)):
            answer = self._found(self.client.get_object, key)
            if answer is None:
                return None
            try:
                with closing(answer["Body"]) as body:
                    data: bytes = body.read()
            except (HTTPClientError, IncompleteReadError):
                if not left:
                    raise
            else:
                return data
        return None

    def _stat(self, key: str) -> Stat | None:
        answer = self._found(self.client.head_object, key)
        if answer is None:
            return None
        encrypted = any(name in answer for name in _ENCRYPTED)
        tag = "" if encrypted else str(answer.get("ETag", ""))
        checksum = checksum_in(answer.get("Metadata", {}), tag)
        return Stat(answer["ContentLength"], answer["LastModified"].timestamp(), checksum)

    def _delete(self, key: str) -> bool:
        if self._stat(key) is None:
            return False
        self.client.delete_object(Bucket=self.bucket, Key=key)
        return True

    def _list(self, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                yield found["Key"]

    def _found(self, ask: Any, key: str) -> Any:
        """Return what *ask* answers; None where there is no such key in the bucket."""
        try:
            return ask(Bucket=self.bucket, Key=key)
        except self._refused as error:
            answer: Any = error.response
            if answer["ResponseMetadata"].get("HTTPStatusCode") != _NOT_FOUND:
                raise
            if answer["Error"].get("Code") == "NoSuchBucket":  # a HEAD cannot tell
                raise
            return None

    def _arguments_of(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return *headers* as botocore has them in the arguments of a put."""
        operation = self.client.meta.service_model.operation_model("PutObject")
        known = {
            str(shape.serialization.get("name", name)).lower(): name
            for name, shape in operation.input_shape.members.items()
            if shape.serialization.get("location") == "header"
        }
        unknown = [name for name in headers if name.lower() not in known]
        if unknown:
            raise SettingError(
                f"Expected headers that S3 knows for IMGPIPE_STORE_HEADERS but received {unknown}"
            )
        return {known[name.lower()]: value for name, value in headers.items()}


def metadata_of(facts: Facts) -> dict[str, str]:
    """Return *facts* as user-defined metadata; width and height as Scrapy names them."""
    found = {"width": facts.width, "height": facts.height, "md5": facts.checksum}
    return {name: str(value) for name, value in found.items() if value}


def checksum_in(metadata: Mapping[str, str], tag: str) -> str:
    """Return the MD5 that *metadata* or the ETag *tag* tells; empty where neither does.

    The ETag of what came in several parts is no MD5, and has a dash.
    """
    for told in (metadata.get("md5", ""), tag.strip('"')):
        if _MD5.fullmatch(told):
            return told
    return ""
