"""Fine-tuning of encoders and decoders, with a report of what it did."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PrinterCallback, ProgressCallback

from baselines.compute import collectives, memory
from baselines.compute.bars import bar
from baselines.compute.hardware import Computation, device_name
from baselines.packed.attention import attention_description
from baselines.packed.graphs import StepGraphs
from baselines.packed.sample import Sample
from baselines.training import checkpoints
from baselines.training.arguments import early_stopping, keeps_best, tensorboard_beside_checkpoints, training_arguments
from baselines.training.progress import Progress, TrainingBar, curve
from baselines.training.saving import save
from baselines.training.trainer import Loss, PassTrainer
from baselines.weights.loading import Loaded
from benchmark import processes
from benchmark.interface import Examples, FitContext, FitReport, Predictions, WeightSource

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuning:
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

    @property
    def pass_size(self) -> int:
        """Samples per pass, if memory allows. On a CPU, a larger padded batch is only more padding.

        Processes with a part of the weights each cannot continue with smaller passes, so they follow the recipe.
        """
        computation = self.computation
        accumulates = computation.accumulates or computation.device.type == "cpu"
        small = (accumulates and not computation.packed) or processes.weights_are_sharded()
        return self.context.recipe.batch_size if small else self.context.recipe.effective_batch


def finetune(job: FineTuning) -> FitReport:
    """Train `job.network` in place, and validate it after every epoch.

    Each step minimises the mean loss over the effective batch, in one pass or a few (`FineTuning.pass_size`). A pass
    that runs out of memory is halved. Continues from the newest intact checkpoint in `work_dir`. Raises
    `BenchmarkError` with the step if the loss is not finite, or with the validation row if its probabilities are not.
    """
    memory.keep_freed_memory()
    context, recipe = job.context, job.context.recipe
    tried_before = context.work_dir.is_dir()
    checkpoint = newest_checkpoint(context.work_dir)
    context.work_dir.mkdir(parents=True, exist_ok=True)
    checkpoints.check_same_folder(context.work_dir)
    context.training_begins()
    if job.truncated_texts:
        log.info("%d of %d training texts cut to %d tokens", job.truncated_texts, len(job.samples), recipe.max_length)
    progress = Progress(job.validation, len(context.labels), job.predict, tried_before)
    trainer = _trainer(job, progress)
    with bar(0, "training") as progress_bar:
        trainer.add_callback(TrainingBar(progress_bar))
        with memory.must_fit("the network was trained"):
            trainer.train_from(checkpoint)
    if job.graphs is not None:
        job.graphs.release()
    folder, tokenizer = context.model_dir, job.loaded.tokenizer
    saved_sha256 = None if folder is None else save(job.network, tokenizer, folder, context.labels)
    return replace(_training_report(job, trainer, progress), saved_sha256=saved_sha256)


def newest_checkpoint(work_dir: Path) -> Path | None:
    """The newest intact checkpoint, looked for by the first of several processes."""
    newest = checkpoints.newest_intact(work_dir) if processes.rank() == 0 else None
    name = collectives.broadcast_from_first(None if newest is None else str(newest))
    return None if name is None else Path(name)


def base_report(network: torch.nn.Module, source: WeightSource, computation: Computation) -> FitReport:
    """The part of the report that does not depend on training."""
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


def _trainer(job: FineTuning, progress: Progress) -> PassTrainer:
    """The Trainer of this job, without the progress bars of transformers."""
    context = job.context
    with tensorboard_beside_checkpoints(context):
        trainer = PassTrainer(
            loss=job.loss,
            graphs=job.graphs,
            pass_size=job.pass_size,
            model=job.network,
            args=training_arguments(context, job.computation),
            train_dataset=job.samples,
            data_collator=list,
            callbacks=[progress, *early_stopping(context)],
            **({"eval_dataset": job.samples[:1]} if keeps_best(context) else {}),  # Trainer wants one; see `evaluate`
        )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


def _training_report(job: FineTuning, trainer: PassTrainer, progress: Progress) -> FitReport:
    """The report of a training that has ended, without the hash of the saved model."""
    steps, effective_batch = trainer.state.global_step, job.context.recipe.effective_batch
    return replace(
        base_report(job.network, job.loaded.source, job.computation),
        trained_parameters=sum(p.numel() for p in job.network.parameters() if p.requires_grad),
        steps=steps,
        samples_seen=samples_seen(steps, len(job.samples), effective_batch),
        effective_batch=effective_batch,
        pass_size=trainer.pass_size,
        graph_steps=None if job.graphs is None else job.graphs.replayed,
        graph_seconds=None if job.graphs is None else job.graphs.seconds,
        training_seconds=progress.seconds,
        step_seconds=progress.step_seconds,
        tokens_per_sample=float(np.mean([len(sample.input_ids) + len(sample.targets) for sample in job.samples])),
        truncated_texts=job.truncated_texts,
        curve=curve(trainer.state.log_history),
    )
