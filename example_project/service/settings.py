"""What the service is told by its environment; nothing is read later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from scrapy_imgpipe import Plan, SettingError, StoreFailed, Variant
from scrapy_imgpipe.imaging import step_of
from scrapy_imgpipe.parsers import Parser, parse, whole_number
from scrapy_imgpipe.paths import checked_path
from scrapy_imgpipe.renditions import parse_renditions
from scrapy_imgpipe.stores import Access
from scrapy_imgpipe.variants import SOURCE

#: The name under which everybody gets the full image.
ORIGINAL: Final = "original"

#: An upload of more bytes is refused.
MOST_BYTES: Final = 20 << 20

#: Characters of the name of a variant: it stands in addresses and in names of files.
MOST_NAME: Final = 100

#: What is made of every image unless the environment says otherwise.
VARIANTS: Final = (
    Variant("thumb", 150, 150),
    Variant("medium", 600, 600),
    Variant("large", 1600, 1600),
)

_RENDITIONS = Parser("a dict of renditions in JSON", parse_renditions)
_STEPS = Parser(
    "steps that are there and take their arguments", lambda steps: tuple(map(step_of, steps))
)
_COUNT = whole_number(1)


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service works.

    Attributes:
        store: a directory, or a URI as for ``store_at``.
        access: how it is reached, where it is on another machine.
        index: file or URL of the index of the crawls that fill this store, and of what is
            uploaded; empty or ``off`` for none.
        plan: what is made of every image.
        workers: images that are rendered at once, each by a worker process.
        uploads: bodies that may be in memory at once; more are asked to come again.
        jobs: that may wait at once; more are asked to come again.
        hosts: names that this service answers to: a page of another name that a browser was
            led here by (DNS rebinding) reads nothing.
        seconds: that rendering one image may take.
        memory: bytes that a worker process may have.
        signed_seconds: for which a signed URL of a store on another machine is good.
    """

    store: str = "images"
    access: Access = Access()  # noqa: RUF009 - frozen
    index: str = ""
    plan: Plan = Plan(VARIANTS, strip="all")  # noqa: RUF009 - frozen
    workers: int = 2
    uploads: int = 16
    jobs: int = 1000
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    seconds: float = 30
    memory: int = 1 << 30
    signed_seconds: int = 3600

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Return what *environment* says.

        Raises:
            SettingError: something in it cannot be used.
        """
        found = cls()
        hosts = environment.get("SERVICE_HOSTS", "")
        return cls(
            environment.get("IMAGES_STORE") or found.store,
            Access(aws_endpoint_url=environment.get("AWS_ENDPOINT_URL", "")),
            environment.get("IMGPIPE_INDEX", ""),
            _plan_of(environment.get("IMGPIPE_RENDITIONS", "")),
            _count(environment, "SERVICE_WORKERS", os.cpu_count() or found.workers),
            _count(environment, "SERVICE_UPLOADS", found.uploads),
            _count(environment, "SERVICE_JOBS", found.jobs),
            tuple(host.strip(" []").lower() for host in hosts.split(",")) if hosts else found.hosts,
        )


def _count(environment: Mapping[str, str], key: str, default: int) -> int:
    found: int = parse(_COUNT, key, environment.get(key) or default)
    return found


def _name_of(name: str) -> str:
    """Accept a name that can be a file's, and a step of an address."""
    windows = os.name == "nt"
    try:
        checked = checked_path(name, windows=windows)
    except StoreFailed:
        raise ValueError(name) from None
    if checked != name or "/" in name or name in {ORIGINAL, "."} or len(name) > MOST_NAME:
        raise ValueError(name)
    return name


_NAME = Parser(
    f"names that are no {ORIGINAL!r} and can be those of files, without '/' and of at most"
    f" {MOST_NAME} characters,",
    _name_of,
)


def _plan_of(text: str) -> Plan:
    """Return the plan of ``IMGPIPE_RENDITIONS``, which is JSON as in a crawl's settings."""
    variants: tuple[Variant, ...] = VARIANTS
    if text:
        parsed = parse(_RENDITIONS, "IMGPIPE_RENDITIONS", text).values()
        variants = tuple(_with_steps(variant) for variant in parsed)
    for variant in variants:
        parse(_NAME, "IMGPIPE_RENDITIONS", variant.name)
        # The path of a variant has to follow from the identifier alone.
        if variant.format == SOURCE:
            raise SettingError(
                "Expected renditions of one format for IMGPIPE_RENDITIONS but received"
                f" {variant.name!r} in {variant.format}"
            )
    return Plan(variants, strip="all")


def _with_steps(variant: Variant) -> Variant:
    steps = parse(_STEPS, f"IMGPIPE_RENDITIONS[{variant.name!r}]['steps']", variant.steps)
    return replace(variant, steps=steps)
