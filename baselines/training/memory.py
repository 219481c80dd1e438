"""Memory that runs out: how that is recognised, given back, and answered by smaller passes."""

import ctypes
import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch

from benchmark.errors import BenchmarkError

log = logging.getLogger(__name__)

MESSAGES = (
    "can't allocate memory", "not enough memory", "bad_alloc", "could not create a ", "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)  # fmt: skip
"""Of torch's CPU allocator, of C++, of oneDNN, which says no more, of cuBLAS, and of the driver."""


def ran_out(error: RuntimeError | MemoryError) -> bool:
    """Whether `error` says that memory ran out; CUDA and Python have a class for it."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(message in str(error) for message in MESSAGES)


def smaller(pass_size: int, error: RuntimeError | MemoryError) -> int:
    """Half of `pass_size`; raises `error` if it is another one, `BenchmarkError` if a single sample was too much."""
    if not ran_out(error):
        raise error
    if pass_size == 1:
        raise BenchmarkError(
            "Memory ran out on a single sample; lower recipe.max_length or take a smaller model."
        ) from error
    halved = (pass_size + 1) // 2
    log.warning("out of memory: %d samples a pass from here on", halved)
    return halved


def give_back() -> None:
    """Return what a failed pass had taken; behind the `except` block only, whose error still holds it."""
    gc.collect()
    torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def in_passes(rows: Sequence[int], pass_size: int, compute: Callable[[Sequence[int]], None]) -> None:
    """`compute` on all `rows`, at most `pass_size` of them at a time, fewer if memory runs out."""
    start = 0
    while start < len(rows):
        part = rows[start : start + pass_size]
        try:
            compute(part)
        except (RuntimeError, MemoryError) as error:
            pass_size = smaller(len(part), error)
        else:
            start += len(part)
            continue
        give_back()


def keep_freed() -> None:
    """Let glibc keep the large blocks that are freed every step, instead of faulting each page in again.

    mallopt(3): blocks above M_MMAP_THRESHOLD come from the system and return to it. Elsewhere nothing happens.
    """
    trim_threshold, mmap_threshold, most = -1, -3, 2**31 - 1
    with suppress(OSError, AttributeError):
        allocator = ctypes.CDLL("libc.so.6")
        allocator.mallopt(mmap_threshold, most)
        allocator.mallopt(trim_threshold, most)
