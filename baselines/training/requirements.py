"""What fine-tuning needs on this machine: the device, memory, the weights, and disk space for checkpoints."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from huggingface_hub.constants import HF_HUB_CACHE
from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

from baselines.compute.hardware import (
    DTYPES,
    Attention,
    Batching,
    Computation,
    Device,
    Precision,
    Quantization,
    problems,
    resolve,
    set_products,
    uses_gpu,
)
from baselines.packed.attention import check_supported
from baselines.training.fsdp import check_unsharded
from baselines.weights.sources import Weights, availability, download_bytes, has_safetensors, identity
from baselines.weights.without_weights import check_attention
from benchmark.errors import BenchmarkError
from benchmark.interface import Finding, FitContext, ModelCard

TOKENS_PER_WORD = 1.3
WORDS_PER_TEXT = 20  # of a tweet; used when there are no texts yet
PROCESS_BYTES = 600e6
"""Of Python with its libraries, or of a CUDA context; measured, approximately."""
NF4_BYTES = 0.516
"""Of a weight in 4 bits with its share of the doubly quantised scales (Dettmers et al., 2023)."""
CHECKPOINTS = 3
"""A third is written before the first of two is deleted."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Approximate bytes that fine-tuning takes."""

    weights: float  # as they are loaded; part of `fixed`
    fixed: float  # network, gradients and optimiser
    per_sample: float  # activations

    def total(self, samples: int) -> float:
        return self.fixed + samples * self.per_sample


class Trainable(Protocol):
    """The options that encoders and decoders have in common."""

    weights: Weights
    architecture: dict[str, Any]
    device: Device
    precision: Precision
    attention: Attention
    batching: Batching

    def describe(self) -> ModelCard: ...

    def check_checkpoint(self, context: FitContext) -> None: ...


def prepare(model: Trainable, context: FitContext, only_packed: bool = False) -> Computation:
    """How and where to compute `model`; raises `BenchmarkError` if this machine or the model does not allow it.

    For `only_packed`, see `resolve`. Sets torch's global precision of matrix products.
    """
    device = resolve(model.device, model.precision, model.attention, only_packed)
    card = model.describe()  # raises for an impossible architecture
    check_supported(card.architecture, model.batching)
    if card.kind != "decoder":
        check_unsharded(f"a model of the kind {card.kind}", "Leave FSDP out: such models fit on one GPU.")
    check_attention(model.architecture, model.attention)
    check_trackers(context.report_to)
    set_products(model.precision)
    return Computation(device, model.precision, model.attention, model.batching)


def estimate_memory(
    card: ModelCard,
    precision: Precision,
    tokens_per_sample: float,
    quantization: Quantization = Quantization.none,
    fused: bool = False,
) -> MemoryEstimate:
    """A decoder's base is kept in `precision` or quantised, and its adapters in fp32; an encoder is in fp32.

    AdamW keeps two fp32 moments and a gradient of each trained parameter. For the backward pass, each layer keeps about
    20 rows of the hidden size and 6 of the intermediate size per token, in `precision`, and 12 and 4 where `fused` LoRA
    layers keep less (measured with Llama 3 8B on a GPU).
    """
    assert card.parameters is not None
    assert card.trained_parameters is not None
    size = DTYPES[precision].itemsize
    decoder = card.kind == "decoder"
    hidden = card.dimensions["hidden_size"]
    base = card.parameters * size
    if quantization is Quantization.nf4:  # embeddings and output stay as they are; counted twice if they are tied
        kept = min(2 * card.dimensions.get("vocab_size", 0) * hidden, card.parameters)
        base = kept * size + (card.parameters - kept) * NF4_BYTES
    weights = base + card.trained_parameters * 4 if decoder else card.parameters * 4
    wide, inner = (12, 4) if fused else (20, 6)
    values_per_token = wide * hidden + inner * card.dimensions.get("intermediate_size", 4 * hidden)
    activations = card.dimensions["num_hidden_layers"] * values_per_token * size
    fixed = PROCESS_BYTES + weights + 12 * card.trained_parameters
    return MemoryEstimate(weights, fixed, tokens_per_sample * activations)


def tokens_per_text(texts: Sequence[str]) -> float:
    """The approximate mean number of tokens of a text."""
    words = sum(len(text.split()) for text in texts) / len(texts) if texts else WORDS_PER_TEXT
    return TOKENS_PER_WORD * words


def check_positive(**options: int) -> None:
    for option, value in options.items():
        if value < 1:
            raise BenchmarkError(f"model.{option} is {value}.", "Set it to 1 or more.")


def check_length(max_length: int, context_length: int | None) -> None:
    """Raise if texts may have more tokens than the model reads."""
    if context_length is not None and max_length > context_length:
        raise BenchmarkError(
            f"recipe.max_length is {max_length}, but the model reads at most {context_length} tokens.",
            f"Set recipe.max_length={context_length} or less.",
        )


def check_trackers(report_to: Sequence[str]) -> None:
    """Raise if an experiment tracker is not available."""
    installed = get_available_reporting_integrations()
    for tracker in report_to:
        problem, fix = "which is not installed here", f"Run pip install {tracker}, or leave it out."
        if tracker not in INTEGRATION_TO_CALLBACK:
            problem, fix = "which transformers does not support", "Correct it, or set report_to=[] for none."
        if tracker not in installed:
            available = ", ".join(installed) or "none"
            raise BenchmarkError(f"report_to names {tracker}, {problem} (installed: {available}).", fix)


