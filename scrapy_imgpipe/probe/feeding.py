"""Answers the questions of readers: from a whole file, or from chunks as they come.

Both answer the same questions, so both come to know the same. No clock, no files.
"""

from __future__ import annotations

from collections.abc import Callable

from scrapy_imgpipe.probe.boxes import heif
from scrapy_imgpipe.probe.facts import Facts, Probe, Reader
from scrapy_imgpipe.probe.gif import gif
from scrapy_imgpipe.probe.jpeg import jpeg
from scrapy_imgpipe.probe.jxl import boxed_jxl, naked_jxl
from scrapy_imgpipe.probe.png import png
from scrapy_imgpipe.probe.tiff import tiff
from scrapy_imgpipe.probe.webp import webp
from scrapy_imgpipe.probe.windows import bmp, ico

#: Bytes that tell which reader it is for; no image is shorter.
_SIGNATURE_BYTES = 8

#: Questions of one reader; a JPEG asks one or two for each segment, a photo has a dozen.
_MOST_QUESTIONS = 4000

#: Where a signature stands, the signature, and who reads on.
_READERS: tuple[tuple[int, bytes | tuple[bytes, ...], Callable[[Facts], Reader]], ...] = (
    (0, b"\xff\xd8\xff", jpeg),
    (0, b"\x89PNG\r\n\x1a\n", png),
    (0, b"RIFF", webp),
    (0, (b"GIF87a", b"GIF89a"), gif),
    (4, b"ftyp", heif),
    (0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff),
    (0, b"BM", bmp),
    (0, b"\0\0\1\0", ico),
    (0, b"\xff\x0a", naked_jxl),
    (0, b"\0\0\0\x0cJXL ", boxed_jxl),
)


def probe(data: bytes) -> Probe | None:
    """Return what the header of *data* says, or None where that cannot be told.

    Knows JPEG, PNG, GIF, BMP, WEBP, AVIF, TIFF, HEIF, ICO and JPEG XL. *data* may be cut
    short: what stands in the part that is there is told.
    """
    facts = Facts()
    reader = _reader(data, facts) if len(data) >= _SIGNATURE_BYTES else None
    if reader is None:
        return None
    earliest, there = 0, len(data)
    try:
        start, length = next(reader)
        for _ in range(_MOST_QUESTIONS):
            end = start + length
            if start < earliest or end > there:
                break
            earliest = start
            start, length = reader.send(data[start:end])
    except StopIteration:
        pass
    return facts.told()


class Prober:
    """Tells what a header says while the file is still coming in.

    Keeps nothing but an answer half come in: some KiB at most, whatever the file. It
    takes time for each chunk and each question, not for each byte. After all of a file was
    fed it knows what `probe` says of that file.
    """

    __slots__ = ("_asked", "_end", "_facts", "_held", "_reader", "_received", "_start", "done")

    done: bool
    """Nothing more is to be learned: the header is over, or it is no image."""

    def __init__(self) -> None:
        self.done = False
        self._facts = Facts()
        self._reader: Reader | None = None
        self._asked = 0  # questions
        self._received = 0  # bytes
        self._start, self._end = 0, _SIGNATURE_BYTES
        self._held = bytearray()  # what has come of the bytes from _start to _end

    @property
    def format(self) -> str | None:
        """In Pillow's spelling; None until known, and for no image."""
        return self._facts.format

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels as stored, or None until known.

        It does not change later, but for a GIF whose first frame oversteps its screen.
        """
        return self._facts.size

    @property
    def probe(self) -> Probe | None:
        """What is known so far, or None until the size is."""
        return self._facts.told()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file; they may be empty, or of any length."""
        before = self._received
        self._received += len(chunk)
        while not self.done:
            missing = self._start + len(self._held)
            if missing < self._received and missing < self._end:
                self._held += chunk[missing - before : self._end - before]
            if self._received < self._end:
                return
            self._answer(bytes(self._held[: self._end - self._start]))

    def _answer(self, piece: bytes) -> None:
        """Hand *piece* to the reader, and wait for what it asks for next."""
        try:
            if self._reader is None:
                self._reader = _reader(piece, self._facts)
                question = next(self._reader) if self._reader else None
            else:
                self._asked += 1
                question = self._reader.send(piece)
        except StopIteration:
            question = None
        if question is None or question[0] < self._start or self._asked >= _MOST_QUESTIONS:
            self.done, self._reader = True, None
            self._held.clear()
            return
        start, length = question
        # An answer may overlap the one before, never by more than that is long.
        del self._held[: start - self._start]
        self._start, self._end = start, start + length


def _reader(head: bytes, facts: Facts) -> Reader | None:
    for start, signature, read in _READERS:
        if head.startswith(signature, start):
            return read(facts)
    return None
