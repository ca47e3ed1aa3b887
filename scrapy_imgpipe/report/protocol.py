"""What every format of the report can do, and what callers may rely on.

All methods block and are called one at a time, from one thread or from several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class ReportFile(Protocol):
    """A report that is being written."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add one batch of rows; none of them fails for what it holds.

        After a ``kill -9`` every batch whose call has returned is there, in order;
        of the one under way, some first rows may be. Parquet is the exception: it
        has whole parts, and what is gathered for the next one is lost.

        Batches are cheapest at some hundred rows; memory is that of one batch.

        Raises:
            StoreFailed: nothing of this batch was kept; the next one may be. For
                Parquet: all that was gathered since the last part is lost.
        """

    def close(self) -> None:
        """Finish the report; a second call does nothing.

        Raises:
            StoreFailed: when what was gathered cannot be written.
        """
