"""Sums over the processes that make one run together. Without torchrun there is one, and nothing happens."""

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from benchmark.interface import SHARDED_WEIGHTS

Row = TypeVar("Row")


def world_size() -> int:
    """The number of processes that make this run together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


def weights_are_sharded() -> bool:
    """Whether each process holds a part of the weights, so that all must compute the same number of passes."""
    return world_size() > 1 and os.environ.get(SHARDED_WEIGHTS) == "true"


def share(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that this process computes: every N-th."""
    return rows[rank() :: world_size()]


def largest_share(rows: int) -> int:
    """The number of rows of the first process, which has one more than others if they cannot be divided."""
    return -(-rows // world_size())


def sum_over_processes(values: torch.Tensor) -> torch.Tensor:
    """The sum of this tensor over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add up the gradients of all processes; one without samples has none."""
    if world_size() == 1:
        return
    gradients = []
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    together = torch.cat([gradient.flatten() for gradient in gradients])  # one message instead of hundreds
    dist.all_reduce(together)
    totals = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, total in zip(gradients, totals, strict=True):
        gradient.copy_(total.view_as(gradient))


def broadcast_from_first(value: str | None) -> str | None:
    """The value of the first process, in every process."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values)
    return values[0]
