"""Device, precision and attention. An option that is not available here stops the run; nothing falls back."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from benchmark.errors import BenchmarkError


class Device(StrEnum):
    auto = "auto"  # CUDA if available, else the CPU; the record says which
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    tf32 = "tf32"  # fp32 whose matrix products keep 10 bits of the mantissa, on a GPU


class Quantization(StrEnum):
    """The number format of the frozen weights below an adapter."""

    none = "none"  # in the model's precision
    nf4 = "nf4"  # 4 bits, with bitsandbytes


class Attention(StrEnum):
    auto = "auto"  # sdpa if transformers has it for the architecture, else eager
    flash_attention_2 = "flash_attention_2"
    sdpa = "sdpa"
    eager = "eager"


class Batching(StrEnum):
    auto = "auto"  # packed if the architecture was tested with it, else padded; the record says which
    packed = "packed"  # one stream of tokens; the prompts' common prefix is computed once
    padded = "padded"  # every sample is as long as the longest of the batch


@dataclass(frozen=True)
class Computation:
    """The device of a network and the options of its computation; `batching` is not `auto`."""

    device: torch.device
    precision: Precision
    attention: Attention
    batching: Batching
    accumulates: bool = False  # padded passes have the recipe's batch size even if a larger one would be faster

    @property
    def packed(self) -> bool:
        """Whether batches are streams of tokens without padding."""
        return self.batching is Batching.packed

    @property
    def varlen(self) -> bool:
        """Whether one call of FlashAttention-2 computes a whole stream."""
        return self.attention is Attention.flash_attention_2

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for a forward pass; does nothing for fp32."""
        if DTYPES[self.precision] is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])


DTYPES = {
    Precision.fp32: torch.float32,
    Precision.bf16: torch.bfloat16,
    Precision.fp16: torch.float16,
    Precision.tf32: torch.float32,
}


def resolve(device: Device, precision: Precision, attention: Attention, only_packed: bool = False) -> torch.device:
    """The device to use; raises `BenchmarkError` if the combination does not work on this machine.

    `only_packed` is true for a decoder that computes nothing but packed streams. It can use torch's own
    FlashAttention-2, and it computes bf16 in fp32 on a CPU without bf16 instructions.
    """
    if found := problems(device, precision, attention, only_packed):
        raise found[0]
    return torch.device("cuda" if uses_gpu(device) else "cpu")


def uses_gpu(device: Device) -> bool:
    """Whether this option means a GPU on this machine."""
    return torch.cuda.is_available() and device is not Device.cpu


def problems(
    device: Device, precision: Precision, attention: Attention, only_packed: bool = False
) -> list[BenchmarkError]:
    """One error for each reason why the combination does not work on this machine."""
    checks = (
        *_device_checks(device, precision, attention, only_packed),
        *_kernel_checks(uses_gpu(device), precision, attention, only_packed),
    )
    return [BenchmarkError(problem, fix) for fails, problem, fix in checks if fails]


Check = tuple[bool, str, str]
"""Whether the check fails, what the problem is then, and its fix."""


def _device_checks(
    device: Device, precision: Precision, attention: Attention, only_packed: bool
) -> tuple[Check, Check]:
    on_gpu = uses_gpu(device)
    cuda_options = {
        "model.device=cuda": device is Device.cuda,
        "model.attention=flash_attention_2": attention is Attention.flash_attention_2,
        f"model.precision={precision.value}": precision in (Precision.fp16, Precision.tf32),
    }
    needs_cuda = [option for option, chosen in cuda_options.items() if chosen]
    no_bf16_kernels = "neither AVX-512 nor AMX; only packed decoders with model.readout=labels or head avoid that"
    slow_bf16 = precision is Precision.bf16 and not has_bf16_kernels() and not only_packed
    return (
        (
            bool(needs_cuda) and not on_gpu,
            f"{' and '.join(needs_cuda)} need{'s' * (len(needs_cuda) == 1)} a CUDA GPU, but none is used here.",
            "Run on a GPU, or set model.device=cpu model.attention=sdpa model.precision=fp32 (slow for large models).",
        ),
        (
            slow_bf16 and not on_gpu and not needs_cuda,
            f"model.precision=bf16 is many times slower than fp32 on this processor, which has {no_bf16_kernels}.",
            "Set model.precision=fp32.",
        ),
    )


def _kernel_checks(on_gpu: bool, precision: Precision, attention: Attention, only_packed: bool) -> tuple[Check, ...]:
    flash, tf32 = attention is Attention.flash_attention_2, precision is Precision.tf32
    too_old = (flash or tf32) and on_gpu and torch.cuda.get_device_capability() < (8, 0)
    return (
        (
            flash and not only_packed and not has_flash_attn(),
            "model.attention=flash_attention_2 needs the flash-attn package, which is not installed.",
            "Run pip install flash-attn --no-build-isolation, or set model.attention=sdpa.",
        ),
        (
            flash and too_old,
            "model.attention=flash_attention_2 needs a GPU of compute capability 8.0 (Ampere) or newer.",
            "Set model.attention=sdpa.",
        ),
        (
            tf32 and too_old,
            "model.precision=tf32 needs a GPU of compute capability 8.0 (Ampere) or newer.",
            "Set model.precision=fp32.",
        ),
        (
            flash and DTYPES[precision] is torch.float32,
            "model.attention=flash_attention_2 does not compute in fp32.",
            "Set model.precision=bf16 or fp16.",
        ),
    )


def check_quantization(quantization: Quantization, random_weights: bool) -> None:
    """Raise if the weights cannot be quantised here."""
    if quantization is Quantization.none:
        return
    option = f"model.quantization={quantization.value}"
    if find_spec("bitsandbytes") is None:
        raise BenchmarkError(
            f"{option} needs the package bitsandbytes, which is not installed.",
            "Run pip install 'bitsandbytes>=0.50,<0.51', or set model.quantization=none.",
        )
    if random_weights:
        raise BenchmarkError(
            f"{option} quantises weights while they are loaded, but model.weights.source=random loads none.",
            "Set model.quantization=none.",
        )


def has_flash_attn() -> bool:
    """Whether the flash-attn package is installed; FlashAttention-4 has a module of the same name."""
    try:
        return bool(version("flash-attn"))
    except PackageNotFoundError:
        return False


@cache
def has_bf16_kernels() -> bool:
    """Whether torch multiplies bf16 matrices on this CPU as fast as fp32; otherwise it takes many times as long."""
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    # torch has no public function for this.
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def matmul_dtype(values: torch.Tensor) -> torch.dtype:
    """The dtype in which to multiply `values`: its own, but fp32 for bf16 on a CPU without bf16 instructions.

    The result does not change: two bf16 values multiply exactly in fp32, and bf16 instructions also accumulate in fp32.
    """
    widened = values.dtype is torch.bfloat16 and values.device.type == "cpu" and not has_bf16_kernels()
    return torch.float32 if widened else values.dtype


def set_matmul_precision(precision: Precision) -> None:
    """Let matrix products of fp32 values use TF32, or not."""
    torch.set_float32_matmul_precision("high" if precision is Precision.tf32 else "highest")


def device_name(device: torch.device) -> str:
    """The device as records name it: cpu, or cuda with the name of the GPU."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def fast_precisions(precision: Precision) -> list[str]:
    """The `precision` of a model, and bf16 where it is not slower than fp32."""
    bf16 = [Precision.bf16] if torch.cuda.is_available() or has_bf16_kernels() else []
    return list(dict.fromkeys([precision.value, *bf16]))
