"""Models to compare, from runs and files on the command line, with their answers to the same items."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.analysis.alignment import Aligned, align
from benchmark.analysis.configurations import mean_accuracy
from benchmark.analysis.exchange import Answers, Choices, GradedAnswer, read_answers
from benchmark.analysis.frame import label_names, results_of
from benchmark.analysis.metrics import Correct
from benchmark.errors import BenchmarkError
from benchmark.results import store
from benchmark.results.record import Status, sha256
from benchmark.results.store import Run


@dataclass(frozen=True)
class ComparedModels:
    """The answers of every model; `models` has the positions of its files in `aligned`."""

    aligned: Aligned
    models: dict[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()

    @cached_property
    def correct(self) -> dict[str, Correct]:
        """Which items each file of each model answers correctly, (files, items), the most accurate model first."""
        correct_of = {
            name: np.array([[answer.correct for answer in self.aligned.files[place]] for place in places])
            for name, places in self.models.items()
        }
        return dict(sorted(correct_of.items(), key=lambda item: (-mean_accuracy(item[1]), item[0])))


def read_models(arguments: Sequence[str], choices: Choices) -> ComparedModels:
    """Read arguments of the form `FILE` and `NAME=FILE,FILE`.

    Runs of one configuration, and the files of one name, are seeds of one model. Raises `BenchmarkError` for `choices`
    that no file reads.
    """
    given = [(name, path) for argument in arguments for name, path in _paths(argument)]
    runs = _read_runs([path for _, path in given if _is_run(path)])
    files = [runs[path] if path in runs else read_answers(path, choices) for _, path in given]
    for option in choices:
        if choices[option] and all(getattr(file, option) is None for file in files):
            raise BenchmarkError(f"--{option} has no effect: none of the files names a {option}.", "Leave it out.")
    places: dict[tuple[str | None, str | None], list[int]] = {}  # by name, or by configuration or path
    for place, ((name, _), file) in enumerate(zip(given, files, strict=True)):
        key = (name, None) if name else (None, file.configuration or file.path)
        places.setdefault(key, []).append(place)
    for of_model in places.values():
        _check_different([files[place] for place in of_model])
    names = [given[of_model[0]][0] or files[of_model[0]].model for of_model in places.values()]
    unique = [
        name if names.count(name) == 1 else f"{name}, {files[of_model[0]].path}"
        for name, of_model in zip(names, places.values(), strict=True)
    ]
    notes = tuple(
        f"{file.path}: {file.unknown:,} predictions are none of the gold labels. They count as wrong."
        for file in files
        if file.unknown
    )
    return ComparedModels(align(files), dict(zip(unique, map(tuple, places.values()), strict=True)), notes)


def _paths(argument: str) -> list[tuple[str | None, Path]]:
    name, equals, paths = argument.partition("=")
    if Path(argument).exists() or not equals:
        name, paths = "", argument
    files = [Path(path) for path in (paths.split(",") if name else [paths])]
    for path in files:
        if not path.exists():
            raise BenchmarkError(f"{path} does not exist.", "Give FILE, or NAME=FILE,FILE for the seeds of one model.")
    return [(name or None, path) for path in files]


def _check_different(seeds: Sequence[Answers]) -> None:
    """Raise if two seeds of a model are the same run or have the same content: a copy is no other seed."""
    seen: dict[str, str] = {}
    for file in seeds:
        content = file.digest or sha256(Path(file.path).read_bytes())
        if content in seen:
            what = "is the same run as" if file.digest else "has the same content as"
            raise BenchmarkError(f"{file.path} {what} {seen[content]}.", "Give each run and each file once.")
        seen[content] = file.path


def _is_run(path: Path) -> bool:
    of_run = path.name in (store.RECORD, store.PREDICTIONS) and (path.parent / store.RECORD).is_file()
    return path.is_dir() or of_run


def _read_runs(paths: Sequence[Path]) -> dict[Path, Answers]:
    """The predictions of runs of this benchmark, with names of labels."""
    runs = [_run(path if path.is_dir() else path.parent) for path in paths]
    results = results_of(runs)
    digests = [results.runs_by_name[name].record.digest for name in results.runs["run"]]
    frame = results.runs.set_axis(digests)  # a run and its copy share one row
    answers = {}
    for path, run in zip(paths, runs, strict=True):
        names, test = label_names(run.record.labels), run.record.data and run.record.data.splits.get("test")
        predicted = run.predictions.predicted.tolist()
        rows = tuple(
            GradedAnswer(f"{path}, row {number}", gold == given, identifier, None, names[gold], names[given])
            for number, (identifier, gold, given) in enumerate(
                zip(run.ids, run.gold.tolist(), predicted, strict=True), start=1
            )
        )
        row = frame.loc[run.record.digest]
        configuration, short_name = str(row["configuration"]), str(row["short_name"])
        content = test.sha256 if test else None
        answers[path] = Answers(str(path), short_name, rows, "id", configuration, run.record.digest, content)
    return answers


def _run(folder: Path) -> Run:
    if not (folder / store.RECORD).is_file():
        inside = next((record.parent for record in sorted(folder.rglob(store.RECORD))), None)
        fix = f"Give the folder of a run, such as {inside}." if inside else "Give a file, or the folder of a run."
        raise BenchmarkError(f"{folder} has no {store.RECORD}.", fix)
    run = store.read(folder)
    if run.record.status is not Status.completed or not run.record.scorable:
        why = f"its weights are a stand-in, {run.record.stand_in}" if run.record.stand_in else str(run.record.status)
        if run.record.status is Status.completed and not run.record.stand_in:
            why = f"it predicted {run.record.predicted_rows} test text"
        raise BenchmarkError(f"{folder} has no accuracy ({why}).", "Give a completed run with pretrained weights.")
    store.check_predictions(run)
    return run
