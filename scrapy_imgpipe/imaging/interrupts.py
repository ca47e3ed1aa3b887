"""What code of users raised, in words; of what would end an event loop too.

A library that calls ``sys.exit()`` in a step makes a mistake like any other. Raised out of
a worker, it would end the loop and hang the crawl.
"""

from __future__ import annotations

import signal
import threading


def words_of(error: BaseException) -> str:
    """Return type and text of *error*, which code of users raised.

    Raises:
        KeyboardInterrupt: *error* itself, where it may be a Ctrl-C. That comes to the main
            thread only, and not where ``SIGINT`` is ignored, as in a worker process.
    """
    if isinstance(error, KeyboardInterrupt) and _may_be_interrupted():
        raise error
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its class may do anything
        text = "it has no text"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _may_be_interrupted() -> bool:
    here = threading.current_thread() is threading.main_thread()
    return here and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
