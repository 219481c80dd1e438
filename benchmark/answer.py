"""The report's answer in two sentences, worded from Table 3: what was found, and what was not asked yet."""

from typing import Any

import pandas as pd

from benchmark import study
from benchmark.records import Evidence
from benchmark.wording import duration


def answer(table3: pd.DataFrame, evidence: Evidence) -> list[str]:
    """Two sentences: the best measured variant with its interval and rivals; the study's claim and what was not run."""
    rows = [row for row in table3.to_dict("records") if pd.notna(row["accuracy"])]
    if not rows:
        return ["Nothing has been measured here yet.", _of_the_study([])]
    return [_best(sorted(rows, key=lambda row: -row["accuracy"]), evidence), _of_the_study(rows)]


def _best(rows: list[dict[str, Any]], evidence: Evidence) -> str:
    best, *others = rows
    texts = next(run.record.predicted_rows for run in evidence.runs if run.name == best["run"])
    seeds = "one seed" if best["seeds"] == 1 else f"{best['seeds']} seeds"
    return (
        f"The most accurate model measured here is {best['model']} (recipe {best['recipe']}): it answers "
        f"{best['accuracy']:.4f} of the {texts:,} test texts rightly (95% interval {best['low']:.4f} to "
        f"{best['high']:.4f}, {seeds}) after {duration(best['training_seconds'])} of training on "
        f"{best['hardware']}{_rivals(best, others)}."
    )


def _rivals(best: dict[str, Any], others: list[dict[str, Any]]) -> str:
    if not others:
        return ", with nothing beside it to compare"
    second = others[0]
    return f"; next is {second['model']} ({second['recipe']}) with {second['accuracy']:.4f}"


def _of_the_study(rows: list[dict[str, Any]]) -> str:
    """The printed figures, and how many of the study's models were run here under its settings."""
    *encoders, llama = study.TABLE3
    encoder = max(encoders, key=lambda name: study.TABLE3[name])
    printed = (
        f"The study printed {study.TABLE3[llama]:.4f} for its {study.TABLE3_TITLES[llama]} and "
        f"{study.TABLE3[encoder]:.4f} for its best encoder, {study.TABLE3_TITLES[encoder]}"
    )
    run = {row["name"]: row for row in rows if pd.notna(row["study"])}
    if not run:
        return (
            f"{printed}; none of its five models has been run here, so whether the big model pays is not answered "
            "yet: a small model speaks for itself alone."
        )
    measured = ", ".join(f"{study.TABLE3_TITLES[name]} {run[name]['accuracy']:.4f}" for name in study.TABLE3 if name in run)
    missing = [study.TABLE3_TITLES[name] for name in study.TABLE3 if name not in run]
    rest = f"; {', '.join(missing)} not run" if missing else ""
    return f"{printed}; measured here under its settings: {measured}{rest}."
