"""What the files of a shard and its samples are called. No I/O."""

from __future__ import annotations

import re
from typing import Final

#: Digits of a shard's number; there are more from the hundred thousandth on.
_SHARD_DIGITS = 5

_TABLE = re.compile(rf"(\d{{{_SHARD_DIGITS},}})\.parquet", re.ASCII)

#: Which of a shard's figures tells the bytes of its tar. Where there is none, another
#: program wrote it.
TAR_BYTES: Final = "tar_bytes"


def stem(shard: int) -> str:
    """Return what the names of all files of a shard begin with."""
    return f"{shard:0{_SHARD_DIGITS}}"


def tar_of(shard: int) -> str:
    """Return the path of a shard's tar."""
    return f"{stem(shard)}.tar"


def table_of(shard: int) -> str:
    """Return the path of a shard's Parquet file."""
    return f"{stem(shard)}.parquet"


def figures_of(shard: int) -> str:
    """Return the path of a shard's figures."""
    return f"{stem(shard)}_stats.json"


def shard_of(path: str) -> int | None:
    """Return the number of the shard whose Parquet file *path* is."""
    named = _TABLE.fullmatch(path)
    return int(named[1]) if named else None


def key_of(shard: int, place: int, shard_rows: int) -> str:
    """Return the key of the sample at *place* in its shard, 0 to *shard_rows* - 1.

    All keys of a dataset of up to 100,000 shards have one length, and in the order of
    text they are in the order of numbers.
    """
    digits = len(str(shard_rows - 1)) if shard_rows > 1 else 0
    return f"{shard * 10**digits + place:0{_SHARD_DIGITS + digits}}"
