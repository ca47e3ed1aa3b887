"""A list is cut by host: all lines once, equal lists alike, in little memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scrapy_imgpipe.cluster import cutting
from scrapy_imgpipe.cluster.cutting import Cut, cut, known_cut, lines_in
from scrapy_imgpipe.fetching.run import host_of
from scrapy_imgpipe.lists import Line, list_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

SIZE = 30


def lines(hosts: int, each: int, giant: int = 0) -> Iterator[Line]:
    urls = [f"http://host{number % hosts}.example/{number}.jpg" for number in range(hosts * each)]
    urls += [f"http://giant.example/{number}.jpg" for number in range(giant)]
    return iter(list_of({"url": url, "name": url[-9:]} for url in urls))


def read(found: Cut) -> list[list[list[object]]]:
    return [lines_in(found.lines(shard)) for shard in found.shards]


def test_every_line_is_in_one_shard_as_it_was(tmp_path: Path) -> None:
    found = cut(lines(40, 7, 100), tmp_path / "cut", "", SIZE)
    shards = read(found)
    assert [len(shard) for shard in shards] == [shard.rows for shard in found.shards]
    assert max(map(len, shards)) == SIZE
    both = sorted(line for shard in shards for line in shard)
    assert both == [[number, url, dict(named)] for number, url, named in lines(40, 7, 100)]
    assert found.rows == 380


def test_lanes_have_no_host_in_common(tmp_path: Path) -> None:
    found = cut(lines(40, 7, 100), tmp_path / "cut", "", SIZE)
    lanes: dict[str, set[int]] = {}
    for shard, held in zip(found.shards, read(found), strict=True):
        for _, url, _ in held:
            lanes.setdefault(host_of(str(url)), set()).add(shard.lane)
    assert {len(found) for found in lanes.values()} == {1}
    assert len({shard.lane for shard in found.shards}) > 5
    (giant,) = lanes["giant.example"]
    assert sum(shard.lane == giant for shard in found.shards) == 4
    # small hosts share a shard, so that there are few
    assert len(found.shards) < 20


def test_lines_without_a_host_are_no_lane_of_their_own(tmp_path: Path) -> None:
    found = cut(iter(list_of(["no URL"] * 3_000)), tmp_path / "cut", "", 100)
    assert len({shard.lane for shard in found.shards}) > 20


def test_equal_lists_make_equal_shards_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cut(lines(10, 20), tmp_path / "one", "", SIZE)
    monkeypatch.setattr(cutting, "_BUFFER", 1)  # however it is written
    assert cut(lines(10, 20), tmp_path / "two", "", SIZE).shards == one.shards
    longer = cut(lines(10, 20, 1), tmp_path / "three", "", SIZE)
    assert {shard.digest for shard in longer.shards} > {shard.digest for shard in one.shards} or (
        len({s.digest for s in longer.shards} & {s.digest for s in one.shards}) < len(longer.shards)
    )


def test_a_cut_is_known_again_by_list_and_size(tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    assert known_cut(folder, "this", SIZE) is None
    made = cut(lines(10, 20), folder, "this", SIZE)
    again = known_cut(folder, "this", SIZE)
    assert again is not None
    assert again.shards == made.shards
    assert read(again) == read(made)
    assert known_cut(folder, "that", SIZE) is None
    assert known_cut(folder, "this", SIZE + 1) is None
    made.forget_lines()
    assert not again.has_lines()
    assert known_cut(folder, "this", SIZE) is not None
    (folder / "cut.json").write_text(json.dumps({"of": 1}))
    assert known_cut(folder, "this", SIZE) is None
    cut(lines(10, 20), folder, "", SIZE)
    assert known_cut(folder, "", SIZE) is None  # nobody knows which list it was
