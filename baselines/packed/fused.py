"""What LoRA leaves frozen makes cheaper: its products as one step, and norms that need no gradient of their own.

On a CPU without instructions for bf16, products of bf16 values are computed in fp32 and rounded once.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from baselines.training.hardware import product_type


def fuse(network: nn.Module) -> None:
    """Make peft's linear LoRA layers and frozen norms compute in one step: same result, fewer passes over memory.

    Leaves alone what it does not cover: dropout before the adapter, several adapters, variants of LoRA.
    """
    for layer in network.modules():
        if type(layer) is Linear and _is_plain(layer):
            layer.forward = partial(_adapted, layer)
        elif type(layer) is nn.Linear and product_type(layer.weight) is not layer.weight.dtype:
            layer.forward = partial(_widened, layer)  # type: ignore[method-assign]
        elif type(layer) is LlamaRMSNorm and not layer.weight.requires_grad:
            layer.forward = partial(_normalised, layer)


def _is_plain(layer: Any) -> bool:
    adapters = list(layer.lora_A)
    return (
        len(adapters) == 1
        and isinstance(layer.lora_dropout[adapters[0]], nn.Identity)
        and adapters[0] not in layer.lora_variant
        and layer.lora_B[adapters[0]].bias is None
        and type(layer.base_layer) is nn.Linear
    )


def _adapted(layer: Any, states: torch.Tensor) -> torch.Tensor:
    (name,) = layer.lora_A
    base = layer.base_layer
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    product: torch.Tensor = AdaptedProduct.apply(  # type: ignore[no-untyped-call]
        states, base.weight, base.bias, down, up, layer.scaling[name]
    )
    return product


def _widened(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    weight, bias = layer.weight.float(), None if layer.bias is None else layer.bias.float()
    return functional.linear(states.float(), weight, bias).to(states.dtype)


def _normalised(layer: Any, states: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = FrozenNorm.apply(states, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


class AdaptedProduct(torch.autograd.Function):
    """y = x W' + scale (x A') B' (+ bias), with W and bias frozen; ' transposes.

    x: (..., in), W: (out, in), A: (rank, in), B: (out, rank). Results are in W's dtype, and products where
    torch has them; the gradients of A and B in their own.
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
        kind = product_type(weight)
        given, frozen = states.reshape(-1, states.shape[-1]), weight.to(kind).t()
        flat = given.to(kind)
        low = (down.to(kind) @ flat.t()).mul_(scale)  # (rank, tokens): the quicker way round
        result = flat @ frozen if bias is None else torch.addmm(bias.to(kind), flat, frozen)
        result = result.addmm_(low.t(), up.to(kind).t()).to(weight.dtype)
        ctx.save_for_backward(given, weight, down, up, low)
        ctx.scale = scale
        return result.view(*states.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        given, weight, down, up, low = ctx.saved_tensors
        kind = product_type(weight)
        gradient = gradients[0].reshape(-1, weight.shape[0]).to(kind)
        low_gradient = (up.to(kind).t().contiguous() @ gradient.t()).mul_(ctx.scale)  # (rank, tokens)
        down_gradient = (low_gradient @ given.to(kind)).to(down.dtype)
        up_gradient = (low @ gradient).t().to(up.dtype)
        states_gradient = None
        if ctx.needs_input_grad[0]:
            states_gradient = (gradient @ weight.to(kind)).addmm_(low_gradient.t(), down.to(kind))
            states_gradient = states_gradient.view(*gradients[0].shape[:-1], -1).to(given.dtype)
        return states_gradient, None, None, down_gradient, up_gradient, None


class FrozenNorm(torch.autograd.Function):
    """Root-mean-square norm, y = x / rms(x) * weight, the root in fp32 (Zhang and Sennrich, 2019)."""

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
        if dtype is torch.float16:  # losses are scaled until gradients come near the end of its range
            gradient, unit = gradient.float(), unit.float()
        along = (gradient * unit).sum(dim=-1, keepdim=True, dtype=torch.float32) / unit.shape[-1]
        across = torch.addcmul(gradient, unit, along.to(unit.dtype), value=-1)
        return (across * inverse).to(dtype), None, None
