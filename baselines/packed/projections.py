"""LoRA layers that read the same states (q, k and v, or gate and up) as one product, with their adapters side by side.

The product of layers i has the weight [W_1; W_2; ...], the down-projection [A_1; A_2; ...] and an up-projection with
the blocks B_1, B_2, ... on its diagonal.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import nn

from baselines.packed.functions import GatedProduct, LoraProduct

SAME_INPUT = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers that read the same states, in the order in which transformers calls them."""
GATED_MLPS = ("LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP", "SmolLM3MLP")
"""transformers' classes that compute down(act(gate(x)) * up(x))."""


class JoinedProduct:
    """One or more adapted layers as one product. Their weights become views of one tensor, which needs no memory.

    `down` and `up` are made of the layers' adapters in every pass, unless `adapter_copies` holds copies of them.
    """

    def __init__(self, layers: Sequence[Linear]) -> None:
        self.layers = layers
        bases = [layer.base_layer for layer in layers]
        self.sizes = [base.out_features for base in bases]
        self.weight = bases[0].weight.detach()
        self.bias = None if bases[0].bias is None else bases[0].bias.detach()
        if len(layers) > 1:
            self.weight = _join([base.weight for base in bases])
            self.bias = None if self.bias is None else _join([base.bias for base in bases])
        (name,) = layers[0].lora_A
        self.downs = [layer.lora_A[name].weight for layer in layers]
        self.ups = [layer.lora_B[name].weight for layer in layers]
        self.scale = layers[0].scaling[name]
        self.adapter_copies: tuple[torch.Tensor, torch.Tensor] | None = None
        self.states: torch.Tensor | None = None
        self.outputs: Sequence[torch.Tensor] = ()

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """The outputs of all layers side by side, (..., sum of out), for states (..., in)."""
        down, up = self.adapter_copies or self._adapters()
        product: torch.Tensor = LoraProduct.apply(states, self.weight, self.bias, down, up, self.scale)  # type: ignore[no-untyped-call]
        return product

    def output_of(self, index: int, states: torch.Tensor) -> torch.Tensor:
        """The output of one layer, (..., out). The first layer that reads `states` computes the product for all."""
        if self.states is not states:
            self.states, self.outputs = states, torch.split(self(states), self.sizes, dim=-1)
        result = self.outputs[index]
        if index == len(self.sizes) - 1:
            self.states, self.outputs = None, ()
        return result

    def _adapters(self) -> tuple[torch.Tensor, torch.Tensor]:
        if len(self.layers) == 1:
            return self.downs[0], self.ups[0]
        return torch.cat(self.downs), torch.block_diag(*self.ups)  # type: ignore[no-untyped-call]

    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The shapes of `down` and `up`."""
        ranks = sum(len(down) for down in self.downs)
        return (ranks, self.weight.shape[1]), (self.weight.shape[0], ranks)

    def blocks(self, down: torch.Tensor, up: torch.Tensor) -> list[torch.Tensor]:
        """The parts of `down` and `up` that belong to `parameters`, in this order."""
        ranks = _bounds([len(part) for part in self.downs])
        rows = _bounds(self.sizes)
        return [
            *(down[begin:end] for begin, end in ranks),
            *(up[first:last, begin:end] for (first, last), (begin, end) in zip(rows, ranks, strict=True)),
        ]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [*self.downs, *self.ups]


def join_products(network: nn.Module) -> list[JoinedProduct]:
    """Let the basic LoRA layers of `network` compute their products together; returns one entry per product."""
    products: list[JoinedProduct] = []
    joined: set[nn.Module] = set()
    for module in network.modules():
        for names in SAME_INPUT:
            layers: list[Any] = [getattr(module, name, None) for name in names]
            if all(is_basic_lora(layer) for layer in layers) and _alike(layers):
                product = JoinedProduct(layers)
                products.append(product)
                joined.update(layers)
                for index, layer in enumerate(layers):
                    layer.forward = partial(product.output_of, index)
                if type(module).__name__ in GATED_MLPS and isinstance(module.act_fn, nn.SiLU):
                    module.forward = partial(_gated_mlp, module, product)
    for layer in network.modules():
        if is_basic_lora(layer) and layer not in joined:
            products.append(JoinedProduct([layer]))
            layer.forward = products[-1]
    return products


def is_basic_lora(layer: Any) -> bool:
    """Whether the layer computes W x + scale B A x (+ bias) with exactly one adapter, without dropout or variants."""
    if type(layer) is not Linear:
        return False
    adapters = list(layer.lora_A)
    return (
        len(adapters) == 1
        and isinstance(layer.lora_dropout[adapters[0]], nn.Identity)
        and adapters[0] not in layer.lora_variant
        and layer.lora_B[adapters[0]].bias is None
        and type(layer.base_layer) is nn.Linear
    )


def _alike(layers: Sequence[Any]) -> bool:
    """Whether one product can compute the layers."""
    kinds = {(tuple(layer.scaling.items()), layer.base_layer.bias is None) for layer in layers}
    return len(kinds) == 1


def _gated_mlp(mlp: Any, gate_and_up: JoinedProduct, states: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = mlp.down_proj(GatedProduct.apply(gate_and_up(states)))  # type: ignore[no-untyped-call]
    return result


def _join(parts: Sequence[nn.Parameter]) -> torch.Tensor:
    """The rows of all `parts` in one tensor, of which they become views."""
    together = torch.cat([part.detach() for part in parts])
    for part, view in zip(parts, torch.split(together, [len(part) for part in parts]), strict=True):
        part.data = view
    return together


def _bounds(sizes: Sequence[int]) -> list[tuple[int, int]]:
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    return list(pairwise(ends))
