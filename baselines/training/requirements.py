"""What fine-tuning needs of this machine: the device asked for, memory, the weights, room for checkpoints."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub.constants import HF_HUB_CACHE

from baselines.training.hardware import DTYPES, Device, Precision, uses_gpu
from baselines.training.trainer import check_trackers
from baselines.weights.sources import Weights, download_bytes, identity, obtainable
from benchmark.errors import BenchmarkError
from benchmark.interface import Finding, FitContext, ModelCard

TOKENS_A_WORD = 1.3
PROCESS_BYTES = 600e6
"""Of Python with its libraries, or of a CUDA context: measured, about."""


@dataclass(frozen=True)
class Estimate:
    """Bytes that fine-tuning takes, about: `fixed` for the network and its optimiser, the rest by sample."""

    weights: float  # as they are loaded; part of `fixed`
    fixed: float
    by_sample: float

    def of(self, samples: int) -> float:
        return self.fixed + samples * self.by_sample


def estimate(card: ModelCard, precision: Precision, adapted: bool, tokens_a_sample: float) -> Estimate:
    """Adapters leave the base in `precision` and train beside it; without them all is trained in fp32.

    AdamW keeps two fp32 moments and a gradient of what is trained. Kept for the way back, each layer and token:
    about 20 rows of the hidden size and 6 of the intermediate one, in `precision`.
    """
    assert card.parameters is not None
    assert card.trained_parameters is not None
    size = DTYPES[precision].itemsize
    weights = card.parameters * size + card.trained_parameters * 4 if adapted else card.parameters * 4
    hidden = card.dimensions["hidden_size"]
    wide = 20 * hidden + 6 * card.dimensions.get("intermediate_size", 4 * hidden)
    activations = card.dimensions["num_hidden_layers"] * wide * size
    fixed = PROCESS_BYTES + weights + 12 * card.trained_parameters
    return Estimate(weights, fixed, tokens_a_sample * activations)


def examine(
    weights: Weights,
    card: ModelCard,
    device: Device,
    obstacles: Iterable[str],
    needed: Estimate,
    context: FitContext,
) -> Iterator[Finding]:
    """Everything that could stop the fine-tuning, the good news included; `obstacles` are the hardware's."""
    stopping = [Finding.stopping("hardware", obstacle) for obstacle in obstacles]
    yield from stopping or [Finding("hardware", _hardware(device))]
    yield _memory(device, needed, context.recipe.effective_batch)
    yield from _memory_to_load(device, needed)
    yield from _tracked(context.report_to)
    try:
        yield Finding("weights", f"{identity(weights)}, {obtainable(weights)}")
        if missing := download_bytes(weights):
            yield _room(Path(HF_HUB_CACHE), "the download", missing, "HF_HOME")
    except BenchmarkError as error:
        yield Finding.stopping("weights", str(error))
    # A third is written before the first is deleted; each holds three fp32 numbers a trained parameter, the
    # optimiser's two among them.
    yield _room(context.work_dir, "checkpoints", 3 * 12 * (card.trained_parameters or 0), "checkpoints_dir")


def _hardware(device: Device) -> str:
    return torch.cuda.get_device_name() if uses_gpu(device) else f"CPU, {torch.get_num_threads()} threads"


def _memory(device: Device, needed: Estimate, samples: int) -> Finding:
    """What is there of the memory that the device asked for would use."""
    if uses_gpu(device):
        kind, free = "GPU memory", float(torch.cuda.mem_get_info()[0])
    elif device is Device.cuda:
        return Finding("memory", f"needs about {_gb(needed.of(samples))} of GPU memory with {samples} samples a pass, "
                       "and there is no GPU", "run on a GPU with that much")  # fmt: skip
    else:
        kind, free = "memory", _available_memory()
    found = f"{_gb(free)} of {kind} free, about {_gb(needed.of(samples))} needed with {samples} samples a pass"
    if needed.of(1) > free:
        return Finding("memory", f"{found} and {_gb(needed.of(1))} with one",
                       "free some, lower model.precision or recipe.max_length, or take a smaller model")  # fmt: skip
    return Finding("memory", found if needed.of(samples) <= free else f"{found}; passes will be halved until they fit")


def _memory_to_load(device: Device, needed: Estimate) -> Iterator[Finding]:
    """The weights pass through the process's memory on their way to a GPU."""
    free = _available_memory()
    if uses_gpu(device) and needed.weights > free:
        yield Finding("loading", f"{_gb(free)} of memory free, {_gb(needed.weights)} needed to read the weights before "
                      "they go to the GPU", "free some, or take a smaller model")  # fmt: skip


def _available_memory() -> float:
    """Caches that the system would give up included; infinite where it does not say (elsewhere than on Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return float("inf")


def _tracked(report_to: Sequence[str]) -> Iterator[Finding]:
    try:
        check_trackers(report_to)
    except BenchmarkError as error:
        yield Finding.stopping("trackers", str(error))


def _room(folder: Path, what: str, needed: int, option: str) -> Finding:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{_gb(free)} free for {what}, {_gb(needed)} needed"
    return Finding("disk", found, None if free > needed else f"free some, or set {option} to another disk")


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def tokens_a_text(texts: Sequence[str]) -> float:
    """About; of texts not seen, those of a tweet."""
    words = sum(len(text.split()) for text in texts) / len(texts) if texts else 20
    return TOKENS_A_WORD * words
