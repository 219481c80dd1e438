"""What stands behind a number: the runs of a variant, their configuration, machine, training, errors and failures."""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmark.analysis.evidence import Evidence
from benchmark.analysis.metrics import confusion_matrix
from benchmark.analysis.variants import Variant, command_of, mean_accuracy, metric, variants
from benchmark.interface import CurvePoint
from benchmark.report.wording import duration
from benchmark.results.record import Status
from benchmark.results.store import Run

PANEL = (300, 110)  # width and height of a curve's drawing area
MOST_POINTS = 100  # of a curve; more cannot be told apart at this size


@dataclass(frozen=True)
class Panel:
    """A curve a seed, as points of an SVG polyline in a box of `PANEL`'s size."""

    title: str
    low: str
    high: str
    last_step: int
    lines: list[str]
    summary: str


@dataclass(frozen=True)
class Confusion:
    """Counts over all seeds, gold down, predicted across, each with its share of the row."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[int, float]]]]


@dataclass(frozen=True)
class Details:
    """A variant's block on the page."""

    anchor: str
    title: str
    facts: list[str]
    command: str
    runs: list[dict[str, Any]]
    panels: list[Panel]
    confusion: Confusion | None
    settings: list[tuple[str, str]]  # what is folded away: heading and lines


def details(evidence: Evidence) -> list[Details]:
    """A block for each variant on each data set, by model, recipe and whatever else was set."""
    datasets = sorted({run.record.dataset for run in evidence.runs})
    return [_block(variant) for dataset in datasets for variant in sorted(variants(evidence.runs, dataset), key=_place)]


def anchor(run: str) -> str:
    """Where the block of a variant stands, by the name of its leading run."""
    return "run-" + re.sub(r"[^A-Za-z0-9]+", "-", run)


def _place(variant: Variant) -> tuple[str, str, list[tuple[str, float, str]]]:
    """Where the block stands: numbers by their size, so that 160 rows come before 1,600."""
    settings = [override.partition("=") for override in variant.settings]
    return variant.first.title, variant.first.recipe, [(name, _size(value), value) for name, _, value in settings]


def _size(value: str) -> float:
    with suppress(ValueError):
        return float(value)
    return math.inf


def _block(variant: Variant) -> Details:
    first = variant.first
    return Details(
        anchor=anchor(variant.leading.name),
        title=f"{first.title}, {variant.recipe}",
        facts=[first.dataset, *_facts(variant)],
        command=command_of(variant),
        runs=[_run(run) for run in variant.runs],
        panels=[panel for value, title in CURVES.items() if (panel := _panel(variant, value, title))],
        confusion=_confusion(variant),
        settings=[("Configuration", _lines(first.config, leave_out=("seed",))), *_differing(variant)],
    )


def _facts(variant: Variant) -> Iterator[str]:
    """What the closed block says, in words."""
    counted = variant.counted
    yield "1 run" if len(variant.runs) == 1 else f"{len(variant.runs)} runs"
    if counted and counted[0].record.scorable:
        yield f"accuracy {mean_accuracy(counted):.4f}"
    yield from sorted({stand_in for run in variant.runs if (stand_in := run.record.stand_in) is not None})
    for what, limit in variant.first.limits.items():
        yield f"only {limit:,} {what if limit > 1 else what.removesuffix('s')}"
    for status in (Status.failed, Status.interrupted):
        if number := sum(run.record.status is status for run in variant.runs):
            yield f"{number} {status}"


