"""The runs behind a number: configuration, machine, training, errors and failures, one block per configuration."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from benchmark.analysis import metrics
from benchmark.analysis.frame import Results, label_names
from benchmark.interface import CurvePoint
from benchmark.report.formats import duration, gibibytes
from benchmark.report.table import Analysis
from benchmark.results.record import Status
from benchmark.results.store import Run

PANEL = (300, 110)  # width and height of a curve's drawing area
MOST_POINTS = 100  # of a curve: more cannot be told apart at this size
MOST_LABELS = 12  # of a confusion matrix that can be read
CURVES = {"loss": "Training loss", "validation_loss": "Validation loss", "validation_accuracy": "Validation accuracy"}


@dataclass(frozen=True)
class Panel:
    """One curve per seed, as points of SVG polylines in a box of `PANEL`'s size."""

    title: str
    low: str
    high: str
    last_step: int
    lines: list[str]
    summary: str


@dataclass(frozen=True)
class Confusion:
    """Counts over all seeds by gold label (rows) and predicted label (columns), each with its share of the row."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[int, float]]]]


@dataclass(frozen=True)
class Details:
    """The block of a configuration."""

    anchor: str
    title: str
    facts: list[str]
    command: str
    runs: list[dict[str, Any]]
    panels: list[Panel]
    confusion: Confusion | None
    settings: list[tuple[str, str]]  # heading and lines of what is folded


def details(analysis: Analysis) -> list[Details]:
    """One block per configuration, by data set, model, recipe and training rows."""
    found = analysis.configurations.sort_values(["dataset", "title", "recipe"], key=_sortable, kind="stable")
    return [_block(analysis.results, row) for _, row in found.iterrows()]


def anchor(configuration: str) -> str:
    """The id of a configuration's block on the page."""
    return f"run-{configuration}"


def _sortable(column: pd.Series) -> pd.Series:
    """Numbers in the text padded with zeros, so that 160 rows come before 1,600."""
    return column.astype(str).str.replace(r"\d+", lambda found: found[0].zfill(9), regex=True)


def _block(results: Results, row: pd.Series) -> Details:
    runs = [results.by_name[run] for run in row["runs"]]
    return Details(
        anchor=anchor(row["configuration"]),
        title=row["label"],
        facts=[row["dataset"], *_facts(row, runs)],
        command=row["command"],
        runs=[_run(results, run) for run in runs],
        panels=[panel for value, title in CURVES.items() if (panel := _panel(runs, value, title))],
        confusion=_confusion(results, row),
        settings=[("Configuration", _lines(runs[0].record.config.as_json(), leave_out=("seed",))), *_differing(runs)],
    )


def _facts(row: pd.Series, runs: list[Run]) -> Iterator[str]:
    """What the folded block says."""
    yield "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    if pd.notna(row["accuracy"]):
        yield f"accuracy {row['accuracy']:.4f}"
    yield from sorted({stand_in for run in runs if (stand_in := run.record.stand_in) is not None})
    for what, limit in runs[0].record.config.limits.items():
        yield f"only {limit:,} {what if limit > 1 else what.removesuffix('s')}"
    for status in (Status.failed, Status.interrupted):
        if number := sum(run.record.status is status for run in runs):
            yield f"{number} {status}"


def _run(results: Results, run: Run) -> dict[str, Any]:
    record, folder = run.record, quote(f"runs/{run.name}")
    completed = record.status is Status.completed
    plots = sorted(path.name for path in run.folder.glob("*.png"))
    files = ["record.json", *(["predictions.parquet"] if completed else []), *plots]
    git, seconds = record.environment.git, record.training_seconds
    return {
        "seed": record.seed,
        "status": str(record.status),
        **_scores(results, run),
        "training": duration(seconds) if seconds is not None else None,
        "memory": gibibytes(record.memory) if record.memory is not None else None,
        "hardware": record.hardware,
        "started": record.started[:16].replace("T", " "),
        "commit": git.commit[:8] + "+" * git.modified if git else "",
        "files": [(name, f"{folder}/{quote(name)}") for name in files],
        "failure": record.failure,
    }


