"""Configurations beside the one that they differ from only in changed test texts, or in a training option."""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.comparisons import compare
from benchmark.analysis.configurations import mean_accuracy, with_results
from benchmark.analysis.frame import Results
from benchmark.analysis.identity import shared, short_hash
from benchmark.analysis.inference import combine_p_values, interval_of_change, mcnemar
from benchmark.interface import Recipe
from benchmark.report.formats import fixed, p_value
from benchmark.report.table import FOUR_DECIMALS, IDENTITY, PERCENT, SEEDS, Column, Table, declared
from benchmark.report.tables.comparison import four_digits
from benchmark.results.record import RunRecord

OPTIONS = ("class_weights", "label_smoothing", "keep", "patience")
"""The training options of the table of ablations."""
UNUSED: dict[str, Any] = {option.name: option.default for option in fields(Recipe) if option.name in OPTIONS}
"""Their defaults."""


def robustness(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration that was tested on changed texts, beside the same models on the unchanged texts."""
    results, configurations = analysis.results, analysis.configurations
    records = {run: results.by_name[run].record for runs in configurations["counted"] for run in runs}
    unchanged = {(_key(record), _trained(record)): run for run, record in records.items() if record.is_result}
    rows = []
    for counted in configurations["counted"]:
        changed = [run for run in counted if records[run].completes_all and records[run].config.dataset.perturb]
        unchanged_of = {run: unchanged.get((_key(records[run]), _trained(records[run]))) for run in changed}
        if pairs := [(before, run) for run, before in unchanged_of.items() if before is not None]:
            rows.append(_changed_texts(results, pairs))
    rows.sort(key=lambda row: (row["tested_on"], row["model"], row["recipe"], row["perturbation"]))
    return pd.DataFrame(rows, dtype=object)


def ablations(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration with another value of `OPTIONS`, beside the one with their defaults."""
    rows = [_ablation(analysis.results, row, base) | {"option": options} for row, base, options in _tried(analysis)]
    rows.sort(key=lambda row: (row["model"], row["recipe"], row["option"]))
    return pd.DataFrame(rows, dtype=object)


def without_ablations(analysis: AnalysedResults) -> pd.DataFrame:
    """The configurations but those of `ablations`, so that a headline is not the best of many options tried."""
    tried = [row["configuration"] for row, _, _ in _tried(analysis)]
    return analysis.configurations[~analysis.configurations["configuration"].isin(tried)]


def _tried(analysis: AnalysedResults) -> list[tuple[pd.Series, pd.Series, str]]:
    """Each configuration with results and another value of `OPTIONS`, the one with their defaults, and the values."""
    results, table = analysis.results, with_results(analysis.configurations)
    records = [results.by_name[run].record for run in table["run"]]
    keys = [_key(record, [f"recipe.{option}" for option in OPTIONS]) for record in records]
    used = [_options_used(record) for record in records]
    configurations = [row for _, row in table.iterrows()]
    plain = {key: row for key, row, options in zip(keys, configurations, used, strict=True) if not options}
    return [
        (row, plain[key], ", ".join(options))
        for key, row, options in zip(keys, configurations, used, strict=True)
        if options and key in plain
    ]


def _options_used(record: RunRecord) -> list[str]:
    """The options of `OPTIONS` that have another value than their default."""
    recipe = record.config.recipe
    return [f"{name}={getattr(recipe, name)}" for name in OPTIONS if getattr(recipe, name) != UNUSED[name]]


def _key(record: RunRecord, leave_out: Collection[str] = ("dataset.perturb",)) -> str:
    """What runs share that differ in nothing but their seed and the options `leave_out`."""
    before = record.data and record.data.unperturbed_sha256
    data = record.data_sha256 | ({"test": before} if before else {})
    return short_hash(shared(record.config, leave_out), data)


def _trained(record: RunRecord) -> tuple[int, str | None]:
    """The seed and the weights that the run kept or read: a training that was repeated elsewhere may differ."""
    return record.seed, record.fit.saved_sha256 if record.fit else None


def _changed_texts(results: Results, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The row of the pairs of runs, one for each seed, on unchanged and on changed texts."""
    (unchanged, changed), runs = pairs[0], results.runs.set_index("run")
    before, after = (results.correct(of_seeds) for of_seeds in zip(*pairs, strict=True))
    answers, changed_answers = (results.predicted(of_seeds) for of_seeds in zip(*pairs, strict=True))
    counts = zip((after & ~before).sum(axis=1).tolist(), (before & ~after).sum(axis=1).tolist(), strict=True)
    record = results.by_name[changed].record
    assert record.data is not None
    return {
        "configuration": runs.loc[changed, "configuration"],
        "model": record.title,
        "recipe": runs.loc[unchanged, "recipe"],
        "tested_on": runs.loc[unchanged, "dataset"],
        "perturbation": str(record.config.dataset.perturb),
        "changed_texts": record.data.perturbed_rows / record.data.splits["test"].rows,
        "seeds": len(pairs),
        "before": mean_accuracy(before),
        "after": mean_accuracy(after),
        "difference": mean_accuracy(after) - mean_accuracy(before),
        **vars(interval_of_change(after, before)),
        "p": four_digits(combine_p_values([mcnemar(*seed) for seed in counts])),
        "changed_answers": float((answers != changed_answers).mean()),
    }


def _ablation(results: Results, row: pd.Series, base: pd.Series) -> dict[str, Any]:
    [pair] = compare({"with": results.correct(row["counted"]), "without": results.correct(base["counted"])})
    return {
        "configuration": row["configuration"],
        "base_id": base["configuration"],
        "model": row["title"],
        "recipe": base["recipe"],
        "seeds": f"{row['seeds']} and {base['seeds']}",
        "accuracy_without": base["accuracy"],
        "accuracy_with": row["accuracy"],
        **{name: pair[name] for name in ("difference", "low", "high")},
        "macro_f1_difference": row["macro_f1"] - base["macro_f1"],
        "p": four_digits(pair["p"]),
    }


DIFFERENCE = Column("difference", "Difference", fixed("+.4f"))
DIFFERS = Column("low", "95% interval", FOUR_DECIMALS, "of the difference", end="high")
P = Column("p", "McNemar's p", p_value)

ROBUSTNESS = Table(
    "robustness",
    "Accuracy on changed test texts",
    robustness,
    (
        *IDENTITY,
        declared("perturbation", "Change"),
        Column("before", "Accuracy, unchanged", FOUR_DECIMALS),
        Column("after", "Accuracy, changed", FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        P,
        Column("changed_texts", "Texts changed", PERCENT),
        Column("changed_answers", "Predictions changed", PERCENT),
        SEEDS,
        declared("tested_on", "Test texts of"),
    ),
    note="The same trained models on the same texts, changed by the rules of `dataset.perturb` (docs/how-it-works.md). "
    "Each seed is paired with itself: where the changed texts were predicted with seed 0 only, the accuracy on the "
    "unchanged ones is that of seed 0, not the leaderboard's mean over seeds. *McNemar's p* combines the seeds by "
    "Rüger's rule and is not corrected for the number of rows. The labels stay, and after *negation* they may no "
    "longer be right: there, *predictions changed* says whether a model reads the negation.",
    section="errors",
)

ABLATIONS = Table(
    "ablations",
    "Training options, each beside the same recipe without it",
    ablations,
    (
        *IDENTITY,
        Column("base_id"),
        declared("option", "Option"),
        Column("seeds", "Seeds", help="with and without the option"),
        Column("accuracy_without", "Accuracy without", FOUR_DECIMALS),
        Column("accuracy_with", "Accuracy with", FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        Column("macro_f1_difference", "Macro-F1, difference", fixed("+.4f")),
        P,
    ),
    note="Two configurations of the same model, data and recipe that differ only in `recipe.class_weights`, "
    "`label_smoothing`, `keep` or `patience`. Every seed of one is paired with every seed of the other, as in the "
    "table of pairs; p is not corrected for the number of rows.",
    section="differences",
)
