"""The metrics of `benchmark.analysis.metrics` as a metric of Hugging Face `evaluate`."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
import numpy.typing as npt

from benchmark.analysis.metrics import accuracy, confidence_of, expected_calibration_error, per_class
from benchmark.errors import BenchmarkError, check_option
from benchmark.predictions import check_distributions, normalized_label

_INPUTS = """
Args:
    predictions: label ids, (rows,); -1 for an answer that is none of the labels.
    references: gold label ids, (rows,).
    probabilities: optional, (rows, labels), in the order of the rows.
Returns:
    accuracy, macro_f1, f1_<label> for each label and, with probabilities, expected_calibration_error.
"""


class EmotionMetrics(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """Accuracy, macro F1, F1 per label and expected calibration error, computed without access to the hub.

    >>> metrics = EmotionMetrics(labels=("joy", "anger"))
    >>> metrics.compute(predictions=[0, 1, 1, 1], references=[0, 1, 1, 0])["accuracy"]
    0.75

    Add batches first and pass the probabilities of all rows at the end:

    >>> metrics.add_batch(predictions=[0, 1], references=[0, 0])
    >>> scores = metrics.compute(probabilities=[[0.9, 0.1], [0.4, 0.6]])
    >>> sorted(scores)
    ['accuracy', 'expected_calibration_error', 'f1_anger', 'f1_joy', 'macro_f1']

    The predictions that a transformers Trainer gives to `compute_metrics` are logits: pass their argmax as
    `predictions` and their softmax as `probabilities`. `evaluate.combine` passes `probabilities` to every metric, so
    leave them out beside metrics that do not take them. `compute` raises `BenchmarkError` for empty input, for ids that
    are not labels, for fractions and for probabilities that have a wrong shape or are not distributions.
    """

    def __init__(self, labels: Sequence[str], **options: Any) -> None:
        """Take the label names by id, and options of `evaluate.Metric` such as `cache_dir`.

        Raises `BenchmarkError` unless there are two or more labels with different names.
        """
        self.labels = tuple(labels)
        names = [normalized_label(label) for label in self.labels]
        valid = not isinstance(labels, str) and len(set(names)) == len(names) >= 2
        check_option("labels", labels, valid, "Name two or more different labels.")
        # Only several processes need a file. In memory, a call that raises an error leaves no locked file behind.
        options.setdefault("keep_in_memory", options.get("num_process", 1) == 1)
        super().__init__(**options)

    def _info(self) -> Any:
        return evaluate.MetricInfo(
            description=f"Classification metrics over the labels {', '.join(self.labels)}.",
            citation="",
            inputs_description=_INPUTS,
            # evaluate would cut fractions to integers, so they are read as they are and refused.
            features=datasets.Features({name: datasets.Value("float64") for name in ("predictions", "references")}),
        )

    def _compute(
        self, predictions: Sequence[float], references: Sequence[float], probabilities: npt.ArrayLike | None = None
    ) -> dict[str, float]:
        gold, predicted = _ids("reference", references), _ids("prediction", predictions)
        by_label = per_class(gold, predicted, n_labels=len(self.labels)).f1
        scores = {"accuracy": accuracy(gold, predicted), "macro_f1": float(by_label.mean())}
        scores |= {f"f1_{label}": float(f1) for label, f1 in zip(self.labels, by_label, strict=True)}
        if probabilities is not None:
            given, shape = np.asarray(probabilities, dtype=np.float32), (len(gold), len(self.labels))
            if given.shape != shape:
                raise BenchmarkError(
                    f"The probabilities have shape {given.shape}, not {shape}.",
                    "Pass one row per reference and one column per label.",
                )
            check_distributions(given)
            confidence = confidence_of(predicted, given)
            scores["expected_calibration_error"] = expected_calibration_error(gold == predicted, confidence)
        return scores


def _ids(name: str, values: Sequence[float]) -> npt.NDArray[np.int64]:
    given = np.asarray(values, dtype=np.float64)
    whole = given == np.floor(given)  # False for NaN
    if not whole.all():
        row = int(np.argmin(whole))
        raise BenchmarkError(f"The {name} of row {row} is {given[row]:g}.", "Give ids of labels, which are whole.")
    return given.astype(np.int64)
