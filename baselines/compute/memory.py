"""Out-of-memory errors: recognise them, free memory, and continue with smaller passes."""

import ctypes
import gc
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from baselines.compute.bars import bar
from baselines.compute.collectives import largest_share, share, sum_over_processes
from benchmark.errors import BenchmarkError
from benchmark.processes import weights_are_sharded

log = logging.getLogger(__name__)

OUT_OF_MEMORY = re.compile(
    "can't allocate memory"  # torch's CPU allocator
    "|not enough memory"  # the same, on Windows
    "|bad_alloc"  # C++
    "|could not create a (primitive|memory object)$"  # oneDNN: no memory for machine code, or for values
    "|CUBLAS_STATUS_ALLOC_FAILED"
    "|CUDA error: out of memory",  # the CUDA driver
)
"""In the messages of out-of-memory errors that have no exception class of their own."""


SMALLER_BATCH = "Lower recipe.batch_size and raise recipe.gradient_accumulation_steps"


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or OUT_OF_MEMORY.search(str(error)) is not None


def smaller_pass(pass_size: int, error: RuntimeError | MemoryError, fewer: str = SMALLER_BATCH) -> int:
    """Half of `pass_size`, after it ran out of memory. `fewer` says how to have fewer samples in a pass.

    Raises `error` if it is something else, and `BenchmarkError` if memory was too small for a single sample.
    """
    if not is_out_of_memory(error):
        raise error
    if pass_size == 1:
        fix = "Lower recipe.max_length or choose a smaller model."
        raise BenchmarkError("Memory ran out on a single sample.", fix) from error
    if weights_are_sharded():  # the other processes wait for this one in the middle of a pass
        problem = f"Memory ran out on {pass_size} samples."
        raise BenchmarkError(problem, f"{fewer}, or start more processes.") from error
    half = (pass_size + 1) // 2
    log.warning("out of memory: continuing with %d samples per pass", half)
    return half


@contextmanager
def must_fit(work: str) -> Iterator[None]:
    """Turn an out-of-memory error of the block into a `BenchmarkError`. `work` completes "Memory ran out while ..."."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        fix = "Free some memory or choose a smaller model."
        raise BenchmarkError(f"Memory ran out while {work}.", fix) from error


def free_memory() -> None:
    """Free the memory of a failed pass. Call it after the `except` block, whose error still refers to that memory."""
    gc.collect()
    torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def run_in_passes(rows: Sequence[int], pass_size: int, compute: Callable[[Sequence[int]], None]) -> None:
    """Call `compute` on all `rows`, at most `pass_size` at a time, and fewer if memory runs out."""
    start = 0
    with bar(len(rows)) as progress_bar:
        while start < len(rows):
            part = rows[start : start + pass_size]
            try:
                compute(part)
                start += len(part)
                progress_bar.update(len(part))
            except (RuntimeError, MemoryError) as error:
                pass_size = smaller_pass(len(part), error, "Lower model.prediction_batch_size")
            if pass_size < len(part):
                free_memory()


def compute_rows(
    sequences: Sequence[list[int]],
    columns: int,
    pass_size: int,
    compute: Callable[[list[list[int]]], torch.Tensor],
    key: Callable[[list[int]], Any] = list,
) -> npt.NDArray[np.float64]:
    """Apply `compute` to all sequences in passes that fit into memory; returns (sequences, columns) float64.

    The rows are in the order of `sequences`. No gradients are kept. Passes take the sequences sorted by `key`: by their
    tokens (the default), so that neighbours share a long prefix, or by length, so that they need little padding.
    Processes that make one run together compute a share of the rows each, and all return all rows.
    """
    output = np.zeros((len(sequences), columns))

    def fill(rows: Sequence[int]) -> None:
        with torch.inference_mode():
            output[rows] = compute([sequences[row] for row in rows]).float().cpu().numpy()

    ordered = sorted(range(len(sequences)), key=lambda row: key(sequences[row]))
    rows_here = share(ordered)
    repeated = ordered[: largest_share(len(ordered)) - len(rows_here)]  # so that all processes compute the same passes
    run_in_passes([*rows_here, *repeated], pass_size, fill)
    output[repeated] = 0  # they are the first process's
    sum_over_processes(torch.from_numpy(output))  # which has zeros in the rows of the others
    return output


def keep_freed_memory() -> None:
    """Let glibc keep large blocks that are freed in every step instead of returning them to the system.

    Otherwise each of their pages is faulted in again. See mallopt(3) for M_MMAP_THRESHOLD and M_TRIM_THRESHOLD. Does
    nothing on other C libraries.
    """
    trim_threshold, mmap_threshold, largest = -1, -3, 2**31 - 1
    with suppress(OSError, AttributeError):
        allocator = ctypes.CDLL("libc.so.6")
        allocator.mallopt(mmap_threshold, largest)
        allocator.mallopt(trim_threshold, largest)
