"""Functions with fewer passes over memory than torch's own: LoRA products, norms, gated products, losses and dropout.

On a CPU without bf16 instructions, bf16 products are computed in fp32 and rounded once.
"""

from typing import Any

import torch
from torch import nn

from baselines.compute.hardware import matmul_dtype
from baselines.packed import kernels

DROPOUT_LEVELS = 2**16
IGNORED = -100
"""A target that `TokenLoss` and torch's cross-entropy leave out."""


def dropout(states: torch.Tensor, probability: float) -> torch.Tensor:
    """Dropout with 16 random bits per element, which takes a third of the time of torch's on the CPU.

    `probability` is rounded to a multiple of 1 / 65,536. On CUDA, torch's own dropout is used, which is fused there.
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
    """Product of a LoRA layer, y = x W' + scale (x A') B' (+ bias), with W and bias frozen; ' transposes.

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
        result, unit, inverse = kernels.norm(states, weight, epsilon)
        ctx.save_for_backward(unit, inverse, weight)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        unit, inverse, weight = ctx.saved_tensors
        return kernels.norm_gradient(gradients[0], unit, inverse, weight), None, None


class Rotation(torch.autograd.Function):
    """Rotary position embeddings of query and key (Su et al., 2021); the gradients are turned back."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.save_for_backward(cosine, sine)
        return kernels.rotated(query, key, cosine, sine)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cosine, sine = ctx.saved_tensors
        return *kernels.rotated(gradients[0], gradients[1], cosine, -sine), None, None


class GatedProduct(torch.autograd.Function):
    """Gated product, silu(gate) * up for states [gate | up] (Shazeer, 2020).

    Only these states are kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(both)
        return kernels.gated(both)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (both,) = ctx.saved_tensors
        return kernels.gated_gradient(gradients[0], both)


class TokenLoss(torch.autograd.Function):
    """The summed cross-entropy of (tokens, vocabulary) logits; negative targets are left out.

    It is computed in fp32 without an fp32 copy of the logits on CUDA.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses, largest, total = kernels.token_losses(logits, targets)
        ctx.save_for_backward(logits, targets, largest, total)
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, targets, largest, total = ctx.saved_tensors
        return kernels.token_losses_gradient(logits, targets, largest, total, gradients[0]), None
