"""Trainer callbacks: measure training time, validate after every epoch, and show progress."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from baselines.training import checkpoints
from benchmark.interface import CurvePoint, Examples, Predictions

log = logging.getLogger(__name__)


class LossBar(ProgressCallback):  # type: ignore[misc]
    """Trainer's progress bar with the current loss beside it, instead of one line per log point."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        loss = state.log_history[-1].get("loss")
        if self.training_bar is not None and loss is not None:
            self.training_bar.set_postfix(loss=f"{loss:.4f}")


class Progress(TrainerCallback):  # type: ignore[misc]
    """Measures training time, validates after each epoch, and keeps the results in Trainer's log history.

    `seconds` counts training only, without validation and the writing of checkpoints, but with the earlier parts of a
    resumed run. `step_seconds` is the part of it inside optimiser steps.
    """

    def __init__(self, validation: Examples, predict: Callable[[Sequence[str]], Predictions]) -> None:
        self.validation = validation
        self.predict = predict
        self.seconds = 0.0
        self.step_seconds = 0.0
        self.counted_until = 0.0  # readings of the clock
        self.step_began = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        timed: dict[str, Any] = next((entry for entry in reversed(state.log_history) if "seconds" in entry), {})
        self.seconds, self.step_seconds = timed.get("seconds", 0.0), timed.get("step_seconds", 0.0)
        self.counted_until = time.perf_counter()
        validated = any("validation_loss" in entry for entry in state.log_history if entry["step"] == state.global_step)
        if _epoch_ended(state) and not validated:  # the run was interrupted between checkpoint and validation
            self.on_epoch_end(args, state, control)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.step_began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Log before every checkpoint, so that it contains a finite loss, the time and a point of the curve."""
        self.step_seconds += time.perf_counter() - self.step_began
        control.should_log |= control.should_save

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._count()
        entry = state.log_history[-1]
        entry |= {"seconds": self.seconds, "step_seconds": self.step_seconds}
        if args.disable_tqdm and (loss := entry.get("loss")) is not None:
            left = self.seconds / max(state.global_step, 1) * (state.max_steps - state.global_step)
            log.info("step %d/%d, loss %.4f, %s left", state.global_step, state.max_steps, loss, duration(left))

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._count()
        probabilities = self.predict(self.validation.texts).probabilities
        gold = probabilities[np.arange(len(self.validation)), self.validation.labels]
        loss = float(-np.log(np.clip(gold, 1e-12, 1.0)).mean())
        accuracy = float((probabilities.argmax(axis=1) == self.validation.labels).mean())
        entry = {"step": state.global_step, "epoch": state.epoch}
        entry |= {"seconds": self.seconds, "step_seconds": self.step_seconds}
        state.log_history.append(entry | {"validation_loss": loss, "validation_accuracy": accuracy})
        log.info("epoch %.4g: validation accuracy %.4f, loss %.4f", state.epoch, accuracy, loss)
        self.counted_until = time.perf_counter()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        checkpoints.write_hashes(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self.counted_until = time.perf_counter()  # the time before the save was counted when it was logged

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._count()

    def _count(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self.counted_until
        self.counted_until = now


def _epoch_ended(state: TrainerState) -> bool:
    return state.global_step > 0 and (state.global_step >= state.max_steps or (state.epoch or 0.0).is_integer())


def duration(seconds: float) -> str:
    """`0:07`, `12:34` or `3:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def curve(history: list[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    """The logged losses and validations of Trainer's log history."""
    return tuple(
        CurvePoint(
            step=int(entry["step"]),
            epoch=float(entry["epoch"]),
            loss=entry.get("loss"),
            validation_loss=entry.get("validation_loss"),
            validation_accuracy=entry.get("validation_accuracy"),
        )
        for entry in history
        if "loss" in entry or "validation_loss" in entry
    )
