"""Where and how the arithmetic runs; what is asked for and missing stops the run, nothing falls back."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmark.classifier import BenchmarkError


class Device(StrEnum):
    auto = "auto"  # CUDA where there is one, else the CPU; the record says which
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class Attention(StrEnum):
    flash_attention_2 = "flash_attention_2"
    sdpa = "sdpa"
    eager = "eager"


class Batching(StrEnum):
    packed = "packed"  # one stream of tokens, the prompts' common beginning computed once
    padded = "padded"  # the plain way: every sample as long as the batch's longest


@dataclass(frozen=True)
class Computation:
    """On what and how a network is computed."""

    device: torch.device
    precision: Precision
    attention: Attention
    batching: Batching


DTYPES = {Precision.fp32: torch.float32, Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


def has_flash_attn() -> bool:
    """Whether FlashAttention-2's package is installed; its module's name alone may be FlashAttention-4's."""
    try:
        return bool(version("flash-attn"))
    except PackageNotFoundError:
        return False


def resolve(device: Device, precision: Precision, attention: Attention, torch_has_kernel: bool = False) -> torch.device:
    """The device to use; raises `BenchmarkError` if device, precision and attention do not go together here.

    `torch_has_kernel`: torch's own FlashAttention-2 will do, that of packed streams without dropout.
    """
    for remedy in obstacles(device, precision, attention, torch_has_kernel):
        raise BenchmarkError(remedy)
    return torch.device("cuda" if uses_gpu(device) else "cpu")


def uses_gpu(device: Device) -> bool:
    """Whether this choice comes to a GPU here."""
    return torch.cuda.is_available() and device is not Device.cpu


def obstacles(
    device: Device, precision: Precision, attention: Attention, torch_has_kernel: bool = False
) -> Iterator[str]:
    """What of the asked for cannot be had here, each with its remedy."""
    needs_cuda = [
        reason
        for reason, needed in (
            ("model.device=cuda", device is Device.cuda),
            ("model.attention=flash_attention_2", attention is Attention.flash_attention_2),
            ("model.precision=fp16", precision is Precision.fp16),
        )
        if needed
    ]
    if needs_cuda and not uses_gpu(device):
        yield (
            f"{' and '.join(needs_cuda)} need a CUDA GPU, and none is used here; run on one, or set "
            "model.device=cpu model.attention=sdpa model.precision=fp32 (slow for large models)."
        )
    if precision is Precision.bf16 and not needs_cuda and not uses_gpu(device) and not has_bf16_kernels():
        yield (
            "model.precision=bf16 would be about a hundred times slower than fp32 on this processor, which has neither "
            "AVX-512 nor AMX; set model.precision=fp32."
        )
    if attention is Attention.flash_attention_2:
        if not has_flash_attn() and not torch_has_kernel:
            yield (
                "model.attention=flash_attention_2 needs the flash-attn package; "
                "pip install flash-attn --no-build-isolation, or set model.attention=sdpa."
            )
        if uses_gpu(device) and torch.cuda.get_device_capability() < (8, 0):
            yield (
                "model.attention=flash_attention_2 needs a GPU of compute capability 8.0 (Ampere) or newer; "
                "set model.attention=sdpa."
            )
        if precision is Precision.fp32:
            yield "model.attention=flash_attention_2 needs model.precision=bf16 or fp16."


def has_bf16_kernels() -> bool:
    """Whether torch multiplies bf16 matrices in blocks on this CPU; one by one they take a hundred times as long."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def name_of(device: torch.device) -> str:
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The precision's arithmetic around a forward pass; nothing at all for fp32."""
    if precision is Precision.fp32:
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])
