"""The page's block for each configuration: its runs, settings, training curves, errors and failures."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import Results, label_names
from benchmark.analysis.metrics import confusion_matrix
from benchmark.analysis.run_scores import scores_of
from benchmark.interface import CurvePoint
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import PREDICTIONS, RECORD, Run

CURVES = {"loss": "Training loss", "validation_loss": "Validation loss", "validation_accuracy": "Validation accuracy"}
PANEL = (300, 110)  # width and height of a curve's drawing area
MOST_POINTS = 100  # of a curve; more cannot be told apart at this size
MOST_LABELS = 12  # of a confusion matrix that can be read


@dataclass(frozen=True)
class RunRow:
    """A run with its scores, if it has any, and the names of its files."""

    run: Run
    scores: dict[str, float]
    files: list[str]
    shared_time: bool  # whether other jobs used its device


@dataclass(frozen=True)
class Panel:
    """One curve per seed, as points of an SVG polyline in a box of `PANEL`'s size."""

    low: str
    high: str
    last_step: int
    lines: list[str]
    summary: str


@dataclass(frozen=True)
class Details:
    """The block of a configuration."""

    anchor: str
    dataset: str
    model: str
    kind: str  # of the model
    name: str
    facts: list[str]
    command: str
    runs: list[RunRow]
    panels: list[Panel]
    confusion: pd.DataFrame | None  # counts over all seeds; gold labels in rows, predicted labels in columns
    settings: list[tuple[str, str]]  # heading and lines; folded on the page


def details(analysis: AnalysedResults) -> list[Details]:
    """The block of every configuration, by data set and name; changed test texts come last."""
    places = {dataset: place for place, dataset in enumerate(analysis.datasets)}
    rows = [row for _, row in analysis.configurations.iterrows()]
    rows.sort(key=lambda row: (places.get(row["dataset"], len(places)), row["dataset"], _numbered(row["short_name"])))
    return [_block(analysis.results, row) for row in rows]


def anchor(configuration: str) -> str:
    """The HTML id of a configuration's block."""
    return f"runs-{configuration}"


def _numbered(name: str) -> list[str | float]:
    """The parts of a name. Numbers are sorted by size, so that 160 rows come before 1,600."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", name)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _block(results: Results, row: pd.Series) -> Details:
    runs = [results.runs_by_name[name] for name in row["runs"]]
    shared = set(results.runs.loc[results.runs["shared_time"], "run"])
    records = [run.record for run in runs]
    return Details(
        anchor=anchor(row["configuration"]),
        dataset=row["dataset"],
        model=row["title"],
        kind=row["kind"],
        name=row["short_name"],
        facts=[row["dataset"], *_facts(row, records)],
        command=row["command"],
        runs=[_run_row(run, run.name in shared) for run in runs],
        panels=[panel for value, title in CURVES.items() if (panel := _panel(records, value, title))],
        confusion=_confusion(results, row),
        settings=[("Configuration", _lines(records[0].config.as_json() | {"seed": None})), *_provenance(records)],
    )


def _facts(row: pd.Series, records: list[RunRecord]) -> Iterator[str]:
    """The facts that the folded block shows."""
    yield "1 run" if len(records) == 1 else f"{len(records)} runs"
    if row["accuracy"] is not None:
        yield f"accuracy {row['accuracy']:.4f}"
    yield from sorted({record.stand_in for record in records if record.stand_in is not None})
    for what, limit in records[0].config.limits.items():
        yield f"only {limit:,} {what if limit > 1 else what.removesuffix('s')}"
    ended = Counter(record.status for record in records)
    yield from (f"{ended[status]} {status}" for status in (Status.failed, Status.interrupted) if ended[status])


def _run_row(run: Run, shared_time: bool) -> RunRow:
    completed = run.record.status is Status.completed
    scores = scores_of(run) if completed and run.record.scorable else {}
    files = [RECORD, *[PREDICTIONS] * completed, *sorted(plot.name for plot in run.folder.glob("*.png"))]
    return RunRow(run, scores, files, shared_time)


def _panel(records: list[RunRecord], value: str, title: str) -> Panel | None:
    """The curves of all seeds. The axis starts at 0 for a loss and at the lowest value for an accuracy."""
    curves = [_points(record.fit.curve, value) for record in records if record.fit is not None]
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
    first, last = (np.mean([curve[place][1] for curve in curves]) for place in (0, -1))
    summary = f"{title}: from {first:.3f} to {last:.3f} in {steps:,} steps"
    return Panel(f"{low:.3g}", f"{high:.3g}", steps, lines, summary)


def _points(curve: Sequence[CurvePoint], value: str) -> list[tuple[int, float]]:
    """The step and value of at most about `MOST_POINTS` points, the last included."""
    points = [(point.step, float(getattr(point, value))) for point in curve if getattr(point, value) is not None]
    every = max(1, -(-len(points) // MOST_POINTS))
    return [*points[:-1:every], *points[-1:]]


def _confusion(results: Results, row: pd.Series) -> pd.DataFrame | None:
    """The confusion matrix over the counted runs; None without an accuracy or with many labels."""
    names = label_names(results.labels(row["run"]))
    if row["accuracy"] is None or len(names) - 1 > MOST_LABELS:
        return None
    answers = pd.concat([results.answers_of(run) for run in row["counted"]])
    counts = confusion_matrix(answers["gold"].to_numpy(), answers["predicted"].to_numpy(), len(names) - 1)
    matrix = pd.DataFrame(counts, index=names[:-1], columns=names)
    return matrix if counts[:, -1].any() else matrix.iloc[:, :-1]


def _provenance(records: list[RunRecord]) -> Iterator[tuple[str, str]]:
    """The environment, data and weights of the runs, each text once with its seeds."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for heading, values_of in (("Environment", lambda record: asdict(record.environment)), ("Data and weights", _data)):
        for record in records:
            seeds.setdefault((heading, _lines(values_of(record))), []).append(str(record.seed))
    for (heading, text), which in seeds.items():
        if text:
            yield f"{heading}, {'seed' if len(which) == 1 else 'seeds'} {', '.join(which)}", text


def _data(record: RunRecord) -> dict[str, Any]:
    splits = {} if record.data is None else record.data.splits
    overlaps = [] if record.data is None else record.data.overlaps
    return {
        "data": {
            **{name: {"rows": split.rows, "sha256": split.sha256} for name, split in splits.items()},
            **{f"{overlap.of} texts in {overlap.within}": len(overlap.ids) for overlap in overlaps},
            **{
                f"{name} texts cut to max_length": f"{texts / splits[name].rows:.1%}"
                for name, texts in record.truncated_texts.items()
            },
        },
        "weights": asdict(record.fit.weights) if record.fit else {},
        "examples in the prompt": ", ".join(record.fit.examples) or None if record.fit else None,
    }


def _lines(values: Any, path: str = "") -> str:
    """The nested values that are set, as sorted lines `path.to.value: 1`."""
    if isinstance(values, dict):
        inner = [_lines(value, f"{path}.{key}" if path else str(key)) for key, value in sorted(values.items())]
        return "\n".join(line for line in inner if line)
    if isinstance(values, list | tuple):
        values = ", ".join(map(str, values))
    return "" if values is None else f"{path}: {values}"
