"""`python -m benchmark.report [--check]`: tables, figures and the README's section, from the records alone."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark import study
from benchmark.classifier import BenchmarkError
from benchmark.figures import FIGURES, save_png, save_svg
from benchmark.latex import latex
from benchmark.records import Evidence, locked, read_evidence, replacing
from benchmark.tables import DEVIATES, TABLES, leaderboard

log = logging.getLogger(__name__)

BEGIN, END = "<!-- results: written by python -m benchmark.report -->", "<!-- end of results -->"
COMPARED = {".md", ".csv", ".tex", ".svg"}  # PNG bytes may differ with the compression library

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
    "train_rows": "Training rows", "seed": "Seed", "validation_accuracy": "Validation accuracy",
    "hardware": "Hardware", "status": "Status", "command": "Command",
    "batching": "Batching", "samples_per_second": "Trains, samples/s", "training_ratio": "× plain",
    "utilisation": "Of matrix peak", "answered_per_second": "Answers, texts/s", "answering_ratio": "× plain ",
}  # fmt: skip


SHARES = ("study", "accuracy", "spread", "macro_f1", "precision_score", "recall", "f1", "validation_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmark.report", description=__doc__)
    parser.add_argument(
        "--results-dir", type=Path, default=Path("results"), help="where the runs are (default: results)"
    )
    parser.add_argument("--readme", type=Path, default=Path("README.md"), help="file with the marked section")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything is out of date")
    parser.add_argument("--model-card", metavar="RUN", help="write the model card of a run, by folder or digest")
    parser.add_argument("--output", type=Path, help="file for the model card (default: the terminal)")
    arguments = parser.parse_args()
    try:
        if arguments.model_card is not None:
            write_model_card(arguments.results_dir, arguments.model_card, arguments.output)
            return
        if arguments.check:
            stale = out_of_date(arguments.results_dir, arguments.readme)
            sys.stdout.writelines(f"out of date: {name}\n" for name in stale)
            sys.exit(1 if stale else 0)
        with locked(arguments.results_dir):
            evidence = read_evidence(arguments.results_dir)
            remove_unfounded(arguments.results_dir, build(evidence, arguments.results_dir))
            write_section(arguments.readme, section(evidence))
    except BenchmarkError as error:
        sys.exit(str(error))
    places = f"{arguments.results_dir}/tables, {arguments.results_dir}/figures, {arguments.readme}"
    sys.stdout.write(f"{len(evidence.runs)} runs -> {places}\n")


def write_model_card(results_dir: Path, wanted: str, output: Path | None) -> None:
    from benchmark.model_card import find, model_card  # the hub's client is needed for nothing else here

    text = model_card(find(results_dir, wanted))
    if output is None:
        sys.stdout.write(text)
        return
    with replacing(output) as path:
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {output}\n")


def refresh(results_dir: str) -> None:
    """Rebuild tables and figures after a run; a broken record or full disk must not hide the run's own end."""
    try:
        with locked(Path(results_dir)):
            build(read_evidence(Path(results_dir)), Path(results_dir))
    except (BenchmarkError, OSError) as error:
        log.error("tables not refreshed: %s", error)


def build(evidence: Evidence, results_dir: Path) -> set[Path]:
    """Write every table (.md, .csv, .tex) and figure (.svg, .png), each replaced atomically; their paths.

    LaTeX goes without commands: a page of paper has no room for them.
    """
    tables = {name: table(evidence) for name, table in TABLES.items()}
    for dataset in sorted({run.record.dataset for run in evidence.runs}):
        tables[f"leaderboard_{dataset}"] = leaderboard(evidence, dataset)
    for name, table in tables.items():
        with replacing(results_dir / "tables" / f"{name}.csv") as path:
            table.to_csv(path, index=False, lineterminator="\n")
        with replacing(results_dir / "tables" / f"{name}.md") as path:
            path.write_text(markdown(table) + "\n", encoding="utf-8")
        with replacing(results_dir / "tables" / f"{name}.tex") as path:
            path.write_text(latex(readable(table.drop(columns=["name", "command"], errors="ignore"))), encoding="utf-8")
    written = {results_dir / "tables" / f"{name}{suffix}" for name in tables for suffix in (".csv", ".md", ".tex")}
    for name, draw in FIGURES.items():
        if (figure := draw(evidence)) is not None:
            written |= {results_dir / "figures" / f"{name}{suffix}" for suffix in (".svg", ".png")}
            with replacing(results_dir / "figures" / f"{name}.svg") as path:
                save_svg(figure, path)
            with replacing(results_dir / "figures" / f"{name}.png") as path:
                save_png(figure, path)
    return written


