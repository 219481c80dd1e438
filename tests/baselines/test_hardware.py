"""Options that are not available on this machine stop the run, and nothing falls back."""

import platform
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from networks import trained
from shipped_configurations import composer

from baselines.compute.hardware import (
    Attention,
    Batching,
    Computation,
    Device,
    Precision,
    device_name,
    has_bf16_kernels,
    has_flash_attn,
    resolve,
    set_matmul_precision,
)
from benchmark.errors import BenchmarkError
from benchmark.results import environment

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def test_the_cpu_is_available() -> None:
    assert resolve(Device.cpu, Precision.fp32, Attention.sdpa).type == "cpu"
    assert device_name(torch.device("cpu")) == "cpu"


@no_gpu
def test_auto_is_the_cpu_without_a_gpu() -> None:
    assert resolve(Device.auto, Precision.fp32, Attention.eager).type == "cpu"


@pytest.mark.parametrize("device", [Device.cpu, pytest.param(Device.auto, marks=no_gpu)])
def test_bf16_on_a_cpu_needs_bf16_instructions(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda: True)
    assert resolve(device, Precision.bf16, Attention.sdpa).type == "cpu"
    monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda: False)
    with pytest.raises(BenchmarkError, match=r"model.precision=bf16") as refusal:
        resolve(device, Precision.bf16, Attention.sdpa)
    assert refusal.value.fix == "Set model.precision=fp32."
    assert resolve(device, Precision.fp32, Attention.sdpa).type == "cpu"


def test_bf16_on_a_gpu_needs_no_instructions_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve(Device.auto, Precision.bf16, Attention.sdpa).type == "cuda"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks for flags of x86 processors")
def test_bf16_instructions_are_those_that_the_environment_reports() -> None:
    assert has_bf16_kernels() is (environment.describe().vector_units in ("AMX", "AVX-512 BF16", "AVX-512"))


@no_gpu
@pytest.mark.parametrize(
    ("device", "precision", "attention", "named"),
    [
        (Device.cuda, Precision.fp32, Attention.sdpa, "model.device=cuda"),
        (Device.auto, Precision.fp16, Attention.sdpa, "model.precision=fp16"),
        (Device.cpu, Precision.fp16, Attention.sdpa, "model.precision=fp16"),
        (Device.auto, Precision.tf32, Attention.sdpa, "model.precision=tf32"),
        (Device.auto, Precision.bf16, Attention.flash_attention_2, "model.attention=flash_attention_2"),
    ],
)
def test_without_a_gpu_the_option_that_needs_one_is_named(
    device: Device, precision: Precision, attention: Attention, named: str
) -> None:
    with pytest.raises(BenchmarkError, match=f"{named} needs a CUDA GPU"):
        resolve(device, precision, attention)


def test_only_packed_decoders_can_use_torchs_flash_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr("baselines.compute.hardware.has_flash_attn", lambda: False)
    options = Device.cuda, Precision.bf16, Attention.flash_attention_2
    assert resolve(*options, only_packed=True).type == "cuda"
    with pytest.raises(BenchmarkError, match="flash-attn package"):
        resolve(*options)


def test_tf32_needs_ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    with pytest.raises(BenchmarkError, match=r"tf32 needs a GPU of compute capability 8\.0"):
        resolve(Device.auto, Precision.tf32, Attention.sdpa)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert resolve(Device.auto, Precision.tf32, Attention.sdpa).type == "cuda"


def test_products_are_in_tf32_only_if_the_run_says_so(tmp_path: Path) -> None:
    try:
        set_matmul_precision(Precision.tf32)
        assert torch.get_float32_matmul_precision() == "high"
        trained(composer(tmp_path)("model=tiny_bert"), tmp_path / "work")
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        set_matmul_precision(Precision.fp32)


def test_fp16_on_the_cpu_is_refused_although_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(BenchmarkError, match="fp16"):
        resolve(Device.cpu, Precision.fp16, Attention.sdpa)


def test_flash_attention_in_fp32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    with pytest.raises(BenchmarkError, match="flash_attention_2") as refusal:
        resolve(Device.cuda, Precision.fp32, Attention.flash_attention_2, only_packed=True)
    assert refusal.value.fix == "Set model.precision=bf16 or fp16."


def test_autocast_multiplies_in_the_given_precision() -> None:
    matrix = torch.ones(2, 2)
    for precision, dtype in ((Precision.bf16, torch.bfloat16), (Precision.fp32, torch.float32)):
        with Computation(torch.device("cpu"), precision, Attention.sdpa, Batching.packed).autocast():
            assert (matrix @ matrix).dtype is dtype


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_auto_is_the_gpu_with_a_gpu() -> None:
    assert resolve(Device.auto, Precision.bf16, Attention.sdpa).type == "cuda"


@pytest.mark.parametrize("capability", [(7, 0), (7, 5)])
def test_flash_attention_on_an_older_gpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    with pytest.raises(BenchmarkError, match="8.0"):
        resolve(Device.auto, Precision.fp16, Attention.flash_attention_2, only_packed=True)
    assert resolve(Device.auto, Precision.fp16, Attention.sdpa).type == "cuda"


def test_flash_attention_4_is_not_mistaken_for_flash_attention_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.compute.hardware.version", {"flash-attn": "2.8.3"}.__getitem__)
    assert has_flash_attn()

    def not_installed(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("baselines.compute.hardware.version", not_installed)
    assert not has_flash_attn()
