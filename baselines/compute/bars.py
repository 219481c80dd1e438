"""Progress bars: one at a time, with a label, and only in a terminal."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tqdm import tqdm

from benchmark.processes import rank

Row = TypeVar("Row")

CHUNK = 500
"""Rows that are computed between two updates of a bar."""

_purpose: ContextVar[str] = ContextVar("purpose", default="predicting")
_open: list[Any] = []


def shows_bars() -> bool:
    """Whether to show bars: in a terminal, and by the first of several processes."""
    return sys.stderr.isatty() and rank() == 0


@contextmanager
def prediction_label(purpose: str) -> Iterator[None]:
    """Label the bars of predictions in the block."""
    token = _purpose.set(purpose)
    try:
        yield
    finally:
        _purpose.reset(token)


@contextmanager
def bar(total: int, label: str | None = None, start: int = 0) -> Iterator[Any]:
    """A bar that is removed at the end, also after an error or an interrupt. A bar around it is hidden meanwhile.

    Without `label`, it is a bar of predictions.
    """
    hidden = _open[-1] if _open else None
    if hidden is not None:
        hidden.clear()
    shown = tqdm(
        total=total, initial=start, desc=label or _purpose.get(), leave=False, dynamic_ncols=True, position=0,
        disable=not shows_bars(),
    )  # fmt: skip
    _open.append(shown)
    try:
        yield shown
    finally:
        _open.remove(shown)
        shown.close()
        if hidden is not None:
            hidden.refresh()


def chunks(rows: Sequence[Row], label: str) -> Iterator[Sequence[Row]]:
    """The rows in chunks of at most `CHUNK`, under a bar."""
    with bar(len(rows), label) as shown:
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield chunk
            shown.update(len(chunk))
