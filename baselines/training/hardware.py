"""Where and how the arithmetic runs; what is asked for and missing stops the run, nothing falls back."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

from benchmark.errors import BenchmarkError


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


def resolve(device: Device, precision: Precision, attention: Attention, streams_only: bool = False) -> torch.device:
    """The device to use; raises `BenchmarkError` if device, precision and attention do not go together here.

    `streams_only`: a decoder that reads nothing but packed streams. Torch's own FlashAttention-2 will do for it, and
    its products know what to do on a CPU without instructions for bf16.
    """
    for remedy in obstacles(device, precision, attention, streams_only):
        raise BenchmarkError(remedy)
    return torch.device("cuda" if uses_gpu(device) else "cpu")


def uses_gpu(device: Device) -> bool:
    """Whether this choice comes to a GPU here."""
    return torch.cuda.is_available() and device is not Device.cpu


def obstacles(device: Device, precision: Precision, attention: Attention, streams_only: bool = False) -> Iterator[str]:
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
    on_cpu = not needs_cuda and not uses_gpu(device)
    if precision is Precision.bf16 and on_cpu and not has_bf16_kernels() and not streams_only:
        yield (
            "model.precision=bf16 is many times slower than fp32 on this processor, which has neither AVX-512 nor AMX "
            "(but for packed decoders, read by labels or a head); set model.precision=fp32."
        )
    if attention is Attention.flash_attention_2:
        if not has_flash_attn() and not streams_only:
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


def product_type(values: torch.Tensor) -> torch.dtype:
    """In what to multiply matrices of such values: their own type, but bf16 in fp32 on a CPU that has only that.

    Two bf16 values multiply exactly in fp32, and instructions for bf16 sum in fp32 too.
    """
    widened = values.dtype is torch.bfloat16 and values.device.type == "cpu" and not has_bf16_kernels()
    return torch.float32 if widened else values.dtype


@cache
def has_bf16_kernels() -> bool:
    """Whether torch multiplies bf16 matrices as fast as fp32 on this CPU; without, it takes many times as long."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def name_of(device: torch.device) -> str:
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The precision's arithmetic around a forward pass; nothing at all for fp32."""
    if precision is Precision.fp32:
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def fast_precisions(own: Precision) -> list[str]:
    """A model's own precision, and bf16 where it is not slower than fp32."""
    bf16 = [Precision.bf16] if torch.cuda.is_available() or has_bf16_kernels() else []
    return list(dict.fromkeys([own.value, *bf16]))
