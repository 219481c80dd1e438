"""What a run ran on: versions, code, processor, accelerator, peak memory; no host or user names."""

import ctypes
import gc
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "datasets", "scikit-learn", "numpy", "flash-attn", "accelerate")
CPUINFO = Path("/proc/cpuinfo")  # Linux only
# Widest first: its flag there, and the units' name.
VECTOR_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "avx512f": "AVX-512", "avx2": "AVX2"}


def describe() -> dict[str, Any]:
    """JSON-ready facts; `git` is None outside a checkout, `gpu` where there is none, `threads` without torch."""
    return {
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "vector_units": _vector_units(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": _threads(),
        "memory_bytes": _memory(),
        "gpu": _gpu(),
        "git": _git(),
    }


def why_unwritable(folder: Path) -> str | None:
    """What would keep files from being written in `folder`, which need not be there yet; None if nothing."""
    try:
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def reset_peak_memory() -> None:
    """Start a run's own high-water marks: whatever ran before it in the process is given back and forgotten."""
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
    if torch is not None and torch.cuda.is_available() and (most := torch.cuda.max_memory_allocated()):
        peaks["device"] = most
    return peaks


def hardware_name(environment: dict[str, Any], device: str) -> str:
    """A phrase for tables: the GPU's name, or processor and cores, and how many of them computed.

    A processor's name alone can hide a halved or tenfold speed, so its vector units are said too. Not of AVX-512 with
    BF16: records without the field come from such processors.
    """
    if device.startswith("cuda"):
        return str(environment.get("gpu") or "CUDA GPU")
    processor, units = environment.get("processor", "CPU"), environment.get("vector_units")
    named = processor if units in (None, VECTOR_UNITS["avx512_bf16"]) else f"{processor} with {units}"
    cores = environment.get("cores", "?")
    computed = "" if environment.get("threads") in (None, cores) else f"{environment['threads']} of "
    return f"{named}, {computed}{cores} {'core' if cores == 1 else 'cores'}"


def multiplies_bf16(units: str | None) -> bool:
    """Whether a processor with these vector units multiplies bf16 matrices as fast as others, or faster."""
    return units in {"AMX", "AVX-512 BF16", "AVX-512"}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _vector_units() -> str | None:
    """The widest of an x86 processor's; None elsewhere, or where none is known."""
    flags = _cpuinfo("flags").split()
    return next((units for flag, units in VECTOR_UNITS.items() if flag in flags), None)


def _cpuinfo(key: str) -> str:
    """What Linux says of the first processor; empty elsewhere."""
    with suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            if line.partition(":")[0].strip() == key:
                return line.partition(":")[2].strip()
    return ""


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
    root = Path(__file__).resolve().parents[2]

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
