"""Replace layers of a network by ones with fewer passes over memory and the same results."""

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from baselines.compute.hardware import matmul_dtype
from baselines.packed.functions import FrozenNorm, dropout
from baselines.packed.projections import JoinedProduct, join_products

NORMS = ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm", "SmolLM3RMSNorm", "Phi3RMSNorm")
"""transformers' classes that compute what `FrozenNorm` computes."""


def fuse(network: nn.Module) -> list[JoinedProduct]:
    """Compute peft's linear LoRA layers, gated products and frozen norms in one step each, with the same results.

    Returns the products of the LoRA layers. Layers that are not covered are left unchanged: dropout before the
    adapter, several adapters, variants of LoRA.
    """
    products = join_products(network)
    for layer in network.modules():
        if type(layer) is nn.Linear and matmul_dtype(layer.weight) is not layer.weight.dtype:
            layer.forward = partial(_fp32_forward, layer)  # type: ignore[method-assign]
        elif type(layer).__name__ in NORMS and not layer.weight.requires_grad:
            layer.forward = partial(_norm_forward, layer)
    return products


def undo(network: nn.Module) -> None:
    """Let every layer compute what its class computes."""
    for layer in network.modules():
        vars(layer).pop("forward", None)


def use_fast_dropout(network: nn.Module) -> None:
    """Replace the sampling of every dropout layer by `dropout`."""
    for layer in network.modules():
        if type(layer) is nn.Dropout:
            layer.forward = partial(_dropout_forward, layer)  # type: ignore[method-assign]


def _fp32_forward(layer: nn.Linear, states: torch.Tensor) -> torch.Tensor:
    weight, bias = layer.weight.float(), None if layer.bias is None else layer.bias.float()
    return functional.linear(states.float(), weight, bias).to(states.dtype)


def _norm_forward(layer: Any, states: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = FrozenNorm.apply(states, layer.weight, layer.variance_epsilon)  # type: ignore[no-untyped-call]
    return result


def _dropout_forward(layer: nn.Dropout, states: torch.Tensor) -> torch.Tensor:
    return dropout(states, layer.p) if layer.training else states
