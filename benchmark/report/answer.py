"""The report's answer in two sentences, worded from Table 3 and the tied groups, never from anything else.

The first says what is best among what was measured; the second what the study printed, and how much of it was run.
"""

from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.analysis.variants import read_again
from benchmark.report.wording import duration

Row = dict[Hashable, Any]
Tied = Callable[[Row, Row], bool]

MOST_NAMED = 3  # of the models that the best is tied with


def answer(table3: pd.DataFrame, ties: pd.DataFrame, evidence: Evidence) -> list[str]:
    """The two sentences, from the tables of these names; honest where little or nothing was run."""
    measured = sorted(
        (row for row in table3.to_dict("records") if pd.notna(row["accuracy"])), key=lambda row: -row["accuracy"]
    )
    groups = {_key(row): set(row["group"].split()) for row in ties.to_dict("records")}

    def tied(one: Row, other: Row) -> bool:
        return bool(groups[_key(one)] & groups[_key(other)])

    if not measured:
        return ["Nothing has been measured here yet.", _of_the_study([], tied)]
    return [_best(measured, tied, evidence), _of_the_study(measured, tied)]


def _best(measured: list[Row], tied: Tied, evidence: Evidence) -> str:
    best, *others = measured
    records = {run.name: run.record for run in evidence.runs}
    asked = records[best["run"]]
    others = [
        row | {"read_again": read_again(records[row["run"]], asked, evidence)}
        for row in others
        if records[row["run"]].splits["test"]["sha256"] == asked.splits["test"]["sha256"]
    ]
    return (
        f"The most accurate model measured here is {_name(best)}: it is right on {best['accuracy']:.4f} of the "
        f"{asked.predicted_rows:,} test texts (95% interval {best['low']:.4f} to {best['high']:.4f}, {_seeds(best)})"
        f"{_after(best)}, {_rivals(best, others, tied)}."
    )


def _after(row: Row) -> str:
    """What it took, unless the run only read out what had been trained before."""
    seconds = row["training_seconds"]
    timed_on = str(row["hardware"]).partition(" / ")[0]
    return "" if pd.isna(seconds) else f" after {duration(seconds)} of training on {timed_on}"


def _rivals(best: Row, others: list[Row], tied: Tied) -> str:
    """Whom the best is tied with, or how far ahead of the next it is; the same training read again is no rival."""
    if not others:
        return "with no other to compare"
    others = [row for row in others if not row["read_again"]] or others
    equal = [row for row in others if tied(best, row)]
    if equal:
        named = [f"{_name(row)} ({row['accuracy']:.4f})" for row in equal[:MOST_NAMED]]
        more = [f"{len(equal) - MOST_NAMED} more"] if len(equal) > MOST_NAMED else []
        return f"statistically tied with {_listed([*named, *more])}"
    return f"ahead of the next, {_name(others[0])} ({others[0]['accuracy']:.4f}), by more than chance explains"


def _of_the_study(measured: list[Row], tied: Tied) -> str:
    """The printed figures, what came out of them here, and which of the study's models were not run."""
    *encoders, llama = study.TABLE3
    printed = max(encoders, key=lambda name: study.TABLE3[name])
    says = (
        f"The study printed {study.TABLE3[llama]:.4f} for {study.TABLE3_TITLES[llama]} and "
        f"{study.TABLE3[printed]:.4f} for its best encoder, {study.TABLE3_TITLES[printed]}"
    )
    run = {row["name"]: row for row in measured if pd.notna(row["study"])}
    otherwise: dict[str, Row] = {}  # the best of those run in another way than the study's
    for row in measured:
        if row["name"] in study.TABLE3 and row["name"] not in run:
            otherwise.setdefault(row["name"], row)
    missing = [study.TABLE3_TITLES[name] for name in study.TABLE3 if name not in run and name not in otherwise]
    if not run and not otherwise:
        return f"{says}; none of its five models has been run here, so whether the big model pays stays open."
    apart = [f"under other settings: {_listed([_figure(row) for row in otherwise.values()])}"] if otherwise else []
    if not run:
        return "; ".join([says, "none of its five models has been run here under its settings", *apart]) + "."
    best = max((run[name] for name in encoders if name in run), key=lambda row: row["accuracy"], default=None)
    if llama in run and best is not None:
        relation = "statistically tied" if tied(run[llama], best) else "different by more than chance explains"
        found = (
            f"run here under its settings, {_figure(run[llama])} and the best encoder, {_figure(best)}, are {relation}"
        )
    else:
        found = f"run here under its settings: {_listed([_figure(row) for row in run.values()])}"
    lacking = [f"not run: {_listed(missing)}"] if missing else []
    return "; ".join([says, found, *apart, *lacking]) + "."


def _key(row: Row) -> tuple[str, str, float]:
    """A variant in either table."""
    return row["model"], row["recipe"], row["accuracy"]


def _name(row: Row) -> str:
    return f"{row['model']} on recipe {row['recipe'].replace(', ', ' with ', 1)}"


def _figure(row: Row) -> str:
    return f"{study.TABLE3_TITLES[row['name']]} at {row['accuracy']:.4f} ({_seeds(row)})"


def _seeds(row: Row) -> str:
    return "one seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
