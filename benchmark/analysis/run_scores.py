"""The scores of one run, and whether they are those of a data set on the hub."""

from benchmark.analysis.metrics import accuracy, confidence_of, expected_calibration_error, macro_f1
from benchmark.results.record import RunRecord
from benchmark.results.store import Run

METRICS = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro-F1"),
    "calibration_error": ("expected_calibration_error", "Expected calibration error (15 bins)"),
}
"""The type and the name of each metric on the hub."""


def scores_of(run: Run) -> dict[str, float]:
    """The metrics of a completed run by name, without the calibration error if its answers carry no confidence."""
    gold, predicted = run.gold, run.predictions.predicted
    scores = {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(gold, predicted, len(run.record.labels))}
    if run.predictions.has_confidences:
        confidence = confidence_of(predicted, run.predictions.probabilities)
        scores["calibration_error"] = expected_calibration_error(gold == predicted, confidence)
    return scores


def is_hub_dataset(record: RunRecord) -> bool:
    """Whether the test texts came from the hub, or were checked against the hash of the hub's."""
    from_hub = record.data is not None and record.data.from_hub
    dataset = record.config.dataset
    return dataset.tests_own_texts and (from_hub or "test" in dataset.pinned_sha256)
