"""The processes of torchrun or `accelerate launch` that make one run together. Without them there is one."""

import os
import sys

SHARDED_WEIGHTS = "BENCHMARK_SHARDED_WEIGHTS"
"""The environment variable that is "true" if each process of a run holds only a part of the weights (FSDP)."""


def world_size() -> int:
    """How many processes make this run together."""
    torch = sys.modules.get("torch")  # a model that does not need torch must not wait for it
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return 1
    return int(torch.distributed.get_world_size())


def rank() -> int:
    """The number of this process among those of the run; the first is 0."""
    return int(sys.modules["torch"].distributed.get_rank()) if world_size() > 1 else 0


def weights_are_sharded() -> bool:
    """Whether each process holds only a part of the weights (FSDP), so that all must compute as many passes."""
    return world_size() > 1 and os.environ.get(SHARDED_WEIGHTS) == "true"
