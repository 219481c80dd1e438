"""Models that are asked and not trained: every prompt, and the spread over prompts and draws of examples."""

from typing import Any

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import Results
from benchmark.analysis.identity import seed_independent_spec, short_hash
from benchmark.analysis.metrics import accuracy, macro_f1
from benchmark.interface import Prompting
from benchmark.report.table import CONFIGURATION, FOUR_DECIMALS, INTERVAL, MODEL, MODEL_NAME, Column, Table, declared
from benchmark.results.record import RunRecord
from benchmark.results.store import Run

SCORES = ("accuracy", "accuracy_other", "macro_f1")
SHARED = ("dataset", "name", "model", "shots", "score", "calibrated", "test_rows")
"""Columns that the row of all prompts takes over."""


def prompts(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per configuration, and one row for all prompts of a setting with several.

    `<score>_draws` is the standard deviation over draws of examples, `<score>_prompts` over the means of
    prompts.
    """
    configurations = analysis.configurations
    rows = [
        row | _prompt_scores(analysis.results, row, record.card.prompting, record)
        for row in configurations[configurations["accuracy"].notna()].to_dict("records")
        if (record := analysis.results.runs_by_name[row["run"]].record).card and record.card.prompting
    ]
    if not rows:
        return pd.DataFrame()
    settings = pd.DataFrame(rows, dtype=object).sort_values(["dataset", "title", "shots", "prompt"], kind="stable")
    table = pd.concat([_with_all(group) for _, group in settings.groupby("setting", sort=False)])
    return table.reindex(columns=list(dict.fromkeys([*table.columns, *(f"{score}_prompts" for score in SCORES)])))


def _prompt_scores(results: Results, row: dict[Any, Any], prompting: Prompting, record: RunRecord) -> dict[str, Any]:
    """How the model was asked, and its scores over the draws. Without examples, every seed asks the same."""
    runs = [results.runs_by_name[run] for run in row["counted"][: None if prompting.shots else 1]]
    scores = pd.DataFrame(map(_scores, runs))
    return {
        **vars(prompting),
        "setting": short_hash(seed_independent_spec(record.config, ("model.parameters.prompt",)), record.data_sha256),
        "name": record.model,
        "model": row["title"],
        "draws": len(runs) if prompting.shots else None,
        **scores.mean(),
        **scores.std().add_suffix("_draws"),
        "lowest": scores["accuracy"].min() if len(runs) > 1 else None,
        "highest": scores["accuracy"].max() if len(runs) > 1 else None,
    }


def _scores(run: Run) -> dict[str, float | None]:
    gold, predictions = run.gold, run.predictions
    other = next(iter(predictions.other_scores.values()), None)
    scores = accuracy(gold, predictions.predicted), other if other is None else accuracy(gold, other)
    return dict(zip(SCORES, (*scores, macro_f1(gold, predictions.predicted, len(run.record.labels))), strict=True))


def _with_all(prompts_of_setting: pd.DataFrame) -> pd.DataFrame:
    """The rows of one setting, and below them the row of all its prompts."""
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


PROMPTS = Table(
    "prompts",
    "Models that are not trained, by prompt",
    prompts,
    (
        CONFIGURATION,
        MODEL_NAME,
        declared("dataset", "Data set"),
        MODEL,
        declared("shots", "Examples"),
        declared("prompt", "Prompt"),
        declared("score", "Score"),
        declared("calibrated", "Calibrated"),
        declared("test_rows", "Test texts", "{:,}".format),
        Column("draws", "Draws", help="of the examples"),
        Column("accuracy", "Accuracy", FOUR_DECIMALS, "mean over the draws, or over the prompts"),
        Column(
            "accuracy_draws",
            "SD over draws",
            FOUR_DECIMALS,
            "standard deviation of the accuracy over draws of the examples",
        ),
        Column(
            "accuracy_prompts", "SD over prompts", FOUR_DECIMALS, "standard deviation over the means of the prompts"
        ),
        INTERVAL,
        Column("lowest", "Range of runs", FOUR_DECIMALS, end="highest"),
        Column(
            "accuracy_other",
            "Other score",
            FOUR_DECIMALS,
            "accuracy by the mean instead of the sum, or the reverse",
        ),
        Column("macro_f1", "Macro-F1", FOUR_DECIMALS),
        Column("macro_f1_draws", "F1, SD over draws", FOUR_DECIMALS, leave_out=("html",)),
        Column("macro_f1_prompts", "F1, SD over prompts", FOUR_DECIMALS, leave_out=("html",)),
    ),
    note="The score of a label is the sum or the mean of the log-probabilities of its tokens. *Calibrated* divides the "
    "probabilities by those of texts without content (Zhao et al., 2021). Nothing is trained.",
    section="everything",
)
