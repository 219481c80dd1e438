"""The difference between the gradients of two ways to compute a loss."""

from collections.abc import Callable

import torch
from torch import nn

LEAST_NORM = 0.01
"""Norms count as at least this share of the largest one, because some gradients are zero up to rounding."""


def largest_difference(
    network: nn.Module, backpropagate: Callable[[], object], reference: Callable[[], object]
) -> float:
    """The largest difference of a trained tensor's gradient, relative to the norm of the reference.

    Dropout is off.
    """
    network.eval()
    computed, expected = _gradients(network, backpropagate), _gradients(network, reference)
    norms = {name: float(gradient.norm()) for name, gradient in expected.items()}
    least = LEAST_NORM * max(norms.values())
    return max(float((computed[name] - expected[name]).norm()) / max(norm, least) for name, norm in norms.items())


def backward(loss: torch.Tensor) -> None:
    """Add the gradients of a scalar loss to `grad` of its parameters."""
    loss.backward()  # type: ignore[no-untyped-call]


def _gradients(network: nn.Module, backpropagate: Callable[[], object]) -> dict[str, torch.Tensor]:
    network.zero_grad()
    backpropagate()
    gradients = {name: p.grad.float().clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    return gradients
