"""Configurations beside the one that they differ from only in changed test texts, or in a training option."""

from typing import Any

import pandas as pd

from benchmark.analysis.ablations import key_without, tried_options
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import mean_accuracy, mean_class_scores
from benchmark.analysis.frame import Results
from benchmark.analysis.inference import combine_p_values, interval_of_change, mcnemar
from benchmark.report.formats import fixed, p_value
from benchmark.report.table import FOUR_DECIMALS, IDENTITY, PERCENT, SEEDS, Column, Table, declared
from benchmark.report.tables.comparison import four_digits
from benchmark.results.record import RunRecord

CHANGED = ("dataset.perturb",)
"""The option in which runs on changed texts differ from those on the unchanged texts."""


def robustness(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration that was tested on changed texts, beside the same models on the unchanged texts."""
    results, configurations = analysis.results, analysis.configurations
    records = {run: results.runs_by_name[run].record for runs in configurations["counted"] for run in runs}
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
        compared | {"option": options}
        for row, base, options in tried_options(analysis.results, analysis.configurations)
        if (compared := _ablation(analysis.results, row, base)) is not None
    ]
    rows.sort(key=lambda row: (row["model"], row["recipe"], row["option"]))
    return pd.DataFrame(rows, dtype=object)


def _trained(record: RunRecord) -> tuple[int, str | None]:
    """The seed and the weights that the run kept or read: a training that was repeated elsewhere may differ."""
    return record.seed, record.fit.saved_sha256 if record.fit else None


def _changed_texts(results: Results, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The row of the pairs of runs, one for each seed, on unchanged and on changed texts."""
    (unchanged, changed), runs = pairs[0], results.runs.set_index("run")
    unchanged_runs, changed_runs = zip(*pairs, strict=True)
    record = results.runs_by_name[changed].record
    assert record.data is not None
    return {
        "configuration": runs.loc[changed, "configuration"],
        "model": runs.loc[changed, "title"],
        "recipe": runs.loc[unchanged, "recipe"],
        "tested_on": runs.loc[unchanged, "dataset"],
        "perturbation": str(record.config.dataset.perturb),
        "changed_texts": record.data.perturbed_rows / record.data.splits["test"].rows,
        "seeds": len(pairs),
        "before": mean_accuracy(results.correct(unchanged_runs)),
        "after": mean_accuracy(results.correct(changed_runs)),
        **_change(results, pairs),
    }


def _ablation(results: Results, row: pd.Series, base: pd.Series) -> dict[str, Any] | None:
    """The row of a configuration and its base over the seeds that both have; None without such a seed."""
    of_seed, base_of_seed = (
        {results.runs_by_name[run].record.seed: run for run in one["counted"]} for one in (row, base)
    )
    shared = sorted(of_seed.keys() & base_of_seed.keys())
    if not shared:
        return None
    runs, base_runs = [of_seed[seed] for seed in shared], [base_of_seed[seed] for seed in shared]
    macro_f1 = [mean_class_scores(results, named)["f1"].mean() for named in (base_runs, runs)]
    return {
        "configuration": row["configuration"],
        "base_id": base["configuration"],
        "model": row["title"],
        "recipe": base["recipe"],
        "seeds": len(shared),
        "accuracy_without": mean_accuracy(results.correct(base_runs)),
        "accuracy_with": mean_accuracy(results.correct(runs)),
        "macro_f1_difference": float(macro_f1[1] - macro_f1[0]),
        **_change(results, list(zip(base_runs, runs, strict=True))),
    }


def _change(results: Results, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The difference of the second runs of the pairs from the first, paired by test text and seed."""
    before, after = (results.correct(runs) for runs in zip(*pairs, strict=True))
    answers, changed_answers = (results.predicted(runs) for runs in zip(*pairs, strict=True))
    counts = zip((after & ~before).sum(axis=1).tolist(), (before & ~after).sum(axis=1).tolist(), strict=True)
    return {
        "difference": mean_accuracy(after) - mean_accuracy(before),
        **vars(interval_of_change(after, before)),
        "p": four_digits(combine_p_values([mcnemar(*seed) for seed in counts])),
        "changed_answers": float((answers != changed_answers).mean()),
    }


DIFFERENCE = Column("difference", "Difference", fixed("+.4f"))
DIFFERS = Column("low", "95% interval", FOUR_DECIMALS, "of the difference", end="high")
P = Column("p", "McNemar's p", p_value)

CHANGES = {
    "typos": "typos",
    "uppercase": "upper case",
    "lowercase": "lower case",
    "no_feel": "forms of 'feel' removed",
    "negation": "negation added",
}
"""The kinds of changed test texts, in words."""

ROBUSTNESS = Table(
    "robustness",
    "Accuracy on changed test texts",
    robustness,
    (
        *IDENTITY,
        declared("perturbation", "Change", CHANGES.__getitem__),
        Column("changed_answers", "Predictions changed", PERCENT),
        Column("before", "Accuracy, unchanged", FOUR_DECIMALS),
        Column("after", "Accuracy, changed", FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        P,
        Column("changed_texts", "Texts changed", PERCENT),
        SEEDS,
        declared("tested_on", "Test texts of"),
    ),
    note="The same trained models on the same texts, changed by the rules of `dataset.perturb` (docs/data.md). "
    "Each seed is paired with itself: where the changed texts were predicted with seed 0 only, the accuracy on the "
    "unchanged ones is that of seed 0, not the mean over all seeds. *McNemar's p* combines the seeds by "
    "Rüger's rule and is not corrected for the number of rows. The labels stay, so where a negation was added they "
    "may no longer be right and accuracy is not the measure: *predictions changed* says whether a model reads the "
    "negation.",
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
        SEEDS,
        Column("accuracy_without", "Accuracy without", FOUR_DECIMALS),
        Column("accuracy_with", "Accuracy with", FOUR_DECIMALS),
        DIFFERENCE,
        DIFFERS,
        Column("macro_f1_difference", "Macro-F1, difference", fixed("+.4f")),
        P,
        Column("changed_answers", "Predictions changed", PERCENT),
    ),
    note="Two configurations of the same model, data and recipe that differ only in `recipe.class_weights`, "
    "`label_smoothing`, `keep` or `patience`, or in `model.soft_labels` (the probabilities of teachers, whose training "
    "is not counted). Each seed is paired with itself, and seeds that only one of them has are "
    "left out. *McNemar's p* combines the seeds by Rüger's rule and is not corrected for the number of rows. These "
    "configurations are left out of the first table, the figures and the findings, which would otherwise show the best "
    "of many options tried.",
    section="differences",
)
