"""What the Redis index has its server do: short scripts, each of which happens as a whole.

All keys of an index have one prefix, ``imgpipe:{...}:``, whose braces put them into one slot
of a cluster; ``KEYS[1]`` is always that of ``about``, and tells the prefix. Behind it:

=============  ===================================================================
``about``      hash: ``version`` of this layout, ``since``
``r000-rfff``  hash: id of a record -> its value (:mod:`scrapy_imgpipe.index.redis_rows`)
``c000-cfff``  hash: equal bytes -> ids of those that came as these, one after the other
``h000-hfff``  hash: perceptual hash -> ids of those that have it
``pB0000-``    set: all perceptual hashes with these four digits in band B
=============  ===================================================================

4096 hashes rather than one: each is read at once, so that nobody who reads all of them sees a
record twice; and ids stay in the compact form that Redis has for small hashes. Lists of ids
end at 512, or whoever puts the picture of all broken links would wait for megabytes; of more
that are equal, the others are not found as such.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

#: Of the layout above, and of the values in it.
VERSION: Final = 1

#: How many hashes hold records.
BUCKETS: Final = 4096

#: How an answer begins that refuses a layout of another version.
OTHER_VERSION: Final = "IMGPIPEVERSION "


class Script(NamedTuple):
    """A script, and the digest that a server knows it by."""

    text: str
    digest: str


_BEGIN = f"""
local base = string.sub(KEYS[1], 1, -6)
local version = redis.call('HGET', KEYS[1], 'version')
if version and version ~= '{VERSION}' then
    return redis.error_reply('{OTHER_VERSION}' .. version)
end
local function key_in(kind, bytes)
    local a, b = string.byte(bytes, 7, 8)
    return base .. kind .. string.format('%03x', a % 16 * 256 + b)
end
local function record(id)
    return redis.call('HGET', key_in('r', id), id)
end
"""

_MAKE = """
if not version then
    redis.call('HSET', KEYS[1], 'version', '{version}', 'since', ARGV[1])
end
""".replace("{version}", str(VERSION))

# What a record is found by beside its key. "head" is how its value begins; of one that is
# damaged, nothing is known.
_LISTS = """
local most = 8 * 512
local function head(value)
    local flags = value and #value > 0 and string.byte(value) or 0
    local size = 1 + flags % 2 * 8 + (flags >= 2 and 8 or 0)
    if flags == 0 or flags > 3 or #value < size then return '' end
    return string.sub(value, 1, size)
end
local function parts(head)
    if head == '' then return nil, nil end
    local flags = string.byte(head)
    return flags % 2 == 1 and string.sub(head, 2, 9) or nil,
        flags >= 2 and string.sub(head, -8) or nil
end
local function bands(command, phash)
    for band = 0, 3 do
        local a, b = string.byte(phash, band * 2 + 1, band * 2 + 2)
        redis.call(command, base .. string.format('p%d%02x%02x', band, a, b), phash)
    end
end
local function list(kind, bytes, id)
    local key, field = key_in(kind, bytes), string.sub(bytes, 1, 7)
    local ids = redis.call('HGET', key, field) or ''
    if #ids < most then redis.call('HSET', key, field, ids .. id) end
end
local function unlist(kind, bytes, id)
    local key, field = key_in(kind, bytes), string.sub(bytes, 1, 7)
    local ids = redis.call('HGET', key, field) or ''
    local rest = {}
    for at = 1, #ids - 7, 8 do  -- what is left over is damage
        local one = string.sub(ids, at, at + 7)
        if one ~= id then rest[#rest + 1] = one end
    end
    if #rest > 0 then
        redis.call('HSET', key, field, table.concat(rest))
    else
        redis.call('HDEL', key, field)
        if kind == 'h' then bands('SREM', bytes) end
    end
end
local function enter(id, head)
    local content, phash = parts(head)
    if content then list('c', content, id) end
    if phash then
        list('h', phash, id)
        bands('SADD', phash)
    end
end
local function leave(id, head)
    local content, phash = parts(head)
    if content then unlist('c', content, id) end
    if phash then unlist('h', phash, id) end
end
local function forget(ids)
    for at = 1, #ids, 8 do
        local id = string.sub(ids, at, at + 7)
        local value = record(id)
        if value then
            leave(id, head(value))
            redis.call('HDEL', key_in('r', id), id)
        end
    end
end
"""


def _script(*parts: str) -> Script:
    text = "".join((_BEGIN, *parts))
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


#: Ids, two for each key: answers the value of the first that is there, or nil.
GET = _script("""
local found, ids = {}, ARGV[1]
for at = 1, #ids, 16 do
    found[#found + 1] = record(string.sub(ids, at, at + 7))
        or record(string.sub(ids, at + 8, at + 15))
end
return found
""")

#: The time, ids to forget, then for each record its id and value in one.
PUT = _script(
    _LISTS,
    _MAKE,
    """
forget(ARGV[2])
for place = 3, #ARGV do
    local id, value = string.sub(ARGV[place], 1, 8), string.sub(ARGV[place], 9)
    local key = key_in('r', id)
    local old, new = head(redis.call('HGET', key, id)), head(value)
    redis.call('HSET', key, id, value)
    if old ~= new then
        leave(id, old)
        enter(id, new)
    end
end
""",
)

#: Ids.
FORGET = _script(_LISTS, "forget(ARGV[1])")

#: Letter of a list, whose, from which place on, how many: answers the values of the records.
LISTED = _script("""
local ids = redis.call('HGET', key_in(ARGV[1], ARGV[2]), string.sub(ARGV[2], 1, 7)) or ''
local found = {}
local begin = 8 * tonumber(ARGV[3])
for at = begin + 1, math.min(#ids - 7, begin + 8 * tonumber(ARGV[4])), 8 do
    found[#found + 1] = record(string.sub(ids, at, at + 7)) or ''
end
return found
""")

#: Band and digits of each set: answers all perceptual hashes in any of them.
NEAR = _script("""
local keys = {}
for at = 1, #ARGV[1], 5 do keys[#keys + 1] = base .. 'p' .. string.sub(ARGV[1], at, at + 4) end
return redis.call('SUNION', unpack(keys))
""")

#: First and last of some hashes, as numbers: answers the values in them.
NEXT = _script("""
local found = {}
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
    for _, value in ipairs(redis.call('HVALS', base .. string.format('r%03x', number))) do
        found[#found + 1] = value
    end
end
return found
""")

#: Answers how many records there are.
COUNT = _script(f"""
local count = 0
for number = 0, {BUCKETS - 1} do
    count = count + redis.call('HLEN', base .. string.format('r%03x', number))
end
return count
""")

#: The time: answers since when all is known, as text.
SINCE = _script(_MAKE, "return redis.call('HGET', KEYS[1], 'since')")

#: The time, which counts for nothing.
KNOWS_ALL = _script(_MAKE, "redis.call('HSET', KEYS[1], 'since', '0')")
