"""One fine-tuned decoder, read in different ways: label scoring, free generation, a classification head."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.variants import Variant, mean_accuracy, shortened, training_behind
from benchmark.interface import NO_LABEL
from benchmark.results.store import Run

READOUTS = {"labels": "constrained labels", "generate": "free generation", "head": "classification head"}
"""What a table calls each value of `model.readout`."""

SHARED = ("weights", "precision")
"""Parameters that must agree; the others (prompt, answer length) belong to one way of reading or another."""


def readouts(evidence: Evidence) -> pd.DataFrame:
    """Accuracy, invalid answers and disagreement of the ways to read a decoder fine-tuned with one recipe.

    Only the trainings that were read in two ways or more. `differs_from_...` is the share of test texts to which
    the two give different answers, the mean over the seeds that both have.
    """
    rows = [row for group in _groups(evidence) for row in _rows(group)]
    columns = [
        "model",
        "recipe",
        "readout",
        "seeds",
        "accuracy",
        "invalid",
        *(f"differs_from_{way}" for way in READOUTS),
    ]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _groups(evidence: Evidence) -> list[dict[str, dict[int, Run]]]:
    """Runs by way of reading and seed, for each decoder and recipe read in two ways or more.

    An adapter that a run here kept, told by its name, counts as that run's; one made elsewhere stands alone.
    """
    groups: dict[str, dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
    for run in evidence.runs:
        record = run.record
        parameters = record.config["model"]["parameters"]
        if record.dataset == study.DATASET and record.is_result and parameters.get("readout") in READOUTS:
            shared = [parameters.get(name) for name in SHARED]
            kept = training_behind(record, evidence)
            foreign = record.adapter["sha256"] if record.adapter and kept is None else None
            training = kept or record
            lora = training.config["model"]["parameters"].get("lora")
            data = [training.config["dataset"], training.splits]
            key = json.dumps([shared, lora, training.config["recipe"], data, foreign], sort_keys=True)
            groups[key][parameters["readout"]].setdefault(training.seed, run)
    return [_in_common(group) for group in groups.values() if len(group) > 1]


def _in_common(group: dict[str, dict[int, Run]]) -> dict[str, dict[int, Run]]:
    """Without the seeds that were read in one way only."""
    times = [seed for runs in group.values() for seed in runs]
    kept = {way: {seed: run for seed, run in runs.items() if times.count(seed) > 1} for way, runs in group.items()}
    return {way: kept[way] for way in READOUTS if kept.get(way)}


def _rows(group: dict[str, dict[int, Run]]) -> list[dict[str, Any]]:
    rows = []
    for way, runs in group.items():
        variant = Variant(list(runs.values()))
        row = {
            "model": variant.first.title,
            "recipe": ", ".join([variant.first.recipe, *_settings(variant)]),
            "readout": READOUTS[way],
            "seeds": len(runs),
            "accuracy": mean_accuracy(variant.runs),
            "invalid": float(np.mean([(run.predictions.predicted == NO_LABEL).mean() for run in variant.runs])),
        }
        rows.append(row | {f"differs_from_{other}": _disagreement(runs, group.get(other, {})) for other in READOUTS})
    return rows


def _settings(variant: Variant) -> list[str]:
    """But for the one that chose how to read."""
    return shortened([setting for setting in variant.settings if not setting.startswith("model.readout=")])


def _disagreement(one: dict[int, Run], other: dict[int, Run]) -> float | None:
    """None for a way of reading against itself, and where no seed was read in both ways."""
    seeds = sorted(one.keys() & other.keys()) if one is not other else []
    shares = [(one[seed].predictions.predicted != other[seed].predictions.predicted).mean() for seed in seeds]
    return float(np.mean(shares)) if shares else None
