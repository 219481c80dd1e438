"""Encoders and decoders as comparisons of speed need them (`benchmark.measure.measurable.SpeedComparison`)."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from peft import PeftModel
from torch import nn

from baselines.compute.hardware import Attention, Batching, Precision, fast_precisions
from baselines.packed.attention import loading_attention, resolve_batching
from baselines.packed.fused import undo
from baselines.packed.graphs import StepGraphs
from baselines.packed.sample import Sample
from baselines.training.gradients import backward, largest_difference
from baselines.weights.loading import Loaded
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, Readout

if TYPE_CHECKING:
    from baselines.decoder import DecoderClassifier
    from baselines.encoder import EncoderClassifier

GENERATION_BATCH = 8
"""Prompts in a batch of free generation, as in the study's code."""


@dataclass(frozen=True)
class SpeedOverrides:
    """Options of the computation besides the model's own. The defaults are those of a run.

    `accumulates`: padded passes have the recipe's batch size even if a larger one would be faster. `recomputes`: the
    backward pass computes activations again, which saves memory. `only_labels`: free generation stops after as many
    tokens as the longest label has. `base`: weights that `fit` takes instead of loading them again.
    """

    accumulates: bool = False
    recomputes: bool = False
    only_labels: bool = False
    base: Loaded | None = None


@dataclass(frozen=True)
class EncoderSpeed:
    """The speed comparison of an encoder. All its weights are trained, so that another `fit` can reuse none."""

    model: "EncoderClassifier"

    @property
    def batching(self) -> str:
        return resolve_batching(self.model.architecture, self.model.batching)

    @property
    def recomputes(self) -> bool:
        return False

    def precisions(self) -> list[str]:
        return fast_precisions(self.model.precision)

    def in_precision(self, name: str) -> "EncoderClassifier":
        return replace(self.model, precision=Precision(name))

    def references(self) -> list["EncoderClassifier"]:
        _check_trains(self.model)
        padded = replace(self.model, batching=Batching.padded)
        padded.speed_overrides = SpeedOverrides(accumulates=True)
        return [padded]

    def gradient_difference(self, rows: Examples) -> float:
        samples, _ = self.model.samples(rows)
        return _gradient_difference(self.model, samples, None)

    def take_base(self) -> None:
        """Return None: there is no base."""

    def use_base(self, base: object) -> None:
        """Do nothing, because `take_base` returns none."""


@dataclass(frozen=True)
class DecoderSpeed:
    """The speed comparison of a decoder. Its base, the network without the adapter, is reused."""

    model: "DecoderClassifier"

    @property
    def batching(self) -> str:
        return resolve_batching(self.model.architecture, self.model.batching)

    @property
    def recomputes(self) -> bool:
        return self.model.speed_overrides.recomputes

    def precisions(self) -> list[str]:
        return fast_precisions(self.model.precision)

    def in_precision(self, name: str) -> "DecoderClassifier":
        return replace(self.model, precision=Precision(name))

    def references(self) -> list["DecoderClassifier"]:
        """Padded batches, and labels by free generation as in the study; then the same with recomputed activations."""
        _check_trains(self.model)
        attention = loading_attention(self.model.attention)  # transformers has no other FlashAttention-2
        padded = replace(self.model, batching=Batching.padded, attention=attention)
        if labels := self.model.readout is Readout.labels:
            padded = replace(padded, readout=Readout.generate, prediction_batch_size=GENERATION_BATCH)
        padded.speed_overrides = SpeedOverrides(accumulates=True, only_labels=labels)
        recomputing = copy(padded)
        recomputing.speed_overrides = replace(padded.speed_overrides, recomputes=True)
        return [padded, recomputing]

    def gradient_difference(self, rows: Examples) -> float:
        samples, _ = self.model.samples(rows)
        return _gradient_difference(self.model, samples, self.model.step_graphs(samples, len(samples)))

    def take_base(self) -> Loaded | None:
        model = self.model
        if model.readout is Readout.head or not isinstance(model.network, PeftModel):
            return None
        undo(model.network)
        network, model.products = model.network.unload(), []
        network.gradient_checkpointing_disable()
        del model.network
        return replace(model.loaded, network=network)

    def use_base(self, base: object) -> None:
        assert isinstance(base, Loaded)
        if self.model.attention is not Attention.auto:  # else it is what transformers chose
            base.network.set_attn_implementation(loading_attention(self.model.attention).value)
        self.model.speed_overrides = replace(self.model.speed_overrides, base=base)


def _check_trains(model: "EncoderClassifier | DecoderClassifier") -> None:
    """Raise if there is no training whose speed could be measured."""
    if not model.start.trains:
        raise BenchmarkError(
            "model.train is false or model.adapter is given, so nothing is trained.",
            "Leave model.train and model.adapter out.",
        )


def _gradient_difference(
    model: "EncoderClassifier | DecoderClassifier", samples: Sequence[Sample], graphs: StepGraphs | None
) -> float:
    """The largest difference from the gradients of padded batches on `samples`; with `graphs` if the model has them."""
    targets = sum(len(sample.targets) for sample in samples)

    def as_configured() -> None:
        if graphs is None or graphs.backpropagate(samples, targets, nn.Identity()) is None:
            backward(model.loss(samples) / targets)

    def as_reference() -> None:
        undo(model.network)
        backward(model.padded_loss(samples) / targets)

    return largest_difference(model.network, as_configured, as_reference)