def remove_unfounded(results_dir: Path, founded: set[Path]) -> None:
    """Delete tables and figures that no record supports any more."""
    for path in _generated(results_dir):
        if path not in founded:
            path.unlink()


def out_of_date(results_dir: Path, readme: Path) -> list[str]:
    """What a rebuild would change, by name."""
    evidence = read_evidence(results_dir)
    with tempfile.TemporaryDirectory() as scratch:
        build(evidence, Path(scratch))
        fresh = {path.relative_to(scratch): path for path in _generated(Path(scratch))}
        kept = {path.relative_to(results_dir): path for path in _generated(results_dir)}
        stale = [
            str(results_dir / name)
            for name in sorted(fresh.keys() | kept.keys())
            if name not in fresh
            or name not in kept
            or (name.suffix in COMPARED and fresh[name].read_bytes() != kept[name].read_bytes())
        ]
    if _with_section(readme, section(evidence)) != readme.read_bytes():
        stale.append(str(readme))
    return stale


def section(evidence: Evidence) -> str:
    """The README's results: Table 3, and the other two folded away."""
    parts = ["### Accuracy on the emotion test split (Table 3)", markdown(TABLES["table3_accuracy"](evidence)), NOTES]
    for heading, name in (("Model details (Table 1)", "table1_models"), ("Settings (Table 2)", "table2_settings")):
        table = markdown(TABLES[name](evidence))
        parts.append(f"<details><summary>{heading}</summary>\n\n{table}\n\n{FOOTNOTES.get(name, '')}\n</details>")
    if evidence.speeds:
        parts += ["### Speed", markdown(TABLES["speed"](evidence)), FOOTNOTES["speed"]]
    return "\n\n".join(parts)


NOTES = (
    f"*Study* is what {study.TITLE} printed; every other figure was measured by this suite and is recomputed "
    "from the stored predictions. The interval is Wilson's for one seed, a bootstrap over seeds and test rows for more."
)
FOOTNOTES = {
    "table2_settings": f"`{DEVIATES}` differs from the study. AdamW without decay is Adam.",
    "speed": (
        "*× plain* is the ratio to padded batches in the first precision listed, where a decoder answers by `generate` "
        "(batch 8, 4 new tokens); both ways take turns in one process on the same rows (`python -m benchmark.speed`). "
        "*Of matrix peak* is the arithmetic of the linear layers, as executed, against the fastest matrix product of "
        "the same run. Packed streams execute less: no padding, and the prompts' common beginning once. "
        "*Batch* is the effective one."
    ),
}


def markdown(table: pd.DataFrame) -> str:
    """A table for people, as the README shows it."""
    shown = readable(table.drop(columns=["name"], errors="ignore")).map(lambda cell: cell.replace("|", "\\|"))
    return shown.to_markdown(index=False, disable_numparse=True)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The same table in text: rounded, with headings, an interval in one column, empty cells as dashes."""
    shown = table.copy()
    if "low" in shown:
        pairs = zip(shown.pop("low"), shown.pop("high"), strict=True)
        intervals = [None if pd.isna(low) else f"{low:.4f} to {high:.4f}" for low, high in pairs]
        shown.insert(shown.columns.get_loc("spread") + 1, "interval", intervals)  # type: ignore[operator,arg-type]
    cells = [[_cell(str(column), value) for column, value in row.items()] for row in shown.to_dict("records")]
    return pd.DataFrame(cells, columns=[HEADINGS[str(column)] for column in shown.columns])


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
        return _duration(float(value))
    if column == "learning_rate" and isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    if column == "command":
        return f"`{value}`"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def write_section(readme: Path, text: str) -> None:
    with replacing(readme) as path:
        path.write_bytes(_with_section(readme, text))


def _with_section(readme: Path, text: str) -> bytes:
    """The README with `text` between its markers and all else as it was; raises `BenchmarkError` without them."""
    try:
        content = readme.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{readme} cannot be read; run this in the project's folder, or name --readme.") from error
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{readme} has no section between '{BEGIN}' and '{END}'; put those two lines in.")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}".encode()


def _generated(results_dir: Path) -> Iterable[Path]:
    for folder in ("tables", "figures"):
        yield from (path for path in (results_dir / folder).glob("*.*") if not path.name.startswith("."))


if __name__ == "__main__":
    main()
