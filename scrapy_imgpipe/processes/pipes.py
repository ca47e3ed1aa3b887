"""The pipes by which a process talks with the one that started it.

The standard library only: a worker process imports this before anything else.
"""

from __future__ import annotations

import os
import sys


def private_pipes() -> tuple[int, int]:
    """Take standard input and output out of reach of whoever reads or prints.

    What is printed goes to standard error from then on, and nothing can be read.

    Returns:
        Descriptors of what comes in, and of what goes out.
    """
    inwards, outwards = os.dup(0), os.dup(1)
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - only there

        for pipe in (inwards, outwards):
            msvcrt.setmode(pipe, os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # it is closed
        os.dup2(nothing, 1)
    os.close(nothing)
    return inwards, outwards
