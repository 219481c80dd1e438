"""What is asked for and missing stops the run; nothing falls back."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from baselines.training import memory
from baselines.training.hardware import (
    Attention,
    Device,
    Precision,
    autocast,
    device_name,
    has_bf16_kernels,
    has_flash_attn,
    resolve,
)
from benchmark.errors import BenchmarkError
from benchmark.results import environment

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_the_cpu_runs_what_needs_no_gpu() -> None:
    assert resolve(Device.cpu, Precision.fp32, Attention.sdpa).type == "cpu"
    assert device_name(torch.device("cpu")) == "cpu"


@no_gpu
def test_auto_is_the_cpu_where_there_is_no_gpu() -> None:
    assert resolve(Device.auto, Precision.fp32, Attention.eager).type == "cpu"


@pytest.mark.parametrize("device", [Device.cpu, pytest.param(Device.auto, marks=no_gpu)])
def test_bf16_needs_a_processor_with_kernels_for_it(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    monkeypatch.setattr("baselines.training.hardware.has_bf16_kernels", lambda: True)
    assert resolve(device, Precision.bf16, Attention.sdpa).type == "cpu"
    monkeypatch.setattr("baselines.training.hardware.has_bf16_kernels", lambda: False)
    with pytest.raises(BenchmarkError, match=r"AVX-512 nor AMX .*; set model.precision=fp32"):
        resolve(device, Precision.bf16, Attention.sdpa)
    assert resolve(device, Precision.fp32, Attention.sdpa).type == "cpu"


def test_a_gpu_needs_no_processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.training.hardware.has_bf16_kernels", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve(Device.auto, Precision.bf16, Attention.sdpa).type == "cuda"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks for flags of x86 processors")
def test_only_processors_without_avx_512_have_no_bf16_kernels() -> None:
    assert has_bf16_kernels() is environment.multiplies_bf16(environment.describe()["vector_units"])


@no_gpu
@pytest.mark.parametrize(
    ("device", "precision", "attention", "named"),
    [
        (Device.cuda, Precision.fp32, Attention.sdpa, "model.device=cuda"),
        (Device.auto, Precision.fp16, Attention.sdpa, "model.precision=fp16"),
        (Device.auto, Precision.bf16, Attention.flash_attention_2, "model.attention=flash_attention_2"),
    ],
)
def test_a_missing_gpu_is_named_by_the_option_that_needs_it(
    device: Device, precision: Precision, attention: Attention, named: str
) -> None:
    with pytest.raises(BenchmarkError, match=f"{named} need"):
        resolve(device, precision, attention)


def test_torchs_own_flash_attention_serves_where_it_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr("baselines.training.hardware.has_flash_attn", lambda: False)
    asked = Device.cuda, Precision.bf16, Attention.flash_attention_2
    assert resolve(*asked, only_packed=True).type == "cuda"
    with pytest.raises(BenchmarkError, match="needs the flash-attn package"):
        resolve(*asked)


def test_fp16_on_the_cpu_is_refused_even_beside_a_gpu() -> None:
    with pytest.raises(BenchmarkError, match="fp16"):
        resolve(Device.cpu, Precision.fp16, Attention.sdpa)


def test_bf16_computes_products_in_bf16_and_fp32_in_fp32() -> None:
    matrix = torch.ones(2, 2)
    with autocast(torch.device("cpu"), Precision.bf16):
        assert (matrix @ matrix).dtype is torch.bfloat16
    with autocast(torch.device("cpu"), Precision.fp32):
        assert (matrix @ matrix).dtype is torch.float32


KEPT = """
import resource, sys, torch
from baselines.training import memory

if sys.argv[1] == "keep_freed_memory":
    memory.keep_freed_memory()

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

before = resident()
block = torch.ones(25_000_000)  # 100 MB, above what glibc would keep unasked
del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of another C library")
@pytest.mark.parametrize(("way", "kept"), [("keep_freed_memory", True), ("as it is", False)])
def test_freed_memory_is_kept_for_the_next_step(way: str, kept: bool) -> None:
    """In a process of its own: the heap that other tests leave behind decides what goes back."""
    run = subprocess.run([sys.executable, "-c", KEPT, way], capture_output=True, text=True, check=True)
    assert (int(run.stdout) > 50_000_000) is kept


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_auto_is_the_gpu_where_there_is_one() -> None:
    assert resolve(Device.auto, Precision.bf16, Attention.sdpa).type == "cuda"


@pytest.mark.parametrize("capability", [(7, 0), (7, 5)])
def test_an_older_gpu_is_not_asked_for_flash_attention(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    with pytest.raises(BenchmarkError, match="compute capability 8.0"):
        resolve(Device.auto, Precision.fp16, Attention.flash_attention_2, only_packed=True)
    assert resolve(Device.auto, Precision.fp16, Attention.sdpa).type == "cuda"


def test_another_package_with_flash_attns_module_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.training.hardware.version", {"flash-attn": "2.8.3"}.__getitem__)
    assert has_flash_attn()

    def only_the_fourth(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("baselines.training.hardware.version", only_the_fourth)
    assert not has_flash_attn()


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error: RuntimeError | MemoryError, ran_out: bool) -> None:
    assert memory.is_out_of_memory(error) is ran_out
