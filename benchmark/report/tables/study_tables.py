"""The study's own tables: model details (Table 1), settings (Table 2), accuracy (Table 3)."""

from typing import Any

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configuration_status import ConfigurationStatus, Outcome
from benchmark.analysis.configurations import failure, with_results
from benchmark.analysis.names import short_title
from benchmark.config import RunSpec
from benchmark.interface import ModelCard
from benchmark.report.formats import plain, scientific
from benchmark.report.table import (
    CONFIGURATION,
    FOUR_DECIMALS,
    HARDWARE,
    IDENTITY,
    MODEL,
    MODEL_NAME,
    RECIPE,
    SCORES,
    STATUS,
    TRAINING,
    Column,
    Table,
    ValueSource,
    declared,
)
from benchmark.results.catalogue import CatalogueEntry

SETTINGS = {**study.TABLE2, **study.PROSE}
"""What Table 2 compares, with the study's values in its order."""
STUDY = "the study"
"""The source in Table 1, and the recipe in Table 2, of the study's own row."""
NOT_USED = "none"
"""How a model card states a setting that does not apply, such as the LoRA rank of full fine-tuning."""
DEVIATES = "*"
"""Follows a setting that differs from the study's."""


def table1_models(analysis: AnalysedResults) -> pd.DataFrame:
    """The study's row, then every shipped model with parameters, the largest first."""
    theirs = {"model": study.TABLE3_TITLES[study.DECODERS[0]], **study.TABLE1, "source": STUDY}
    ours = [
        {
            **vars(entry.card),
            **vars(entry.config.model.facts),
            "model": entry.config.model.title,
            "weights": _weights(entry),
        }
        for entry in _by_size(analysis)
        if entry.card.parameters is not None
    ]
    return pd.DataFrame([theirs, *ours], dtype=object)


def _weights(entry: CatalogueEntry) -> str | None:
    weights = entry.card.weights
    return f"{weights}, in 4 bits" if entry.config.model.facts.four_bit_weights else weights


def table2_settings(analysis: AnalysedResults) -> pd.DataFrame:
    """The settings of the study, then of every configuration with results, then of the models that were not run."""
    published = ConfigurationStatus(Outcome.published)
    theirs = {
        "configuration": None,
        "model": study.TABLE3_TITLES[study.DECODERS[0]],
        "recipe": STUDY,
        **SETTINGS,
        "status": published,
    }
    rows: list[dict[str, Any]] = [theirs]
    run_models = set()
    for _, row in analysis.for_dataset(study.DATASET).configurations.iterrows():
        record = analysis.results.runs_by_name[row["run"]].record
        if not row["result"] or not row["trained"]:
            continue
        if record.card is not None and record.card.settings:
            run_models.add(row["model"])
            values = _settings(record.config, record.card)
            identity = {"configuration": row["configuration"], "recipe": row["recipe"]}
            rows.append({**values, **identity, "status": ConfigurationStatus(Outcome.run)})
    for entry in _by_size(analysis):
        if entry.config.model.name not in run_models and entry.card.settings:
            identity = {"recipe": entry.config.recipe.name}
            status = ConfigurationStatus(Outcome.not_run)
            rows.append({**_settings(entry.config, entry.card), **identity, "status": status})
    return pd.DataFrame(rows, dtype=object)


def table3_accuracy(analysis: AnalysedResults) -> pd.DataFrame:
    """The models that were run by falling accuracy, then the others, the study's first and in its order.

    The study's figure stands beside the configuration that repeats the study and beside no other. Reduced runs,
    training options that were only tried, and runs with another test split than the published one are left out.
    """
    of_study = analysis.for_dataset(study.DATASET)
    configurations = of_study.configurations
    rows = [_measured(row) for _, row in with_results(of_study.without_ablations).sort_index().iterrows()]
    repeats = {row["model"]: row for _, row in configurations[configurations["repeats_study"].astype(bool)].iterrows()}
    for name, entry in analysis.results.catalogue.items():
        shown = [row for row in rows if row["name"] == name and (name not in study.TABLE3 or row["study"])]
        if not shown and entry.card.computed_here:
            rows.append(_not_run(analysis, name, entry, repeats.get(name)))
    rows.sort(key=_position)
    return pd.DataFrame(rows, dtype=object)


def _measured(row: pd.Series) -> dict[str, Any]:
    published = study.TABLE3.get(row["model"]) if row["repeats_study"] else None
    return {**row, "name": row["model"], "model": row["title"], "study": published}