def _scores(results: Results, run: Run) -> dict[str, str | None]:
    scores: dict[str, str | None] = dict.fromkeys(("accuracy", "macro_f1", "calibration"))
    if run.record.status is not Status.completed or not run.record.scorable:
        return scores
    answers = results.of(run.name)
    gold, predicted = answers["gold"].to_numpy(), answers["predicted"].to_numpy()
    scores["accuracy"] = f"{metrics.accuracy(gold, predicted):.4f}"
    scores["macro_f1"] = f"{metrics.macro_f1(gold, predicted, len(run.record.labels)):.4f}"
    if run.predictions.graded:
        correct, confidence = answers["correct"].to_numpy(), answers["confidence"].to_numpy()
        scores["calibration"] = f"{metrics.expected_calibration_error(correct, confidence):.4f}"
    return scores


def _panel(runs: list[Run], value: str, title: str) -> Panel | None:
    """The curves of all seeds in one box; from 0 for a loss, from the lowest value for an accuracy."""
    curves = [_points(run.record.fit.curve, value) for run in runs if run.record.fit is not None]
    curves = [curve for curve in curves if len(curve) > 1]
    if not curves:
        return None
    steps = max(curve[-1][0] for curve in curves)
    values = [y for curve in curves for _, y in curve]
    low, high = min(values) if value == "validation_accuracy" else 0.0, max(values)
    width, height = PANEL
    lines = [
        " ".join(f"{x / steps * width:.0f},{height - (y - low) / ((high - low) or 1) * height:.0f}" for x, y in curve)
        for curve in curves
    ]
    start, end = (np.mean([curve[place][1] for curve in curves]) for place in (0, -1))
    summary = f"{title}: from {start:.3f} to {end:.3f} in {steps:,} steps"
    return Panel(title, f"{low:.3g}", f"{high:.3g}", steps, lines, summary)


def _points(curve: Sequence[CurvePoint], value: str) -> list[tuple[int, float]]:
    points = [(point.step, float(getattr(point, value))) for point in curve if getattr(point, value) is not None]
    every = max(1, -(-len(points) // MOST_POINTS))
    return [*points[:-1:every], *points[-1:]]


def _confusion(results: Results, row: pd.Series) -> Confusion | None:
    """None without an accuracy, and where there are too many labels to read."""
    labels = results.by_name[row["run"]].record.labels
    if pd.isna(row["accuracy"]) or len(labels) > MOST_LABELS:
        return None
    answers = pd.concat([results.of(run) for run in row["counted"]])
    counts = metrics.confusion_matrix(answers["gold"].to_numpy(), answers["predicted"].to_numpy(), len(labels))
    columns = label_names(labels) if counts[:, -1].any() else [*labels]
    gold = np.maximum(counts.sum(axis=1), 1)
    rows = [
        (label, [(int(count), float(count / gold[place])) for count in counts[place, : len(columns)]])
        for place, label in enumerate(labels)
    ]
    return Confusion(columns, rows)


def _differing(runs: list[Run]) -> Iterator[tuple[str, str]]:
    """Environment, data and weights, once for all seeds that share them."""
    stated = [("Environment", run.record.seed, _lines(asdict(run.record.environment))) for run in runs]
    stated += [("Data and weights", run.record.seed, _lines(_sources(run))) for run in runs]
    seeds: dict[tuple[str, str], list[str]] = {}
    for heading, seed, text in stated:
        seeds.setdefault((heading, text), []).append(str(seed))
    for (heading, text), which in seeds.items():
        if text:
            yield f"{heading}, {'seed' if len(which) == 1 else 'seeds'} {', '.join(which)}", text


def _sources(run: Run) -> dict[str, Any]:
    data, fit = run.record.data, run.record.fit
    facts: dict[str, Any] = {}
    if data is not None:
        facts = {name: {"rows": split.rows, "sha256": split.sha256} for name, split in data.splits.items()}
        facts |= {f"{overlap.of} texts in {overlap.within}": len(overlap.ids) for overlap in data.overlaps}
    facts |= {f"{name} texts cut to max_length": f"{share:.1%}" for name, share in run.record.truncated.items()}
    return {"data": facts, "weights": asdict(fit.weights) if fit else {}}


def _lines(values: Any, prefix: str = "", leave_out: tuple[str, ...] = ()) -> str:
    """Nested values as sorted lines `path.to.value: 1`, without those that are not set."""
    if isinstance(values, dict):
        inner = [
            _lines(value, f"{prefix}.{key}" if prefix else str(key))
            for key, value in sorted(values.items())
            if key not in leave_out
        ]
        return "\n".join(line for line in inner if line)
    if isinstance(values, list):
        values = ", ".join(map(str, values))
    return "" if values is None else f"{prefix}: {values}"
