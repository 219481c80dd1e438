"""Layers with fewer passes over memory: LoRA products, norms with frozen weights, and dropout.

On a CPU without bf16 instructions, bf16 products are computed in fp32 and rounded once.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn
from torch.nn import functional

from baselines.training.hardware import matmul_dtype

NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm", "SmolLM3RMSNorm", "Phi3RMSNorm")
"""transformers' classes that compute what `FrozenNorm` computes."""


def fuse(network: nn.Module) -> None:
    """Compute peft's linear LoRA layers and frozen norms in one step each, with the same results.

    Layers that are not covered are left unchanged: dropout before the adapter, several adapters, variants of LoRA.
    """
    for layer in network.modules():
        if type(layer) is Linear and _is_basic_lora(layer):
            layer.forward = partial(_lora_forward, layer)
        elif type(layer) is nn.Linear and matmul_dtype(layer.weight) is not layer.weight.dtype:
            layer.forward = partial(_widened_forward, layer)  # type: ignore[method-assign]
        elif type(layer).__name__ in NORMS and not layer.weight.requires_grad:
            layer.forward = partial(_norm_forward, layer)


def use_fast_dropout(network: nn.Module) -> None:
    """Replace the sampling of every dropout layer by `dropout`."""
    for layer in network.modules():
        if type(layer) is nn.Dropout:
            layer.forward = partial(_dropout_forward, layer)  # type: ignore[method-assign]


def _is_basic_lora(layer: Any) -> bool:
    adapters = list(layer.lora_A)
    return (
        len(adapters) == 1
        and isinstance(layer.lora_dropout[adapters[0]], nn.Identity)
        and adapters[0] not in layer.lora_variant
        and layer.lora_B[adapters[0]].bias is None
        and type(layer.base_layer) is nn.Linear
    )


def _lora_forward(layer: Any, states: torch.Tensor) -> torch.Tensor:
    (name,) = layer.lora_A
    base = layer.base_layer
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    product: torch.Tensor = LoraProduct.apply(  # type: ignore[no-untyped-call]
        states, base.weight, base.bias, down, up, layer.scaling[name]
    )
    return product


def _widened_forward(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    weight, bias = layer.weight.float(), None if layer.bias is None else layer.bias.float()
    return functional.linear(states.float(), weight, bias).to(states.dtype)


def _norm_forward(layer: Any, states: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = FrozenNorm.apply(states, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


def _dropout_forward(layer: nn.Dropout, states: torch.Tensor) -> torch.Tensor:
    return dropout(states, layer.p) if layer.training else states


DROPOUT_LEVELS = 2**16


def dropout(states: torch.Tensor, probability: float) -> torch.Tensor:
    """Dropout with 16 random bits per element, which takes a third of the time of torch's on the CPU.

    `probability` is rounded to a multiple of 1 / 65,536. On CUDA it is torch's, which is fused there.
    """
    dropped = round(probability * DROPOUT_LEVELS)
    if dropped == 0 or states.is_cuda:
        return nn.functional.dropout(states, probability)
    draws = torch.empty(-(-states.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: states.numel()].view(states.shape)
    kept = DROPOUT_LEVELS - dropped
    scale = torch.tensor(DROPOUT_LEVELS / kept if kept > 0 else 0.0, dtype=states.dtype)
    return states * torch.where(bits >= dropped - DROPOUT_LEVELS // 2, scale, torch.zeros_like(scale))


class LoraProduct(torch.autograd.Function):
    """y = x W' + scale (x A') B' (+ bias), with W and bias frozen; ' transposes.

    x: (..., in), W: (out, in), A: (rank, in), B: (out, rank). The result has W's dtype; the gradients of A and B have
    their own.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        dtype = matmul_dtype(weight)
        given, frozen = states.reshape(-1, states.shape[-1]), weight.to(dtype).t()
        flat = given.to(dtype)
        low = (down.to(dtype) @ flat.t()).mul_(scale)  # (rank, tokens), which is faster than its transpose
        result = flat @ frozen if bias is None else torch.addmm(bias.to(dtype), flat, frozen)
        result = result.addmm_(low.t(), up.to(dtype).t()).to(weight.dtype)
        ctx.save_for_backward(given, weight, down, up, low)
        ctx.scale = scale
        return result.view(*states.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        given, weight, down, up, low = ctx.saved_tensors
        dtype = matmul_dtype(weight)
        gradient = gradients[0].reshape(-1, weight.shape[0]).to(dtype)
        low_gradient = (up.to(dtype).t().contiguous() @ gradient.t()).mul_(ctx.scale)  # (rank, tokens)
        down_gradient = (low_gradient @ given.to(dtype)).to(down.dtype)
        up_gradient = (low @ gradient).t().to(up.dtype)
        states_gradient = None
        if ctx.needs_input_grad[0]:
            states_gradient = (gradient @ weight.to(dtype)).addmm_(low_gradient.t(), down.to(dtype))
            states_gradient = states_gradient.view(*gradients[0].shape[:-1], -1).to(given.dtype)
        return states_gradient, None, None, down_gradient, up_gradient, None


class FrozenNorm(torch.autograd.Function):
    """Root-mean-square norm, y = x / rms(x) * weight, with the root in fp32 (Zhang and Sennrich, 2019)."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        squares = torch.linalg.vector_norm(states, dim=-1, keepdim=True, dtype=torch.float32).square_()
        inverse = squares.div_(states.shape[-1]).add_(epsilon).rsqrt_()
        unit = (states * inverse).to(states.dtype)
        ctx.save_for_backward(unit, inverse, weight)
        return torch.mul(unit, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        unit, inverse, weight = ctx.saved_tensors
        dtype, gradient = unit.dtype, gradients[0] * weight
        if dtype is torch.float16:  # scaled losses give gradients near the end of its range
            gradient, unit = gradient.float(), unit.float()
        along = (gradient * unit).sum(dim=-1, keepdim=True, dtype=torch.float32) / unit.shape[-1]
        across = torch.addcmul(gradient, unit, along.to(unit.dtype), value=-1)
        return (across * inverse).to(dtype), None, None
