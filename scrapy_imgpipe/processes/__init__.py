"""Processes that work for threads: one call at a time, over two pipes.

A second interpreter has a lock of its own, so its work does not hold up the event
loop; and what kills it does not kill the crawl. No ``multiprocessing``: a worker
process starts from a line of code of ours, so it never imports the ``__main__`` of
whoever runs a script without a main guard, a notebook or ``python -c``.

Import :mod:`.pool` to have work done, never :mod:`.child`: that is the other end.
This room knows nothing of images but the names of records that answers have; functions and
errors travel by their names. Calls are trusted there; answers are not trusted here.
"""
