"""The starting point of a model, and the weights that its checkpoint must contain."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Self

from baselines.weights.heads import HEADS, TrainedHead
from baselines.weights.sources import Source, Weights
from benchmark.errors import BenchmarkError


class RequiredWeights(Enum):
    """Which weights a checkpoint must contain. Without training, no weight may be randomly initialised."""

    body = auto()
    all_but_head = auto()  # which an adapter brings
    all = auto()


@dataclass(frozen=True)
class StartingPoint:
    """The weights that a model starts from, and the folder of an adapter if one was trained for them before.

    Weights without such an adapter are trained, or used as they are.
    """

    weights: Weights
    train: bool
    adapter: str | None

    @classmethod
    def from_saved(cls, folder: Path) -> Self:
        """The trained weights in `folder`."""
        return cls(Weights(Source.folder, path=str(folder)), train=False, adapter=None)

    @property
    def trains(self) -> bool:
        """Whether the network is trained."""
        return self.needed is RequiredWeights.body

    @property
    def needed(self) -> RequiredWeights:
        """The weights that the checkpoint must contain."""
        if self.adapter is not None:
            return RequiredWeights.all_but_head
        return RequiredWeights.body if self.train else RequiredWeights.all


def check_random(weights: Weights, labels: Sequence[str], needed: RequiredWeights) -> None:
    """Raise if a classifier with random weights should be scored without training."""
    if weights.source is Source.random and needed is RequiredWeights.all and labels:
        raise missing_head_error("random weights", None)


def check_complete(missing: set[str], body: str | None, model: str, needed: RequiredWeights) -> None:
    """Raise if weights are missing from the checkpoint or have another shape, so that none are random by accident.

    The head of a classifier, which is outside the `body`, may be new. So may the pooler before it in checkpoints that
    never classified, if the model is trained. An adapter brings the parts of a head that peft saves, and no others.
    """

    def may_be_missing(name: str) -> bool:
        if body is None or needed is RequiredWeights.all:
            return False
        in_body = name.startswith(f"{body}.")
        if needed is RequiredWeights.all_but_head:
            return not in_body and name.partition(".")[0].endswith(HEADS)
        return not in_body or ".pooler." in name

    absent = sorted(name for name in missing if not may_be_missing(name))
    if absent:
        raise BenchmarkError(
            f"{absent[0]} is missing from the weights of {model} or has another shape there ({len(absent)} in all).",
            "Give a complete checkpoint of the declared architecture.",
        )


def missing_head_error(model: str, head: TrainedHead | None) -> BenchmarkError:
    """The error for weights that should be scored without training, but have no head for the labels."""
    if head is None:
        return BenchmarkError(
            f"model.train is false, but there is no trained classification head in {model}.",
            "Set model.train=true, or give weights that were fine-tuned.",
        )
    fix = "Choose the data set that they were trained on, or correct id2label in their config.json."
    if head.names is None:
        fix = "Name the labels by id in id2label and label2id of their config.json."
    return BenchmarkError(
        f"model.train is false, but the head of the weights of {model} is not one for the labels of the data set: "
        f"{head.labels}.",
        fix,
    )
