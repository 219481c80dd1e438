"""Element-wise operations that torch compiles to one kernel each on CUDA, where that pays.

A call of a compiled function takes longer than the launch of a few kernels. So it pays for large tensors, and where the
launches are captured in a graph. Elsewhere, and on a CPU, operations are computed as written.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch.nn import functional

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


LARGE = 2**22
"""Numbers of a tensor from which on compiled functions pay."""
_always = False  # not a ContextVar: backward passes run in a thread of their own


@contextmanager
def always_compiled() -> Iterator[None]:
    """Let compiled functions compute small tensors as well."""
    global _always
    _always = True
    try:
        yield
    finally:
        _always = False


def compiled_on_cuda(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile `function` for CUDA where that pays; it is called as written where torch cannot compile it."""
    compiled: Callable[..., Any] | None = None

    @wraps(function)
    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        nonlocal compiled
        states = arguments[0]
        assert isinstance(states, torch.Tensor)
        if not states.is_cuda or not (_always or states.numel() >= LARGE) or is_observed():
            return function(*arguments, **options)
        if compiled is None:  # now, since it imports much
            compiled = torch.compile(function, dynamic=True)
        try:
            result: Result = compiled(*arguments, **options)
        except torch._dynamo.exc.TorchDynamoException as error:  # for example without a C compiler
            log.warning("%s is not compiled: %s", function.__name__, str(error).partition("\n")[0])
            compiled = function
            return function(*arguments, **options)
        return result

    return call


def is_observed() -> bool:
    """Whether a mode such as `FlopCounterMode` follows every operation, which it cannot inside compiled ones."""
    return bool(torch._C._len_torch_dispatch_stack() > 0)


@compiled_on_cuda
def norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normalised states: x / rms(x) * weight, x / rms(x), both in the dtype of `states`, and 1 / rms(x) in fp32."""
    squares = torch.linalg.vector_norm(states, dim=-1, keepdim=True, dtype=torch.float32).square_()
    inverse = squares.div_(states.shape[-1]).add_(epsilon).rsqrt_()
    unit = (states * inverse).to(states.dtype)
    return unit * weight, unit, inverse


@compiled_on_cuda
def norm_gradient(
    gradient: torch.Tensor, unit: torch.Tensor, inverse: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The gradient of the states of `norm`."""
    dtype, gradient = unit.dtype, gradient * weight
    if dtype is torch.float16:  # scaled losses give gradients near the end of its range
        gradient, unit = gradient.float(), unit.float()
    along = (gradient * unit).sum(dim=-1, keepdim=True, dtype=torch.float32) / unit.shape[-1]
    across = torch.addcmul(gradient, unit, along.to(unit.dtype), value=-1)
    return (across * inverse).to(dtype)


@compiled_on_cuda
def rotated(
    query: torch.Tensor, key: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Query and key, (..., size), turned by the angles of their positions. Each angle occurs in both halves."""
    return _rotate_one(query, cosine, sine), _rotate_one(key, cosine, sine)


def _rotate_one(states: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat((-second, first), dim=-1) * sine


@compiled_on_cuda
def gated(both: torch.Tensor) -> torch.Tensor:
    """Compute silu(gate) * up for `both` = [gate | up] in the last dimension."""
    gate, up = both.chunk(2, dim=-1)
    return functional.silu(gate) * up


@compiled_on_cuda
def gated_gradient(gradient: torch.Tensor, both: torch.Tensor) -> torch.Tensor:
    """The gradient of `both` in `gated`."""
    gate, up = both.chunk(2, dim=-1)
    wide = gate.float()
    share = wide.sigmoid()
    silu, slope = wide * share, share * (1 + wide * (1 - share))
    return torch.cat((gradient * up * slope, gradient * silu), dim=-1).to(both.dtype)


@compiled_on_cuda
def token_losses(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The cross-entropy of each target, (tokens,) float32, 0 where the target is negative.

    Also returns the largest logit, (tokens, 1), and the sum of the exponentials of the logits minus the largest one.
    """
    wide = logits.float()
    largest = wide.amax(dim=-1, keepdim=True)
    total = (wide - largest).exp().sum(dim=-1, keepdim=True)
    chosen = wide.gather(-1, targets.clamp(min=0)[:, None])
    return torch.where(targets >= 0, (total.log() - (chosen - largest))[:, 0], 0.0), largest, total


@compiled_on_cuda
def token_losses_gradient(
    logits: torch.Tensor,
    targets: torch.Tensor,
    largest: torch.Tensor,
    total: torch.Tensor,
    gradient: torch.Tensor,
) -> torch.Tensor:
    """The gradient of the logits, (tokens, vocabulary); `gradient` is the gradient of the sum of `token_losses`."""
    probabilities = (logits.float() - largest).exp() / total
    chosen = torch.arange(logits.shape[-1], device=logits.device) == targets[:, None]
    return (torch.where((targets >= 0)[:, None], probabilities - chosen.float(), 0.0) * gradient).to(logits.dtype)
