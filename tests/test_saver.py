"""Images handed over one by one: stored whole, in order, within bounds, or told of."""

from __future__ import annotations

import asyncio
import io
import itertools
import linecache
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import scrapy_imgpipe.saver as saver_module
from scrapy_imgpipe import ImageSaver, SaveFailed, Variant, loop_thread
from scrapy_imgpipe.errors import SettingError, SourceRejected, StoreFailed
from scrapy_imgpipe.imaging import encode_jpeg
from scrapy_imgpipe.stores import Facts, FileSystemStore, MemoryStore
from tests.pictures import encoded, jpeg, noise, opened

POSIX = pytest.mark.skipif(os.name != "posix", reason="forks and signals as POSIX has them")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng().integers(0, 256, shape or (40, 60, 3), dtype=np.uint8)


class Gated(FileSystemStore):
    """A store that lets nobody put before its gate is open, and counts what is on its way."""

    def __init__(self, base):
        super().__init__(base)
        self.gate = threading.Event()
        self.saver = None
        self.most = 0

    def put(self, path, data, facts=()):
        self.most = max(self.most, len(self.saver._open) if self.saver else 0)
        assert self.gate.wait(60)
        return super().put(path, data, facts)


def wait_for_waiter(saver: ImageSaver, thread: threading.Thread | None = None) -> bool:
    """Return whether somebody waits for room, once *thread* does or has ended."""
    while not saver._changed._waiters and (thread is None or thread.is_alive()):
        pass
    return bool(saver._changed._waiters)


# --- what is stored ---


def test_bytes_are_stored_as_they_are_whatever_they_are_called(tmp_path):
    webp = encoded(noise(), "WEBP")
    with ImageSaver(tmp_path) as saver:
        saver.save("a.jpg", webp)
        saver.save("b.bin", bytearray(webp), "some/folder")
    assert (tmp_path / "a.jpg").read_bytes() == webp
    assert (tmp_path / "some/folder/b.bin").read_bytes() == webp
    assert files(tmp_path) == {"a.jpg", "some/folder/b.bin"}


def test_a_picture_is_encoded_by_our_encoder_in_the_format_of_its_name(tmp_path):
    image, names = noise(), {"JPEG": "a.JPG", "PNG": "a.png", "WEBP": "a.webp", "AVIF": "a.avif"}
    with ImageSaver(tmp_path, quality=61) as saver:
        for name in names.values():
            saver.save(name, image)
        saver.save("b.jpeg", image, quality=90, subsampling="4:4:4")
        saver.save("c.png", image, variant=Variant("any", 30, 30, fit="cover"))
    for form, name in names.items():
        assert opened((tmp_path / name).read_bytes()).format == form
    assert (tmp_path / "a.JPG").read_bytes() == encode_jpeg(image, quality=61)
    best = encode_jpeg(image, quality=90, subsampling="4:4:4")
    assert (tmp_path / "b.jpeg").read_bytes() == best
    assert opened((tmp_path / "a.png").read_bytes()).tobytes() == image.tobytes()
    assert opened((tmp_path / "c.png").read_bytes()).size == (30, 30)


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "grey.png": pixels(40, 60),
        "colour.png": pixels(),
        "clear.png": pixels(40, 60, 4),
        "deep.png": pixels(40, 60).astype(np.uint16) * 257,
        "mask.png": pixels(40, 60) > 100,
    }
    with ImageSaver(str(tmp_path)) as saver:
        for name, array in arrays.items():
            saver.save(name, array)
    for name, array in arrays.items():
        assert np.array_equal(np.asarray(opened((tmp_path / name).read_bytes())), array)


