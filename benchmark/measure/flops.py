"""Floating-point operations of matrix products: how many a training executes, and how many a device reaches."""

import time
from typing import Any

from benchmark.interface import is_gpu

DTYPE_NAMES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""The names that torch has for the precisions of models."""


def flop_counter() -> Any:
    """Torch's counter, extended by products that are added in place."""
    import torch  # --help does not wait for it
    from torch.utils.flop_counter import FlopCounterMode

    def added_product(_: Any, left: tuple[int, int], right: tuple[int, int], **__: Any) -> int:
        return 2 * left[0] * left[1] * right[1]  # the arguments are shapes

    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: added_product})


def linear_flops(counts: dict[str, dict[Any, int]]) -> float:
    """FLOPs of products of two matrices. Attention uses batched products, which are left out."""
    import torch  # --help does not wait for it

    products = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_)
    return float(sum(counts["Global"].get(product, 0) for product in products))


def matrix_peak(precision: str, device: str) -> float:
    """FLOP/s of the fastest of many square products within a second; `precision` is one of `DTYPE_NAMES`."""
    import torch  # --help does not wait for it

    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")  # until the next training sets it

    on_gpu = is_gpu(device)
    size = 8192 if on_gpu else 2048
    matrix = torch.randn(size, size, device="cuda" if on_gpu else "cpu").to(getattr(torch, DTYPE_NAMES[precision]))
    taken: list[float] = []
    while sum(taken) < 1:
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        if on_gpu:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return 2 * size**3 / min(taken)
