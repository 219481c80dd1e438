"""Shares and sums of the processes that make one run together. With one process nothing happens."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist

from benchmark.processes import rank, world_size

Row = TypeVar("Row")


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
    """Add up the gradients of all processes; a process without samples has no gradients."""
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
