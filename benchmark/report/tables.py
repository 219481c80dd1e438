"""Tables 1 to 3 and a leaderboard for any data set: pure functions of the evidence.

Numbers stay numbers here (a share is 0..1, time is seconds), so that a CSV can be computed with;
`benchmark.report` writes them for people.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import audit, frontier, learning, readouts, significance, study, views
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.metrics import per_class as scores_by_label
from benchmark.analysis.tuning import tuning
from benchmark.analysis.variants import Variant, command_of, repeats_study, scores, variants, with_results
from benchmark.report.wording import cell
from benchmark.results.catalogue import Contestant

SETTINGS = {**study.TABLE2, **study.PROSE}
"""What Table 2 compares, with the study's values in its order."""

DEVIATES = "*"
"""Follows a setting that differs from the study's."""


def table1_models(evidence: Evidence) -> pd.DataFrame:
    """Model details, with the study's columns; ours are computed from each declared architecture."""
    theirs = {"model": "Llama3-8b", **study.TABLE1, "source": "the study"}
    ours = [
        {
            "model": contestant.config["model"]["title"],
            "weights": contestant.card.weights,
            "parameters": contestant.card.parameters,
            "trained_parameters": contestant.card.trained_parameters,
            "context_length": contestant.card.context_length,
            "grouped_query_attention": contestant.card.grouped_query_attention,
            **contestant.config["model"]["facts"],
        }
        for _, contestant in sorted(evidence.contestants.items(), key=_by_size)
        if contestant.card.parameters is not None
    ]
    columns = [
        "model", "weights", "parameters", "trained_parameters", "context_length", "grouped_query_attention",
        "training_data", "token_count", "knowledge_cutoff", "source",
    ]  # fmt: skip
    return pd.DataFrame([theirs, *ours], columns=columns, dtype=object)


def table2_settings(evidence: Evidence) -> pd.DataFrame:
    """Experiment settings as resolved, under the study's; a deviation carries `DEVIATES`."""
    rows: list[dict[str, Any]] = [{"model": "Llama3-8b", "recipe": "the study", **SETTINGS, "status": "published"}]
    run_models = set()
    for variant in variants(evidence.runs, study.DATASET):
        first = variant.leading.record
        if variant.results and first.config["model"]["family"] in ("encoder", "decoder") and first.trained:
            run_models.add(first.model)
            rows.append(_settings(first.config, variant.recipe, "run"))
    rows += [
        _settings(contestant.config, contestant.config["recipe"]["name"], "not run")
        for name, contestant in sorted(evidence.contestants.items(), key=_by_size)
        if name not in run_models and contestant.config["model"]["family"] in ("encoder", "decoder")
    ]
    return pd.DataFrame(rows, dtype=object)


def table3_accuracy(evidence: Evidence) -> pd.DataFrame:
    """Accuracy on the emotion test split: the study's models first, in its order, then ours, rising.

    Limited runs and random weights have no place here; a model without a result says `not run`. The
    study's figure stands beside the run that repeats the study, and beside no variant of it.
    """
    found = variants(evidence.runs, study.DATASET)
    repeats = {variant.first.model: variant for variant in found if repeats_study(variant, evidence)}
    rows = [
        {**_result(variant), "study": study.TABLE3.get(variant.first.model) if variant in repeats.values() else None}
        for variant in found
        if variant.results
    ]
    for name, contestant in evidence.contestants.items():
        shown = [row for row in rows if row["name"] == name and (name not in study.TABLE3 or row["study"])]
        if not shown and name != "external":
            rows.append(_not_run(name, contestant, repeats.get(name)))
    rows.sort(key=_place_in_table3)
    return pd.DataFrame(rows, columns=["name", "model", "study", *RESULT_COLUMNS[2:]], dtype=object)


def _place_in_table3(row: dict[str, Any]) -> tuple[float, float]:
    """The study's order; behind it the others by accuracy, and last what was not run."""
    order = list(study.TABLE3)
    if row["name"] in order:
        return order.index(row["name"]), 0 if row["study"] else 1
    return len(order), 2 if row["accuracy"] is None else row["accuracy"]


