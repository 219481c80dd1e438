"""Configurations beside the one that they differ from only in changed test texts, or in a training option."""

from typing import Any

import pandas as pd

from benchmark.analysis.ablations import key_without, tried_options
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.comparisons import compare
from benchmark.analysis.configurations import mean_accuracy
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import combine_p_values, interval_of_change, mcnemar
from benchmark.report import table as t
from benchmark.report.formats import fixed, p_value
from benchmark.report.tables.comparison import four_digits
from benchmark.results.record import RunRecord

CHANGED = ("dataset.perturb",)
"""The option in which runs on changed texts differ from those on the unchanged texts."""


def robustness(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration that was tested on changed texts, beside the same models on the unchanged texts."""
    results, configurations = analysis.results, analysis.configurations
    records = {run: results.by_name[run].record for runs in configurations["counted"] for run in runs}
    unchanged = {
        (key_without(record, CHANGED), _trained(record)): run for run, record in records.items() if record.is_result
    }
    rows = []
    for counted in configurations["counted"]:
        changed = [run for run in counted if records[run].completes_all and records[run].config.dataset.perturb]
        unchanged_of = {
            run: unchanged.get((key_without(records[run], CHANGED), _trained(records[run]))) for run in changed
        }
        if pairs := [(before, run) for run, before in unchanged_of.items() if before is not None]:
            rows.append(_changed_texts(results, pairs))
    rows.sort(key=lambda row: (row["tested_on"], row["model"], row["recipe"], row["perturbation"]))
    return pd.DataFrame(rows, dtype=object)


def ablations(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration with a training option that was tried, beside the one without it."""
    rows = [
        _ablation(analysis.results, row, base) | {"option": options} for row, base, options in tried_options(analysis)
    ]
    rows.sort(key=lambda row: (row["model"], row["recipe"], row["option"]))
    return pd.DataFrame(rows, dtype=object)


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


CHANGES = {
    "typos": "typos",
    "uppercase": "upper case",
    "lowercase": "lower case",
    "no_feel": "forms of 'feel' removed",
    "negation": "negation added",
}
"""The kinds of changed test texts, in words."""
DIFFERENCE = t.Column("difference", "Difference", fixed("+.4f"))
DIFFERS = t.Column("low", "95% interval", t.FOUR_DECIMALS, "of the difference", end="high")
P = t.Column("p", "McNemar's p", p_value)

ROBUSTNESS = t.Table(
    "robustness",
    "Accuracy on changed test texts",
    robustness,
    (
        *t.IDENTITY,
        t.declared("perturbation", "Change", CHANGES.__getitem__),
        t.Column("changed_answers", "Predictions changed", t.PERCENT),
        t.Column("before", "Accuracy, unchanged", t.FOUR_DECIMALS),
        t.Column("after", "Accuracy, changed", t.FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        P,
        t.Column("changed_texts", "Texts changed", t.PERCENT),
        t.SEEDS,
        t.declared("tested_on", "Test texts of"),
    ),
    note="The same trained models on the same texts, changed by the rules of `dataset.perturb` (docs/how-it-works.md). "
    "Each seed is paired with itself: where the changed texts were predicted with seed 0 only, the accuracy on the "
    "unchanged ones is that of seed 0, not the leaderboard's mean over seeds. *McNemar's p* combines the seeds by "
    "Rüger's rule and is not corrected for the number of rows. The labels stay, so where a negation was added they "
    "may no longer be right and accuracy is not the measure: *predictions changed* says whether a model reads the "
    "negation.",
    section="errors",
)

ABLATIONS = t.Table(
    "ablations",
    "Training options, each beside the same recipe without it",
    ablations,
    (
        *t.IDENTITY,
        t.Column("base_id"),
        t.declared("option", "Option"),
        t.Column("seeds", "Seeds", help="with and without the option"),
        t.Column("accuracy_without", "Accuracy without", t.FOUR_DECIMALS),
        t.Column("accuracy_with", "Accuracy with", t.FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        t.Column("macro_f1_difference", "Macro-F1, difference", fixed("+.4f")),
        P,
    ),
    note="Two configurations of the same model, data and recipe that differ only in `recipe.class_weights`, "
    "`label_smoothing`, `keep` or `patience`. Every seed of one is paired with every seed of the other, as in the "
    "table of pairs; p is not corrected for the number of rows.",
    section="differences",
)
