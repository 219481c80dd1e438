"""The model card of one run, as the Hugging Face hub reads it; its figures come from the stored predictions."""

from pathlib import Path

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from benchmark.analysis import metrics, study
from benchmark.analysis.inference import accuracy_interval
from benchmark.config import HubDataset
from benchmark.errors import BenchmarkError
from benchmark.interface import ModelCard
from benchmark.report.summary import environment
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run, read, read_all

ON_THE_HUB = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro-F1"),
    "calibration": ("expected_calibration_error", "Expected calibration error (15 bins)"),
}
"""A metric's type on the hub, and its name."""
LICENCE = "base-model-and-research-data"


def find(results_dir: Path, wanted: str) -> Run:
    """The run in the folder `wanted`, or with that name, or whose digest starts with it."""
    if (Path(wanted) / "record.json").is_file():
        return read(Path(wanted))
    found = [
        run
        for run in read_all(results_dir)
        if run.record.digest.startswith(wanted) or wanted in (run.name, run.folder.name)
    ]
    if len(found) != 1:
        raise BenchmarkError(
            f"{len(found) or 'No'} runs in {results_dir} match {wanted}.", "Name a run's folder, or more of its digest."
        )
    return found[0]


def model_card(run: Run) -> str:
    """README.md of a model's repository; raises `BenchmarkError` for a run without a meaningful accuracy."""
    record = run.record
    check(record)
    gold, predicted = run.gold, run.predictions.predicted
    scores = metrics.per_class(gold, predicted, len(record.labels))
    columns = {"Label": record.labels, "Precision": scores.precision, "Recall": scores.recall, "F1": scores.f1}
    table = pd.DataFrame(columns | {"Support": scores.support}).to_markdown(index=False, floatfmt=".4f")
    stated = _scores(run)
    text: str = (
        environment()
        .get_template("model_card.md.jinja")
        .render(
            front_matter=_front_matter(record, stated).to_yaml(),
            name=_name(record),
            record=record,
            card=record.card or ModelCard("unknown", "unknown"),
            usage=_usage(record),
            interval=accuracy_interval((gold == predicted)[None]),
            rows=len(gold),
            scores={ON_THE_HUB[metric][1]: value for metric, value in stated.items()},
            table=table,
            study=study,
        )
    )
    return text


def check(record: RunRecord) -> None:
    """Raise unless the run has an accuracy on the whole test split."""
    name = f"The run {record.digest[:8]} of {record.model}"
    if record.status is not Status.completed:
        raise BenchmarkError(f"{name} is {record.status}.", "Complete it first.")
    if record.stand_in is not None:
        raise BenchmarkError(f"{name} used {record.stand_in}, so it has no accuracy.", "Use the model's own weights.")
    if "test rows" in record.config.limits:
        raise BenchmarkError(f"{name} predicted a part of the test split.", "Run it with dataset.test_rows=null.")


def _scores(run: Run) -> dict[str, float]:
    """The metrics that its predictions have: calibration needs confidences."""
    gold, predictions = run.gold, run.predictions
    scores = {
        "accuracy": metrics.accuracy(gold, predictions.predicted),
        "macro_f1": metrics.macro_f1(gold, predictions.predicted, len(run.record.labels)),
    }
    if predictions.graded:
        confidence = metrics.confidence_of(predictions.predicted, predictions.probabilities)
        scores["calibration"] = metrics.expected_calibration_error(gold == predictions.predicted, confidence)
    return scores


def _front_matter(record: RunRecord, scores: dict[str, float]) -> ModelCardData:
    hub, card = _published_data(record), record.card
    return ModelCardData(
        base_model=card.base_model if card else None,
        datasets=hub.id if hub else None,
        language="en" if record.dataset == study.DATASET else None,
        library_name=card.library if card else None,
        license="other",
        license_name=LICENCE,
        model_name=_name(record),
        pipeline_tag="text-classification",
        metrics=[ON_THE_HUB[metric][0] for metric in ("accuracy", "macro_f1")],
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="Text classification",
                dataset_type=hub.id if hub else record.dataset,
                dataset_name=record.dataset,
                dataset_config=hub.configuration if hub else None,
                dataset_split="test",
                dataset_revision=hub.revision if hub else None,
                metric_type=ON_THE_HUB[metric][0],
                metric_name=ON_THE_HUB[metric][1],
                metric_value=round(value, 6),
                metric_args={"average": "macro"} if metric == "macro_f1" else None,
            )
            for metric, value in scores.items()
        ],
    )


def _usage(record: RunRecord) -> str | None:
    """The code that uses the saved model; records of schema 1 lack it, and the catalogue of models has it."""
    shipped = read_catalogue().get(record.model)
    cards = [card for card in (record.card, shipped.card if shipped else None) if card is not None]
    return next((card.usage for card in cards if card.usage), None)


def _published_data(record: RunRecord) -> HubDataset | None:
    """The data set on the hub, if the test texts came from there or have its hash."""
    dataset = record.config.dataset
    from_hub = record.data is not None and record.data.route.startswith("hub ")
    return dataset.hub if from_hub or dataset.sha256.get("test") else None


def _name(record: RunRecord) -> str:
    return f"{record.model}-{record.dataset}-{record.recipe}-seed{record.seed}"
