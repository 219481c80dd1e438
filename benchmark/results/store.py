"""Runs on disk: one folder per run, written completely or not at all.

results/runs/<model>/<dataset>/<recipe>-seed<n>-<digest8>/record.json
predictions.parquet  (id, gold, predicted, p_<label>..., generated or predicted_by_<score> if there are any)
validation.parquet   (the same of the validation split; not in older runs, nor for answers without confidences)
*.png                (plots of the run)
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from benchmark.config import RunSpec
from benchmark.errors import BenchmarkError
from benchmark.interface import Examples, LabelIds, Predictions
from benchmark.results.record import RunRecord, sha256, to_json

log = logging.getLogger(__name__)

RECORD, PREDICTIONS, VALIDATION = "record.json", "predictions.parquet", "validation.parquet"
OTHER_SCORE_PREFIX = "predicted_by_"
"""Beginning of the columns of `Predictions.other_scores`."""


@dataclass(frozen=True)
class Run:
    """A record with its folder; the predictions load when they are first asked for."""

    record: RunRecord
    folder: Path

    @property
    def name(self) -> str:
        """The folder below results/runs: model/dataset/recipe-seedN-digest."""
        return name_of(self.folder)

    @property
    def results_dir(self) -> Path:
        """The folder of results that the run is in."""
        return results_dir_above(self.folder)

    @cached_property
    def table(self) -> pa.Table:
        """The predictions file; raises `BenchmarkError` if it cannot be read."""
        return _read_table(self.folder / PREDICTIONS)

    @cached_property
    def validation_table(self) -> pa.Table:
        """The predictions file of the validation split; raises `BenchmarkError` if it cannot be read."""
        return _read_table(self.folder / VALIDATION)

    @cached_property
    def gold(self) -> LabelIds:
        """The gold label ids of the test rows."""
        return _gold(self.table)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the test rows."""
        return tuple(self.table["id"].to_pylist())

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions of the test rows."""
        return _predictions(self.table, self.record.labels)

    @cached_property
    def validation(self) -> tuple[LabelIds, Predictions] | None:
        """Gold labels and predictions of the validation split; None if the run stored none."""
        if self.record.validation_sha256 is None:
            return None
        return _gold(self.validation_table), _predictions(self.validation_table, self.record.labels)

    @cached_property
    def validation_ids(self) -> tuple[str, ...]:
        """The ids of the rows of `validation`."""
        return tuple(self.validation_table["id"].to_pylist())


def name_of(folder: Path) -> str:
    """The name of the run in this folder, as `Run.name`."""
    return "/".join(folder.parts[-3:])


def results_dir_above(folder: Path) -> Path:
    """The folder of results that this folder of a run is in."""
    return folder.parents[3]


def folder_of(results_dir: Path, spec: RunSpec, digest: str) -> Path:
    """Where the run with this digest is stored."""
    run = f"{spec.recipe.name}-seed{spec.seed}-{digest[:8]}"
    return results_dir / "runs" / spec.model.name / spec.dataset.title / run


def read(folder: Path) -> Run:
    """The run in this folder; raises `BenchmarkError` if its record is not valid."""
    path = folder / RECORD
    return Run(RunRecord.from_json(path.read_bytes(), str(path)), folder)


def check_predictions(run: Run) -> None:
    """Raise `BenchmarkError` unless the predictions are those that the record of the completed run describes."""
    path = run.folder / PREDICTIONS
    if not path.is_file():
        raise BenchmarkError(
            f"{run.folder} holds no predictions.",
            "Give the folder of a run, which is below results_dir/runs; a kept model has the same name.",
        )
    if sha256(path.read_bytes()) != run.record.predictions_sha256:
        raise BenchmarkError(f"{path} is not the file that the record describes.", "Restore it, or run again.")


def read_all(results_dir: Path) -> list[Run]:
    """Every run below `results_dir`, ordered by model, data set, recipe, seed and digest."""
    runs = []
    for folder in folders_with(results_dir, RECORD):
        with suppress(FileNotFoundError):  # another process is replacing it
            runs.append(read(folder))
    return sorted(runs, key=lambda run: (run.record.model, run.record.dataset, run.record.recipe, run.record.seed))


def folders_with(results_dir: Path, *names: str) -> list[Path]:
    """Folders of runs with one of these files. Hidden folders are skipped."""
    pattern = "[!.]*/[!.]*/[!.]*/"
    return sorted({path.parent for name in names for path in (results_dir / "runs").glob(f"{pattern}{name}")})


def write(
    results_dir: Path,
    record: RunRecord,
    predictions: bytes | None = None,
    save_plots: Callable[[Run], None] | None = None,
    validation: bytes | None = None,
) -> Run:
    """Write a run to a temporary folder and rename it into place; an earlier run of the same digest is replaced.

    `save_plots` adds plots before the rename; if it raises an exception, the run has no plots. Only one process may
    write a given run at a time. Removes temporary folders of killed processes. If a killed process had moved an earlier
    run aside, that run is restored first.
    """
    final = folder_of(results_dir, record.config, record.digest)
    final.parent.mkdir(parents=True, exist_ok=True)
    if _retired(final).exists():
        with lock(results_dir):
            _finish_replacing(final)
    for left in final.parent.glob(f".partial-{final.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    hidden = Path(tempfile.mkdtemp(prefix=f".partial-{final.name}-", dir=final.parent))
    try:
        hidden.chmod(0o755)
        for name, content in ((PREDICTIONS, predictions), (VALIDATION, validation)):
            if content is not None:
                _write_durably(hidden / name, content)
        _write_durably(hidden / RECORD, to_json(record))
        if save_plots is not None:
            _draw(Run(record, hidden), save_plots)
        with lock(results_dir):
            _replace_folder(hidden, final)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Run(record, final)


def lock(results_dir: Path) -> FileLock:
    """A lock held while a run moves into place and while the report reads all runs."""
    results_dir.mkdir(parents=True, exist_ok=True)
    return FileLock(results_dir / "results.lock")


def encode_predictions(split: Examples, predictions: Predictions, labels: tuple[str, ...]) -> bytes:
    """The content of predictions.parquet: the same bytes for the same predictions."""
    columns: dict[str, pa.Array] = {
        "id": pa.array(split.ids, pa.string()),
        "gold": pa.array(split.labels, pa.int16()),
        "predicted": pa.array(predictions.predicted, pa.int16()),
    }
    for index, label in enumerate(labels):
        columns[f"p_{label}"] = pa.array(predictions.probabilities[:, index], pa.float32())
    if predictions.generated is not None:
        columns["generated"] = pa.array(predictions.generated, pa.string())
    for name, predicted in predictions.other_scores.items():
        columns[f"{OTHER_SCORE_PREFIX}{name}"] = pa.array(predicted, pa.int16())
    probabilities = [name for name in columns if name.startswith("p_")]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(columns),
        sink,
        compression="zstd",
        compression_level=19,
        write_statistics=False,
        use_dictionary=[name for name in columns if name not in probabilities],
        column_encoding=dict.fromkeys(probabilities, "BYTE_STREAM_SPLIT"),  # a third smaller than in a dictionary
    )
    return bytes(sink.getvalue().to_pybytes())


def _read_table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BenchmarkError(f"{path} cannot be read ({error}).", "Repeat the run with force=true.") from error


def _gold(table: pa.Table) -> LabelIds:
    return np.asarray(table["gold"].to_numpy(), dtype=np.int64)


def _predictions(table: pa.Table, labels: tuple[str, ...]) -> Predictions:
    """The predictions in a table as `encode_predictions` writes it."""
    columns = [table[f"p_{label}"].to_numpy() for label in labels]
    generated = table["generated"].to_pylist() if "generated" in table.column_names else None
    return Predictions(
        probabilities=np.stack(columns, axis=1).astype(np.float32),
        predicted=table["predicted"].to_numpy().astype(np.int64),
        generated=None if generated is None else tuple(generated),
        other_scores={
            name.removeprefix(OTHER_SCORE_PREFIX): table[name].to_numpy().astype(np.int64)
            for name in table.column_names
            if name.startswith(OTHER_SCORE_PREFIX)
        },
    )


def _draw(run: Run, save_plots: Callable[[Run], None]) -> None:
    """Save the plots, or none and a warning if one of them cannot be drawn."""
    try:
        save_plots(run)
    except Exception as error:
        log.warning("the run is stored without plots, which could not be drawn (%s: %s)", type(error).__name__, error)
        for plot in run.folder.glob("*.png"):
            plot.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace_folder(new: Path, final: Path) -> None:
    """Move an earlier run aside, then rename: a folder cannot be swapped in one step."""
    try:
        if final.exists():
            final.rename(_retired(final))
        new.rename(final)
    finally:
        _finish_replacing(final)


def _finish_replacing(final: Path) -> None:
    """Delete the run that was moved aside, or move it back if no other is in its place."""
    retired = _retired(final)
    if retired.exists() and final.exists():
        shutil.rmtree(retired, ignore_errors=True)
    elif retired.exists():
        retired.rename(final)


def _retired(final: Path) -> Path:
    """Where a run is while another replaces it."""
    return final.with_name(f".retired-{final.name}")
