"""How accuracy depends on training: number of rows, read-out, and the trials behind `recipe=tuned`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import accuracy_scores, mean_accuracy, mean_class_scores
from benchmark.analysis.frame import Results
from benchmark.analysis.names import recipe_in_words
from benchmark.config import RunSpec
from benchmark.dataset_config import RowChoice
from benchmark.interface import NO_LABEL, Readout
from benchmark.report.formats import scientific
from benchmark.report.table import (
    ACCURACY,
    FOUR_DECIMALS,
    INTERVAL,
    MACRO_F1,
    MODEL,
    PERCENT,
    RECIPE,
    SEEDS,
    SPREAD,
    Column,
    Table,
    declared,
)
from benchmark.results.record import Status

NOT_IN_RECIPE = ("dataset.train_rows=", "dataset.validation_rows=", "dataset.row_choice=")
"""Options of the data, which are no part of a curve's recipe."""

CURVE = Column("curve", help="id of the configurations that differ only in the number of training rows")


def learning_curve(analysis: AnalysedResults) -> pd.DataFrame:
    """The scores by number of training rows, for configurations run with two numbers or more; means over seeds.

    Where runs on as many rows read other training texts or labels, only the data of the newest run count.
    """
    results, runs = analysis.results, analysis.results.runs
    completed = (runs["status"] == Status.completed) & runs["pretrained"]
    is_point = runs["run"].map(lambda run: _is_point(results.runs_by_name[run].record.config)).astype(bool)
    complete = runs[completed & is_point]
    curves = [curve for _, group in complete.groupby("curve", sort=False) for curve in _curves(results, group)]
    rows = [row for curve in curves if curve["train_rows"].nunique() > 1 for row in _points(results, curve)]
    rows.sort(key=lambda row: (row["rows"], row["model"], row["recipe"]))
    return pd.DataFrame(rows, dtype=object)


def _is_point(config: RunSpec) -> bool:
    """Whether nothing is limited but training rows, and with them perhaps validation rows."""
    dataset = config.dataset
    trained_on_all, validated_on_all = dataset.train_rows is None, dataset.validation_rows is None
    return dataset.test_rows is None and config.recipe.max_steps is None and (validated_on_all or not trained_on_all)