def test_the_caller_may_use_what_was_given_at_once(tmp_path):
    store = Gated(tmp_path)
    array, image = pixels(), noise()
    buffer, data = io.BytesIO(jpeg()), bytearray(jpeg())
    wanted = array.copy(), image.copy(), opened(buffer.getvalue()), bytes(data)
    with ImageSaver(store, workers=1) as saver:
        saver.save("0.png", array)  # the gate is shut: the others wait
        saver.save("1.png", image)
        with Image.open(buffer) as lazy:
            saver.save("2.png", lazy)
        buffer.seek(0)
        buffer.truncate()
        saver.save("3.jpg", data)
        array[:] = 0
        image.paste(0, (0, 0, *image.size))
        data[:] = bytes(len(data))
        store.gate.set()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "0.png")), wanted[0])
    for number in (1, 2):
        stored = opened((tmp_path / f"{number}.png").read_bytes())
        assert stored.tobytes() == wanted[number].tobytes()
    assert (tmp_path / "3.jpg").read_bytes() == wanted[3]


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "./a.png"])
def test_of_two_saves_under_one_name_the_later_stays(tmp_path, name):
    large, small = noise((1500, 1500)), noise((3, 3))
    with ImageSaver(tmp_path, workers=4, effort=9) as saver:
        for image in (large, noise((1000, 1000)), small):
            saver.save("a.png", image)
        saver.save(name, noise((500, 500)))
        saver.save(name, small)
    assert opened((tmp_path / name).read_bytes()).tobytes() == small.tobytes()


def test_a_store_elsewhere_is_told_what_it_gets():
    told = {}

    class Telling(MemoryStore):
        def put(self, path, data, facts=()):
            told[path] = facts
            return super().put(path, data, facts)

    store = Telling("telling")
    with ImageSaver(store) as saver:
        saver.save("a.webp", noise((60, 40)))
        saver.save("b.png", jpeg((30, 20)))
    assert told == {"a.webp": Facts("image/webp", 60, 40), "b.png": Facts("image/jpeg", 30, 20)}
    assert sorted(store.list()) == ["a.webp", "b.png"]


# --- how much waits ---


