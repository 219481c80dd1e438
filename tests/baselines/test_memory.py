"""Passes that run out of memory are halved; other errors are raised."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from baselines.compute.memory import compute_rows, is_out_of_memory, must_fit, run_in_passes, smaller_pass
from benchmark.errors import BenchmarkError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("could not create a primitive descriptor for the matmul primitive"), False),
    ],
)
def test_out_of_memory_errors_are_recognised(error: RuntimeError | MemoryError, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_memory_that_must_suffice_is_named_and_other_errors_stay() -> None:
    with pytest.raises(BenchmarkError, match="Memory ran out while a test ran"), must_fit("a test ran"):
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="^shapes$"), must_fit("a test ran"):
        raise RuntimeError("shapes")


def test_a_pass_is_halved_rounding_up_down_to_one_sample() -> None:
    assert [smaller_pass(size, MemoryError()) for size in (20, 5, 3, 2)] == [10, 3, 2, 1]
    with pytest.raises(BenchmarkError, match="single sample"):
        smaller_pass(1, MemoryError())
    with pytest.raises(RuntimeError, match="^shapes$"):
        smaller_pass(8, RuntimeError("shapes"))


def test_every_row_is_computed_once_although_memory_runs_out() -> None:
    passes = []

    def compute(rows: Sequence[int]) -> None:
        if len(rows) > 3:
            raise MemoryError
        passes.append(list(rows))

    run_in_passes([7, 1, 5, 2, 9, 4, 3, 8], 5, compute)
    assert passes == [[7, 1, 5], [2, 9, 4], [3, 8]]


@pytest.mark.parametrize(
    ("options", "passes"),
    [({}, [[[1], [1, 5]], [[2, 2, 2], [4]]]), ({"key": len}, [[[4], [1]], [[1, 5], [2, 2, 2]]])],
)
def test_rows_are_computed_in_sorted_passes_and_returned_in_order(options: Any, passes: list[list[list[int]]]) -> None:
    computed = []

    def compute(sequences: list[list[int]]) -> torch.Tensor:
        computed.append(sequences)
        return torch.tensor([[sum(ids), len(ids)] for ids in sequences])

    found = compute_rows([[4], [1, 5], [2, 2, 2], [1]], 2, 2, compute, **options)
    assert found.tolist() == [[4, 1], [6, 2], [6, 3], [1, 1]]
    assert computed == passes


RESIDENT_AFTER_FREEING = """
import resource, sys, torch
from baselines.compute import memory

if sys.argv[1] == "keep_freed_memory":
    memory.keep_freed_memory()

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

before = resident()
block = torch.ones(25_000_000)  # 100 MB, more than glibc keeps by default
del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize(("way", "kept"), [("keep_freed_memory", True), ("default", False)])
def test_keep_freed_memory_keeps_large_blocks_in_the_process(way: str, kept: bool) -> None:
    """In a new process, because the heap of other tests changes what glibc returns."""
    run = subprocess.run(
        [sys.executable, "-c", RESIDENT_AFTER_FREEING, way], capture_output=True, text=True, check=True
    )
    assert (int(run.stdout) > 50_000_000) is kept