def _curves(results: Results, group: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """One curve for each way in which the rows were chosen; runs on all rows belong to every curve."""
    datasets = [results.runs_by_name[run].record.config.dataset for run in group["run"]]
    choices = pd.Series([dataset.row_choice for dataset in datasets], group.index)
    whole = pd.Series([dataset.train_rows is None for dataset in datasets], group.index)
    for choice in choices[~whole].unique():
        suffix = "" if choice == RowChoice.first else f"-{choice}"
        yield group[whole | (choices == choice)].assign(curve=group["curve"] + suffix, rows=str(choice))


def _points(results: Results, group: pd.DataFrame) -> list[dict[str, Any]]:
    last = results.runs_by_name[group.sort_values("train_rows", kind="stable")["run"].iloc[-1]].record
    recipe = recipe_in_words(last, results.catalogue, leave_out=NOT_IN_RECIPE)
    in_steps = last.fit is not None and last.fit.steps > 0
    rows = []
    for _, point in group.groupby("train_rows"):
        point = _of_newest_data(results, point)
        # All rows can be asked for by number or not at all: one run per seed counts.
        whole_first = point.sort_values(["reduced", "seed"], kind="stable").drop_duplicates("seed")
        runs = whole_first.sort_values("seed")["run"].tolist()
        rows.append(
            {
                "curve": group["curve"].iloc[0],
                "model": group["title"].iloc[0],
                "recipe": recipe,
                "rows": group["rows"].iloc[0],
                "epochs": last.config.recipe.epochs if in_steps else None,
                "train_rows": int(point["train_rows"].iloc[0]),
                "steps": point["steps"].iloc[0],
                "seeds": len(runs),
                **accuracy_scores(results, runs),
                "remark": _constant(results, runs),
                **mean_class_scores(results, runs)["f1"].add_prefix("f1_"),
            }
        )
    return rows


def _of_newest_data(results: Results, point: pd.DataFrame) -> pd.DataFrame:
    """The runs of a point that read the same training texts and labels as the newest run."""
    records = [results.runs_by_name[run].record for run in point["run"]]
    newest = max(records, key=lambda record: record.started)
    return point[[record.data_sha256 == newest.data_sha256 for record in records]]


def _constant(results: Results, runs: list[str]) -> str | None:
    """Return a remark if every seed predicts one label for every text."""
    predicted = results.predicted(runs)
    constant = (predicted == predicted[:, :1]).all() and NO_LABEL not in predicted
    return "a constant prediction" if constant else None


def readouts(analysis: AnalysedResults) -> pd.DataFrame:
    """The accuracy, invalid answers and disagreement of the read-outs of one training, for trainings with two or more.

    `differs_from_...` is the share of test texts with different predictions, the mean over the seeds that both have.
    """
    results, runs = analysis.results, analysis.results.runs
    comparable = runs[runs["result"] & runs["training"].notna()]
    trainings = [group for _, group in comparable.groupby("training", sort=False) if group["readout"].nunique() > 1]
    return pd.DataFrame([row for group in trainings for row in _readouts(results, group)], dtype=object)


def _readouts(results: Results, group: pd.DataFrame) -> list[dict[str, Any]]:
    origins = [
        results.runs_by_name[trained_by or run].record
        for trained_by, run in zip(group["trained_by"], group["run"], strict=True)
    ]
    recipes = [recipe_in_words(origin, results.catalogue) for origin in origins]
    group = group.assign(seed=[origin.seed for origin in origins], recipe=recipes)
    group = group.drop_duplicates(["readout", "seed"])
    group = group[group.groupby("seed")["seed"].transform("size") > 1]  # seeds with one read-out compare with nothing
    predicted = {
        (readout, seed): results.answers_of(run)["predicted"].to_numpy()
        for readout, seed, run in zip(group["readout"], group["seed"], group["run"], strict=True)
    }
    rows = []
    for readout in Readout:
        of_readout = group[group["readout"] == readout]
        if of_readout.empty:
            continue
        answers = results.predicted(of_readout["run"])
        row = {
            "model": of_readout["title"].iloc[0],
            "recipe": of_readout["recipe"].iloc[0],
            "readout": readout.value,
            "seeds": len(of_readout),
            "accuracy": mean_accuracy(results.correct(of_readout["run"])),
            "invalid": float((answers == NO_LABEL).mean(axis=1).mean()),
        }
        for other in Readout:
            seeds = [seed for seed in of_readout["seed"] if other is not readout and (other, seed) in predicted]
            shares = [(predicted[readout, seed] != predicted[other, seed]).mean() for seed in seeds]
            row[f"differs_from_{other.name}"] = float(np.mean(shares)) if shares else None
        rows.append(row)
    return rows


def tuning(analysis: AnalysedResults) -> pd.DataFrame:
    """The runs that predicted one test text only, the best of each model first."""
    results, runs = analysis.results, analysis.results.runs
    pretrained = runs[(runs["status"] == Status.completed) & runs["pretrained"]]
    trials = pretrained[~pretrained["scorable"] & pretrained["validation_accuracy"].notna()]
    rows = []
    for run, title, accuracy in trials[["run", "title", "validation_accuracy"]].itertuples(index=False):
        record = results.runs_by_name[run].record
        recipe, asked = record.config.recipe, record.config.dataset.train_rows
        if recipe.max_steps is not None:
            continue
        row: dict[str, Any] = {"model": title, "recipe": recipe_in_words(record, results.catalogue, OWN_COLUMNS)}
        row |= {"learning_rate": recipe.learning_rate, "epochs": recipe.epochs, "train_rows": asked or "all"}
        rows.append(row | {"seed": record.seed, "validation_accuracy": accuracy})
    rows.sort(key=lambda row: (row["model"], row["recipe"], -row["validation_accuracy"]))
    return pd.DataFrame(rows, dtype=object)


OWN_COLUMNS = ("recipe.learning_rate=", "recipe.epochs=", "dataset.train_rows=", "dataset.test_rows=",
               "dataset.row_choice=")  # fmt: skip
"""Settings that the table of trials shows in columns of their own."""


def learning_curve_table(labels: Sequence[str]) -> Table:
    """The declaration of the learning curves on a data set with these labels."""
    return Table(
        "learning_curve",
        "Accuracy by number of training texts",
        learning_curve,
        (
            CURVE,
            MODEL,
            RECIPE,
            declared("rows", "Rows"),
            declared("epochs", "Epochs"),
            declared("train_rows", "Training rows"),
            Column("steps", "Steps"),
            SEEDS,
            ACCURACY,
            SPREAD,
            INTERVAL,
            MACRO_F1,
            Column("remark", "Remark"),
            *(Column(f"f1_{label}", f"F1 {label}", FOUR_DECIMALS, leave_out=("html",)) for label in labels),
        ),
        note="*Rows* says how `dataset.row_choice` took the training rows: *balanced* has equally many of each label, "
        "*first* those at the beginning of the file. *A constant prediction* is one label for every text: its "
        "accuracy is the share of that label.",
        section="learning",
    )


LEARNING_CURVE = learning_curve_table(study.LABELS)

TABLES = (
    LEARNING_CURVE,
    Table(
        "readouts",
        "Read-outs of a fine-tuned decoder",
        readouts,
        (
            MODEL,
            RECIPE,
            declared("readout", "Read-out"),
            SEEDS,
            ACCURACY,
            Column("invalid", "No label", PERCENT),
            *(Column(f"differs_from_{way.name}", f"≠ {way.value}", PERCENT) for way in Readout),
        ),
        note="A read-out is how a label is taken from the decoder: the likeliest of the labels (*constrained labels*), "
        "a text that it writes (*free generation*), or an output layer on top (*classification head*), trained "
        "with an adapter of its own; the others use the same adapter. "
        "≠ is the share of test texts with another prediction, the mean over the seeds that both have. Only "
        "seeds with two read-outs or more count: where that is seed 0 only, the accuracy is that of seed 0, not the "
        "mean over all seeds. In bf16 "
        "the read-outs round differently, so texts near the boundary of two labels may change.",
        section="errors",
    ),
    Table(
        "tuning",
        "Trials scored on the validation split",
        tuning,
        (
            MODEL,
            RECIPE,
            declared("learning_rate", "Learning rate", format=scientific),
            declared("epochs", "Epochs"),
            declared("train_rows", "Training rows"),
            declared("seed", "Seed"),
            Column("validation_accuracy", "Validation accuracy", FOUR_DECIMALS),
        ),
        note="Accuracy on the validation split after the last epoch, or after the best one with `recipe.keep=best`. "
        "Each of these runs predicted one test text, so none of them has a test accuracy. The learning rates of MiniLM "
        "and SmolLM2 in `recipe=tuned` were chosen from such trials on the study's data set, and those of networks on "
        "another data set from its own trials.",
        section="settings",
    ),
)
