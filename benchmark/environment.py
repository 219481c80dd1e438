"""What a run ran on: versions, code, processor, accelerator, peak memory; no host or user names."""

import ctypes
import gc
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "datasets", "scikit-learn", "numpy", "flash-attn", "accelerate")


def describe() -> dict[str, Any]:
    """JSON-ready facts; `git` is None outside a checkout, `gpu` where there is none, `threads` without torch."""
    return {
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": _threads(),
        "memory_bytes": _memory(),
        "gpu": _gpu(),
        "git": _git(),
    }


def reset_peak_memory() -> None:
    """Start a run's own high-water marks: a sweep runs many in one process, and each frees what it took."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    torch = sys.modules.get("torch")  # a contestant without it must not pay for importing it
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, int]:
    """Bytes since the last reset: resident memory (Linux only), and the accelerator's if one was used."""
    peaks = {}
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        high_water = next(line for line in lines if line.startswith("VmHWM:"))
        peaks["host"] = int(high_water.split()[1]) * 1024
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peaks["device"] = torch.cuda.max_memory_allocated()
    return peaks


def hardware_name(environment: dict[str, Any], device: str) -> str:
    """A phrase for tables: the GPU's name, or processor and cores, and how many of them computed."""
    if device.startswith("cuda"):
        return str(environment.get("gpu") or "CUDA GPU")
    cores = environment.get("cores", "?")
    computed = "" if environment.get("threads") in (None, cores) else f"{environment['threads']} of "
    return f"{environment.get('processor', 'CPU')}, {computed}{cores} {'core' if cores == 1 else 'cores'}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return None


def _threads() -> int | None:
    """How many compute: sums are split among them, so another number rounds differently."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None else None


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None


def _git() -> dict[str, Any] | None:
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "modified": bool(git("status", "--porcelain", "--", "*.py", "conf")),
        }
    except (OSError, subprocess.CalledProcessError):
        return None
