"""The one fine-tuning path of encoders and decoders: transformers' Trainer under a recipe.

Trainer hands over one effective batch a step; it is computed in as few passes as memory allows.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations
from transformers.trainer import TRAINER_STATE_NAME

from baselines.packed.attention import description
from baselines.training import checkpoints, memory
from baselines.training.hardware import Batching, Computation, Precision, name_of
from baselines.weights.loading import Loaded
from benchmark.errors import BenchmarkError
from benchmark.interface import CurvePoint, Examples, FitContext, FitReport, Optimizer, Predictions, Schedule

log = logging.getLogger(__name__)

NEVER = 2**62

SCHEDULES = {Schedule.constant: "constant_with_warmup"}  # its plain namesake ignores the warm-up
OPTIMIZERS = {Optimizer.adamw: "adamw_torch_fused", Optimizer.adafactor: "adafactor"}


@dataclass(frozen=True)
class Sample:
    """A tokenised text and what is to be predicted behind it: an answer's tokens, or one label id."""

    input_ids: list[int]
    targets: list[int]


Loss = Callable[[Sequence[Sample]], torch.Tensor]
"""The cross-entropy of some samples' targets, summed: a scalar."""


def finetune(
    model: PreTrainedModel,
    loaded: Loaded,
    samples: Sequence[Sample],
    truncated: int,
    loss: Loss,
    context: FitContext,
    computation: Computation,
    validation: Examples,
    predict: Callable[[Sequence[str]], Predictions],
) -> FitReport:
    """Train `model`, which is `loaded.network` with any adapters, in place; validate after every epoch.

    A step follows the mean of `loss` over the effective batch, packed in one pass, padded in passes of the
    recipe's batch size; a pass is halved when memory runs out. `truncated` texts were cut when `samples`
    were made. Continues from the newest whole checkpoint in `context.work_dir`. Raises `BenchmarkError` with
    the step when the loss is no longer a number.
    """
    memory.keep_freed()
    recipe = context.recipe
    context.work_dir.mkdir(parents=True, exist_ok=True)
    observer = Observer(validation, predict)
    trainer = PassTrainer(
        loss=loss,
        pass_size=recipe.effective_batch if computation.batching is Batching.packed else recipe.batch_size,
        model=model,
        args=training_arguments(context, computation),
        train_dataset=samples,
        data_collator=list,
        callbacks=[observer],
    )
    trainer.remove_callback(PrinterCallback)
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(LossBar)
    trainer.train_or_continue(checkpoints.newest_whole(context.work_dir))
    if context.model_dir is not None:
        model.save_pretrained(context.model_dir)
        loaded.tokenizer.save_pretrained(context.model_dir)
        log.info("kept the model in %s", context.model_dir)
    return replace(
        untrained(model, loaded.provenance, computation),
        trained_parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        steps=trainer.state.global_step,
        samples_seen=samples_in(trainer.state.global_step, len(samples), recipe.effective_batch),
        effective_batch=recipe.effective_batch,
        pass_size=trainer.pass_size,
        training_seconds=observer.seconds,
        step_seconds=observer.step_seconds,
        tokens_per_sample=float(np.mean([len(sample.input_ids) + len(sample.targets) for sample in samples])),
        truncated_texts=truncated,
        curve=tuple(_curve(trainer.state.log_history)),
    )