def leaderboard(evidence: Evidence, dataset: str) -> pd.DataFrame:
    """Every variant tried on a data set, the most accurate first, trials last; their limits stand in `status`."""
    found = [(bool(variant.results), _result(variant)) for variant in variants(evidence.runs, dataset)]
    found.sort(key=lambda one: (one[0], -1 if one[1]["accuracy"] is None else one[1]["accuracy"]), reverse=True)
    return pd.DataFrame([row for _, row in found], columns=RESULT_COLUMNS, dtype=object)


def per_class(evidence: Evidence) -> pd.DataFrame:
    """Precision, recall and F1 of each label, the mean over seeds, for every variant with a result on emotion."""
    rows = []
    for variant in with_results(evidence):
        labels = variant.first.labels
        scores = [scores_by_label(run.gold, run.predictions.predicted, len(labels)) for run in variant.results]
        rows += [
            {
                "model": variant.first.title,
                "recipe": variant.recipe,
                "label": label,
                "precision_score": float(np.mean([score.precision[index] for score in scores])),
                "recall": float(np.mean([score.recall[index] for score in scores])),
                "f1": float(np.mean([score.f1[index] for score in scores])),
                "support": int(scores[0].support[index]),
            }
            for index, label in enumerate(labels)
        ]
    columns = ["model", "recipe", "label", "precision_score", "recall", "f1", "support"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def speed(evidence: Evidence) -> pd.DataFrame:
    """Each way to train and answer on each machine; ratios are to the padded way in the first precision."""
    rows = [row for measured in evidence.speeds for row in _speeds(measured)]
    return pd.DataFrame(rows, columns=SPEED_COLUMNS)


def _speeds(measured: dict[str, Any]) -> list[dict[str, Any]]:
    plain = next(way for way in measured["ways"] if way["batching"] == "padded")
    return [
        {
            "model": measured["title"] + ("" if measured["pretrained"] else ", random weights"),
            "hardware": measured["device"],
            "batch_size": measured["effective_batch"],
            "batching": way["batching"],
            "precision": way["precision"],
            "samples_per_second": way["samples_per_second"],
            "training_ratio": way["samples_per_second"] / plain["samples_per_second"],
            "utilisation": way["utilisation"],
            "answered_per_second": way["answered_per_second"],
            "answering_ratio": way["answered_per_second"] / plain["answered_per_second"],
        }
        for way in measured["ways"]
    ]


SPEED_COLUMNS = [
    "model", "hardware", "batch_size", "batching", "precision", "samples_per_second", "training_ratio", "utilisation",
    "answered_per_second", "answering_ratio",
]  # fmt: skip

TABLES: dict[str, Callable[[Evidence], pd.DataFrame]] = {
    "table1_models": table1_models,
    "table2_settings": table2_settings,
    "table3_accuracy": table3_accuracy,
    "per_class": per_class,
    "pairwise": significance.pairwise,
    "ties": significance.ties,
    "seeds": significance.seeds,
    "study_audit": audit.study_audit,
    "study_comparisons": audit.study_comparisons,
    "test_views": views.test_views,
    "selective": views.selective,
    "confused_pairs": views.confused_pairs,
    "hard_items": views.hard_items,
    "frontier": frontier.frontier,
    "learning_curve": learning.learning_curve,
    "readouts": readouts.readouts,
    "tuning": tuning,
    "speed": speed,
}


RESULT_COLUMNS = [
    "name", "model", "recipe", "accuracy", "spread", "low", "high", "seeds", "macro_f1",
    "training_seconds", "hardware", "status", "command", "run",
]  # fmt: skip


def _result(variant: Variant) -> dict[str, Any]:
    """A row; `run` is the leading one."""
    record = variant.first
    row: dict[str, Any] = dict.fromkeys(RESULT_COLUMNS)
    row |= {"name": record.model, "model": record.title, "recipe": variant.recipe, "status": _status(variant)}
    shown = variant.counted
    row |= {"command": command_of(variant), "run": variant.leading.name}
    if not shown:
        return row
    row["seeds"] = len(shown)
    row["hardware"] = " / ".join(variant.hardware)
    trained = [seconds for run in variant.timed if (seconds := run.record.training_seconds) is not None]
    if trained:
        row["training_seconds"] = float(np.median(trained))
    if shown[0].record.scorable:
        row |= scores(shown)
    return row


def _status(variant: Variant) -> str:
    """`measured`, and whatever limits what the figure means."""
    if not variant.completed:
        return f"not run: {_reason(variant)}"
    shown = variant.counted
    first = shown[0].record
    trained = first.fit is not None and first.fit.steps > 0
    stand_ins = [run.record.stand_in for run in variant.completed if not run.record.pretrained]
    remarks = [] if first.pretrained else [f"{first.stand_in}, no accuracy"]
    if first.pretrained and stand_ins:
        remarks.append(f"{len(stand_ins)} of {len(variant.runs)} runs not counted: {stand_ins[0]}")
    remarks += [f"{first.carved_rows:,} training rows set aside for validation"] if first.carved_rows else []
    remarks += [] if first.trained else ["not trained by this run"]
    remarks += [f"{limit} {what} only" for what, limit in first.limits.items() if trained or what != "steps"]
    if shown[0].predictions.generated is not None:
        unnamed = float(np.mean([(run.predictions.predicted < 0).mean() for run in shown]))
        remarks.append(f"{unnamed:.1%} of answers name no label")
    ended = Counter(run.record.status for run in variant.failed)
    remarks += [f"{runs} of {len(variant.runs)} runs {status}" for status, runs in ended.items()]
    return "; ".join(["measured", *remarks])


def _reason(variant: Variant) -> str:
    """How the first run without a result ended; the remedy, behind a semicolon by custom, stays in the record."""
    if not variant.failed:
        return str(variant.completed[0].record.stand_in)
    record = variant.failed[0].record
    return f"{record.status}, {record.failure.message.partition('; ')[0]}" if record.failure else str(record.status)


def _not_run(name: str, contestant: Contestant, failed: Variant | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(["study", *RESULT_COLUMNS])
    reason = f": {_reason(failed)}" if failed else ""
    return row | {
        "name": name,
        "model": contestant.config["model"]["title"],
        "recipe": contestant.config["recipe"]["name"],
        "study": study.TABLE3.get(name),
        "status": f"not run{reason}",
        "command": f"python -m benchmark model={name}",
        "run": failed.leading.name if failed else None,
    }


def _settings(config: dict[str, Any], recipe: str, status: str) -> dict[str, Any]:
    parameters = config["model"]["parameters"]
    values = {**config["recipe"], **{key: parameters.get(key) for key in ("precision", "attention")}}
    values["lora_rank"] = parameters.get("lora", {}).get("rank") or "none"
    values["optimizer"] = _optimizer(config["recipe"])
    return {
        "model": config["model"]["title"],
        "recipe": recipe,
        **{key: _marked(key, values[key], theirs) for key, theirs in SETTINGS.items()},
        "status": status,
    }


def _marked(setting: str, ours: Any, theirs: Any) -> Any:
    same = ours == theirs or (setting == "optimizer" and ours == "AdamW, no decay")  # which is Adam
    if same or ours is None or ours == "none":
        return ours
    return f"{cell(setting, ours)} {DEVIATES}"


def _optimizer(recipe: dict[str, Any]) -> str:
    name = {"adamw": "AdamW", "adafactor": "Adafactor"}[recipe["optimizer"]]
    return f"{name}, decay {recipe['weight_decay']:g}" if recipe["weight_decay"] else f"{name}, no decay"


def _by_size(item: tuple[str, Contestant]) -> tuple[int, str]:
    """The largest first: it stands beside the study's row."""
    return -(item[1].card.parameters or 0), item[0]
