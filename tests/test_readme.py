"""The README cannot rot: its table is the options, its words are the codes."""

from __future__ import annotations

from pathlib import Path

from scrapy_imgpipe import errors, options, renditions, stats, variants
from scrapy_imgpipe.imaging import READY, STEPS
from scrapy_imgpipe.records import SUCCESSES, Outcome

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_generated_from_the_options():
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    rows += [f"| `{name}` | `{default}` | {doc} |" for name, default, doc in options.table()]
    table = "\n".join(rows)
    assert table in README, f"put this table into the README:\n{table}"


def test_every_outcome_that_can_happen_is_in_the_readme():
    for code in (*SUCCESSES, *_codes()):
        assert f"`{code}`" in README, code


def test_every_ready_record_function_is_in_the_readme():
    for name in READY:
        assert f"| `{name}` |" in README, name


def test_all_that_can_be_said_of_a_rendition_is_in_the_readme():
    words = {*renditions.KEYS, *variants.OUTPUTS, *variants.FITS, *variants.KERNELS, *STEPS}
    words |= {option for output in variants.OUTPUTS.values() for option in output.options}
    for word in words:
        assert f"`{word}`" in README, word


def test_every_code_of_an_error_is_an_outcome():
    assert set(_codes()) <= set(Outcome)


def test_every_stat_is_in_the_readme():
    for name, value in vars(stats).items():
        if name.isupper() and isinstance(value, str):
            assert f"`{value}" in README, value


def _codes():
    kinds = (
        errors.SourceRejected,
        errors.DownloadFailed,
        errors.ImageBroken,
        errors.StoreFailed,
        errors.HookFailed,
    )
    return [code for kind in kinds for code in kind.codes]
