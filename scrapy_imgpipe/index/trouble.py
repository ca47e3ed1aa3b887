"""What the errors of SQLite say of its file."""

from __future__ import annotations

#: Result codes that say that another has the file to himself: SQLITE_BUSY, SQLITE_LOCKED.
_LOCKED = {5, 6}

#: Result codes that say that the file is none of ours: SQLITE_CORRUPT, SQLITE_NOTADB.
_DAMAGED = {11, 26}

#: How errors begin that say so of one row; they have no code of their own.
_DAMAGED_ROW = ("malformed JSON", "Could not decode to UTF-8", "out of order")


def is_damage(error: Exception) -> bool:
    """Return whether *error* says that the file is damaged, or another's."""
    if isinstance(error, UnicodeDecodeError):  # of a message that names what is no name
        return True
    return _code(error) in _DAMAGED or str(error).startswith(_DAMAGED_ROW)


def is_locked(error: Exception) -> bool:
    """Return whether *error* says that another process did not let go of the file."""
    return _code(error) in _LOCKED


def _code(error: Exception) -> int:
    """Return SQLite's result code, without what is more to it."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