def _run(run: Run) -> dict[str, Any]:
    record, folder = run.record, quote(f"runs/{run.name}")
    done = record.status is Status.completed
    scored = done and record.scorable
    graded = scored and run.predictions.graded
    files = [
        "record.json",
        *(["predictions.parquet"] if done else []),
        *sorted(p.name for p in run.folder.glob("*.png")),
    ]
    seconds = record.training_seconds if "fit" in record.seconds else None
    git = record.environment.get("git") or {}
    return {
        "seed": record.seed,
        "status": str(record.status),
        "accuracy": f"{metric(run, 'accuracy'):.4f}" if scored else None,
        "macro_f1": f"{metric(run, 'macro_f1'):.4f}" if scored else None,
        "calibration": f"{metric(run, 'expected_calibration_error'):.4f}" if graded else None,
        "training": duration(seconds) if seconds is not None else None,
        "memory": f"{record.memory / 2**30:.2f} GiB" if record.memory is not None else None,
        "hardware": record.hardware,
        "started": record.started[:16].replace("T", " "),
        "commit": str(git.get("commit") or "")[:8] + ("+" if git.get("modified") else ""),
        "files": [(name, f"{folder}/{quote(name)}") for name in files],
        "failure": record.failure,
    }


CURVES = {"loss": "Training loss", "validation_loss": "Validation loss", "validation_accuracy": "Validation accuracy"}


def _panel(variant: Variant, value: str, title: str) -> Panel | None:
    """The curves of all seeds in one box; from 0 for a loss, from the lowest value for an accuracy."""
    curves = [_points(run.record.fit.curve, value) for run in variant.runs if run.record.fit is not None]
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
    starts, ends = (np.mean([curve[place][1] for curve in curves]) for place in (0, -1))
    summary = f"{title}: from {starts:.3f} to {ends:.3f} in {steps:,} steps"
    return Panel(title, f"{low:.3g}", f"{high:.3g}", steps, lines, summary)


def _points(curve: Sequence[CurvePoint], value: str) -> list[tuple[int, float]]:
    points = [(point.step, float(getattr(point, value))) for point in curve if getattr(point, value) is not None]
    every = max(1, -(-len(points) // MOST_POINTS))
    return [*points[:-1:every], *points[-1:]]


def _confusion(variant: Variant) -> Confusion | None:
    """None without an accuracy, and where the labels are too many to read."""
    labels = variant.first.labels
    runs = variant.counted
    if not runs or not runs[0].record.scorable or len(labels) > 12:
        return None
    counts = sum(confusion_matrix(run.gold, run.predictions.predicted, len(labels)) for run in runs)
    assert not isinstance(counts, int)
    columns = [*labels, "no label"] if counts[:, -1].any() else [*labels]
    gold = np.maximum(counts.sum(axis=1), 1)
    rows = [
        (label, [(int(count), float(count / gold[row])) for count in counts[row, : len(columns)]])
        for row, label in enumerate(labels)
    ]
    return Confusion(columns, rows)


def _differing(variant: Variant) -> Iterator[tuple[str, str]]:
    """What each run says of itself, once for all seeds of which it is true."""
    said = [("Environment", run.record.seed, _lines(run.record.environment)) for run in variant.runs]
    said += [("Data and weights", run.record.seed, _lines(_provenance(run))) for run in variant.runs]
    seeds: dict[tuple[str, str], list[str]] = {}
    for heading, seed, text in said:
        seeds.setdefault((heading, text), []).append(str(seed))
    for (heading, text), which in seeds.items():
        if text:
            yield f"{heading}, {'seed' if len(which) == 1 else 'seeds'} {', '.join(which)}", text


def _provenance(run: Run) -> dict[str, Any]:
    data = run.record.data or {}
    splits = {name: {key: split[key] for key in ("rows", "sha256")} for name, split in data.get("splits", {}).items()}
    overlaps = {f"{one['of']} texts in {one['within']}": len(one["ids"]) for one in data.get("overlaps", [])}
    cut = {f"{name} texts cut to max_length": f"{share:.1%}" for name, share in run.record.truncated.items()}
    return {"data": {**splits, **overlaps, **cut}, "weights": run.record.fit.weights if run.record.fit else {}}


def _lines(values: Any, prefix: str = "", leave_out: tuple[str, ...] = ()) -> str:
    """Nested values as `path.to.value: 1`, a line each, sorted; what is not set is left out."""
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
