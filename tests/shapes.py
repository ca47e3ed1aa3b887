"""One hook in every shape that users write it in: ``def``, ``async def``, Deferred, generators."""

from __future__ import annotations

import asyncio
import functools

import pytest
from scrapy.utils.defer import deferred_from_coro


def plain(function):
    """``def``, as in Scrapy's documentation."""
    return function


def coroutine(function):
    """``async def`` that really gives way once."""

    @functools.wraps(function)
    async def hook(*args, **kwargs):
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return hook


def deferred(function):
    """``def`` that returns a Deferred of the value."""

    @functools.wraps(function)
    def hook(*args, **kwargs):
        return deferred_from_coro(coroutine(function)(*args, **kwargs))

    return hook


def generator(function):
    """``def`` with ``yield``, as Scrapy's own."""
    return function


def plain_list(function):
    """``def`` that returns a list of what the generator yields."""

    @functools.wraps(function)
    def hook(*args, **kwargs):
        return list(function(*args, **kwargs))

    return hook


def async_list(function):
    """``async def`` that returns a list of what the generator yields."""

    @functools.wraps(function)
    async def hook(*args, **kwargs):
        await asyncio.sleep(0)
        return list(function(*args, **kwargs))

    return hook


def async_generator(function):
    """``async def`` with ``yield``."""

    @functools.wraps(function)
    async def hook(*args, **kwargs):
        for value in function(*args, **kwargs):
            await asyncio.sleep(0)
            yield value

    return hook


either = pytest.mark.parametrize("shape", [plain, coroutine])
any_of_three = pytest.mark.parametrize("shape", [plain, coroutine, deferred])
any_of_many = pytest.mark.parametrize("shape", [generator, plain_list, async_list, async_generator])
