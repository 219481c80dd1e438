"""Fine-tuning of encoders and decoders with transformers' Trainer.

Trainer passes one effective batch per step, which is computed in as few passes as memory allows.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel, set_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, load_model
from torch import nn
from torch.nn import functional
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.packed.attention import attention_description
from baselines.packed.graphs import StepGraphs
from baselines.training import checkpoints, memory, processes
from baselines.training.bars import bar, in_terminal
from baselines.training.hardware import Batching, Computation, Precision, device_name
from baselines.training.progress import Progress, TrainingBar, curve
from baselines.training.sample import Sample
from baselines.training.saving import save
from baselines.weights.loading import Loaded
from benchmark.errors import BenchmarkError
from benchmark.interface import (
    Examples,
    FitContext,
    FitReport,
    Keep,
    Optimizer,
    Predictions,
    Recipe,
    Schedule,
    WeightSource,
)

log = logging.getLogger(__name__)

NEVER = 2**62  # larger than any step

SCHEDULES = {Schedule.constant: "constant_with_warmup"}  # transformers' "constant" ignores the warm-up
OPTIMIZERS = {Optimizer.adamw: "adamw_torch_fused", Optimizer.adafactor: "adafactor"}


Loss = Callable[[Sequence[Sample]], torch.Tensor]
"""The cross-entropy of the samples' targets, summed: a scalar."""


@dataclass(frozen=True)
class LabelLoss:
    """The loss of a classification head: cross-entropy, weighted by label and smoothed if the recipe says so."""

    weights: tuple[float, ...] | None
    smoothing: float

    @classmethod
    def of(cls, recipe: Recipe, train: Examples, labels: int) -> "LabelLoss":
        """With the weights of scikit-learn's `balanced`, whose mean over the training rows is 1."""
        if recipe.class_weights is None:
            return cls(None, recipe.label_smoothing)
        rows = np.maximum(np.bincount(train.labels, minlength=labels), 1)  # a label without rows has no use for one
        return cls(tuple((len(train) / (labels * rows)).tolist()), recipe.label_smoothing)

    def __call__(self, logits: torch.Tensor, samples: Sequence[Sample]) -> torch.Tensor:
        """The sum over the samples; `logits` are (samples, labels)."""
        targets = [sample.targets[0] if sample.soft is None else sample.soft for sample in samples]
        labels = torch.tensor(targets, device=logits.device)  # label ids, or probabilities
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        return functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self.smoothing)


@dataclass(frozen=True)
class Job:
    """One fine-tuning. `network` is `loaded.network`, with adapters if there are any."""

    network: PreTrainedModel | PeftModel
    loaded: Loaded
    computation: Computation
    samples: Sequence[Sample]
    truncated_texts: int
    loss: Loss
    validation: Examples
    predict: Callable[[Sequence[str]], Predictions]  # for validation
    context: FitContext
    graphs: StepGraphs | None = None
    accumulates: bool = False  # padded passes have the recipe's batch size even if a larger one would be faster

    @property
    def pass_size(self) -> int:
        """Samples per pass, if memory allows. On a CPU, a larger padded batch is only more padding.

        Processes that divide the weights cannot continue with smaller passes, so they follow the recipe.
        """
        padded, on_cpu = self.computation.batching is Batching.padded, self.computation.device.type == "cpu"
        small = (padded and (self.accumulates or on_cpu)) or processes.divide_weights()
        return self.context.recipe.batch_size if small else self.context.recipe.effective_batch


