"""What an answer of a worker process may consist of, and that nothing else does anything."""

from __future__ import annotations

import io
import pickle
import sys
import warnings
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import get_args, get_type_hints

import pytest
from PIL import Image

from scrapy_imgpipe import errors, tasks
from scrapy_imgpipe.freshness import Verdict
from scrapy_imgpipe.imaging import Picture
from scrapy_imgpipe.processes import answers
from scrapy_imgpipe.processes.frames import RAISED, REFUSED, RETURNED, BadAnswer
from scrapy_imgpipe.records import ImageRecord, Outcome, Rendition
from scrapy_imgpipe.tasks.mending import Remade
from tests import taken_over

FULL = Rendition("", "full/a.jpg", 120, 80, 1234, 1.7e9, "b9628c4ab9b595f72f280b90c4fd093d")
SMALL = FULL._replace(name="small", path="thumbs/small/a.jpg", plan="12345678", format="JPEG")
SAID = {"brightness": 112.5, "faces": [{"x": 1}, None, True], "text": "\ud800\0é"}
RECORD = ImageRecord("ab", "full/a.jpg", "http://x/a.jpg", FULL, "JPEG", (SMALL,), measured=SAID)
SAVED = tasks.Saved(FULL.checksum, FULL, "JPEG", (SMALL,), measured=SAID, rendering=0.5)
OUTPUT = tasks.Output("full/a.jpg", None, b"\xff\xd8", 120, 80, "JPEG")


def told(value, kind=RETURNED, warned=()):
    """Return *value* as the process gets it that has asked."""
    return read(pickled(value, kind, warned))[1]


def pickled(value, kind=RETURNED, warned=()):
    return b"".join(answers.written(kind, value, warned))


def read(answer):
    return answers.read(io.BytesIO(answer))


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"bytes",
        [1, 2.5, "text", True, (None,), {3}, {"a": [b"c"]}],
        FULL,
        RECORD,
        SAVED,
        OUTPUT,
        tasks.Prepared([OUTPUT], SAVED),
        tasks.Mended(RECORD, 1, 2, 0.5, 0, "trouble"),
        Remade(RECORD, [OUTPUT], 0.25),
        tasks.Found(Verdict.FRESH, RECORD, ("small",), {"small": "thumbs/small/a.jpg"}, 5),
        tasks.Found(),
        Picture("small", b"x", 1, 2, "JPEG"),
        [tasks.Found(Verdict.REFUSE, RECORD)] * 3,
    ],
    ids=repr,
)
def test_what_workers_answer_arrives_as_it_was(value):
    assert told(value) == value
    assert type(told(value)) is type(value)


def test_an_enum_that_is_text_arrives_as_text():
    record = told(RECORD._replace(outcome=Outcome.STORED))
    assert (record.outcome, type(record.outcome)) == ("stored", str)


def records_of(hint):
    """Yield the classes of ours that a value with this annotation may have."""
    for part in get_args(hint):
        yield from records_of(part)
    if not isinstance(hint, type) or not hint.__module__.startswith("scrapy_imgpipe."):
        return
    yield hint
    if is_dataclass(hint) or hasattr(hint, "_fields"):
        hints = get_type_hints(hint)
        names = [each.name for each in fields(hint)] if is_dataclass(hint) else hint._fields
        for name in names:
            yield from records_of(hints[name])


@pytest.mark.parametrize(
    "task", [tasks.make_and_save, tasks.keep, tasks.mend, tasks.remade_of, tasks.look_up]
)
def test_all_that_a_task_may_return_is_known(task):
    space = vars(sys.modules[task.__module__])
    hint = eval(task.__annotations__["return"], dict(space))
    found = set(records_of(hint))
    assert found
    assert all(issubclass(kind, Enum) or answers._is_record(kind) for kind in found)


# --- errors and warnings ---


@pytest.mark.parametrize(
    "error",
    [
        errors.ImageBroken("cut off", "broken"),
        errors.HookFailed("no faces"),
        KeyError("a"),
        FileNotFoundError(2, "No such file", "/nowhere"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        MemoryError(),
    ],
    ids=repr,
)
def test_errors_of_ours_and_of_python_arrive_as_they_were(error):
    got = told(answers.travelling(error), RAISED)
    assert (type(got), str(got), vars(got)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(5), "SystemExit: 5"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (pickle.PicklingError("odd"), "PicklingError: odd"),
        (KeyError(taken_over.Running("true")), "KeyError: <tests.taken_over.Running object"),
        (type("Shy", (Exception,), {"__str__": None})(), "Shy: it has no text"),
    ],
    ids=["exit", "interrupt", "another class", "another argument", "no text"],
)
def test_all_others_arrive_in_words(error, text):
    got = told(answers.travelling(error), RAISED)
    assert type(got) is RuntimeError
    assert str(got).startswith(text)


def test_a_warning_has_a_category_that_is_known_and_a_file_that_nobody_opens():
    def shown(category):
        warned = answers.warned_of("odd", category, "/dev/zero", 7)
        return read(pickled(None, warned=[warned]))[2]

    assert shown(taken_over.Strange) == [("odd", RuntimeWarning, "</dev/zero>", 7)]
    bomb = Image.DecompressionBombWarning
    assert shown(bomb) == [("odd", bomb, "</dev/zero>", 7)]
    text = warnings.formatwarning(*shown(UserWarning)[0])
    assert text == "</dev/zero>:7: UserWarning: odd\n"


