"""Trainer callbacks: measure training time, validate after every epoch, and show progress."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from baselines.compute import folder_hashes
from baselines.compute.bars import prediction_label
from baselines.compute.collectives import broadcast_from_first
from benchmark.interface import LOWER_RATE, CurvePoint, Examples, Predictions

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5
"""A training without a progress bar logs its step at most this often."""

MEASURES = ("loss", "validation_loss", "validation_accuracy")  # keys of the log history


class TrainingBar(TrainerCallback):  # type: ignore[misc]
    """Advances a progress bar by each step, and shows the current loss beside it."""

    def __init__(self, progress_bar: Any) -> None:
        self.progress_bar = progress_bar

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.progress_bar.reset(total=state.max_steps)
        self.progress_bar.update(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.progress_bar.update(state.global_step - self.progress_bar.n)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if (loss := state.log_history[-1].get("loss")) is not None:
            self.progress_bar.set_postfix(loss=f"{loss:.4f}")


class Progress(TrainerCallback):  # type: ignore[misc]
    """Measures training time, validates after each epoch, and keeps the results in Trainer's log history.

    `seconds` counts training only, without validation and the writing of checkpoints, but with the earlier parts of a
    resumed run. `step_seconds` is the part of it inside optimiser steps. Raises `BenchmarkError` if a probability of a
    validation row is not finite.
    """

    def __init__(
        self,
        validation: Examples,
        n_labels: int,
        predict: Callable[[Sequence[str]], Predictions],
        tried_before: bool = False,
    ) -> None:
        self.validation = validation
        self.n_labels = n_labels
        self.predict = predict
        self.tried_before = tried_before
        self.seconds = 0.0
        self.step_seconds = 0.0
        self.counted_until = 0.0  # readings of the clock
        self.step_began = 0.0
        self.last_line = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._announce(args, state)
        earlier = next((entry for entry in reversed(state.log_history) if "seconds" in entry), self._times())
        self.seconds, self.step_seconds = earlier["seconds"], earlier["step_seconds"]
        self.counted_until = self.last_line = time.perf_counter()
        validated = any("validation_loss" in entry for entry in state.log_history if entry["step"] == state.global_step)
        steps, epoch = state.global_step, state.epoch or 0.0
        at_end = steps > 0 and (steps >= state.max_steps or epoch.is_integer())
        if at_end and not validated:  # the run was interrupted between checkpoint and validation
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
        entry |= self._times()
        due = args.disable_tqdm and time.perf_counter() - self.last_line >= SECONDS_BETWEEN_LINES
        if due and (loss := entry.get("loss")) is not None:
            self.last_line = time.perf_counter()
            left = self.seconds / max(state.global_step, 1) * (state.max_steps - state.global_step)
            rounded = timedelta(seconds=round(left))
            log.info("step %d/%d, loss %.4f, %s left", state.global_step, state.max_steps, loss, rounded)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._count()
        with prediction_label("validating"):
            predictions = self.predict(self.validation.texts)
        predictions.check(len(self.validation), self.n_labels, "validation row {}".format, LOWER_RATE)
        probabilities = predictions.probabilities
        gold = probabilities[np.arange(len(self.validation)), self.validation.labels]
        loss = float(-np.log(np.clip(gold, 1e-12, 1.0)).mean())
        accuracy = float((probabilities.argmax(axis=1) == self.validation.labels).mean())
        measured = {"validation_loss": loss, "validation_accuracy": accuracy}
        state.log_history.append({"step": state.global_step, "epoch": state.epoch, **self._times(), **measured})
        log.info("epoch %.4g: validation accuracy %.4f, loss %.4f", state.epoch, accuracy, loss)
        self.counted_until = time.perf_counter()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if args.should_save:
            folder_hashes.write_hashes(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        state.best_model_checkpoint = broadcast_from_first(state.best_model_checkpoint)  # which has seen the folder
        self.counted_until = time.perf_counter()  # the time before the save was counted when it was logged

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._count()

    def _announce(self, args: TrainingArguments, state: TrainerState) -> None:
        """Say where training starts, and how often checkpoints are kept."""
        steps = math.ceil(state.save_steps)
        every = "epoch" if args.save_strategy == "epoch" else f"{steps} steps" if steps > 1 else "step"
        kept = f"a checkpoint is kept every {every}"
        if state.global_step > 0:
            log.info("continuing from step %d of %d; %s", state.global_step, state.max_steps, kept)
        elif self.tried_before:
            log.info(
                "starting over, because the earlier attempt kept no checkpoint: %d steps; %s", state.max_steps, kept
            )
        else:
            log.info("training for %d steps; %s", state.max_steps, kept)

    def _times(self) -> dict[str, float]:
        return {"seconds": self.seconds, "step_seconds": self.step_seconds}

    def _count(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self.counted_until
        self.counted_until = now


def curve(history: list[dict[str, Any]]) -> tuple[CurvePoint, ...]:
    """The logged losses and validations of Trainer's log history."""
    return tuple(
        CurvePoint(int(entry["step"]), float(entry["epoch"]), *map(entry.get, MEASURES))
        for entry in history
        if any(measure in entry for measure in MEASURES)
    )