def _not_run(analysis: AnalysedResults, name: str, entry: CatalogueEntry, failed: pd.Series | None) -> dict[str, Any]:
    configurations = analysis.for_dataset(study.DATASET).configurations.query("model == @name")
    only_reduced = len(configurations) > 0 and configurations["reduced"].all()
    status = ConfigurationStatus(Outcome.only_reduced if only_reduced else Outcome.not_run)
    if failed is not None:
        status = ConfigurationStatus(Outcome.no_result, (failure(analysis.results.runs_by_name[failed["run"]].record),))
    return dict.fromkeys(analysis.configurations.columns) | {
        "configuration": None if failed is None else failed["configuration"],
        "name": name,
        "model": entry.config.model.title,
        "study": study.TABLE3.get(name),
        "recipe": entry.config.recipe.name,
        "status": status,
        "command": f"python -m benchmark model={name}",
        "run": None if failed is None else failed["run"],
    }


def _position(row: dict[str, Any]) -> tuple[bool, float, int]:
    order = list(study.TABLE3)
    measured = row["accuracy"] is not None
    place = order.index(row["name"]) if row["name"] in order else len(order)
    return not measured, -row["accuracy"] if measured else 0, place


def _settings(spec: RunSpec, card: ModelCard) -> dict[str, Any]:
    recipe = spec.recipe
    name = {"adamw": "AdamW", "adafactor": "Adafactor"}[recipe.optimizer]
    optimizer = f"{name}, decay {recipe.weight_decay:g}" if recipe.weight_decay else f"{name}, no decay"
    ours = dict.fromkeys(SETTINGS) | vars(recipe) | card.settings
    ours |= {"optimizer": optimizer, "schedule": str(recipe.schedule)}
    alike = {setting for setting, theirs in SETTINGS.items() if ours[setting] in (theirs, None, NOT_USED)}
    if recipe.optimizer == "adamw" and not recipe.weight_decay:  # which is Adam
        alike.add("optimizer")
    marked = {setting: ours[setting] if setting in alike else _marked(setting, ours[setting]) for setting in SETTINGS}
    return {"model": short_title(spec.model.title), **marked}


def _marked(setting: str, value: Any) -> str:
    """The text of a setting that differs from the study's, with the mark `DEVIATES`."""
    return f"{scientific(value) if setting == 'learning_rate' else plain(value)} {DEVIATES}"


def _by_size(analysis: AnalysedResults) -> list[CatalogueEntry]:
    """The shipped models, the largest first."""
    entries = analysis.results.catalogue.items()
    return [entry for _, entry in sorted(entries, key=lambda item: (-(item[1].card.parameters or 0), item[0]))]


TABLES = (
    Table(
        "table1_models",
        "Model details",
        table1_models,
        (
            declared("model", "Model"),
            declared("weights", "Weights"),
            declared("parameters", "Parameters"),
            declared("trained_parameters", "Trained parameters"),
            declared("context_length", "Context"),
            declared("grouped_query_attention", "GQA"),
            declared("training_data", "Training data"),
            declared("token_count", "Tokens"),
            declared("knowledge_cutoff", "Cutoff"),
            declared("source", "Source"),
        ),
        note="The first row is the study's Table 1. *Trained parameters* leaves out a classification head, whose size "
        "depends on the labels; costs count it. Qwen2.5-Coder 1.5B counts 1.78 billion, because its file has a "
        "separate output matrix. *Context*: the most tokens that the model reads at once. *GQA* (grouped-query "
        "attention): several heads of queries share keys and values. *Tokens*: the amount of training data. *Cutoff*: "
        "the date of the newest training data.",
        section="models",
    ),
    Table(
        "table2_settings",
        "Experiment settings",
        table2_settings,
        (
            *IDENTITY,
            declared("optimizer", "Optimizer"),
            declared("learning_rate", "Learning rate", format=scientific),
            declared("batch_size", "Batch"),
            declared("epochs", "Epochs"),
            declared("lora_rank", "LoRA rank"),
            declared("gradient_accumulation_steps", "Accumulation"),
            declared("max_length", "Max length"),
            declared("schedule", "Schedule"),
            declared("precision", "Precision"),
            declared("attention", "Attention"),
            STATUS,
        ),
        note=f"The first row is the study's Table 2. `{DEVIATES}` differs from the study. AdamW without decay is Adam.",
        section="settings",
    ),
    Table(
        "table3_accuracy",
        "Accuracy on the emotion test split",
        table3_accuracy,
        (
            CONFIGURATION,
            MODEL_NAME,
            MODEL,
            Column("study", "Study", FOUR_DECIMALS, "as the study printed it", source=ValueSource.study),
            RECIPE,
            *SCORES,
            TRAINING,
            HARDWARE,
            STATUS,
            Column("command", "Command", code=True, leave_out=("md", "tex", "html")),
            Column("run"),
        ),
        note="The study's Table 3, with the models that were measured here. *Study* is the accuracy that the study "
        "printed. `python -m benchmark experiment=table3` runs the study's five models, and "
        "`python -m benchmark model=NAME` any other.",
        section="accuracy",
    ),
)
