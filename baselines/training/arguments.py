"""The recipe as the arguments of transformers' Trainer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from transformers import EarlyStoppingCallback, TrainingArguments

from baselines.compute.bars import shows_bars
from baselines.compute.hardware import Computation, Precision
from benchmark import processes
from benchmark.interface import FitContext, Keep, Optimizer, Schedule

SCHEDULES = {Schedule.constant: "constant_with_warmup"}  # transformers' "constant" ignores the warm-up
TENSORBOARD_FOLDER = "TENSORBOARD_LOGGING_DIR"  # an environment variable, which transformers reads
OPTIMIZERS = {Optimizer.adamw: "adamw_torch_fused", Optimizer.adafactor: "adafactor"}


def training_arguments(context: FitContext, computation: Computation) -> TrainingArguments:
    """The recipe as Trainer's arguments, with 50 log points per run.

    Ten checkpoints are written per run, or one after each epoch if the best one is kept. The last two stay, or the
    best and the last. Without `context.checkpoints` there are none.
    """
    recipe, best = context.recipe, keeps_best(context)
    return OneDeviceArguments(
        output_dir=str(context.work_dir),
        optim=OPTIMIZERS[recipe.optimizer],
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=SCHEDULES.get(recipe.schedule, recipe.schedule.value),
        warmup_steps=recipe.warmup_ratio,  # a value below 1 is a share of all steps
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        per_device_train_batch_size=recipe.effective_batch,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps if recipe.max_steps is not None else -1,
        fp16=computation.precision is Precision.fp16,  # for its loss scaling
        use_cpu=computation.device.type == "cpu",
        dataloader_pin_memory=computation.device.type == "cuda",
        seed=context.seed,
        remove_unused_columns=False,
        logging_steps=0.02,
        logging_nan_inf_filter=False,
        save_strategy="epoch" if best else "steps" if context.checkpoints else "no",
        eval_strategy="epoch" if best else "no",
        load_best_model_at_end=best,
        metric_for_best_model="accuracy" if best else None,
        greater_is_better=True if best else None,
        save_steps=0.1,
        save_total_limit=2,
        restore_callback_states_from_checkpoint=True,  # epochs without improvement count on when training is resumed
        save_only_model=processes.rank() > 0,  # other processes save nothing: see `should_save`
        disable_tqdm=not shows_bars(),
        report_to=list(context.report_to) or "none",
    )


@contextmanager
def tensorboard_beside_checkpoints(context: FitContext) -> Iterator[None]:
    """Let a new Trainer log for TensorBoard beside the checkpoints, unless the user chose a folder.

    By default the logs would be among the checkpoints, which are deleted after the run.
    """
    if TENSORBOARD_FOLDER in os.environ:
        yield
        return
    os.environ[TENSORBOARD_FOLDER] = str(context.work_dir.parent / "tensorboard" / context.work_dir.name)
    try:
        yield
    finally:
        del os.environ[TENSORBOARD_FOLDER]


class OneDeviceArguments(TrainingArguments):  # type: ignore[misc]
    """Arguments of a process that uses at most one GPU. Trainer knows of no other process that makes the run."""

    @property
    def n_gpu(self) -> int:
        """At most 1: Trainer multiplies the batch size by it."""
        return min(int(super().n_gpu), 1)

    @property
    def should_save(self) -> bool:
        """Whether this is the first of several processes, which writes the checkpoints."""
        return processes.rank() == 0


def keeps_best(context: FitContext) -> bool:
    """Whether training ends with the best epoch's weights. Without checkpoints, when it is timed, there are none."""
    return context.recipe.keep is Keep.best and context.checkpoints


def early_stopping(context: FitContext) -> list[EarlyStoppingCallback]:
    """The callback that ends training after `recipe.patience` epochs without improvement, if one is set."""
    patience = context.recipe.patience
    return [EarlyStoppingCallback(patience)] if patience is not None and keeps_best(context) else []
