"""On a CPU without bf16 instructions, a decoder's products are computed in fp32 and rounded once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from baselines.compute.hardware import Attention, Device, Precision, matmul_dtype, resolve
from baselines.packed.attention import Options, over_blocks
from baselines.packed.functions import LoraProduct
from baselines.packed.fused import fuse
from baselines.packed.stream import Blocks, pack
from benchmark.config import RunConfig
from benchmark.run.runner import run


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda: False)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).bfloat16().requires_grad_()


def widened(values: torch.Tensor) -> torch.Tensor:
    return values.detach().float().requires_grad_()


def gradients(result: torch.Tensor, gradient: torch.Tensor, *of: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(result, of, gradient.to(result.dtype)))


def test_only_bf16_on_such_a_cpu_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(Device.cpu, Precision.bf16, Attention.sdpa, only_packed=True).type == "cpu"
    assert matmul_dtype(torch.ones(1)) is torch.float32
    assert matmul_dtype(torch.ones(1).bfloat16()) is torch.float32
    assert matmul_dtype(torch.ones(1, device="meta").bfloat16()) is torch.bfloat16
    monkeypatch.setattr("baselines.compute.hardware.has_bf16_kernels", lambda: True)
    assert matmul_dtype(torch.ones(1).bfloat16()) is torch.bfloat16


@pytest.mark.parametrize("bias", [False, True])
def test_a_lora_product_and_its_gradients(bias: bool) -> None:
    states, weight, gradient = numbers(2, 5, 300), numbers(7, 300).detach(), numbers(2, 5, 7).detach()
    shift = numbers(7).detach() if bias else None
    down, up = torch.randn(4, 300).requires_grad_(), torch.randn(7, 4).requires_grad_()
    wide = widened(states)
    expected = LoraProduct.apply(wide, weight.float(), None if shift is None else shift.float(), down, up, 2.0)
    found = LoraProduct.apply(states, weight, shift, down, up, 2.0)
    assert torch.equal(found, expected.bfloat16())
    for one, other in zip(
        gradients(found, gradient, states, down, up), gradients(expected, gradient, wide, down, up), strict=True
    ):
        assert torch.equal(one, other.to(one.dtype))


@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_without_an_adapter_and_its_gradient(bias: bool) -> None:
    layer, states, gradient = nn.Linear(300, 7, bias).bfloat16().requires_grad_(False), numbers(5, 300), numbers(5, 7)
    plain, wide = nn.Linear(300, 7, bias), widened(states)
    plain.load_state_dict(layer.state_dict())
    fuse(nn.Sequential(layer))
    assert torch.equal(layer(states), plain(wide).bfloat16())
    [found], [expected] = gradients(layer(states), gradient, states), gradients(plain(wide), gradient, wide)
    assert torch.equal(found, expected.bfloat16())


def test_attention_and_its_gradients() -> None:
    beginning = [1, 2, 3]
    stream = pack([[*beginning, 4], [*beginning, 5, 6], [*beginning, 7, 8]], [range(1)] * 3, causal=True, varlen=False)
    assert isinstance(stream.layout, Blocks)
    tokens = stream.input_ids.shape[1]
    query, key, value = half = [numbers(tokens, heads, 8) for heads in (4, 2, 2)]
    wide = (widened(query), widened(key), widened(value))
    found, expected = (
        over_blocks((query, key, value), stream.layout, Options(0.3)),
        over_blocks(wide, stream.layout, Options(0.3)),
    )
    assert torch.equal(found, expected.bfloat16())
    gradient = numbers(*found.shape).detach()
    for one, other in zip(gradients(found, gradient, *half), gradients(expected, gradient, *wide), strict=True):
        assert torch.equal(one, other.bfloat16())


class ProductTypes(TorchDispatchMode):
    """Collects the dtypes of the matrix products that reach torch's kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in ("mm", "bmm", "addmm", "addmm_", "baddbmm", "linear", "matmul"):
            self.seen.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("other", ["model.readout=head", "model.lora.targets=[q_proj]", "model.lora.dropout=0.1"])
def test_a_run_computes_every_product_in_fp32(compose_run: Callable[..., RunConfig], other: str) -> None:
    config = compose_run("model=tiny_llama", "model.device=cpu", "model.precision=bf16", other)
    with ProductTypes() as products:
        record = run(config).record
    assert record.fit is not None
    assert record.fit.precision == "bf16"
    assert products.seen == {torch.float32}
