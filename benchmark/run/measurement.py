"""What a process measures of itself and its device: memory, and whether other jobs use the device."""

import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from benchmark.processes import world_size

MEASURED_SECONDS = 0.2  # of the use of the cores
BUSY = 20.0  # percent of the cores; idle machines stay below it


def device_is_shared() -> bool | None:
    """Whether other jobs compute on the GPU, if there is one, or use the cores that this process may use.

    None if a GPU cannot be asked, which needs the package nvidia-ml-py. The load average is no measure: it still counts
    the job before this one.
    """
    if _percent_used_by_others(_processes_of_this_run()) > BUSY:
        return True
    if (torch := _torch_with_gpu()) is None:
        return False
    return _other_processes_on_gpu(computes=torch.cuda.is_initialized())


def shared_by_now(shared_before: bool | None) -> bool | None:
    """Whether the device was shared before work or is after it: jobs that started together see each other then."""
    found = (shared_before, device_is_shared())
    return True if True in found else None if None in found else False


def nvml_device() -> tuple[Any, Any] | None:
    """The module pynvml and its handle of torch's GPU; None if there is no GPU or it cannot be asked."""
    if (torch := _torch_with_gpu()) is None:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
    except Exception:  # not installed, or the driver does not answer
        return None


def reset_peak_memory() -> None:
    """Free the memory of earlier work and, on Linux, restart the measurement of the peak."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    if (torch := _torch_with_gpu()) is not None:
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, int]:
    """Peak bytes: `host` is the resident memory of the process, and `device` that of the GPU if one was used.

    On Linux they count from the last reset, elsewhere from the start of the process.
    """
    peaks = {"host": _peak_resident_bytes()}
    if (torch := _torch_with_gpu()) is not None and (most := torch.cuda.max_memory_allocated()):
        peaks["device"] = most
    return peaks


def _torch_with_gpu() -> ModuleType | None:
    """The module torch, if it was imported and there is a GPU."""
    torch = sys.modules.get("torch")  # a model that does not need torch must not wait for it
    return torch if torch is not None and torch.cuda.is_available() else None


def _processes_of_this_run() -> list[psutil.Process]:
    """This process, or the launcher with all of its processes where several make this run."""
    process = psutil.Process()
    launcher = process.parent() if world_size() > 1 else None
    return [process] if launcher is None else [launcher, *launcher.children(recursive=True)]


def _percent_used_by_others(own: Sequence[psutil.Process]) -> float:
    """How much of the cores that this process may use other processes than `own` use, in percent."""
    cores = psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else None
    before = [_cpu_seconds(process) for process in own]
    busy = psutil.cpu_percent(interval=MEASURED_SECONDS, percpu=True)
    seconds = (max(0.0, _cpu_seconds(process) - earlier) for process, earlier in zip(own, before, strict=True))
    of_own = 100 * sum(seconds) / MEASURED_SECONDS
    used = [busy[core] for core in cores if core < len(busy)] if cores else busy
    return (sum(used) - of_own) / len(used) if used else 0.0


def _cpu_seconds(process: psutil.Process) -> float:
    """How long the process has computed; 0 if it has ended."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _other_processes_on_gpu(computes: bool) -> bool | None:
    """Whether other processes are on the GPU; `computes` says whether this one is. None if it cannot be asked."""
    if (nvml_and_device := nvml_device()) is None:
        return None
    nvml, device = nvml_and_device
    try:
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(device)
    except Exception:  # the driver does not answer
        return None
    if computes:  # in a container the driver may know this process by another number
        return len(processes) > 1
    return any(process.pid != os.getpid() for process in processes)


def _peak_resident_bytes() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, else KiB
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit
