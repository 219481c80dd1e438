"""A process knows the peak of its own memory, and whether other jobs use its device."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
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


@pytest.fixture
def loops() -> Iterator[list[psutil.Process]]:
    """A process on each core that computes without end."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    yield [psutil.Process(loop.pid) for loop in started]
    for loop in started:
        loop.kill()
        loop.wait()


@linux
@pytest.mark.usefixtures("loops")
def test_a_processor_that_other_processes_keep_busy_is_shared() -> None:
    assert measurement.device_is_shared() is True


@pytest.mark.parametrize(
    ("before", "after", "shared"),
    [(False, True, True), (True, False, True), (False, False, False), (False, None, None), (None, True, True)],
)
def test_a_device_is_shared_if_it_was_before_or_after_the_work(
    before: bool | None, after: bool | None, shared: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "device_is_shared", lambda: after)
    assert measurement.shared_by_now(before) is shared


@pytest.mark.parametrize(("pids", "before", "after"), [([], False, False), ([7], True, False), ([7, 8], True, True)])
def test_a_process_that_has_used_the_gpu_is_one_of_those_on_it(
    pids: list[int], before: bool, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [SimpleNamespace(pid=pid) for pid in pids]
    nvml = SimpleNamespace(nvmlDeviceGetComputeRunningProcesses=lambda _: running)
    monkeypatch.setattr(measurement, "nvml_device", lambda: (nvml, "handle"))
    assert [measurement._other_processes_on_gpu(computes) for computes in (False, True)] == [before, after]


@linux
def test_the_processes_of_the_run_are_no_other_job(loops: list[psutil.Process]) -> None:
    everything, of_others = measurement._percent_used_by_others([]), measurement._percent_used_by_others(loops)
    assert everything > measurement.BUSY
    assert everything - of_others > measurement.BUSY


@linux
def test_a_run_is_made_by_this_process_or_by_all_that_its_launcher_started(
    loops: list[psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    this = psutil.Process()
    assert measurement._processes_of_this_run() == [this]
    monkeypatch.setattr(measurement, "world_size", lambda: 2)
    assert {this, this.parent(), *loops} <= set(measurement._processes_of_this_run())
    loops[0].kill()
    loops[0].wait()
    assert measurement._cpu_seconds(loops[0]) == 0


@pytest.mark.parametrize(("allocated", "peaks"), [(0, {"host"}), (2**20, {"host", "device"})])
def test_an_accelerator_counts_where_it_was_used(
    monkeypatch: pytest.MonkeyPatch, allocated: int, peaks: set[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: allocated)
    assert measurement.peak_memory().keys() == peaks