def samples_in(steps: int, samples: int, batch: int) -> int:
    """How many were trained on in so many steps: the last batch of an epoch may be a small one."""
    epochs, rest = divmod(steps, -(-samples // batch))
    return epochs * samples + rest * batch


def untrained(model: PreTrainedModel, provenance: dict[str, Any], computation: Computation) -> FitReport:
    """The report of a model that is only read."""
    return FitReport(
        weights=provenance,
        device=name_of(computation.device),
        precision=computation.precision.value,
        attention=description(computation.attention, computation.batching),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        trained_parameters=0,
    )


class PassTrainer(Trainer):  # type: ignore[misc]
    """Trainer whose step takes a list of samples, in passes that fit into memory."""

    def __init__(self, loss: Loss, pass_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.loss = loss
        self.pass_size = pass_size
        self.diverged_at = torch.full((), NEVER, device=self.args.device)

    def train_or_continue(self, checkpoint: Path | None) -> None:
        """Train to the end, from `checkpoint` if there is one. Behind the last step Trainer would take one more."""
        if checkpoint is None:
            self.train()
        else:
            log.info("continuing from %s", checkpoint)
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            if state.global_step < state.max_steps:
                self.train(resume_from_checkpoint=str(checkpoint))
            else:
                self._load_from_checkpoint(str(checkpoint))
                self.state = state
                self.callback_handler.on_train_begin(self.args, state, self.control)
        self.check_finite()

    def training_step(
        self, model: torch.nn.Module, inputs: list[Sample], num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Backpropagate the mean loss of the effective batch `inputs`; returns it, detached."""
        model.train()
        loss = self._in_passes(model, inputs)
        step = self.state.global_step + 1  # noted on the device, and looked at when something is logged
        self.diverged_at = self.diverged_at.clamp(max=torch.where(loss.isfinite(), NEVER, step))
        return loss

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        self.check_finite()
        super().log(logs, *arguments, **options)

    def check_finite(self) -> None:
        """Raise `BenchmarkError` with the first step whose loss was no number, or if fp16 held no gradient lately.

        A step whose gradients overflow changes nothing but the scale of the loss, which is halved.
        """
        if (step := int(self.diverged_at)) < NEVER:
            raise BenchmarkError(
                f"The training loss is no longer finite at step {step}; lower recipe.learning_rate or "
                "raise the precision."
            )
        scaler = self.accelerator.scaler
        if scaler is not None and scaler.get_scale() < 1:
            raise BenchmarkError(
                f"The gradients no longer fit into fp16 by step {self.state.global_step}; set model.precision=bf16 or "
                "lower recipe.learning_rate."
            )

    def _in_passes(self, model: torch.nn.Module, inputs: list[Sample]) -> torch.Tensor:
        while True:
            try:
                return self._backpropagate(inputs)
            except (RuntimeError, MemoryError) as error:
                self.pass_size = memory.smaller(self.pass_size, error)
            memory.give_back()
            model.zero_grad()  # of the passes before the one that failed

    def _backpropagate(self, samples: list[Sample]) -> torch.Tensor:
        targets = sum(len(sample.targets) for sample in samples)
        mean = torch.zeros((), device=self.args.device)
        for start in range(0, len(samples), self.pass_size):
            part = self.loss(samples[start : start + self.pass_size]) / targets
            self.accelerator.backward(part)
            mean += part.detach()
        return mean


def check_trackers(report_to: Sequence[str]) -> None:
    """Raise before any work if an experiment tracker asked for is not installed."""
    available = get_available_reporting_integrations()
    for tracker in report_to:
        if tracker not in available:
            known = tracker in INTEGRATION_TO_CALLBACK
            reason = "is not installed here" if known else "is no tracker that transformers knows"
            remedy = f"pip install {tracker}, or leave it out" if known else "report_to=[] is none"
            raise BenchmarkError(
                f"report_to names {tracker}, which {reason} (installed: {', '.join(available) or 'none'}); {remedy}."
            )


def training_arguments(context: FitContext, computation: Computation) -> TrainingArguments:
    """The recipe in Trainer's words; 50 log points and 10 checkpoints a run."""
    recipe = context.recipe
    # By default the logs would lie among the checkpoints, which go when the run has ended.
    logs = context.work_dir.parent / "tensorboard" / context.work_dir.name
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(logs))
    arguments = TrainingArguments(
        output_dir=str(context.work_dir),
        optim=OPTIMIZERS[recipe.optimizer],
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=SCHEDULES.get(recipe.schedule, recipe.schedule.value),
        warmup_steps=recipe.warmup_ratio,  # below 1: a share of all steps
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
        save_strategy="steps" if context.checkpoints else "no",
        save_steps=0.1,
        save_total_limit=2,
        disable_tqdm=not sys.stderr.isatty(),
        report_to=list(context.report_to) or "none",
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # else Trainer multiplies the batch by the GPUs it sees
    return arguments


class LossBar(ProgressCallback):  # type: ignore[misc]
    """Trainer's progress bar with the loss behind it, in place of a line a log point."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        loss = state.log_history[-1].get("loss")
        if self.training_bar is not None and loss is not None:
            self.training_bar.set_postfix(loss=f"{loss:.4f}")


class Observer(TrainerCallback):  # type: ignore[misc]
    """Times training, validates after each epoch and keeps the curve in Trainer's log."""

    def __init__(self, validation: Examples, predict: Callable[[Sequence[str]], Predictions]) -> None:
        self.validation = validation
        self.predict = predict
        self.seconds = 0.0  # of training alone, earlier parts of a continued run included
        self.step_seconds = 0.0  # of them, within optimiser steps
        self.resumed_at = 0.0
        self.step_began = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        timed: dict[str, Any] = next((entry for entry in reversed(state.log_history) if "seconds" in entry), {})
        self.seconds, self.step_seconds = timed.get("seconds", 0.0), timed.get("step_seconds", 0.0)
        self.resumed_at = time.perf_counter()
        validated = any("validation_loss" in entry for entry in state.log_history if entry["step"] == state.global_step)
        if _epoch_ended(state) and not validated:  # the checkpoint was written just before it
            self.on_epoch_end(args, state, control)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.step_began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What is saved is logged first: checked for NaN, timed, and a point of the curve that ends there."""
        self.step_seconds += time.perf_counter() - self.step_began
        control.should_log |= control.should_save

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        entry = state.log_history[-1]
        entry |= {"seconds": self._elapsed(), "step_seconds": self.step_seconds}
        if args.disable_tqdm and (loss := entry.get("loss")) is not None:
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
            "step_seconds": self.step_seconds,
            "validation_loss": float(-np.log(np.clip(gold, 1e-12, 1.0)).mean()),
            "validation_accuracy": float((probabilities.argmax(axis=1) == self.validation.labels).mean()),
        }
        state.log_history.append(entry)
        log.info(
            "epoch %.4g: validation accuracy %.4f, loss %.4f",
            state.epoch, entry["validation_accuracy"], entry["validation_loss"],
        )  # fmt: skip
        self.resumed_at = time.perf_counter()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self.resumed_at = time.perf_counter()  # what is saved was logged, and so timed, just before

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._elapsed()

    def _elapsed(self) -> float:
        now = time.perf_counter()
        self.seconds += now - self.resumed_at
        self.resumed_at = now
        return self.seconds


def _epoch_ended(state: TrainerState) -> bool:
    return state.global_step > 0 and (state.global_step >= state.max_steps or (state.epoch or 0.0).is_integer())


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
