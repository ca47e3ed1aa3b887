"""Renditions in Amazon S3, or what speaks its protocol, through botocore."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.stores.access import MOST_PAUSE_SECONDS, PAUSE_GROWTH, Access
from scrapy_imgpipe.stores.keyed import KeyedStore, bucket_of
from scrapy_imgpipe.stores.protocol import Facts, Stat
from scrapy_imgpipe.stores.texts import (
    check_endpoint,
    check_headers,
    check_pair,
    check_texts,
    verify_of,
)

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

# What urllib3 says of one with a line break shows it, and it may be a session token.
_HEADER_SHOWN = re.compile(r"(Invalid header (?:value|name)).*", re.DOTALL)

#: What passes by itself: botocore's own list of mode 'standard', and 429
#: (docs.aws.amazon.com/sdkref, "Retry behavior").
_PASSING_STATUS = frozenset({429, 500, 502, 503, 504, 509})
_PASSING_CODES = frozenset(
    {"RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete", "SlowDown"}
    | {"Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"}
    | {"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded"}
)


class S3Store(KeyedStore):
    """A :class:`~scrapy_imgpipe.stores.protocol.Store` in a bucket; safe for threads.

    Args:
        uri: ``s3://bucket`` or ``s3://bucket/prefix``.
        access: how it is reached.

    Raises:
        ValueError: *uri* names no bucket, or botocore finds no profile, or half of one.
        SettingError: botocore knows no such header or ACL, or one of *access* cannot be.
        ImportError: botocore is not there.
    """

    def __init__(self, uri: str, access: Access) -> None:
        bucket, prefix = bucket_of(uri)
        self.bucket: str = bucket
        super().__init__(f"s3://{self.bucket}", prefix)
        from botocore.config import Config  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        self.failures: tuple[type[Exception], ...] = (BotoCoreError, ClientError, OSError)
        self._refused = ClientError
        check_s3(access)
        try:
            session = Session()
            self.client: Any = session.create_client(
                "s3",
                aws_access_key_id=access.aws_access_key_id or None,
                aws_secret_access_key=access.aws_secret_access_key or None,
                aws_session_token=access.aws_session_token or None,
                endpoint_url=access.aws_endpoint_url or None,
                region_name=region_of(access, session) or None,
                use_ssl=access.aws_use_ssl,
                verify=_verify(access),
                config=Config(
                    connect_timeout=access.timeout_seconds,
                    read_timeout=access.timeout_seconds,
                    max_pool_connections=access.connections,
                    # 'standard' has 500 tokens for all requests of a client, and where many
                    # fail it gives up after one try each; 'legacy' has none.
                    retries={"mode": "legacy", "total_max_attempts": access.retries + 1},
                    signature_version="s3v4",  # what is signed for others lasts a week then
                ),
            )
        except BotoCoreError as error:
            msg = " ".join(str(error).split())
        else:
            msg = ""
        if msg:
            raise ValueError(msg)
        events = self.client.meta.events
        events.unregister("needs-retry.s3", unique_id="retry-config-s3")
        events.register("needs-retry.s3", Patience(access))
        self._extra = self._arguments_of(access.headers)
        if access.s3_acl not in PLAIN_ACLS:
            self._extra["ACL"] = self._known_acl(access.s3_acl)

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

    def _reason(self, error: Exception) -> str:
        return _HEADER_SHOWN.sub(r"\1", str(error))

    def _arguments_of(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return *headers* as botocore has them in the arguments of a put."""
        from botocore.validate import ParamValidator  # noqa: PLC0415 - an extra

        check_headers(headers)
        shape_of_put = self._shape_of_put()
        known = {
            str(shape.serialization.get("name", name)).lower(): name
            for name, shape in shape_of_put.members.items()
            if shape.serialization.get("location") == "header"
        }
        unknown = [name for name in headers if name.lower() not in known]
        if unknown:
            raise SettingError(
                f"Expected headers that S3 knows for IMGPIPE_STORE_HEADERS but received {unknown}"
            )
        arguments = {known[name.lower()]: value for name, value in headers.items()}
        wrong = ParamValidator().validate({"Bucket": "b", "Key": "k", **arguments}, shape_of_put)
        if wrong.has_errors():
            reason = " ".join(wrong.generate_report().split())
            raise SettingError(
                f"Expected headers that S3 knows for IMGPIPE_STORE_HEADERS but: {reason}"
            )
        return arguments

    def _known_acl(self, name: str) -> str:
        known = self._shape_of_put().members["ACL"].enum
        if name not in known:
            raise SettingError(
                f"Expected one of {', '.join(known)} for IMAGES_STORE_S3_ACL but received"
                f" {name!r} of type str"
            )
        return name

    def _shape_of_put(self) -> Any:
        return self.client.meta.service_model.operation_model("PutObject").input_shape


class Patience:
    """Say of each answer whether botocore is to try once more, and after how many seconds.

    In the place of botocore's own handler of ``needs-retry``, whose pauses are by chance from
    nothing to 1, 2, 4, ... seconds. These are as long as those of obstore.
    """

    def __init__(self, access: Access) -> None:
        self._retries, self._first = access.retries, access.first_pause_seconds

    def __call__(
        self, attempts: int, response: Any, caught_exception: Exception | None, **_: object
    ) -> float | None:
        """Return the pause after the try number *attempts*; None where it was the last."""
        if attempts > self._retries or not _passes(response, caught_exception):
            return None
        pause = self._first
        for _again in range(attempts - 1):
            longest = max(pause * PAUSE_GROWTH, self._first)
            pause = min(random.uniform(self._first, longest), MOST_PAUSE_SECONDS)  # noqa: S311
        return pause


def _passes(response: Any, error: Exception | None) -> bool:
    from botocore.exceptions import ConnectionClosedError, ReadTimeoutError  # noqa: PLC0415
    from botocore.exceptions import ConnectionError as NoConnection  # noqa: PLC0415

    if error is not None:
        return isinstance(error, (NoConnection, ConnectionClosedError, ReadTimeoutError))
    http, told = response
    code = told.get("Error", {}).get("Code")
    return http.status_code in _PASSING_STATUS or code in _PASSING_CODES


def check_s3(access: Access) -> None:
    """Refuse of *access* what no client of S3 can use, whichever it is.

    Raises:
        SettingError: for the first of it.
    """
    key = "AWS_ACCESS_KEY_ID", access.aws_access_key_id
    secret = "AWS_SECRET_ACCESS_KEY", access.aws_secret_access_key
    token = "AWS_SESSION_TOKEN", access.aws_session_token
    region = "AWS_REGION_NAME", access.aws_region
    check_texts(dict([key, secret, token, region]))
    check_endpoint("AWS_ENDPOINT_URL", access.aws_endpoint_url)
    check_pair(key, secret)


def region_of(access: Access, session: Any = None) -> str:
    """Return the region: of the settings, of botocore's *session*, or of the environment."""
    found = access.aws_region or (session and session.get_config_variable("region"))
    return found or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""


def _verify(access: Access) -> bool | str | None:
    """Return what botocore is to do: None has it look into the environment, too."""
    told = verify_of(access.aws_verify)
    return None if told is True else told


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
