"""The energy that a part of a run takes, where the machine measures it: RAPL for processors, NVML for a GPU.

The counters belong to all processors and to the whole GPU, so they count other jobs too. A run by several processes
has no energy, because a process knows the counters of its own GPU and machine only. Reading RAPL often needs root;
NVML needs the package nvidia-ml-py.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from benchmark.run import measurement

POWERCAP = Path("/sys/class/powercap")  # Linux
READING_SECONDS = 30.0  # seconds between readings: the smallest counters, of 65,536 J, start again after minutes


@dataclass
class EnergyCounter:
    """A counter in joules that starts again at 0 when it reaches `limit`; `used` is the sum of its differences."""

    device: str  # cpu or gpu
    read: Callable[[], float]
    limit: float = inf
    used: float = 0.0
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.read()

    def update(self) -> None:
        """Add what was used since the last reading."""
        now = self.read()
        self.used += now - self.last if now >= self.last else now - self.last + self.limit
        self.last = now


@contextmanager
def measure(joules: dict[str, dict[str, float]], phase: str, processes: int = 1) -> Iterator[None]:
    """Store the energy of the block in `joules[phase]`, by device: `cpu` or `gpu`.

    Stores nothing if nothing can be measured, or if several processes make the run.
    """
    counters = _counters() if processes == 1 else []
    if not counters:
        yield
        return
    stop, failed = threading.Event(), threading.Event()

    def watch() -> None:
        ended = False
        while not ended:
            ended = stop.wait(READING_SECONDS)
            try:
                for counter in counters:
                    counter.update()
            except Exception:  # a counter that can no longer be read: a part of the energy would be missing
                failed.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
    used = {device: sum(counter.used for counter in counters if counter.device == device) for device in ("cpu", "gpu")}
    measured = {device: value for device, value in used.items() if 0 < value < inf}
    if measured and not failed.is_set():
        joules[phase] = measured


def _counters() -> list[EnergyCounter]:
    """The counters that can be read: of all processors or of none, and of the GPU."""
    counters: list[EnergyCounter] = []
    with suppress(OSError, ValueError):
        counters = [_processor(folder) for folder in sorted(POWERCAP.glob("intel-rapl:*")) if _is_processor(folder)]
    with suppress(Exception):  # the driver of an old GPU has no counter
        if (gpu := measurement.nvml_device()) is not None:
            nvml, device = gpu
            counters.append(EnergyCounter("gpu", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1000))
    return counters


def _is_processor(folder: Path) -> bool:
    """Whether a folder of RAPL is about a whole processor, not about its cores or the whole machine."""
    whole = re.fullmatch(r"intel-rapl:\d+", folder.name) is not None
    return whole and (folder / "name").read_text().startswith("package")


def _processor(folder: Path) -> EnergyCounter:
    limit = int((folder / "max_energy_range_uj").read_text()) / 1e6
    return EnergyCounter("cpu", lambda: int((folder / "energy_uj").read_text()) / 1e6, limit)
