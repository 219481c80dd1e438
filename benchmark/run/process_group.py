"""Several processes of torchrun or `accelerate launch` that make one run together.

Each process has one device, and computes its share of every batch with the whole model or, with FSDP, while it holds a
part of the weights. The first one writes the record; the others write nothing.

The first process knows what is to be done and tells the others in two messages: `announce_run`, when its lock is
held, and `announce_validation`, when the test texts are predicted. `follow` is the part of the others.
"""

import atexit
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.configuration.revisions import pin
from benchmark.errors import BenchmarkError
from benchmark.interface import PrecomputedClassifier
from benchmark.processes import SHARDED_WEIGHTS, rank, world_size
from benchmark.run.context import fit_context, seed_libraries

TORCHRUN_VARIABLES = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""What torchrun sets for a process. transformers and accelerate would share the work a second time."""
FSDP = "ACCELERATE_USE_FSDP"
"""What `accelerate launch --use_fsdp` sets."""
UNSUPPORTED = ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_PARALLELISM_CONFIG")
"""What accelerate sets for other ways to spread one model over several devices."""
TRUE = {"1", "true", "yes", "y", "t", "on"}
"""What accelerate reads as true in a variable (`accelerate.utils.str_to_bool`), in any case."""


def join() -> None:
    """Join the others, and take this process's GPU if there are any.

    Raises `BenchmarkError` for what is not supported.
    """
    import torch.distributed as dist  # --help does not wait for it

    _check_supported()
    if is_true(FSDP):
        os.environ[SHARDED_WEIGHTS] = "true"
    has_gpu = _take_gpu()
    # Other processes wait while the first one downloads or waits for a lock. If one fails, torchrun ends all.
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=timedelta(days=1))
    atexit.register(dist.destroy_process_group)
    _hide_from_libraries()
    if dist.get_rank() > 0:
        logging.disable(logging.WARNING)


def _check_supported() -> None:
    """Raise if accelerate is to spread the model in a way that is not supported."""
    if any(is_true(name) for name in UNSUPPORTED):
        raise BenchmarkError(
            "DeepSpeed and tensor parallelism are not supported.",
            f"Use plain torchrun, or for a model that does not fit on one GPU {FSDP}=true torchrun.",
        )


def _take_gpu() -> bool:
    """Show this process its own GPU only. Returns whether there are GPUs; raises if there are too few."""
    import torch  # --help does not wait for it

    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.device_count()
    if 0 < gpus < here:
        raise BenchmarkError(
            f"{here} processes were started on a machine with {gpus} visible GPUs.", f"Set --nproc-per-node={gpus}."
        )
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[local]
    return gpus > 0


def _hide_from_libraries() -> None:
    """Delete the launcher's variables, so that libraries do not share the work a second time."""
    for name in [*os.environ]:
        if name in TORCHRUN_VARIABLES or name.startswith("ACCELERATE_"):
            del os.environ[name]


def is_true(variable: str) -> bool:
    """Whether accelerate reads the environment variable as true."""
    return os.environ.get(variable, "").lower() in TRUE


def is_follower() -> bool:
    """Whether this is one of several processes of a run, but not the first."""
    return rank() > 0


def check_one_run() -> None:
    """Raise if the processes should make a sweep."""
    if world_size() > 1:
        raise BenchmarkError(
            f"{world_size()} processes were started for a sweep, but they make one run together.",
            "Start one run with torchrun, or the sweep without it: python -m benchmark -m, with a launcher.",
        )


def check_batch(batch: int) -> None:
    """Raise unless the processes have equal shares of a batch."""
    if batch % world_size():
        raise BenchmarkError(
            f"The effective batch of {batch} samples cannot be divided among {world_size()} processes.",
            "Start a number of processes that divides it, or change recipe.batch_size.",
        )


def announce_run(work_dir: Path | None) -> None:
    """Broadcast the checkpoint folder to the other processes; None tells them to stop."""
    if world_size() > 1:
        _from_first(work_dir)


def announce_validation(wanted: bool) -> None:
    """Tell the others whether the texts of the validation split are predicted too."""
    if world_size() > 1:
        _from_first(wanted)


def follow(config: RunConfig) -> None:
    """Fit and predict together with the first process, and write nothing."""
    from benchmark.data.load import load  # --help does not wait for pandas

    config = pin(config)
    classifier = build_classifier(config.model)
    splits = load(config.dataset)
    work_dir: Path | None = _from_first()
    if work_dir is None:
        return
    seed_libraries(config.seed)
    context = fit_context(config.spec, work_dir)
    classifier.fit(splits.train, splits.validation, context)
    if isinstance(classifier, PrecomputedClassifier):
        classifier.match(splits.test, context)
    classifier.predict(splits.test.texts)
    validation_wanted: bool = _from_first()
    if validation_wanted:
        classifier.predict(splits.validation.texts)


def _from_first(value: Any = None) -> Any:
    """Return the `value` of the first process in every process.

    If the first process has ended, it has said why, and the others end without a message.
    """
    import torch.distributed as dist

    values = [value]
    try:
        dist.broadcast_object_list(values)
    except RuntimeError:
        if dist.get_rank() == 0:
            raise
        sys.exit(1)
    return values[0]
