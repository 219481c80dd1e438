"""Training steps as CUDA graphs: forward and backward pass are captured once for each size of stream, then replayed.

At small batches a GPU waits for Python, which launches thousands of kernels a step. A replayed graph launches them all
at once. It needs fixed sizes and addresses, so streams are filled with a dummy sample to one of a few sizes, inputs are
copied to where they were at the capture, and gradients are left where the optimiser finds them. See "CUDA Graphs" in
torch's documentation.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from baselines.compute.memory import is_out_of_memory
from baselines.packed.functions import IGNORED
from baselines.packed.kernels import always_compiled, is_observed
from baselines.packed.projections import JoinedProduct
from baselines.packed.sample import Sample, tokens_and_reads
from baselines.packed.stream import Stream, Varlen, fill, pack, shared_prefix

log = logging.getLogger(__name__)

MOST_SIZES = 16
"""Sizes that are captured; steps of further sizes are computed without a graph."""

StreamLoss = Callable[[Stream, torch.Tensor], torch.Tensor]
"""(stream, targets) -> the summed loss of the targets at the positions to read."""
Scale = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Limits:
    """Sizes that are the same for all steps of a training."""

    samples: int  # of a step
    prefix: int  # tokens with which all samples begin
    longest: int  # most tokens of a sample, the prefix included
    reads: int  # most positions to read in a sample

    @classmethod
    def from_samples(cls, sequences: Sequence[list[int]], reads: Sequence[range], samples: int) -> "Limits":
        longest, most_reads = max(map(len, sequences)), max(map(len, reads))
        return cls(samples, shared_prefix(sequences, reads), longest, most_reads)


class CaptureError(RuntimeError):
    """A step that can be computed on this GPU cannot be captured in a graph."""


class StepGraphs:
    """The gradients of the LoRA adapters in `products`, by one graph for each size of stream.

    On a CPU, the same computation runs without a graph. If a step cannot be captured or memory runs out, `works` is
    false from then on, and all later steps must be computed without graphs.
    """

    def __init__(
        self, loss: StreamLoss, products: Sequence[JoinedProduct], limits: Limits, device: torch.device
    ) -> None:
        self.loss, self.products, self.limits, self.device = loss, products, limits, device
        self.parameters: list[torch.Tensor] = [parameter for product in products for parameter in product.parameters]
        self.adapters = _Adapters.of(products, self.parameters)
        self.mean = torch.zeros((), device=device)
        self.steps: dict[int, _Step] = {}
        self.replayed, self.seconds = 0, 0.0
        """Steps that were replayed, and the seconds that preparing the graphs took."""
        self.works = True
        self.cuda_stream: torch.cuda.Stream | None = None
        self.memory_pool: Any = None

    def backpropagate(self, samples: Sequence[Sample], targets: int, scale: Scale) -> torch.Tensor | None:
        """Set the gradients of the parameters, and return the summed loss over the number of `targets`.

        `scale` is applied to the loss before the backward pass. Returns None, and leaves the gradients unchanged, for
        a step that must be computed without a graph: graphs do not work, the step has another number of samples, or
        too many sizes were captured before.
        """
        if not self.works or len(samples) != self.limits.samples or is_observed():
            return None
        sequences, reads = tokens_and_reads(samples)
        stream = pack(sequences, reads, causal=True, varlen=True, prefix=self.limits.prefix)
        tokens = size_of(stream.input_ids.shape[1])
        if tokens not in self.steps and len(self.steps) == MOST_SIZES:
            return None
        filled = fill(stream, tokens, self.limits.samples * self.limits.reads)
        values = _Values.of(filled, [token for sample in samples for token in sample.targets], targets)
        try:
            if tokens not in self.steps:
                started = time.perf_counter()
                self.steps[tokens] = self._prepare_step(values, tokens, scale)
                self.seconds += time.perf_counter() - started
            self.steps[tokens].run(values)
        except (RuntimeError, MemoryError) as error:
            if not (isinstance(error, CaptureError) or is_out_of_memory(error)):
                raise
            log.warning("training goes on without CUDA graphs: %s", str(error).partition("\n")[0])
            self.release()
            self.works = False
            return None
        self.replayed += 1
        for parameter, gradient in zip(self.parameters, self.adapters.gradients, strict=True):
            parameter.grad = gradient
        return self.mean.clone()

    def release(self) -> bool:
        """Free the memory of the graphs; returns whether there were any. The next step prepares new ones."""
        held = bool(self.steps)
        self.steps.clear()
        return held

    def _prepare_step(self, values: "_Values", tokens: int, scale: Scale) -> "_Step":
        inputs = values.flat.to(self.device)
        max_segment = max(self.limits.longest, _step(tokens))  # tokens of a segment, the dummy included
        compute = partial(self._compute, values.sizes, inputs, max_segment, scale)
        if self.device.type == "cpu":
            return _Step(inputs, compute)
        if self.cuda_stream is None or not self.steps:
            self.cuda_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self.memory_pool = torch.cuda.graph_pool_handle()
        return _Step(inputs, _capture(compute, self.cuda_stream, self.memory_pool))

    def _compute(self, sizes: list[int], inputs: torch.Tensor, max_segment: int, scale: Scale) -> None:
        """Fill `gradients` and `mean` from `inputs`. Nothing here may wait for the GPU."""
        ids, positions, read, keys, query_ends, key_ends, targets, divisor = torch.split(inputs, sizes)
        layout = Varlen(
            keys=keys if len(keys) else None,
            query_ends=query_ends.int(),
            key_ends=key_ends.int(),
            most_queries=max_segment,
            most_keys=max_segment,
            causal=True,
        )
        self.adapters.refresh_copies(self.parameters)
        for product, pair in zip(self.products, self.adapters.pairs, strict=True):
            product.adapter_copies = pair
        try:
            with always_compiled():
                loss = self.loss(Stream(ids[None], positions[None], read, layout), targets) / divisor[0]
                leaves = [leaf for pair in self.adapters.pairs for leaf in pair]
                self.adapters.store_gradients(torch.autograd.grad(scale(loss), leaves))
        finally:
            for product in self.products:
                product.adapter_copies = None
        self.mean.copy_(loss.detach())


@dataclass(frozen=True)
class _Adapters:
    """Copies of all adapters as the products need them, and the adapters' gradients.

    Each is one flat tensor. `gather[i]` is the index of copy element i in the concatenated adapters followed by one
    zero; `scatter[j]` is the index in the copies of adapter element j.
    """

    copies: torch.Tensor
    pairs: list[tuple[torch.Tensor, torch.Tensor]]  # parts of `copies`: down and up of each product
    flat_gradients: torch.Tensor
    gradients: list[torch.Tensor]  # parts of `flat_gradients`, one for each adapter
    gather: torch.Tensor
    scatter: torch.Tensor

    @classmethod
    def of(cls, products: Sequence[JoinedProduct], adapters: Sequence[torch.Tensor]) -> "_Adapters":
        shapes = [shape for product in products for shape in product.shapes()]
        sizes, lengths = [math.prod(shape) for shape in shapes], [adapter.numel() for adapter in adapters]
        device = adapters[0].device
        copies = torch.zeros(sum(sizes), dtype=products[0].weight.dtype, device=device)
        gather = torch.full((sum(sizes),), sum(lengths), dtype=torch.int32)

        def in_pairs(flat: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
            parts = [part.view(shape) for part, shape in zip(torch.split(flat, sizes), shapes, strict=True)]
            return list(zip(parts[::2], parts[1::2], strict=True))

        def blocks(flat: torch.Tensor) -> list[torch.Tensor]:
            return [
                block for product, pair in zip(products, in_pairs(flat), strict=True) for block in product.blocks(*pair)
            ]

        numbers = torch.split(torch.arange(sum(lengths), dtype=torch.int32), lengths)
        for block, of_adapter in zip(blocks(gather), numbers, strict=True):
            block.copy_(of_adapter.view(block.shape))
        scatter = torch.cat([block.reshape(-1) for block in blocks(torch.arange(len(gather), dtype=torch.int32))])
        gradients = torch.zeros(sum(lengths), dtype=adapters[0].dtype, device=device)
        return cls(
            copies=copies,
            pairs=[(down.requires_grad_(), up.requires_grad_()) for down, up in in_pairs(copies.detach())],
            flat_gradients=gradients,
            gradients=[g.view_as(a) for g, a in zip(torch.split(gradients, lengths), adapters, strict=True)],
            gather=gather.to(device),
            scatter=scatter.to(device),
        )

    @torch.no_grad()
    def refresh_copies(self, adapters: Sequence[torch.Tensor]) -> None:
        zero = self.flat_gradients.new_zeros(1)
        numbers = torch.cat([*(adapter.reshape(-1) for adapter in adapters), zero])
        self.copies.copy_(numbers.index_select(0, self.gather))

    def store_gradients(self, gradients: Sequence[torch.Tensor]) -> None:
        """Store the gradients of the adapters, given the gradients of the copies."""
        numbers = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.flat_gradients.copy_(numbers.index_select(0, self.scatter))


def size_of(tokens: int) -> int:
    """The size to which a stream of so many tokens is filled, with at least one dummy token: 64, 128, ...

    From 1,024 tokens on, sizes are an eighth to a sixteenth apart.
    """
    step = _step(tokens)
    return (tokens // step + 1) * step


def _step(tokens: int) -> int:
    return max(64, 1 << max(0, (tokens // 8).bit_length() - 1))


def trains_only(products: Sequence[JoinedProduct], network: nn.Module) -> bool:
    """Whether the trained parameters are exactly the parameters of `products`."""
    trained = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    return trained == {id(parameter) for product in products for parameter in product.parameters}


@dataclass(frozen=True)
class _Values:
    """All integers of a step in one tensor, so that one copy moves them to the GPU."""

    flat: torch.Tensor
    sizes: list[int]

    @classmethod
    def of(cls, stream: Stream, targets: list[int], divisor: int) -> "_Values":
        layout = stream.layout
        assert isinstance(layout, Varlen)
        ignored = [IGNORED] * (len(stream.read) - len(targets))
        parts = (
            stream.input_ids[0],
            stream.position_ids[0],
            stream.read,
            torch.empty(0, dtype=torch.int64) if layout.keys is None else layout.keys,
            layout.query_ends.long(),
            layout.key_ends.long(),
            torch.tensor([*targets, *ignored]),
            torch.tensor([divisor]),
        )
        return cls(torch.cat(parts), [len(part) for part in parts])


@dataclass(frozen=True)
class _Step:
    """A step of one size: its inputs, and the function that computes it."""

    inputs: torch.Tensor
    compute: Callable[[], None]

    def run(self, values: _Values) -> None:
        flat = values.flat.pin_memory() if self.inputs.is_cuda else values.flat
        self.inputs.copy_(flat, non_blocking=True)
        self.compute()


def _capture(compute: Callable[[], None], stream: torch.cuda.Stream, pool: Any) -> Callable[[], None]:
    """The replay of `compute`, captured on `stream` after one run there that prepares kernels and workspaces.

    Raises `CaptureError` if the capture fails; errors of the run before it are raised unchanged.

    All graphs share the memory of `pool`: they never run at the same time, and leave nothing in it.
    """
    torch.cuda.synchronize()  # so that the time of earlier steps is not taken for that of the capture
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            compute()
    except RuntimeError as error:  # it has just run without an error
        raise CaptureError(str(error)) from error
    return graph.replay
