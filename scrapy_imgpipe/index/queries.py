"""What the SQLite index asks its file, as SQL; many rows travel as one JSON text.

All of it is made of names of columns, never of values.
"""

# ruff: noqa: S608

from __future__ import annotations

from scrapy_imgpipe.index.nearness import BAND_DIGITS, BANDS
from scrapy_imgpipe.index.rows import COLUMNS, JSON_COLUMNS

_AS_JSON = "json_array({})".format(
    ",".join(f"json({name})" if name in JSON_COLUMNS else name for name in COLUMNS)
)
_ROWS = f"SELECT coalesce(json_group_array({_AS_JSON}), '[]') FROM source"
GET = f"{_ROWS} WHERE id IN (SELECT value FROM json_each(?))"
PUT = "INSERT OR REPLACE INTO source ({}) SELECT {} FROM json_each(?)".format(
    ",".join(COLUMNS),
    ",".join(f"json_extract(value, '$[{place}]')" for place in range(len(COLUMNS))),
)
FORGET = "DELETE FROM source WHERE id IN (SELECT value FROM json_each(?))"
ALIKE = (
    f"SELECT json_group_array(json(row)) FROM (SELECT {_AS_JSON} AS row FROM source"
    " WHERE content = ? AND checksum <> '' LIMIT ?)"
)
_PHASH = "json_extract(measured, '$.phash')"
_HAS_PHASH = f"{_PHASH} IS NOT NULL AND json_extract(measured, '$.near_duplicate') IS NULL"
_BANDS = [f"substr({_PHASH}, {BAND_DIGITS * band + 1}, {BAND_DIGITS})" for band in range(BANDS)]
PHASHES_NEAR = "SELECT json_group_array(bits) FROM ({})".format(
    " UNION ".join(
        f"SELECT {_PHASH} AS bits FROM source WHERE {_HAS_PHASH}"
        f" AND {band} IN (SELECT value FROM json_each(?))"
        for band in _BANDS
    )
)
OF_PHASH = (
    f"SELECT json_group_array(url) FROM (SELECT url FROM source WHERE {_HAS_PHASH}"
    f" AND {_BANDS[0]} = substr(?, 1, {BAND_DIGITS}) AND {_PHASH} = ?"
    " AND fingerprint NOT IN (SELECT value FROM json_each(?)) AND checksum <> '' LIMIT 1)"
)
NEXT = (
    f"SELECT json_group_array(json(row)) FROM (SELECT {_AS_JSON} AS row FROM source"
    " WHERE id > ? ORDER BY id LIMIT ?)"
)
REFERRED = """
    CREATE TEMP TABLE IF NOT EXISTS referred (path TEXT PRIMARY KEY) WITHOUT ROWID;
    INSERT OR IGNORE INTO referred
        SELECT coalesce(path, asked) FROM source WHERE checksum <> '';
    INSERT OR IGNORE INTO referred
        SELECT json_extract(file.value, '$[1]') FROM source, json_each(renditions) AS file
        WHERE checksum <> '';
"""
