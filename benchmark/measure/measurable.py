"""Models whose speed can be compared, beyond `benchmark.interface.Classifier`."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from benchmark.config import ModelConfig
from benchmark.configuration.compose import build_classifier
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, Examples


@runtime_checkable
class Measurable(Classifier, Protocol):
    """A trainable model whose speed can be compared."""

    @property
    def precision(self) -> str:
        """The precision: fp32, tf32, bf16 or fp16."""
        ...

    def speed_comparison(self) -> "SpeedComparison":
        """What a comparison needs of this copy of the model."""
        ...


class SpeedComparison(Protocol):
    """A model as configured, its references, and the same in other precisions."""

    @property
    def batching(self) -> str:
        """How samples form a batch, for example packed or padded."""
        ...

    @property
    def recomputes(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        ...

    def precisions(self) -> list[str]:
        """The model's own precision, then the others that this machine computes at least as fast."""
        ...

    def in_precision(self, name: str) -> Measurable:
        """The same model, not trained, in another precision."""
        ...

    def references(self) -> Sequence[Measurable]:
        """The same model, not trained, computed as libraries do: padded batches and free generation.

        After the default come other usual ways. Raises `BenchmarkError` if there is nothing to train.
        """
        ...

    def gradient_difference(self, rows: Examples) -> float:
        """How much the model's gradients differ from the gradients of padded batches; called after `fit`, once.

        The largest difference over the trained tensors, relative to the norm of the tensor's gradient, or to a
        hundredth of the largest norm.
        """
        ...

    def take_base(self) -> object | None:
        """Give up the frozen weights after `fit`, and return them as they were loaded; None if all are trained."""
        ...

    def use_base(self, base: object) -> None:
        """Let the next `fit` take these weights instead of loading them again."""
        ...


def measurable(config: ModelConfig) -> Measurable:
    """The configured model; raises `BenchmarkError` if it cannot be computed in several ways."""
    model = build_classifier(config)
    if not isinstance(model, Measurable):
        raise BenchmarkError(
            f"The speed of model={config.name} cannot be measured: there is no reference to compare it with.",
            "Choose a model that is fine-tuned, such as minilm.",
        )
    return model
