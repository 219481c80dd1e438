"""Models whose speed can be compared, beyond `benchmark.interface.Classifier`."""

from typing import Protocol, Self, runtime_checkable

from benchmark.config import ModelConfig
from benchmark.errors import BenchmarkError
from benchmark.interface import Classifier, Examples
from benchmark.run.compose import build_classifier


@runtime_checkable
class Measurable(Classifier, Protocol):
    """A trainable model whose speed can be compared: as configured, the plain way, and in several precisions."""

    @property
    def batching(self) -> str:
        """How samples form a batch, for example packed or padded."""
        ...

    @property
    def precision(self) -> str:
        """fp32, bf16 or fp16."""
        ...

    def fast_precisions(self) -> list[str]:
        """The model's own precision, then the others that this machine computes at least as fast."""
        ...

    def in_precision(self, name: str) -> Self:
        """The same model, not trained, in another precision."""
        ...

    def plain(self) -> list[Self]:
        """The same model, not trained, computed as libraries do: padded batches and free generation.

        After the default come other usual ways. Raises `BenchmarkError` if there is nothing to train.
        """
        ...

    def gradient_difference(self, rows: Examples) -> float:
        """How much the gradients of this way differ from those of padded batches; called after `fit`, once.

        The largest difference over the trained tensors, relative to the norm of the tensor's gradient, or to a
        hundredth of the largest norm.
        """
        ...

    def free_weights(self) -> object | None:
        """After `fit`: the frozen weights as they were loaded, which this copy gives up; None if all are trained."""
        ...

    def reuse_weights(self, weights: object) -> None:
        """Let the next `fit` take these weights instead of loading them again."""
        ...


def measurable(config: ModelConfig) -> Measurable:
    """The configured model; raises `BenchmarkError` if it cannot be computed in several ways."""
    model = build_classifier(config)
    if not isinstance(model, Measurable):
        raise BenchmarkError(
            f"The speed of model={config.name} cannot be measured: there is no plain way to compare it with.",
            "Choose a model that is fine-tuned, such as minilm.",
        )
    return model
