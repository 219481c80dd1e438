"""Models that are asked and not trained: every prompt, and the spread over prompts and draws of examples."""

from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import Results
from benchmark.analysis.identity import shared, short_hash
from benchmark.analysis.metrics import accuracy, macro_f1
from benchmark.interface import Prompting
from benchmark.report import table as t
from benchmark.results.record import RunRecord
from benchmark.results.store import Run

SCORES = ("accuracy", "accuracy_other", "macro_f1")
SHARED = ("dataset", "name", "model", "shots", "score", "calibrated", "test_rows")
"""Columns that the row of all prompts takes over."""


def prompts(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration, and one for all prompts that a setting was run with, if they are several.

    `<score>_draws` is the standard deviation over draws of examples, `<score>_prompts` that over the means of prompts.
    """
    found = analysis.configurations
    rows = [
        row | _prompt_scores(analysis.results, row["counted"], record.card.prompting, record)
        for row in found[found["accuracy"].notna()].to_dict("records")
        if (record := analysis.results.by_name[row["run"]].record).card and record.card.prompting
    ]
    if not rows:
        return pd.DataFrame()
    settings = pd.DataFrame(rows, dtype=object).sort_values(["dataset", "title", "shots", "prompt"], kind="stable")
    table = pd.concat([_with_all(group) for _, group in settings.groupby("setting", sort=False)])
    return table.reindex(columns=list(dict.fromkeys([*table.columns, *(f"{score}_prompts" for score in SCORES)])))


def _prompt_scores(results: Results, counted: list[str], prompting: Prompting, record: RunRecord) -> dict[str, Any]:
    """How the model was asked, and the scores over the draws. Without examples, every seed asks the same."""
    runs = [results.by_name[run] for run in counted[: None if prompting.shots else 1]]
    scores = pd.DataFrame(map(_scores, runs))
    return {
        **vars(prompting),
        "setting": short_hash(shared(record.config, ("model.parameters.prompt",)), record.data_sha256),
        "name": record.model,
        "model": record.title,
        "draws": len(runs) if prompting.shots else None,
        **scores.mean(),
        **scores.std().add_suffix("_draws"),
        "lowest": scores["accuracy"].min() if len(runs) > 1 else None,
        "highest": scores["accuracy"].max() if len(runs) > 1 else None,
    }


def _scores(run: Run) -> dict[str, float | None]:
    gold, found = run.gold, run.predictions
    other = next(iter(found.also.values()), None)
    scores = accuracy(gold, found.predicted), other if other is None else accuracy(gold, other)
    return dict(zip(SCORES, (*scores, macro_f1(gold, found.predicted, len(run.record.labels))), strict=True))


def _with_all(prompts_of_setting: pd.DataFrame) -> pd.DataFrame:
    """The rows of one setting, and below them that of all its prompts."""
    first, number = prompts_of_setting.iloc[0], len(prompts_of_setting)
    if number == 1:
        return prompts_of_setting
    scores = prompts_of_setting[[*SCORES]].astype(float)
    summary = {
        **first[[*SHARED]],
        "prompt": f"all {number}",
        **scores.mean(),
        **scores.std().add_suffix("_prompts"),
        "lowest": prompts_of_setting["lowest"].fillna(scores["accuracy"]).min(),
        "highest": prompts_of_setting["highest"].fillna(scores["accuracy"]).max(),
    }
    return pd.concat([prompts_of_setting, pd.DataFrame([summary], dtype=object)])


PROMPTS = t.Table(
    "prompts",
    "Models that are not trained, by prompt",
    prompts,
    (
        t.CONFIGURATION,
        t.MODEL_NAME,
        t.declared("dataset", "Data set"),
        t.MODEL,
        t.declared("shots", "Examples"),
        t.declared("prompt", "Prompt"),
        t.declared("score", "Score"),
        t.declared("calibrated", "Calibrated"),
        t.declared("test_rows", "Test texts", "{:,}".format),
        t.Column("draws", "Draws", help="of the examples"),
        t.Column("accuracy", "Accuracy", t.FOUR_DECIMALS, "mean over the draws, or over the prompts"),
        t.Column(
            "accuracy_draws",
            "SD over draws",
            t.FOUR_DECIMALS,
            "standard deviation of the accuracy over draws of the examples",
        ),
        t.Column(
            "accuracy_prompts", "SD over prompts", t.FOUR_DECIMALS, "standard deviation over the means of the prompts"
        ),
        t.INTERVAL,
        t.Column("lowest", "Range of runs", t.FOUR_DECIMALS, end="highest"),
        t.Column(
            "accuracy_other",
            "Other score",
            t.FOUR_DECIMALS,
            "accuracy by the mean instead of the sum, or the reverse",
        ),
        t.Column("macro_f1", "Macro-F1", t.FOUR_DECIMALS),
        t.Column("macro_f1_draws", "F1, SD over draws", t.FOUR_DECIMALS, leave_out=("html",)),
        t.Column("macro_f1_prompts", "F1, SD over prompts", t.FOUR_DECIMALS, leave_out=("html",)),
    ),
    note="The score of a label is the sum or the mean of the log-probabilities of its tokens. *Calibrated* divides the "
    "probabilities by those of texts without content (Zhao et al., 2021). Nothing is trained.",
    section="everything",
)