def test_it_holds_so_many_images_and_no_more(tmp_path):
    store = Gated(tmp_path)
    with ImageSaver(store, 3, workers=2) as saver:
        store.saver = saver
        for number in range(5):  # returns at once: two are worked on, three wait
            saver.save(f"{number}.png", noise())
        names = iter(range(5, 100))
        threads = [
            threading.Thread(target=lambda: saver.save(f"{next(names)}.png", noise()))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        assert wait_for_waiter(saver, threads[0])
        assert len(saver._open) == 5
        store.gate.set()
        for thread in threads:
            thread.join()
    assert len(files(tmp_path)) == 13
    assert store.most == 5


@POSIX
def test_an_interrupt_of_a_save_that_waits_costs_that_save_only(tmp_path):
    store, main = Gated(tmp_path), threading.get_ident()
    with ImageSaver(store, 1, workers=1) as saver:

        def interrupt() -> None:
            wait_for_waiter(saver)
            signal.pthread_kill(main, signal.SIGINT)

        saver.save("0.png", noise())
        saver.save("1.png", noise())
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            saver.save("2.png", noise())
        thread.join()
        store.gate.set()
        saver.save("3.png", noise())
        saver.save("4.png", noise())
    assert files(tmp_path) == {"0.png", "1.png", "3.png", "4.png"}


class Interrupting:
    """A trace function that interrupts at one line of the saver, in this thread.

    Not at a ``with``: it is told of that line once more when the block ends, where no signal
    comes.
    """

    def __init__(self, line: int) -> None:
        self.left = line
        names = saver_module, loop_thread
        self.files = {module.__file__ for module in names}

    def __call__(self, frame, event, _argument):
        name, of_lock = frame.f_code.co_filename, frame.f_code.co_name == "__exit__"
        back = frame.f_back.f_code.co_filename if frame.f_back is not None else ""
        if name not in self.files and not (of_lock and back in self.files):
            return None
        source = linecache.getline(name, frame.f_lineno).lstrip()
        if event == "line" and not source.startswith("with "):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return self


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("deed", ["save", "close"])
def test_an_interrupt_at_any_line_leaves_a_saver_that_can_be_closed(tmp_path, deed):
    before, traced, interrupts = threading.active_count(), sys.gettrace(), 0
    for line in itertools.count(1):
        saver = ImageSaver(tmp_path / str(line), 1, workers=1)
        saver.save("a.png", noise((8, 8)))
        sys.settrace(Interrupting(line))
        try:
            saver.save("b.png", noise((8, 8))) if deed == "save" else saver.close()
            break
        except KeyboardInterrupt:
            interrupts += 1
        finally:
            sys.settrace(traced)
            closing = threading.Thread(target=saver.close, daemon=True)
            closing.start()
            closing.join(60)
            assert not closing.is_alive()
        assert "a.png" in files(tmp_path / str(line))
    assert interrupts > 15
    assert threading.active_count() == before


# --- what fails ---


def test_failures_are_told_at_the_end_with_their_names(tmp_path):
    (tmp_path / "taken.png").mkdir()
    saver = ImageSaver(tmp_path)
    saver.save("page.jpg", b"<html>")
    saver.save("cut.jpg", Image.open(io.BytesIO(jpeg((400, 400))[:-9000])))
    saver.save("taken.png", pixels())
    saver.save("good.png", pixels())
    with pytest.raises(SaveFailed, match=r"^3 of 4 images were not saved: ") as raised:
        saver.close()
    failures = raised.value.failures
    assert set(failures) == {"page.jpg", "cut.jpg", "taken.png"}
    assert isinstance(failures["page.jpg"], SourceRejected)
    assert failures["cut.jpg"].code == "broken"
    assert isinstance(failures["taken.png"], StoreFailed)
    assert [(error.__traceback__, error.__context__) for error in failures.values()] == [
        (None, None)
    ] * 3  # or they would keep the pixels
    assert "page.jpg: Not an image, but HTML" in str(raised.value)
    assert files(tmp_path) == {"good.png"}
    saver.close()  # they were told


def test_bytes_may_be_anything_where_nobody_is_to_look(tmp_path):
    with ImageSaver(tmp_path, check=False) as saver:
        saver.save("a.svg", b"<svg/>")
    assert (tmp_path / "a.svg").read_bytes() == b"<svg/>"


def test_the_exception_of_the_block_stays_and_failures_are_a_note_of_it(tmp_path):
    def block() -> None:
        with ImageSaver(tmp_path) as saver:
            saver.save("good.png", noise((900, 900)))
            saver.save("bad.png", b"no image")
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block") as raised:
        block()
    (note,) = raised.value.__notes__
    assert note.startswith("1 of 2 images were not saved: bad.png: ")
    assert files(tmp_path) == {"good.png"}


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("../a.png", None),
        ("a/../../b.png", None),
        ("/tmp/a.png", None),
        ("", None),
        ("a/", None),
        ("a\0.png", None),
        (".imgpipe-x.png", None),
        ("a.png", "../up"),
        ("a.png", "/tmp"),
        ("/tmp/a.png", "sub"),
        ("../../a.png", "sub"),
        (b"a.png", None),
    ],
)
def test_a_name_that_leaves_the_store_is_refused_at_once(tmp_path, name, folder):
    base = tmp_path / "a" / "store"
    with ImageSaver(base) as saver:
        with pytest.raises(StoreFailed) as raised:
            saver.save(name, jpeg(), folder)
        assert raised.value.code == "bad-path"
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "image", "sentence"),
    [
        ("a.tif", pixels(), "Expected a name that ends in .jpg, .png, .webp, .avif, .gif, .jpeg"),
        ("a", pixels(), "for name but received 'a' of type str"),
        ("a.png", pixels().astype(float), "received one of float64 of 40 x 60 x 3; where they"),
        ("a.png", pixels().astype(np.int32), "received one of int32 of 40 x 60 x 3"),
        ("a.png", pixels(4, 4, 5), "received one of uint8 of 4 x 4 x 5"),
        ("a.png", "text", "Expected bytes, a Pillow image or an array for image but received an"),
    ],
)
def test_what_is_no_image_for_this_name_is_refused_at_once(tmp_path, name, image, sentence):
    with ImageSaver(tmp_path) as saver, pytest.raises(SettingError) as raised:
        saver.save(name, image)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue_size": 0},
        {"workers": 0},
        {"background": "white"},
        {"qualty": 3},
        {"store": "gopher://host/x"},
        {"store": "s3://"},
        {"store": 3},
        {"quality": 101},
        {"variant": "small"},
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, wrong):
    with pytest.raises(SettingError, match=r"^Expected .* but received "):
        ImageSaver(**{"store": tmp_path, **wrong})


