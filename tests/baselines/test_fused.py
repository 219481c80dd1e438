"""The fused layers give the results of peft, transformers and torch."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.mistral.modeling_mistral import MistralRMSNorm
from transformers.models.phi3.modeling_phi3 import Phi3RMSNorm
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.smollm3.modeling_smollm3 import SmolLM3RMSNorm

from baselines.packed.functions import dropout
from baselines.packed.fused import NORMS, fuse, use_fast_dropout

NORM_CLASSES = (LlamaRMSNorm, MistralRMSNorm, Phi3RMSNorm, Qwen2RMSNorm, Qwen3RMSNorm, SmolLM3RMSNorm)


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
def test_the_fused_lora_product_equals_pefts(bias: bool) -> None:
    expected = value_and_gradients(adapted(bias))
    network = adapted(bias)
    fuse(network)
    assert sum("forward" in vars(layer) for layer in network.modules()) == 2
    for name, tensor in value_and_gradients(network).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6, msg=name)


def test_the_fused_lora_product_takes_bf16_weights_with_fp32_adapters() -> None:
    expected = value_and_gradients(adapted())
    network = adapted(dtype=torch.bfloat16)
    fuse(network)
    found = value_and_gradients(network, torch.bfloat16)
    assert found["result"].dtype is torch.bfloat16
    for name in expected.keys() - {"result", "states"}:
        assert found[name].dtype is torch.float32
        relative = (found[name] - expected[name]).norm() / expected[name].norm()
        assert relative < 0.03, name


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_lora_layers_that_are_not_covered_stay_unchanged(options: dict[str, float | bool]) -> None:
    network = adapted(bias=True, **options)
    fuse(network)
    assert all("forward" not in vars(layer) for layer in network.modules())


@pytest.mark.parametrize("kind", NORM_CLASSES)
@pytest.mark.parametrize(
    ("dtype", "tolerance", "scale"),
    [
        (torch.float32, 1e-6, 1),
        (torch.bfloat16, 2e-2, 1),
        (torch.float16, 2e-3, 1),
        (torch.float16, 2e-3, 1000),  # scaled losses give gradients near the end of fp16's range
    ],
)
def test_the_frozen_norm_equals_transformers(
    kind: type[nn.Module], dtype: torch.dtype, tolerance: float, scale: int
) -> None:
    assert kind.__name__ in NORMS
    random = torch.Generator().manual_seed(0)
    norm = kind(24).to(dtype).requires_grad_(False)
    norm.weight.copy_(torch.rand(24, generator=random) + 0.5)
    found = []
    for _ in range(2):
        states = torch.randn(2, 5, 24, generator=random.manual_seed(1)).to(dtype).requires_grad_()
        result = norm(states)
        (result.float() * scale * torch.arange(24)).sum().backward()
        found.append((result.detach(), states.grad))
        fuse(norm)
    assert "forward" in vars(norm)
    for expected, fused in zip(*found, strict=True):
        assert fused.dtype is dtype
        assert (fused.float() - expected.float()).norm() / expected.float().norm() < tolerance


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_zeroes_the_given_share_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1001, 997), probability)
    assert (dropped == 0).float().mean().item() == pytest.approx(probability, abs=0.003)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)], rel=1e-3)


def test_dropout_of_neighbours_is_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(400_000), 0.5) != 0).float() - 0.5
    for distance in (1, 2, 3, 4, 8):
        assert abs((kept[:-distance] * kept[distance:]).mean().item()) < 0.002


def test_dropout_can_keep_or_zero_everything() -> None:
    states = torch.randn(5, 3)
    assert torch.equal(dropout(states, 0.0), states)
    assert not dropout(states, 1.0).any()


def test_dropout_gradients_have_the_same_mask() -> None:
    states = torch.ones(999, requires_grad=True)
    dropped = dropout(states, 0.3)
    dropped.sum().backward()
    assert torch.equal(states.grad, dropped.detach())  # type: ignore[arg-type]


def test_a_dropout_layer_repeats_its_mask_for_a_seed_and_does_nothing_in_evaluation() -> None:
    network = nn.Sequential(nn.Dropout(0.4))
    use_fast_dropout(network)
    states = torch.randn(50, 7)
    masked = []
    for _ in range(2):
        torch.manual_seed(3)
        masked.append(network(states))
    assert torch.equal(*masked)
    assert not torch.equal(masked[0], states)
    assert torch.equal(network.eval()(states), states)
