"""How a table's numbers read: rounded, with headings, as Markdown."""

from typing import Any

import pandas as pd

HEADINGS = {
    "model": "Model", "weights": "Weights", "parameters": "Parameters", "trained_parameters": "Trained",
    "context_length": "Context", "grouped_query_attention": "GQA", "training_data": "Training data",
    "token_count": "Tokens", "knowledge_cutoff": "Cutoff", "source": "Source", "recipe": "Recipe",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate", "schedule": "Schedule", "batch_size": "Batch", "max_length": "Max length",
    "gradient_accumulation_steps": "Accumulation", "epochs": "Epochs", "lora_rank": "LoRA rank",
    "precision": "Precision", "attention": "Attention", "study": "Study", "accuracy": "Accuracy", "spread": "± seeds",
    "interval": "95% interval", "seeds": "Seeds", "macro_f1": "Macro-F1", "training_seconds": "Training",
    "label": "Label", "precision_score": "Precision", "recall": "Recall", "f1": "F1", "support": "Support",
    "hardware": "Hardware", "status": "Status", "command": "Command",
    "batching": "Batching", "samples_per_second": "Trains, samples/s", "training_ratio": "× plain",
    "utilisation": "Of matrix peak", "answered_per_second": "Answers, texts/s", "answering_ratio": "× plain ",
}  # fmt: skip

SHARES = ("study", "accuracy", "spread", "macro_f1", "precision_score", "recall", "f1")


INTERNAL = ("name", "run")
"""Columns that address a row's contestant and its first run, and are not for reading."""


def markdown(table: pd.DataFrame) -> str:
    """A table for people, as the README shows it."""
    shown = readable(table.drop(columns=[*INTERNAL], errors="ignore")).replace({r"\|": r"\\|"}, regex=True)
    if "Command" in shown:
        shown["Command"] = [f"`{command}`" for command in shown["Command"]]
    return shown.to_markdown(index=False, disable_numparse=True)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The same table in text, with headings."""
    shown = worded(table)
    shown.columns = pd.Index([HEADINGS[str(column)] for column in shown.columns])
    return shown


def worded(table: pd.DataFrame) -> pd.DataFrame:
    """The same table in text: rounded, an interval in one column, empty cells as dashes."""
    shown = table.copy()
    if "low" in shown:
        pairs = zip(shown.pop("low"), shown.pop("high"), strict=True)
        intervals = [None if pd.isna(low) else f"{low:.4f} to {high:.4f}" for low, high in pairs]
        shown.insert(shown.columns.get_loc("spread") + 1, "interval", intervals)  # type: ignore[operator,arg-type]
    cells = [[_cell(str(column), value) for column, value in row.items()] for row in shown.to_dict("records")]
    return pd.DataFrame(cells, columns=shown.columns)


def _cell(column: str, value: Any) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column in SHARES:
        return f"{value:.4f}"
    if column in ("training_ratio", "answering_ratio"):
        return f"{value:.1f}"
    if column in ("samples_per_second", "answered_per_second"):
        return f"{value:.3g}"
    if column == "utilisation":
        return f"{value:.0%}"
    if column == "training_seconds":
        return duration(float(value))
    if column == "learning_rate" and isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
