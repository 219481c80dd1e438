"""The same models on several data sets."""

import pandas as pd

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import with_results
from benchmark.report.table import (
    ACCURACY,
    CONFIGURATION,
    INTERVAL,
    MACRO_F1,
    MODEL,
    MODEL_NAME,
    RECIPE,
    SEEDS,
    Column,
    Table,
)

REFERENCE = "tfidf"


def data_sets(analysis: AnalysedResults) -> pd.DataFrame:
    """One row per data set and model, by data set and falling accuracy; empty if only one data set has results.

    Of several configurations of a model, the row is the one with the best validation accuracy; training options that
    were only tried are left out. `gain` is the difference of its accuracy and TF-IDF's.
    """
    records = {name: run.record for name, run in analysis.results.runs_by_name.items()}
    candidates = with_results(analysis.without_ablations)
    candidates = candidates[candidates["run"].map(lambda run: records[run].config.dataset.test is None).astype(bool)]
    if candidates["dataset"].nunique() < 2:
        return pd.DataFrame()
    chosen = _best_on_validation(analysis, candidates).assign(
        name=lambda rows: rows["model"], model=lambda rows: rows["title"]
    )
    chosen["words"] = chosen["dataset"].map(_words(analysis))
    chosen["labels"] = [len(records[run].labels) for run in chosen["run"]]
    simple = chosen[chosen["name"] == REFERENCE].set_index("dataset")["accuracy"]
    chosen["gain"] = chosen["accuracy"].astype(float) - chosen["dataset"].map(simple).astype(float)
    order = {name: place for place, name in enumerate(analysis.datasets)}
    return chosen.sort_values("dataset", key=lambda names: names.map(order), kind="stable")


def _best_on_validation(analysis: AnalysedResults, candidates: pd.DataFrame) -> pd.DataFrame:
    """Choose the configuration of each model with the best validation accuracy.

    Models without validation accuracies are not tuned here, so their first configuration by name is taken.
    """
    runs = analysis.results.runs
    validation = runs[runs["counted"]].astype({"validation_accuracy": float}).groupby("configuration")
    ranked = candidates.assign(validation=candidates["configuration"].map(validation["validation_accuracy"].mean()))
    ranked = ranked.sort_values(
        ["validation", "short_name"], ascending=[False, True], kind="stable", na_position="last"
    )
    best = ranked.drop_duplicates(["dataset", "model"])["configuration"]
    return candidates[candidates["configuration"].isin(best)]


def _words(analysis: AnalysedResults) -> dict[str, float]:
    """The mean number of words per text of the whole test split, by data set. Older records do not have it."""
    means = {}
    for _, run in analysis.results.runs.iterrows():
        record = analysis.results.runs_by_name[run["run"]].record
        whole = record.config.dataset.test_rows is None
        if whole and record.data and (words := record.data.splits["test"].words):
            means[run["dataset"]] = words
    return means


DATA_SETS = Table(
    "data_sets",
    "The same models on several data sets",
    data_sets,
    (
        CONFIGURATION,
        MODEL_NAME,
        Column("kind"),
        Column("dataset", "Data set"),
        Column("train_rows", "Training texts", "{:,}".format),
        Column("labels", "Labels"),
        Column("words", "Words per text", "{:.1f}".format, "mean of the test split"),
        MODEL,
        RECIPE,
        ACCURACY,
        INTERVAL,
        SEEDS,
        MACRO_F1,
        Column("gain", "Above TF-IDF", "{:+.4f}".format, "difference of the accuracies"),
    ),
    note="Each model with the configuration that has the best validation accuracy on that data set. The figure "
    "leaves out models that were run on one data set only.",
    section="several-data-sets",
)
