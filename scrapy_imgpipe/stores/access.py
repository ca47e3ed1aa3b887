"""How the stores are reached that are on other machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scrapy_imgpipe.options import HEADERS

#: Requests that are under way at once unless somebody says otherwise: on loopback more gain
#: nothing, and each has a thread. Not measured over a long line.
CONNECTIONS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Credentials, addresses and patience for one store; what is empty is found elsewhere.

    Attributes:
        timeout_seconds: for a connection, and for an answer once the request is sent.
        retries: how often a request that failed for no lasting reason is sent once more.
        connections: how many there may be at once, 1 or more.
        headers: HTTP header to value, for every object that is put.
        object_store: which client serves ``s3``: ``auto``, ``botocore`` or ``obstore``.
        aws_access_key_id: else botocore's own ways to find credentials.
        aws_secret_access_key: belongs to it.
        aws_session_token: belongs to it, where they are temporary.
        aws_endpoint_url: of a server that speaks S3; else Amazon's.
        aws_region: else botocore's own ways to find it.
        aws_use_ssl: False for plain HTTP where no endpoint says so.
        aws_verify: False to believe any certificate, or a file of those to believe.
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
    """

    timeout_seconds: float = 60
    retries: int = 3
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