@pytest.mark.parametrize("count", [1, 3, 2000])
def test_large_bytes_are_not_copied_before_they_are_written(count):
    large = bytes(200_000)
    pieces = answers.written(RETURNED, [large] + [b"x" * 70_000 for _ in range(count)], ())
    assert any(piece is large for piece in pieces) is (count < 2000)
    assert len(pieces) <= 512
    assert read(b"".join(pieces))[1][0] == large


def test_what_has_no_place_in_an_answer_is_not_written():
    for value in (Image.new("L", (1, 1)), lambda: 1, object(), tasks, 1j, Verdict.FRESH):
        with pytest.raises(pickle.PicklingError, match=r"^No answer has a "):
            answers.written(RETURNED, value, ())


# --- what is no answer ---


class Calling:
    """Pickled as a call of *function*."""

    def __init__(self, function, *args):
        self.made = function, args

    def __reduce__(self):
        return self.made


def changing(function, state):
    """Return an answer that sets attributes of what *function* is in an answer."""
    name = f"{function.__module__}\n{function.__qualname__}\n".encode()
    return b"(K\x00c" + name + pickle.dumps((None, state), 0)[:-1] + b"b]t."


ROW = tuple(FULL)


@pytest.mark.parametrize(
    "value",
    [
        Calling(eval, "1"),
        Calling(getattr, "a", "upper"),
        Calling(SystemExit, 1),
        Calling(BaseException),
        Calling(errors.ImagePipeError, "a base class"),
        Calling(errors.ImageBroken, "no code of it", "hook-failed"),
        Calling(bytearray, 5),
        Calling(Verdict, "fresh"),
        Calling(tasks.Source, "another record"),
        Calling(tasks.look_up, [], None),
        Calling(Rendition, *ROW[:-3]),
        Calling(Rendition, *ROW, "more"),
        Calling(Rendition, *ROW[:2], "120", *ROW[3:]),
        Calling(Rendition, *ROW[:2], 2**63, *ROW[3:]),
        Calling(Rendition, *ROW[:5], float("nan"), *ROW[6:]),
        Calling(Rendition, *ROW[:5], float("-inf"), *ROW[6:]),
        Calling(ImageRecord, "a", "b", "c", "no rendition"),
        Calling(tasks.Prepared, ["no output"], SAVED),
        Calling(tasks.Found, "no verdict", None, (), "", 0, True, ""),
        Calling(tasks.Found, "fresh", None, (), '{"small": 5}', 0, True, ""),
        Calling(tasks.Found, "fresh", None, (), "[]", 0, True, ""),
        Calling(tasks.Saved, "", None, "", (), "", "", '{"a":[NaN]}'),
        Calling(tasks.Saved, "", None, "", (), "", "", '{"a":-Infinity}'),
        Calling(tasks.Saved, "", None, "", (), "", "", '{"a":1e999}'),
        Calling(tasks.Found, "fresh", None, (), "{", 0, True, ""),
        Calling(tasks.Found, "fresh", None, (), {"small": "a"}, 0, True, ""),
    ],
    ids=lambda value: f"{value.made[0].__name__}{value.made[1]}"[:60],
)
def test_what_is_not_foreseen_is_no_answer(value):
    with pytest.raises(BadAnswer):
        read(pickle.dumps((RETURNED, value, []), pickle.HIGHEST_PROTOCOL))


@pytest.mark.parametrize(
    "answer",
    [
        (3, None, []),
        (False, None, []),
        (None, None, []),
        ([], None, []),
        (RAISED, "text", []),
        (REFUSED, 5, []),
        (RETURNED, None),
        (RETURNED, None, 5),
        (RETURNED, None, [("text",)]),
        (RETURNED, None, [("text", "builtins", "eval", "file", 1)]),
        (RETURNED, None, [("text", "os", "system", "file", 1)]),
        (RETURNED, None, [(5, "builtins", "Warning", "file", 1)]),
        "text",
        None,
    ],
    ids=repr,
)
def test_what_has_another_form_is_no_answer(answer):
    with pytest.raises(BadAnswer):
        read(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def test_a_category_that_is_no_warning_is_shown_as_a_warning():
    warned = ("text", "builtins", "KeyError", "file", 1)
    assert read(pickle.dumps((RETURNED, None, [warned])))[2] == [("text", Warning, "<file>", 1)]


@pytest.mark.parametrize("function", [Rendition, tasks.Saved, errors.ImageBroken, KeyError])
def test_no_answer_changes_a_class(function):
    before = dict(vars(function))
    for state in ({"checksum": 5}, {"_make": None}, {"__call__": None}):
        with pytest.raises(BadAnswer):
            read(changing(function, state))
    assert dict(vars(function)) == before
    assert told(SAVED) == SAVED


def test_no_answer_runs_anything(tmp_path):
    mark = tmp_path / "mark"
    length_and_pickle = taken_over.running(str(mark))
    pickle.loads(length_and_pickle[8:])
    mark.unlink()
    with pytest.raises(BadAnswer, match="no answer has a"):
        read(length_and_pickle[8:])
    assert not mark.exists()


def test_little_is_said_of_what_is_no_answer():
    with pytest.raises(BadAnswer) as caught:
        read(b"c" + b"x" * 100_000 + b"\nname\n.")
    assert len(str(caught.value)) < 200


GOOD = pickled([RECORD, SAVED, KeyError("a")])


@pytest.mark.parametrize("length", range(0, len(GOOD), 7))
def test_a_part_of_an_answer_is_none(length):
    with pytest.raises(BadAnswer):
        read(GOOD[:length])
