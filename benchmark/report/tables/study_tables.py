"""The study's own tables: model details (Table 1), settings (Table 2), accuracy (Table 3)."""

from typing import Any

import pandas as pd

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.configurations import failure, with_results
from benchmark.analysis.names import short_title
from benchmark.config import RunSpec
from benchmark.interface import ModelCard
from benchmark.report import table as t
from benchmark.report.formats import scientific
from benchmark.results.shipped_models import CatalogueEntry

SETTINGS = {**study.TABLE2, **study.PROSE}
"""What Table 2 compares, with the study's values in its order."""
STUDY = "the study"
"""The source in Table 1, and the recipe in Table 2, of the study's own row."""
ONLY_REDUCED = "only reduced runs"
"""The status of a model that has no complete run."""
DEVIATES = "*"
"""Follows a setting that differs from the study's."""


def table1_models(analysis: AnalysedResults) -> pd.DataFrame:
    """The study's row, then every shipped model with parameters, the largest first."""
    theirs = {"model": study.TABLE3_TITLES[study.DECODERS[0]], **study.TABLE1, "source": STUDY}
    ours = [
        {**vars(entry.card), **vars(entry.config.model.facts), "model": entry.config.model.title}
        for entry in _by_size(analysis)
        if entry.card.parameters is not None
    ]
    return pd.DataFrame([theirs, *ours], dtype=object)


def table2_settings(analysis: AnalysedResults) -> pd.DataFrame:
    """The study's settings, then those of every configuration with results, then those of models not run."""
    rows: list[dict[str, Any]] = [
        {
            "configuration": None,
            "model": study.TABLE3_TITLES[study.DECODERS[0]],
            "recipe": STUDY,
            **SETTINGS,
            "status": "published",
        }
    ]
    run_models = set()
    for _, row in analysis.of(study.DATASET).configurations.iterrows():
        record = analysis.results.by_name[row["run"]].record
        if not row["result"] or not row["trained"]:
            continue
        if record.card is not None and record.card.settings:
            run_models.add(row["model"])
            values = _settings(record.config, record.card)
            rows.append({**values, "configuration": row["configuration"], "recipe": row["recipe"], "status": "run"})
    for entry in _by_size(analysis):
        if entry.config.model.name not in run_models and entry.card.settings:
            recipe = entry.config.recipe.name
            rows.append({**_settings(entry.config, entry.card), "recipe": recipe, "status": "not run"})
    return pd.DataFrame(rows, dtype=object)


def table3_accuracy(analysis: AnalysedResults) -> pd.DataFrame:
    """The models that were run by falling accuracy, then those that were not, the study's first and in its order.

    The study's figure stands beside the configuration that repeats the study and beside no other. Reduced runs are left
    out, and so is every run whose test split is not the published one.
    """
    configurations = analysis.of(study.DATASET).configurations
    rows = [_measured(row) for _, row in with_results(configurations).sort_index().iterrows()]
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
    ended = None if failed is None else failure(analysis.results.by_name[failed["run"]].record)
    own = analysis.of(study.DATASET).configurations.query("model == @name")
    not_run = ONLY_REDUCED if len(own) and own["reduced"].all() else "not run"
    return dict.fromkeys(analysis.configurations.columns) | {
        "configuration": None if failed is None else failed["configuration"],
        "name": name,
        "model": entry.config.model.title,
        "study": study.TABLE3.get(name),
        "recipe": entry.config.recipe.name,
        "status": not_run if ended is None else f"no result: {ended}",
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
    values = {**vars(recipe), **card.settings, "optimizer": optimizer, "schedule": str(recipe.schedule)}
    marked = {setting: _marked(setting, values[setting], theirs) for setting, theirs in SETTINGS.items()}
    return {"model": short_title(spec.model.title), **marked}


def _marked(setting: str, ours: Any, theirs: Any) -> Any:
    same = ours == theirs or (setting == "optimizer" and ours == "AdamW, no decay")  # which is Adam
    if same or ours is None or ours == "none":
        return ours
    return f"{scientific(ours) if setting == 'learning_rate' else SETTING_FORMAT(ours)} {DEVIATES}"


SETTING_FORMAT = t.Column("setting").format


def _by_size(analysis: AnalysedResults) -> list[CatalogueEntry]:
    """The shipped models, the largest first."""
    entries = analysis.results.catalogue.items()
    return [entry for _, entry in sorted(entries, key=lambda item: (-(item[1].card.parameters or 0), item[0]))]


TABLES = (
    t.Table(
        "table1_models",
        "Model details",
        table1_models,
        (
            t.declared("model", "Model"),
            t.declared("weights", "Weights"),
            t.declared("parameters", "Parameters"),
            t.declared("trained_parameters", "Trained parameters"),
            t.declared("context_length", "Context"),
            t.declared("grouped_query_attention", "GQA"),
            t.declared("training_data", "Training data"),
            t.declared("token_count", "Tokens"),
            t.declared("knowledge_cutoff", "Cutoff"),
            t.declared("source", "Source"),
        ),
        note="The first row is the study's Table 1. *Trained parameters* leaves out a classification head, whose size "
        "depends on the labels; costs count it.",
        section="models",
    ),
    t.Table(
        "table2_settings",
        "Experiment settings",
        table2_settings,
        (
            *t.IDENTITY,
            t.declared("optimizer", "Optimizer"),
            t.declared("learning_rate", "Learning rate", format=scientific),
            t.declared("batch_size", "Batch"),
            t.declared("epochs", "Epochs"),
            t.declared("lora_rank", "LoRA rank"),
            t.declared("gradient_accumulation_steps", "Accumulation"),
            t.declared("max_length", "Max length"),
            t.declared("schedule", "Schedule"),
            t.declared("precision", "Precision"),
            t.declared("attention", "Attention"),
            t.STATUS,
        ),
        note=f"The first row is the study's Table 2. `{DEVIATES}` differs from the study. AdamW without decay is Adam.",
        section="settings",
    ),
    t.Table(
        "table3_accuracy",
        "Accuracy on the emotion test split",
        table3_accuracy,
        (
            t.CONFIGURATION,
            t.MODEL_NAME,
            t.MODEL,
            t.Column("study", "Study", t.FOUR_DECIMALS, "as the study printed it", source=t.ValueSource.study),
            t.RECIPE,
            *t.SCORES,
            t.TRAINING,
            t.HARDWARE,
            t.STATUS,
            t.Column("command", "Command", code=True, leave_out=("md", "tex", "html")),
            t.Column("run"),
        ),
        note="The study's Table 3, with the models that were measured here. *Study* is the accuracy that the study "
        "printed. `python -m benchmark experiment=table3` runs the study's five models, and "
        "`python -m benchmark model=NAME` any other.",
        section="accuracy",
    ),
)
