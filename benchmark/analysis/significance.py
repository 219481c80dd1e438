"""Which differences are more than chance: pairwise comparisons, groups of tied models, and every seed counted."""

from string import ascii_lowercase
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.comparisons import fields
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.variants import Variant, variants
from benchmark.results.record import Status
from benchmark.results.store import Run


def pairwise(evidence: Evidence) -> pd.DataFrame:
    """Every two variants that answered the same test texts, the better one first."""
    rows = [
        {
            "better": found.better.name,
            "other": found.other.name,
            "difference": found.difference,
            "low": found.interval.low,
            "high": found.interval.high,
            "wins": found.wins,
            "losses": found.losses,
            "seed_pairs": found.pairs,
            "p": _rounded(found.p),
            "adjusted_p": _rounded(found.adjusted_p),
            "detectable": None if found.detectable is None else round(found.detectable, 6),
            "verdict": "differ" if found.differs else "tied",
        }
        for field in fields(evidence)
        for found in field.comparisons
    ]
    columns = [
        "better", "other", "difference", "low", "high", "wins", "losses", "seed_pairs", "p", "adjusted_p",
        "detectable", "verdict",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns, dtype=object)


def ties(evidence: Evidence) -> pd.DataFrame:
    """The letters of each variant's groups: two that share a letter are tied. Letters never span two test sets."""
    rows, used = [], 0
    for field in fields(evidence):
        letters = [_letters(number) for number in range(used, used + len(field.groups))]
        used += len(letters)
        for place, variant in enumerate(field.variants):
            rows.append(
                {
                    "model": variant.first.title,
                    "recipe": variant.recipe,
                    "accuracy": variant.accuracy,
                    "seeds": len(variant.results),
                    "group": " ".join(
                        letter for letter, group in zip(letters, field.groups, strict=True) if place in group
                    ),
                }
            )
    return pd.DataFrame(rows, columns=["model", "recipe", "accuracy", "seeds", "group"], dtype=object)


def seeds(evidence: Evidence) -> pd.DataFrame:
    """What became of every seed asked for; the accuracies are of all that completed, a collapsed one among them."""
    rows = [_seeds(variant) for variant in variants(evidence.runs, study.DATASET) if not variant.is_trial]
    rows.sort(key=lambda row: (-1 if row["mean"] is None else -row["mean"], row["model"], row["recipe"]))
    columns = [
        "model", "recipe", "asked", "completed", "failed", "interrupted", "collapsed", "mean", "spread", "minimum",
        "maximum",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns, dtype=object)


def collapsed(run: Run) -> bool:
    """Whether it gives one answer to every text."""
    return len(np.unique(run.predictions.predicted)) == 1


def _seeds(variant: Variant) -> dict[str, Any]:
    accuracies = variant.correct.mean(axis=1) if variant.results else np.array([])
    status = [run.record.status for run in variant.runs]
    return {
        "model": variant.first.title,
        "recipe": variant.recipe,
        "asked": len(status),
        "completed": status.count(Status.completed),
        "failed": status.count(Status.failed),
        "interrupted": status.count(Status.interrupted),
        "collapsed": sum(collapsed(run) for run in variant.results),
        "mean": variant.accuracy if variant.results else None,
        "spread": float(accuracies.std(ddof=1)) if len(accuracies) > 1 else None,
        "minimum": float(accuracies.min()) if len(accuracies) else None,
        "maximum": float(accuracies.max()) if len(accuracies) else None,
    }


def _letters(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, len(ascii_lowercase))
    return (_letters(more - 1) if more else "") + ascii_lowercase[last]


def _rounded(p: float) -> float:
    """Four digits: the last ones of a p-value differ between versions of the library that computes it."""
    return float(f"{p:.4g}")
