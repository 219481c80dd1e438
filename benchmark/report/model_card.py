"""The model card of a run: the README.md of a repository on the Hugging Face hub, with scores of stored predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from benchmark.analysis import study
from benchmark.analysis.frame import without_copies
from benchmark.analysis.inference import accuracy_interval
from benchmark.analysis.metrics import per_class
from benchmark.analysis.run_scores import METRICS, is_hub_dataset, scores_of
from benchmark.errors import BenchmarkError
from benchmark.report.formats import markdown_text
from benchmark.report.wording import jinja_environment
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import RECORD, Run, read, read_all

PREDICT = "python -m benchmark.predict FOLDER texts.txt"
"""The command that uses a kept model, in the folder that has its card."""
LICENCE = "base-model-and-research-data"


def find_run(results_dir: Path, wanted: str) -> Run:
    """The run in the folder `wanted`, or with this name, or whose digest begins so; raises unless exactly one fits."""
    if (Path(wanted) / RECORD).is_file():
        return read(Path(wanted))
    runs, _ = without_copies(read_all(results_dir))
    matching = [run for run in runs if run.record.digest.startswith(wanted) or wanted in (run.name, run.folder.name)]
    if len(matching) != 1:
        raise BenchmarkError(
            f"{len(matching) or 'No'} runs in {results_dir} match {wanted!r}.",
            "Give a run's folder, or the beginning of its digest.",
        )
    return matching[0]


def model_card(run: Run) -> str:
    """The card's Markdown; raises `BenchmarkError` for a run without scores on the whole test split."""
    _check(run.record)
    record, predicted = run.record, run.predictions.predicted
    by_label = per_class(run.gold, predicted, len(record.labels))
    labels = [markdown_text(label) for label in record.labels]
    columns = {"Label": labels, "Precision": by_label.precision, "Recall": by_label.recall, "F1": by_label.f1}
    table = pd.DataFrame(columns | {"Support": by_label.support})
    scores = scores_of(run)
    text = jinja_environment().get_template("model_card.md.jinja").render(
        record=record, name=_name(record), run=run.name, rows=len(run.gold), scores=scores, metrics=METRICS,
        front_matter=_front_matter(record, scores), interval=accuracy_interval(np.array([run.gold == predicted])),
        by_label=table.to_markdown(index=False, floatfmt=".4f", disable_numparse=[0]), usage=_usage(record),
        research_only=_is_the_studys(record), predict=record.fit and record.fit.saved_sha256 and PREDICT,
    )  # fmt: skip
    return text.rstrip() + "\n"


def kept_card(run: Run) -> str:
    """The card of a model that was kept; one without scores says why it has none."""
    try:
        return model_card(run)
    except BenchmarkError as error:
        return f"# {_name(run.record)}\n\n{error.problem}\n\n```sh\n{PREDICT}\n```\n"


def _check(record: RunRecord) -> None:
    name = f"The run {record.digest[:8]} of {record.model}"
    if record.status is not Status.completed:
        raise BenchmarkError(f"{name} is {record.status}, so it has no scores.", "Complete the run.")
    if record.stand_in is not None:
        raise BenchmarkError(f"{name} used {record.stand_in}, so it has no accuracy.", "Use the model's own weights.")
    if record.config.dataset.test_rows is not None:
        raise BenchmarkError(f"{name} predicted only a part of the test split.", "Run it with dataset.test_rows=null.")


def _front_matter(record: RunRecord, scores: dict[str, float]) -> str:
    """The YAML that the hub reads."""
    card, hub = record.card, record.config.dataset.hub if is_hub_dataset(record) else None
    assert card is not None
    dataset: dict[str, Any] = {"dataset_type": record.dataset, "dataset_split": "test"}
    if hub is not None:
        dataset = {"dataset_type": hub.id, "dataset_split": hub.split_of("test")}
        dataset |= {"dataset_config": hub.configuration, "dataset_revision": hub.revision}
    results = [
        EvalResult(
            task_type="text-classification", task_name="Text classification", dataset_name=record.dataset,
            metric_type=METRICS[name][0], metric_name=METRICS[name][1], metric_value=round(value, 6),
            metric_args={"average": "macro"} if name == "macro_f1" else None, **dataset,
        )
        for name, value in scores.items()
    ]  # fmt: skip
    data = ModelCardData(
        base_model=card.base_model, datasets=hub.id if hub else None,
        library_name="transformers" if _has_no_adapter(record) else card.library,
        language="en" if _is_the_studys(record) else None, license="other", license_name=LICENCE,
        model_name=_name(record), pipeline_tag="text-classification", metrics=["accuracy", "f1"], eval_results=results,
    )  # fmt: skip
    return str(data.to_yaml())


def _is_the_studys(record: RunRecord) -> bool:
    """Whether the test texts are the published ones, whatever the configuration calls them."""
    return record.data_sha256.get("test") == study.TEST_SHA256


def _usage(record: RunRecord) -> str | None:
    """Code that uses the saved model; for records of schema 1, which state none, the code of the shipped model."""
    if _has_no_adapter(record):
        return None
    shipped = read_catalogue().get(record.model)
    usage = (record.card.usage if record.card else None) or (shipped.card.usage if shipped else None)
    return usage and usage.replace("model=MODEL", f"model={record.model}")


def _has_no_adapter(record: RunRecord) -> bool:
    """Whether a decoder predicted with its pretrained weights, as zero-shot and few-shot runs do."""
    adapter = record.fit.weights.adapter if record.fit else None
    return record.card is not None and record.card.library == "peft" and not record.trained and adapter is None


def _name(record: RunRecord) -> str:
    return f"{record.model}-{record.dataset}-{record.recipe}-seed{record.seed}"
