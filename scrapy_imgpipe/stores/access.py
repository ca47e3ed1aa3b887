"""How the stores are reached that are on other machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from scrapy_imgpipe.errors import SettingError
from scrapy_imgpipe.values import HEADERS

#: Requests that are under way at once unless somebody says otherwise: on loopback more gain
#: nothing, and each has a thread. Not measured over a long line.
CONNECTIONS = 16

#: Clients that can serve ``s3``.
CLIENTS: Final = ("auto", "botocore", "obstore")

#: Longest pause between two tries, in seconds, and how many times as long as the last one it
#: may be: "decorrelated jitter", aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter.
MOST_PAUSE_SECONDS: Final = 32.0
PAUSE_GROWTH: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Credentials, addresses and patience for one store; what is empty is found elsewhere.

    Attributes:
        timeout_seconds: for a connection, and for an answer once the request is sent.
        retries: how often a request that failed for no lasting reason is sent once more.
        first_pause_seconds: before the first of them; the others are longer, by chance and up
            to three times as long as the one before. For ``s3`` and ``az``.
        connections: how many there may be at once, 1 or more.
        headers: HTTP header to value, for every object that is put.
        object_store: which client serves ``s3``, one of :data:`CLIENTS`.
        aws_access_key_id: else botocore's own ways to find credentials.
        aws_secret_access_key: belongs to it.
        aws_session_token: belongs to it, where they are temporary.
        aws_endpoint_url: of a server that speaks S3; else Amazon's.
        aws_region: else botocore's own ways to find it.
        aws_use_ssl: False for plain HTTP where no endpoint says so.
        aws_verify: False to believe any certificate, or a file of those to believe; also as
            text, as a command line has it.
        s3_acl: canned ACL of every object.
        azure_account: name of the storage account; else the environment's.
        azure_key: its key.
        azure_sas: a shared access signature in place of the key.
        azure_endpoint_url: of a server that speaks Azure's protocol.
        gcs_project: else the environment's.
        gcs_acl: predefined ACL of every object; else the bucket's own.
        ftp_user: where the URI has none.
        ftp_password: where the URI has none.
        ftp_active: whether the server opens the data connections.

    Raises:
        SettingError: there is no such client.
    """

    timeout_seconds: float = 60
    retries: int = 3
    first_pause_seconds: float = 1.0
    connections: int = CONNECTIONS
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    object_store: str = "auto"
    aws_access_key_id: str = ""
    aws_secret_access_key: str = field(default="", repr=False)
    aws_session_token: str = field(default="", repr=False)
    aws_endpoint_url: str = ""
    aws_region: str = ""
    aws_use_ssl: bool = True
    aws_verify: bool | str = True
    s3_acl: str = ""
    azure_account: str = ""
    azure_key: str = field(default="", repr=False)
    azure_sas: str = field(default="", repr=False)
    azure_endpoint_url: str = ""
    gcs_project: str = ""
    gcs_acl: str = ""
    ftp_user: str = ""
    ftp_password: str = field(default="", repr=False)
    ftp_active: bool = False

    def __post_init__(self) -> None:
        if self.object_store not in CLIENTS:
            raise SettingError(
                f"Expected one of {', '.join(CLIENTS)} for IMGPIPE_OBJECT_STORE but received"
                f" {self.object_store!r} of type {type(self.object_store).__name__}"
            )


def servers_of(uri: str, access: Access) -> tuple[str, ...]:
    """Return on which servers the store at *uri* is: buckets of one name are others elsewhere."""
    servers = {
        "s3": (access.aws_endpoint_url,),
        "az": (access.azure_account, access.azure_endpoint_url),
    }
    return tuple(filter(None, servers.get(urlsplit(uri).scheme, ())))
