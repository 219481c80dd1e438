"""The fused LoRA product is peft's, value and gradient."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from baselines.packed import fused as adapters


class Network(nn.Module):
    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(12, 20, bias=bias)
        self.second = nn.Linear(20, 7, bias=bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.second(self.first(states).tanh())
        return hidden


def adapted(bias: bool = False, dtype: torch.dtype = torch.float32, **options: float | bool) -> PeftModel:
    torch.manual_seed(0)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=["first", "second"],
        init_lora_weights=False,
        **options,  # type: ignore[arg-type]
    )
    return get_peft_model(Network(bias).to(dtype), config)  # type: ignore[arg-type]


def value_and_gradients(network: PeftModel, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    states = torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    result = network(states)
    result.float().square().sum().backward()
    assert states.grad is not None
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert len(gradients) == 4
    return {"result": result.detach(), "states": states.grad, **gradients}


@pytest.mark.parametrize("bias", [False, True])
def test_fused_and_unfused_agree(bias: bool) -> None:
    expected = value_and_gradients(adapted(bias))
    network = adapted(bias)
    adapters.fuse(network)
    for name, tensor in value_and_gradients(network).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_frozen_bf16_weights_and_fp32_adapters_go_together() -> None:
    expected = value_and_gradients(adapted())
    network = adapted(dtype=torch.bfloat16)
    adapters.fuse(network)
    found = value_and_gradients(network, torch.bfloat16)
    assert found["result"].dtype is torch.bfloat16
    for name in expected.keys() - {"result", "states"}:
        assert found[name].dtype is torch.float32
        relative = (found[name] - expected[name]).norm() / expected[name].norm()
        assert relative < 0.03, name


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_what_the_fused_product_does_not_cover_stays_pefts(options: dict[str, float | bool]) -> None:
    network = adapted(bias=True, **options)
    before = {name: type(layer).forward for name, layer in network.named_modules()}
    adapters.fuse(network)
    assert all("forward" not in vars(layer) for layer in network.modules())
    assert before == {name: type(layer).forward for name, layer in network.named_modules()}


@pytest.mark.parametrize(
    ("dtype", "tolerance", "scale"),
    [(torch.float32, 1e-6, 1), (torch.bfloat16, 2e-2, 1), (torch.float16, 2e-3, 1), (torch.float16, 2e-3, 1000)],
)  # the last: gradients near the end of fp16's range, as scaled losses give
def test_a_frozen_norm_agrees_in_value_and_gradient(dtype: torch.dtype, tolerance: float, scale: int) -> None:
    random = torch.Generator().manual_seed(0)
    norm = LlamaRMSNorm(24).to(dtype).requires_grad_(False)
    norm.weight.copy_(torch.rand(24, generator=random) + 0.5)
    found = []
    for _ in range(2):
        states = torch.randn(2, 5, 24, generator=random.manual_seed(1)).to(dtype).requires_grad_()
        result = norm(states)
        (result.float() * scale * torch.arange(24)).sum().backward()
        found.append((result.detach(), states.grad))
        adapters.fuse(norm)
    assert "forward" in vars(norm)
    for expected, fused in zip(*found, strict=True):
        assert fused.dtype is dtype
        assert (fused.float() - expected.float()).norm() / expected.float().norm() < tolerance