def test_a_wrong_option_is_named(tmp_path):
    with ImageSaver(tmp_path) as saver, pytest.raises(SettingError) as refused:
        saver.save("a.jpg", noise(), quality=300)
    assert str(refused.value) == (
        "Expected whole number from 1 to 100 for quality but received 300 of type int"
    )


def test_after_the_end_nothing_is_taken(tmp_path):
    saver = ImageSaver(tmp_path)
    saver.close()
    with pytest.raises(StoreFailed, match="closed"):
        saver.save("a.png", noise())


def test_no_thread_is_left(tmp_path):
    before = set(threading.enumerate())
    with ImageSaver(tmp_path) as saver:
        saver.save("a.png", noise())
    assert set(threading.enumerate()) == before


# --- where it is used ---


def test_inside_of_an_event_loop(tmp_path):
    async def main() -> None:
        with ImageSaver(tmp_path) as saver:
            for number in range(20):
                saver.save(f"{number}.png", noise())

    asyncio.run(main())
    assert len(files(tmp_path)) == 20


def run_script(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = folder / "script.py"
    path.write_text(
        "import os, sys, threading\nimport numpy as np\nfrom scrapy_imgpipe import ImageSaver\n"
        "a = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)\n" + script
    )
    (folder / "store").mkdir()
    root = Path(__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", path.name],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_was_given_before_the_interpreter_ends_is_stored_and_failures_are_said(tmp_path):
    script = """
saver = ImageSaver("store", 30)
for number in range(30):
    saver.save(f"{number}.png", a)
saver.save("bad.png", b"no image")
"""
    done = run_script(tmp_path, script)
    assert done.returncode == 0
    assert done.stderr == (
        "1 of 31 images were not saved: bad.png: Not an image of any known format\n"
    )
    assert len(files(tmp_path / "store")) == 30


def test_it_is_stored_as_well_where_the_program_ends_by_an_exception(tmp_path):
    done = run_script(
        tmp_path,
        'saver = ImageSaver("store", 9)\n[saver.save(f"{n}.png", a) for n in range(9)]\n1 / 0\n',
    )
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert len(files(tmp_path / "store")) == 9


@POSIX
def test_a_forked_process_has_no_part_in_it(tmp_path):
    script = """
with ImageSaver("store", 30) as saver:
    for number in range(30):
        saver.save(f"{number}.png", a)
    pid = os.fork()
    if not pid:
        try:
            saver.save("child.png", a)
        except Exception as error:
            print(type(error).__name__, error)
        saver.close()
        sys.exit(7)  # and its own end stores nothing
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
    done = run_script(tmp_path, script)
    assert done.stderr == ""
    assert done.stdout == (
        "StoreFailed This ImageSaver belongs to another process: make one in this one\n7\n"
    )
    assert files(tmp_path / "store") == {f"{number}.png" for number in range(30)}


@pytest.mark.parametrize(
    "method", [pytest.param("fork", marks=POSIX), pytest.param("forkserver", marks=POSIX), "spawn"]
)
def test_a_child_of_multiprocessing_stores_what_it_was_given_as_well(tmp_path, method):
    (tmp_path / "child.py").write_text("""
from PIL import Image
from scrapy_imgpipe import ImageSaver

def child():
    ImageSaver("store").save("a.png", Image.new("RGB", (400, 300)))
""")
    script = f"""
import multiprocessing
from child import child
if __name__ == "__main__":
    process = multiprocessing.get_context({method!r}).Process(target=child)
    process.start()
    process.join()
"""
    done = run_script(tmp_path, script)
    assert done.stderr == ""
    assert files(tmp_path / "store") == {"a.png"}
