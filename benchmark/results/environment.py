"""The software and hardware of a run, without host and user names."""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import psutil

from benchmark.interface import is_gpu

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "peft", "datasets", "scikit-learn", "numpy", "flash-attn", "accelerate")
CPUINFO = Path("/proc/cpuinfo")  # Linux only
VECTOR_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "avx512f": "AVX-512", "avx2": "AVX2"}
"""Name of an x86 processor's vector units by CPU flag, the widest first."""


@dataclass(frozen=True)
class Git:
    """The code's commit, and whether Python or configuration files differed from it."""

    commit: str
    modified: bool


@dataclass(frozen=True)
class Environment:
    """Software and hardware of a run. `threads` is None where torch was not loaded."""

    python: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    processor: str = "CPU"
    vector_units: str | None = None
    cores: int | None = None
    threads: int | None = None  # sums are split among threads, so their number changes rounding
    memory_bytes: int | None = None
    gpu: str | None = None
    git: Git | None = None
    processes: int = 1  # that made the run together, each with a device
    sharded_weights: bool = False  # whether each process held a part of the weights (FSDP)
    device_shared: bool | None = None
    """Whether others used it before or after the work, or an earlier part ran on other hardware; None: not known."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The environment in a record of any age."""
        git = values.get("git")
        return cls(**{**upgrade(values), "git": git and Git(**git)})

    def hardware(self, device: str) -> str:
        """The name of what computed, for tables: the GPU, or the processor with its cores.

        Vector units are named because they can change the speed tenfold. AVX-512 BF16 is not named: records without
        the field come from such processors.
        """
        times = "" if self.processes == 1 else f"{self.processes} x "
        sharded = ", FSDP" if self.sharded_weights else ""
        if is_gpu(device):
            return times + (self.gpu or "CUDA GPU") + sharded
        units = None if self.vector_units == VECTOR_UNITS["avx512_bf16"] else self.vector_units
        name = self.processor if units is None else f"{self.processor} with {units}"
        used = "" if self.threads in (None, self.cores) else f"{self.threads} of "
        return f"{times}{name}, {used}{self.cores or '?'} {'core' if self.cores == 1 else 'cores'}{sharded}"


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """The JSON form with the present names: `sharded_weights` was first called `divided_weights`."""
    return {"sharded_weights" if name == "divided_weights" else name: value for name, value in values.items()}


def describe() -> Environment:
    """This process's environment."""
    torch = sys.modules.get("torch")  # a model that does not need torch must not wait for it
    return Environment(
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := installed_version(name))},
        platform=f"{platform.system()} {platform.machine()}",
        processor=_cpuinfo("model name") or platform.processor() or platform.machine(),
        vector_units=_vector_units(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count(),
        threads=torch.get_num_threads() if torch is not None else None,
        memory_bytes=psutil.virtual_memory().total,
        gpu=torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else None,
        git=_git(),
    )


def checkout() -> Path | None:
    """The folder of the checkout that this code runs from; None if the package is installed without one."""
    return ROOT if (ROOT / "pyproject.toml").is_file() else None


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _vector_units() -> str | None:
    flags = _cpuinfo("flags").split()
    return next((units for flag, units in VECTOR_UNITS.items() if flag in flags), None)


def _cpuinfo(key: str) -> str:
    """A value of the first processor in /proc/cpuinfo, or an empty string."""
    with suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _git() -> Git | None:
    """The commit of the checkout; None without one, or without git."""
    if (root := checkout()) is None:
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        if git("rev-parse", "--show-prefix"):  # a part of another repository
            return None
        return Git(git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", "*.py", "conf")))
    except (OSError, subprocess.CalledProcessError):
        return None
