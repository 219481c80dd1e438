"""What a network needs on this machine: the device, memory, the weights, and disk space for checkpoints."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from huggingface_hub.constants import HF_HUB_CACHE
from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

from baselines.compute.hardware import (
    Attention,
    Batching,
    Computation,
    Device,
    Precision,
    Quantization,
    problems,
    resolve,
    set_matmul_precision,
    uses_gpu,
)
from baselines.packed.attention import check_supported, resolve_batching
from baselines.training.fsdp import check_unsharded
from baselines.training.memory_estimate import (
    estimate_memory,
    four_bit_hint,
    gigabytes,
    loading_checks,
    memory_check,
)
from baselines.weights.sources import Weights, availability, download_bytes, has_safetensors, identity
from baselines.weights.without_weights import check_attention
from benchmark.errors import BenchmarkError, check_option
from benchmark.interface import CheckResult, FitContext, ModelCard, Recipe

CHECKPOINTS = 3
"""So many are on disk at once: a third is written before the first of two is deleted."""


class NetworkModel(Protocol):
    """The options that models with a network have in common."""

    weights: Weights
    architecture: dict[str, Any]
    device: Device
    precision: Precision
    attention: Attention
    batching: Batching
    prediction_batch_size: int

    def describe(self) -> ModelCard: ...

    def check_checkpoint(self, context: FitContext) -> None: ...


def prepare(model: NetworkModel, context: FitContext, only_packed: bool = False) -> Computation:
    """The computation of `model`; raises `BenchmarkError` if this machine or the model does not allow it.

    For `only_packed`, see `resolve`. Sets torch's global precision of matrix products.
    """
    device = resolve(model.device, model.precision, model.attention, only_packed)
    card = model.describe()  # raises for an impossible architecture
    batching = resolve_batching(model.architecture, model.batching)
    check_supported(model.architecture, batching)
    if card.kind != "decoder":
        check_unsharded(f"a model of the kind {card.kind}", "Leave FSDP out: such models fit on one GPU.")
    check_attention(model.architecture, model.attention)
    check_trackers(context.report_to)
    set_matmul_precision(model.precision)
    return Computation(device, model.precision, model.attention, batching)


def check_positive(**options: int) -> None:
    """Raise if one of these options of a model is below 1."""
    for option, value in options.items():
        check_option(f"model.{option}", value, value >= 1, "Set it to 1 or more.")


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


def failed_check(what: str, check: Callable[[], object]) -> list[CheckResult]:
    """The result of a check that raises `BenchmarkError`; an empty list if it does not."""
    try:
        check()
    except BenchmarkError as error:
        return [CheckResult.from_error(what, error)]
    return []


def adapter_checks(folder: str | None, read: Callable[[], object]) -> list[CheckResult]:
    """Whether the adapter in `folder`, if one is given, can be read and fits the model."""
    if folder is None:
        return []
    return failed_check("adapter", read) or [CheckResult("adapter", f"{folder} fits")]


def network_checks(
    model: NetworkModel, tokens_per_sample: float, context: FitContext, only_packed: bool = False, trains: bool = True
) -> Iterator[CheckResult]:
    """Check everything that training and prediction depend on."""
    card = model.describe()
    card = card if trains else replace(card, trained_parameters=0)
    hardware = torch.cuda.get_device_name() if uses_gpu(model.device) else f"CPU, {torch.get_num_threads()} threads"
    errors = problems(model.device, model.precision, model.attention, only_packed)
    yield from [CheckResult.from_error("hardware", error) for error in errors] or [CheckResult("hardware", hardware)]
    yield from failed_check("batching", lambda: check_supported(model.architecture, model.batching))
    yield from failed_check("attention", lambda: check_attention(model.architecture, model.attention))
    yield from _memory_checks(model, card, tokens_per_sample, context.recipe, only_packed)
    yield from failed_check("trackers", lambda: check_trackers(context.report_to))
    yield from _weight_checks(model, context)
    # A checkpoint holds three fp32 numbers per trained parameter, two of them the optimiser's.
    checkpoints = CHECKPOINTS * 12 * (card.trained_parameters or 0)
    yield _disk_space(context.work_dir, "checkpoints", checkpoints, "checkpoints_dir")


def _memory_checks(
    model: NetworkModel, card: ModelCard, tokens_per_sample: float, recipe: Recipe, only_packed: bool
) -> Iterator[CheckResult]:
    """Whether the memory suffices, for prediction if nothing is trained, and if not, whether it would in 4 bits."""
    samples = recipe.effective_batch if card.trained_parameters else model.prediction_batch_size
    quantization = getattr(model, "quantization", Quantization.none)
    whole_decoder = card.kind == "decoder" and quantization is Quantization.none
    fused = only_packed and whole_decoder
    memory = estimate_memory(card, model.precision, tokens_per_sample, quantization, fused)
    enough = memory_check(model.device, memory, samples)
    if enough.fix is not None and whole_decoder:
        smaller = estimate_memory(card, Precision.bf16, tokens_per_sample, Quantization.nf4)
        enough = replace(enough, fix=f"{enough.fix} {four_bit_hint(smaller)}")
    yield enough
    yield from loading_checks(model.device, memory)


def _weight_checks(model: NetworkModel, context: FitContext) -> Iterator[CheckResult]:
    """Check the weights: their place, the room on the disk, and whether they fit the model."""
    try:
        yield CheckResult("weights", f"{identity(model.weights)}, {availability(model.weights)}")
        if missing := download_bytes(model.weights):
            yield _disk_space(Path(HF_HUB_CACHE), "the download", missing, "HF_HOME")
        if has_safetensors(model.weights):
            model.check_checkpoint(context)
    except BenchmarkError as error:
        yield CheckResult.from_error("weights", error)


def _disk_space(folder: Path, purpose: str, needed: int, option: str) -> CheckResult:
    """Whether the disk of `folder`, which need not exist yet, has `needed` bytes; `option` names another disk."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free
    state = f"{gigabytes(free)} free for {purpose}, {gigabytes(needed)} needed"
    return CheckResult("disk", state, None if free > needed else f"Free some space, or set {option} to another disk.")
