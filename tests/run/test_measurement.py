"""A process knows the peak of its own memory, and whether other jobs use its device."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.run import measurement

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")


@linux
def test_peak_memory_is_that_of_the_run_and_not_of_one_before_it() -> None:
    measurement.reset_peak_memory()
    before = measurement.peak_memory()["host"]
    large = np.ones(40_000_000)  # 320 MB
    during = measurement.peak_memory()["host"]
    del large
    measurement.reset_peak_memory()
    after = measurement.peak_memory()["host"]
    assert during - before > 250e6
    assert during - after > 250e6


@linux
def test_peak_memory_without_proc_is_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    measurement.reset_peak_memory()
    large = np.ones(40_000_000)  # 320 MB
    stated = measurement.peak_memory()["host"]
    monkeypatch.setattr(measurement, "Path", lambda _: Path("no-such-file"))
    assert measurement.peak_memory()["host"] > 0.9 * stated
    del large


@linux
def test_a_processor_that_other_processes_keep_busy_is_shared() -> None:
    cores = len(os.sched_getaffinity(0))
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        assert measurement.device_is_shared() is True
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.parametrize(("allocated", "peaks"), [(0, {"host"}), (2**20, {"host", "device"})])
def test_an_accelerator_counts_where_it_was_used(
    monkeypatch: pytest.MonkeyPatch, allocated: int, peaks: set[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: allocated)
    assert measurement.peak_memory().keys() == peaks
