"""How a table's numbers read: rounded, with headings, as Markdown."""

from typing import Any

import pandas as pd

from benchmark.analysis import study

HEADINGS = {
    "model": "Model", "weights": "Weights", "parameters": "Parameters", "trained_parameters": "Parameters trained",
    "context_length": "Context", "grouped_query_attention": "GQA", "training_data": "Training data",
    "token_count": "Tokens", "knowledge_cutoff": "Cutoff", "source": "Source", "recipe": "Recipe",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate", "schedule": "Schedule", "batch_size": "Batch", "max_length": "Max length",
    "gradient_accumulation_steps": "Accumulation", "epochs": "Epochs", "lora_rank": "LoRA rank",
    "precision": "Precision", "attention": "Attention", "study": "Study", "accuracy": "Accuracy", "spread": "± seeds",
    "interval": "95% interval", "seeds": "Seeds", "macro_f1": "Macro-F1", "training_seconds": "Training",
    "label": "Label", "precision_score": "Precision", "recall": "Recall", "f1": "F1", "support": "Support",
    "hardware": "Hardware", "status": "Status", "command": "Command",
    "batching": "Batching", "samples_per_second": "Trains, samples/s", "training_ratio": "Training × plain",
    "utilisation": "Of matrix peak", "answered_per_second": "Answers, texts/s", "answering_ratio": "Answering × plain",
    "better": "Better", "other": "Other", "difference": "Difference", "wins": "Only the better is right",
    "losses": "Only the other is right", "seed_pairs": "Pairs of seeds", "p": "McNemar's p",
    "adjusted_p": "p, Holm", "detectable": "Detectable at 80% power", "verdict": "Verdict", "group": "Tied group",
    "asked": "Asked", "completed": "Completed", "failed": "Failed", "interrupted": "Interrupted",
    "collapsed": "One answer to all", "mean": "Mean", "minimum": "Lowest", "maximum": "Highest",
    "figure": "Figure", "possible_counts": "Right of 2,000", "nearest": "Nearest", "fitting_rows": "Smallest test sets",
    "fitting_runs": "Means of runs", "texts": "Texts", "z": "Unpaired z", "unpaired_p": "Unpaired p",
    "best_p": "p at best", "most_discordant": "Discordant texts, at most", "significance": "Significant",
    "view": "Test texts", "rows": "Rows", "expected_calibration_error": "ECE", "coverage_100": "All answered",
    "coverage_90": "Surest 90%", "coverage_80": "80%", "coverage_70": "70%", "coverage_50": "50%",
    "gold": "Gold", "predicted": "Predicted", "share": "Of gold", "id": "Id", "agreement": "Agreement",
    "runs": "Runs", "peak_memory": "Peak memory", "seconds_per_text": "Time per text", "frontier": "On the frontier of",
    "dominated_by": "Dominated by", "train_rows": "Training rows", "steps": "Steps", "seed": "Seed",
    "validation_accuracy": "Validation accuracy",
    **{f"f1_{name}": f"F1 {name}" for name in study.LABELS},
    "readout": "Read by", "invalid": "No label", "differs_from_labels": "≠ labels",
    "differs_from_generate": "≠ generation", "differs_from_head": "≠ head",
}  # fmt: skip


FOUR_DIGITS = (
    "study", "accuracy", "spread", "macro_f1", "precision_score", "recall", "f1", "detectable", "mean", "minimum",
    "maximum", "expected_calibration_error", *(f"f1_{name}" for name in study.LABELS),
    "coverage_100", "coverage_90", "coverage_80", "coverage_70", "coverage_50", "validation_accuracy",
)  # fmt: skip
PERCENTAGES = ("share", "agreement", "invalid", "differs_from_labels", "differs_from_generate", "differs_from_head")
FORMATS: dict[str, str] = {
    **dict.fromkeys(FOUR_DIGITS, ".4f"),
    **dict.fromkeys(PERCENTAGES, ".1%"),
    **dict.fromkeys(("training_ratio", "answering_ratio"), ".1f"),
    **dict.fromkeys(("samples_per_second", "answered_per_second"), ".3g"),
    "difference": "+.4f",
    "z": ".2f",
    "utilisation": ".0%",
}
P_VALUES = {"p", "adjusted_p", "unpaired_p", "best_p"}

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
        place = list(shown.columns).index("low")
        pairs = zip(shown.pop("low"), shown.pop("high"), strict=True)
        intervals = [None if pd.isna(low) else f"{low:.4f} to {high:.4f}" for low, high in pairs]
        shown.insert(place, "interval", intervals)
    cells = [[cell(str(column), value) for column, value in row.items()] for row in shown.to_dict("records")]
    return pd.DataFrame(cells, columns=shown.columns)


def cell(column: str, value: Any) -> str:
    """A value as this column shows it."""
    if pd.isna(value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column in FORMATS:
        return format(value, FORMATS[column])
    if column in P_VALUES:
        return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
    if column == "peak_memory":
        return f"{value / 2**30:.2f} GiB"
    if column == "seconds_per_text":
        return milliseconds(float(value))
    if column == "trained_parameters" and isinstance(value, float):
        return f"{value:,.0f}"
    if column in ("wins", "losses", "texts") and isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.1f}"
    if column == "training_seconds":
        return duration(float(value))
    if column == "learning_rate" and isinstance(value, float):
        mantissa, _, exponent = f"{value:e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def duration(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def milliseconds(seconds: float) -> str:
    if seconds >= 1:
        return duration(seconds)
    return f"{1000 * seconds:.3g} ms" if seconds >= 1e-5 else "under 0.01 ms"


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"