def finetune(job: Job) -> FitReport:
    """Train `job.network` in place, and validate it after every epoch.

    Each step minimises the mean loss over the effective batch, in one pass or a few (`Job.pass_size`). A pass that runs
    out of memory is halved. Continues from the newest intact checkpoint in `work_dir`. Raises `BenchmarkError` with the
    step if the loss is not finite.
    """
    memory.keep_freed_memory()
    context, recipe = job.context, job.context.recipe
    tried_before = context.work_dir.is_dir()
    checkpoint = newest_checkpoint(context.work_dir)
    context.work_dir.mkdir(parents=True, exist_ok=True)
    context.training_begins()
    if job.truncated_texts:
        log.info("%d of %d training texts cut to %d tokens", job.truncated_texts, len(job.samples), recipe.max_length)
    progress = Progress(job.validation, job.predict, tried_before)
    trainer = PassTrainer(
        loss=job.loss,
        graphs=job.graphs,
        pass_size=job.pass_size,
        model=job.network,
        args=training_arguments(context, job.computation),
        train_dataset=job.samples,
        data_collator=list,
        callbacks=[progress, *stopping(context)],
        **({"eval_dataset": job.samples[:1]} if keeps_best(context) else {}),  # Trainer asks for one; see `evaluate`
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    with bar(0, "training") as shown:
        trainer.add_callback(TrainingBar(shown))
        with memory.must_fit("the network was trained"):
            trainer.train_from(checkpoint)
    if job.graphs is not None:
        job.graphs.release()
    folder, tokenizer = context.model_dir, job.loaded.tokenizer
    saved_sha256 = None if folder is None else save(job.network, tokenizer, folder, context.labels)
    steps = trainer.state.global_step
    return replace(
        report_without_training(job.network, job.loaded.source, job.computation),
        trained_parameters=sum(p.numel() for p in job.network.parameters() if p.requires_grad),
        steps=steps,
        samples_seen=samples_seen(steps, len(job.samples), recipe.effective_batch),
        effective_batch=recipe.effective_batch,
        pass_size=trainer.pass_size,
        graph_steps=None if job.graphs is None else job.graphs.replayed,
        graph_seconds=None if job.graphs is None else job.graphs.seconds,
        training_seconds=progress.seconds,
        step_seconds=progress.step_seconds,
        tokens_per_sample=float(np.mean([len(sample.input_ids) + len(sample.targets) for sample in job.samples])),
        truncated_texts=job.truncated_texts,
        saved_sha256=saved_sha256,
        curve=curve(trainer.state.log_history),
    )


def newest_checkpoint(work_dir: Path) -> Path | None:
    """The newest intact checkpoint, looked for by the first of several processes."""
    found = checkpoints.newest_intact(work_dir) if processes.rank() == 0 else None
    name = processes.first_of(None if found is None else str(found))
    return None if name is None else Path(name)


def keeps_best(context: FitContext) -> bool:
    """Whether training ends with the best epoch's weights. Without checkpoints, when it is timed, there are none."""
    return context.recipe.keep is Keep.best and context.checkpoints


def stopping(context: FitContext) -> list[EarlyStoppingCallback]:
    patience = context.recipe.patience
    return [EarlyStoppingCallback(patience)] if patience is not None and keeps_best(context) else []


def report_without_training(network: torch.nn.Module, source: WeightSource, computation: Computation) -> FitReport:
    """The report of a model that is only used for prediction."""
    return FitReport(
        weights=source,
        device=device_name(computation.device),
        precision=computation.precision.value,
        attention=attention_description(network, computation),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        trained_parameters=0,
    )


def samples_seen(steps: int, samples: int, batch: int) -> int:
    """Samples trained on in `steps`; the last batch of an epoch may be smaller than the others."""
    epochs, rest = divmod(steps, -(-samples // batch))
    return epochs * samples + rest * batch


def training_arguments(context: FitContext, computation: Computation) -> TrainingArguments:
    """The recipe as Trainer's arguments, with 50 log points and 10 checkpoints per run."""
    recipe, best = context.recipe, keeps_best(context)
    # By default the logs would be among the checkpoints, which are deleted after the run.
    logs = context.work_dir.parent / "tensorboard" / context.work_dir.name
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(logs))
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
        disable_tqdm=not in_terminal(),
        report_to=list(context.report_to) or "none",
    )


class OneDeviceArguments(TrainingArguments):  # type: ignore[misc]
    """Arguments for one GPU: Trainer multiplies the batch size by the number of GPUs that it sees."""

    @property
    def n_gpu(self) -> int:
        return min(int(super().n_gpu), 1)


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
            if state.global_step < state.max_steps:
                self.train(resume_from_checkpoint=str(checkpoint))
            else:  # training is complete, but Trainer would take one more step
                best = state.best_model_checkpoint if self.args.load_best_model_at_end else None
                _load_weights(self.model, checkpoint if best is None else Path(best))
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
        """What `Progress` has measured at the end of this epoch; Trainer chooses the best epoch by it."""
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
            raise BenchmarkError(
                f"The training loss is not finite at step {step}.", "Lower recipe.learning_rate or raise the precision."
            )
        scaler = self.accelerator.scaler
        if scaler is not None and scaler.get_scale() < 1:
            raise BenchmarkError(
                f"The gradients overflow fp16 at step {self.state.global_step}.",
                "Set model.precision=bf16 or lower recipe.learning_rate.",
            )

    def _save_checkpoint(self, model: torch.nn.Module, trial: None) -> None:
        """The first of several processes writes; all know which checkpoint is the best."""
        if processes.rank() == 0:
            super()._save_checkpoint(model, trial)
        self.state.best_model_checkpoint = processes.first_of(self.state.best_model_checkpoint)

    def _in_passes(self, model: torch.nn.Module, inputs: list[Sample]) -> torch.Tensor:
        """The mean loss over `inputs`, of which each of several processes computes a share."""
        targets = sum(len(sample.targets) for sample in inputs)
        if processes.number() == 1:
            return self._until_it_fits(model, inputs, targets)
        draws = (self.args.seed, self.state.global_step, processes.rank())
        own = processes.share(inputs)
        with torch.random.fork_rng():
            torch.manual_seed(hash(draws))  # shares drop out different units, and all processes draw alike elsewhere
            loss = self._until_it_fits(model, own, targets)
            if processes.divide_weights() and self._passes(len(own)) < self._passes(
                processes.largest_share(len(inputs))
            ):
                self.accelerator.backward(0 * self.loss(inputs[:1]))  # each process computes each layer equally often
        processes.sum_gradients(model.parameters())
        return processes.sum_over_processes(loss)

    def _passes(self, samples: int) -> int:
        return -(-samples // self.pass_size)

    def _until_it_fits(self, model: torch.nn.Module, inputs: Sequence[Sample], targets: int) -> torch.Tensor:
        while True:
            try:
                return self._backpropagate(inputs, targets)
            except (RuntimeError, MemoryError) as error:
                self.pass_size = memory.halved(self.pass_size, error)
            memory.free_memory()
            model.zero_grad()  # of the passes before the failed one

    def _backpropagate(self, samples: Sequence[Sample], targets: int) -> torch.Tensor:
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


def _load_weights(network: torch.nn.Module, checkpoint: Path) -> None:
    if isinstance(network, PeftModel):
        set_peft_model_state_dict(network, load_file(checkpoint / SAFETENSORS_WEIGHTS_NAME))
    else:
        load_model(network, checkpoint / SAFE_WEIGHTS_NAME)
