"""The one fine-tuning path of encoders and decoders: transformers' Trainer under a recipe."""

import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.integrations import get_available_reporting_integrations
from transformers.trainer_utils import get_last_checkpoint

from baselines.hardware import Precision, name_of
from baselines.loading import Loaded
from benchmark.classifier import (
    BenchmarkError,
    CurvePoint,
    Examples,
    FitContext,
    FitReport,
    Optimizer,
    Predictions,
)

log = logging.getLogger(__name__)

Sample = dict[str, Any]
Loss = Callable[..., torch.Tensor]  # (outputs, labels, num_items_in_batch: of the effective batch) -> scalar
OPTIMIZERS = {Optimizer.adamw: "adamw_torch", Optimizer.adafactor: "adafactor"}


@dataclass(frozen=True)
class Training:
    """What was done: optimiser steps, samples seen, wall-clock seconds without validation, the curve."""

    steps: int
    samples_seen: int
    seconds: float
    curve: tuple[CurvePoint, ...]


def finetune(
    model: PreTrainedModel,
    samples: Sequence[Sample],
    collate: Callable[[list[Sample]], dict[str, torch.Tensor]],
    context: FitContext,
    device: torch.device,
    precision: Precision,
    validation: Examples,
    predict: Callable[[Sequence[str]], Predictions],
    loss: Loss | None = None,
) -> Training:
    """Train `model` in place on tokenised samples; validate with `predict` after every epoch.

    `loss` is for models whose own is a mean over the micro-batch: Trainer adds micro-batches up, so
    it must be divided by the items of the whole effective batch. Continues from the newest checkpoint
    in `context.work_dir`. Raises `BenchmarkError` with the
    step when the loss is no longer a number.
    """
    context.work_dir.mkdir(parents=True, exist_ok=True)
    observer = Observer(validation, predict)
    trainer = Trainer(
        model=model,
        args=training_arguments(context, device, precision),
        train_dataset=samples,
        data_collator=collate,
        callbacks=[observer],
        compute_loss_func=loss,
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(LossBar)
    resume_from = get_last_checkpoint(str(context.work_dir))
    if resume_from is not None:
        log.info("continuing from %s", resume_from)
    trainer.train(resume_from_checkpoint=resume_from)
    state = trainer.state
    return Training(
        steps=state.global_step,
        samples_seen=round((state.epoch or 0.0) * len(samples)),
        seconds=observer.seconds,
        curve=tuple(_curve(state.log_history)),
    )


def fit_report(
    training: Training,
    loaded: Loaded,
    network: PreTrainedModel,
    device: torch.device,
    precision: Precision,
    context: FitContext,
    truncated: int,
) -> FitReport:
    """What a fine-tuned contestant tells the referee; `network` is `loaded.network`, adapters included."""
    parameters = list(network.parameters())
    return FitReport(
        weights=loaded.provenance,
        device=name_of(device),
        precision=precision.value,
        attention=loaded.network.config._attn_implementation,
        parameters=sum(parameter.numel() for parameter in parameters),
        trained_parameters=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        steps=training.steps,
        samples_seen=training.samples_seen,
        effective_batch=context.recipe.batch_size * context.recipe.gradient_accumulation_steps,
        training_seconds=training.seconds,
        truncated_texts=truncated,
        curve=training.curve,
    )


def check_trackers(report_to: Sequence[str]) -> None:
    """Raise before any work if an experiment tracker asked for is not installed."""
    available = get_available_reporting_integrations()
    for tracker in report_to:
        if tracker not in available:
            installed = ", ".join(available) or "none"
            raise BenchmarkError(
                f"report_to names {tracker}, which is not installed here (installed: {installed}); "
                f"pip install {tracker}, or leave it out."
            )


def training_arguments(context: FitContext, device: torch.device, precision: Precision) -> TrainingArguments:
    """The recipe in Trainer's words; 50 log points and 10 checkpoints a run."""
    recipe = context.recipe
    return TrainingArguments(
        output_dir=str(context.work_dir),
        optim=OPTIMIZERS[recipe.optimizer],
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule.value,
        warmup_steps=recipe.warmup_ratio,  # below 1: a share of all steps
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps if recipe.max_steps is not None else -1,
        bf16=precision is Precision.bf16,
        fp16=precision is Precision.fp16,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        seed=context.seed,
        remove_unused_columns=False,
        logging_steps=0.02,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=0.1,
        save_total_limit=2,
        disable_tqdm=not sys.stderr.isatty(),
        report_to=list(context.report_to) or "none",
    )


class LossBar(ProgressCallback):  # type: ignore[misc]
    """Trainer's progress bar with the loss behind it, in place of a line a log point."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        loss = state.log_history[-1].get("loss")
        if self.training_bar is not None and loss is not None:
            self.training_bar.set_postfix(loss=f"{loss:.4f}")


class Observer(TrainerCallback):  # type: ignore[misc]
    """Times training, validates after each epoch, keeps the curve in Trainer's log and stops at NaN."""

    def __init__(self, validation: Examples, predict: Callable[[Sequence[str]], Predictions]) -> None:
        self.validation = validation
        self.predict = predict
        self.seconds = 0.0  # of training alone, earlier parts of a continued run included
        self.resumed_at = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.seconds = next((entry["seconds"] for entry in reversed(state.log_history) if "seconds" in entry), 0.0)
        self.resumed_at = time.perf_counter()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        entry = state.log_history[-1]
        entry["seconds"] = self._elapsed()
        loss = entry.get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise BenchmarkError(
                f"The training loss is {loss} at step {state.global_step}; lower recipe.learning_rate or "
                "raise the precision."
            )
        if args.disable_tqdm:
            left = self.seconds / max(state.global_step, 1) * (state.max_steps - state.global_step)
            log.info("step %d/%d, loss %.4f, %s left", state.global_step, state.max_steps, loss, duration(left))

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._elapsed()
        probabilities = self.predict(self.validation.texts).probabilities
        gold = probabilities[np.arange(len(self.validation)), self.validation.labels]
        entry = {
            "step": state.global_step,
            "epoch": state.epoch,
            "seconds": self.seconds,
            "validation_loss": float(-np.log(np.clip(gold, 1e-12, 1.0)).mean()),
            "validation_accuracy": float((probabilities.argmax(axis=1) == self.validation.labels).mean()),
        }
        state.log_history.append(entry)
        log.info(
            "epoch %.4g: validation accuracy %.4f, loss %.4f",
            state.epoch, entry["validation_accuracy"], entry["validation_loss"],
        )  # fmt: skip
        self.resumed_at = time.perf_counter()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._elapsed()

    def _elapsed(self) -> float:
        now = time.perf_counter()
        self.seconds += now - self.resumed_at
        self.resumed_at = now
        return self.seconds


def duration(seconds: float) -> str:
    """`0:07`, `12:34` or `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _curve(history: list[dict[str, Any]]) -> list[CurvePoint]:
    return [
        CurvePoint(
            step=int(entry["step"]),
            epoch=float(entry["epoch"]),
            loss=entry.get("loss"),
            validation_loss=entry.get("validation_loss"),
            validation_accuracy=entry.get("validation_accuracy"),
        )
        for entry in history
        if "loss" in entry or "validation_loss" in entry
    ]
