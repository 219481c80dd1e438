"""transformers' Trainer with steps of one effective batch, computed in as few passes as memory allows."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, load_model
from torch import nn
from transformers import Trainer, TrainerControl, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.compute import collectives, memory
from baselines.packed.graphs import StepGraphs
from baselines.packed.sample import Sample
from benchmark import processes
from benchmark.errors import BenchmarkError
from benchmark.interface import LOWER_RATE

NEVER = 2**62  # larger than any step

Loss = Callable[[Sequence[Sample]], torch.Tensor]
"""The cross-entropy of the samples' targets, summed: a scalar."""


class PassTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose step takes a list of samples and computes it in passes that fit into memory."""

    def __init__(self, loss: Loss, pass_size: int, graphs: StepGraphs | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.loss = loss
        self.graphs = graphs
        self.pass_size = pass_size
        self.diverged_at = torch.full((), NEVER, device=self.args.device)

    def train_from(self, checkpoint: Path | None) -> None:
        """Train to the end, from `checkpoint` if there is one."""
        if checkpoint is None:
            self.train()
        else:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            control = TrainerControl.from_state(state.stateful_callbacks["TrainerControl"])
            if not control.should_training_stop:
                self.train(resume_from_checkpoint=str(checkpoint))
            else:  # training is complete, but Trainer would take one more step
                best = state.best_model_checkpoint if self.args.load_best_model_at_end else None
                _load_weights(self.model, checkpoint if best is None else checkpoint.parent / Path(best).name)
                self.state = state
                self.callback_handler.on_train_begin(self.args, state, self.control)
        self.check_finite()

    def training_step(
        self, model: torch.nn.Module, inputs: list[Sample], num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Backpropagate the mean loss over the effective batch `inputs`, and return it detached."""
        model.train()
        loss = self._in_passes(model, inputs)
        step = self.state.global_step + 1  # stays on the device until it is checked, so that steps need not wait
        self.diverged_at = self.diverged_at.clamp(max=torch.where(loss.isfinite(), NEVER, step))
        return loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The metrics that `Progress` measured at the end of this epoch, by which Trainer chooses the best epoch."""
        measured = next(entry for entry in reversed(self.state.log_history) if "validation_accuracy" in entry)
        metrics = {"eval_accuracy": measured["validation_accuracy"], "eval_loss": measured["validation_loss"]}
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        self.check_finite()
        super().log(logs, *arguments, **options)

    def check_finite(self) -> None:
        """Raise `BenchmarkError` with the first step whose loss was not finite, or if gradients overflow fp16.

        A step with overflowing gradients only halves the scale of the loss. A scale below 1 means that it has not
        helped.
        """
        if (step := int(self.diverged_at)) < NEVER:
            raise BenchmarkError(f"The training loss is not finite at step {step}.", LOWER_RATE)
        scaler = self.accelerator.scaler
        if scaler is not None and scaler.get_scale() < 1:
            raise BenchmarkError(
                f"The gradients overflow fp16 at step {self.state.global_step}.",
                "Set model.precision=bf16 or lower recipe.learning_rate.",
            )

    def _in_passes(self, model: torch.nn.Module, inputs: list[Sample]) -> torch.Tensor:
        """The mean loss over `inputs`, of which each of several processes computes a share."""
        targets = sum(len(sample.targets) for sample in inputs)
        if processes.world_size() == 1:
            return self._until_it_fits(model, inputs, targets)
        seed = seed_of(self.args.seed, self.state.global_step, processes.rank())
        share = collectives.share(inputs)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # shares drop out different units, and all processes draw alike elsewhere
            loss = self._until_it_fits(model, share, targets)
            most_passes = self._passes(collectives.largest_share(len(inputs)))
            if processes.weights_are_sharded() and self._passes(len(share)) < most_passes:
                self.accelerator.backward(0 * self.loss(inputs[:1]))  # each process computes each layer equally often
        collectives.sum_gradients(model.parameters())
        return collectives.sum_over_processes(loss)

    def _passes(self, samples: int) -> int:
        return -(-samples // self.pass_size)

    def _until_it_fits(self, model: torch.nn.Module, inputs: Sequence[Sample], targets: int) -> torch.Tensor:
        while True:
            try:
                return self._backpropagate(inputs, targets)
            except (RuntimeError, MemoryError) as error:
                if not (memory.is_out_of_memory(error) and self.graphs is not None and self.graphs.release()):
                    self.pass_size = memory.smaller_pass(min(self.pass_size, len(inputs)), error)
            memory.free_memory()
            model.zero_grad()  # of the passes before the failed one

    def _backpropagate(self, samples: Sequence[Sample], targets: int) -> torch.Tensor:
        """Add the gradients of the mean loss, by CUDA graphs where they fit, else in passes; returns it."""
        if self.graphs is not None and len(samples) <= self.pass_size:
            scaler = self.accelerator.scaler
            scale = scaler.scale if scaler is not None else nn.Identity()
            if (loss := self.graphs.backpropagate(samples, targets, scale)) is not None:
                return loss
        mean = torch.zeros((), device=self.args.device)
        for start in range(0, len(samples), self.pass_size):
            part = self.loss(samples[start : start + self.pass_size]) / targets
            self.accelerator.backward(part)
            mean += part.detach()
        return mean


def seed_of(*seed_parts: int) -> int:
    """A seed for torch from the SHA-256 of the numbers, which is the same in every version of Python."""
    digest = hashlib.sha256(" ".join(map(str, seed_parts)).encode()).digest()
    return int.from_bytes(digest[:8])


def _load_weights(network: torch.nn.Module, checkpoint: Path) -> None:
    if isinstance(network, PeftModel):
        set_peft_model_state_dict(network, load_file(checkpoint / SAFETENSORS_WEIGHTS_NAME))
    else:
        load_model(network, checkpoint / SAFE_WEIGHTS_NAME)
