"""The early no: what can be refused before, and while, something is downloaded.

Pure: no network, no resolver, no settings, no Pillow. What is known comes as an argument,
and what is refused leaves as an error of ours that says why.
"""

from scrapy_imgpipe.guards.addresses import Address, address_in, is_public
from scrapy_imgpipe.guards.hosts import HostRules, Network, network_or_name
from scrapy_imgpipe.guards.shown import (
    credentials_in,
    shown_entry,
    shown_text,
    shown_url,
    shown_value,
    without_credentials,
)
from scrapy_imgpipe.guards.texts import text_kind
from scrapy_imgpipe.guards.urls import check_entry, check_url

__all__ = [
    "Address",
    "HostRules",
    "Network",
    "address_in",
    "check_entry",
    "check_url",
    "credentials_in",
    "is_public",
    "network_or_name",
    "shown_entry",
    "shown_text",
    "shown_url",
    "shown_value",
    "text_kind",
    "without_credentials",
]