def finding_if_raised(what: str, check: Callable[[], object]) -> list[Finding]:
    """The finding of a check that raises `BenchmarkError`, or an empty list."""
    try:
        check()
    except BenchmarkError as error:
        return [Finding.from_error(what, error)]
    return []


def adapter_findings(folder: str | None, read: Callable[[], object]) -> list[Finding]:
    """Whether the adapter in `folder`, if one is given, can be read and fits the model."""
    if folder is None:
        return []
    return finding_if_raised("adapter", read) or [Finding("adapter", f"{folder} fits")]


def examine(
    model: Trainable, tokens_per_sample: float, context: FitContext, only_packed: bool = False
) -> Iterator[Finding]:
    """Everything that fine-tuning depends on, whether it is available or not."""
    hardware = torch.cuda.get_device_name() if uses_gpu(model.device) else f"CPU, {torch.get_num_threads()} threads"
    errors = problems(model.device, model.precision, model.attention, only_packed)
    yield from [Finding.from_error("hardware", error) for error in errors] or [Finding("hardware", hardware)]
    yield from finding_if_raised(
        "batching", lambda: check_supported(str(model.architecture.get("model_type")), model.batching)
    )
    yield from finding_if_raised("attention", lambda: check_attention(model.architecture, model.attention))
    card = model.describe()
    quantization = getattr(model, "quantization", Quantization.none)
    fused = only_packed and card.kind == "decoder" and quantization is Quantization.none
    memory = estimate_memory(card, model.precision, tokens_per_sample, quantization, fused)
    enough = _memory(model.device, memory, context.recipe.effective_batch)
    if enough.fix is not None and quantization is Quantization.none and card.kind == "decoder":
        smaller = estimate_memory(card, Precision.bf16, tokens_per_sample, Quantization.nf4)
        enough = replace(enough, fix=f"{enough.fix} {_four_bits(smaller)}")
    yield enough
    yield from _loading_memory(model.device, memory)
    yield from finding_if_raised("trackers", lambda: check_trackers(context.report_to))
    try:
        yield Finding("weights", f"{identity(model.weights)}, {availability(model.weights)}")
        if missing := download_bytes(model.weights):
            yield _disk_space(Path(HF_HUB_CACHE), "the download", missing, "HF_HOME")
        if has_safetensors(model.weights):
            model.check_checkpoint(context)
    except BenchmarkError as error:
        yield Finding.from_error("weights", error)
    # A checkpoint holds three fp32 numbers per trained parameter, two of them the optimiser's.
    checkpoints = CHECKPOINTS * 12 * (card.trained_parameters or 0)
    yield _disk_space(context.work_dir, "checkpoints", checkpoints, "checkpoints_dir")


def _memory(device: Device, needed: MemoryEstimate, samples: int) -> Finding:
    """Whether the memory of the requested device is large enough."""
    total = _gb(needed.total(samples))
    if device is Device.cuda and not uses_gpu(device):
        problem = f"about {total} of GPU memory needed with {samples} samples per pass, but no GPU"
        return Finding("memory", problem, "Run on a GPU with that much memory.")
    kind, free = "memory", _available_memory()
    if uses_gpu(device):
        kind, free = "GPU memory", float(torch.cuda.mem_get_info()[0])
    state = f"{_gb(free)} of {kind} free, about {total} needed with {samples} samples per pass"
    if needed.total(1) > free:
        fix = "Free some memory, lower model.precision or recipe.max_length, or choose a smaller model."
        return Finding("memory", f"{state} and {_gb(needed.total(1))} with one", fix)
    return Finding(
        "memory", state if needed.total(samples) <= free else f"{state}; passes will be halved until they fit"
    )


def _four_bits(needed: MemoryEstimate) -> str:
    """Whether 4-bit weights would fit."""
    needs = f"model.quantization=nf4 with model.precision=bf16 needs about {_gb(needed.total(1))} with one sample"
    if not torch.cuda.is_available():
        return f"On a smaller GPU, {needs}."
    fits = needed.total(1) <= torch.cuda.mem_get_info()[0]
    return f"{needs}, which {'fits' if fits else 'does not fit'} the GPU here."


def _loading_memory(device: Device, needed: MemoryEstimate) -> Iterator[Finding]:
    """Weights are read into the CPU's memory before they are moved to a GPU."""
    free = _available_memory()
    if uses_gpu(device) and needed.weights > free:
        yield Finding(
            "loading",
            f"{_gb(free)} of memory free, {_gb(needed.weights)} needed to read the weights before they go to the GPU",
            "Free some memory, or choose a smaller model.",
        )


def _available_memory() -> float:
    return float(psutil.virtual_memory().available)


def _disk_space(folder: Path, purpose: str, needed: int, option: str) -> Finding:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free
    state = f"{_gb(free)} free for {purpose}, {_gb(needed)} needed"
    return Finding("disk", state, None if free > needed else f"Free some space, or set {option} to another disk.")


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
