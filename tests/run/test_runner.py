"""Every run ends in a record: completed with its predictions, or failed or interrupted with the reason."""

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout

from baselines.decoder import DecoderClassifier
from baselines.decoder.prompt import Prompter
from baselines.tfidf import TfidfClassifier
from benchmark.config import RunConfig
from benchmark.configuration.compose import build_classifier
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.interface import LOWER_RATE, FitContext, Predictions
from benchmark.report.run_figures import draw_run
from benchmark.report.verification import check
from benchmark.results import store
from benchmark.results.record import Failure, RunRecord, Status, sha256, to_json
from benchmark.results.store import Run
from benchmark.run import failures, job, runner
from benchmark.run.failures import record_killed_run

Compose = Callable[..., RunConfig]

MAJORITY_FIT = "baselines.majority.MajorityClassifier.fit"


def only_run(folder: Path) -> Run:
    (run,) = store.read_all(folder / "results")
    return run


def only_failure(folder: Path) -> RunRecord:
    """The run that never began to train; it left nothing in the results."""
    assert not (folder / "results").exists() or not store.read_all(folder / "results")
    (file,) = (folder / "checkpoints/failures").glob("*/*/*.json")
    return RunRecord.from_json(file.read_bytes(), str(file))


def failure_of(run: Run) -> Failure:
    assert run.record.failure is not None
    return run.record.failure


def raising(error: BaseException) -> Callable[..., None]:
    def function(*_: object) -> None:
        raise error

    return function


def ending_while_it_trains(error: BaseException) -> Callable[..., None]:
    """A model's `fit` that begins to train and raises `error`."""

    def fit(_: object, __: object, ___: object, context: FitContext) -> None:
        context.training_begins()
        raise error

    return fit


def test_a_completed_run_records_what_was_asked_read_and_computed(compose_run: Compose) -> None:
    config = compose_run("model=tiny_bert", "seed=3")
    run = runner.run(config, ["model=tiny_bert", "seed=3"])
    record = store.read(run.folder).record
    assert (record.status, record.seed, record.overrides) == (Status.completed, 3, ["model=tiny_bert", "seed=3"])
    assert record.data == load(config.dataset).report
    assert record.card == build_classifier(config.model).describe()
    assert record.predicted_rows == 24
    assert record.predictions_sha256 == sha256((run.folder / "predictions.parquet").read_bytes())
    assert record.seconds.keys() == {"data", "fit", "predict"}
    assert record.peak_memory["host"] > 50e6
    assert record.environment.packages["torch"]
    assert record.fit is not None
    assert record.fit.steps == 2
    assert not list(Path(config.checkpoints_dir).rglob("checkpoint-*"))


def test_the_predictions_of_the_validation_split_are_stored(compose_run: Compose) -> None:
    config = compose_run("model=tiny_bert")
    run, split = runner.run(config), load(config.dataset).validation
    assert run.record.validation_sha256 == sha256((run.folder / "validation.parquet").read_bytes())
    stored = store.read(run.folder).validation
    assert stored is not None
    gold, predictions = stored
    np.testing.assert_array_equal(gold, split.labels)
    assert run.record.fit is not None
    assert (predictions.predicted == gold).mean() == pytest.approx(run.record.fit.curve[-1].validation_accuracy)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_a_probability_that_is_not_finite_is_named_with_its_split(
    split: str, compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose_run("model=tfidf")
    texts, predict = getattr(load(config.dataset), split).texts, TfidfClassifier.predict

    def diverged(classifier: TfidfClassifier, given: Sequence[str]) -> Predictions:
        predictions = predict(classifier, given)
        if tuple(given) == texts:
            predictions.probabilities[3] = np.nan
        return predictions

    monkeypatch.setattr(TfidfClassifier, "predict", diverged)
    with pytest.raises(BenchmarkError, match=f"The probabilities of {split} row 3 are not finite") as refused:
        runner.run(config)
    assert refused.value.fix == "Return finite probabilities."


@pytest.mark.parametrize(
    ("options", "fix"), [([], LOWER_RATE), (["model.train=false", "model.precision=bf16"], "Set model.precision=fp32.")]
)
def test_the_fix_for_a_network_whose_probability_is_not_finite_depends_on_its_training(
    options: list[str], fix: str, compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose_run("model=tiny_llama", "recipe.max_steps=1", *options)
    texts, predict = load(config.dataset).test.texts, DecoderClassifier.predict

    def diverged(classifier: DecoderClassifier, given: Sequence[str]) -> Predictions:
        predictions = predict(classifier, given)
        if tuple(given) == texts:
            predictions.probabilities[0] = np.nan
        return predictions

    monkeypatch.setattr(DecoderClassifier, "predict", diverged)
    with pytest.raises(BenchmarkError, match="test row 0 are not finite") as refused:
        runner.run(config)
    assert refused.value.fix == fix


@pytest.mark.parametrize("overrides", [["dataset.test_rows=1"], ["dataset.perturb=uppercase"]])
def test_validation_predictions_that_nothing_uses_are_not_stored(compose_run: Compose, overrides: list[str]) -> None:
    run = runner.run(compose_run("model=tfidf", *overrides))
    assert (run.record.validation_sha256, run.validation) == (None, None)
    assert not (run.folder / "validation.parquet").exists()


def test_a_record_holds_no_metric_of_the_test_split_and_no_path(compose_run: Compose, tmp_path: Path) -> None:
    folders = [f"results_dir={tmp_path}/results", f"dataset.path={tmp_path}"]
    run = runner.run(compose_run("model=tiny_bert"), ["model=tiny_bert", *folders])
    text = (run.folder / "record.json").read_text()
    assert str(tmp_path) not in text
    document = json.loads(text)
    assert any("validation_accuracy" in point for point in document["fit"].pop("curve"))
    assert not re.search(r'"[^"]*(accuracy|f1)[^"]*":', json.dumps(document))


def test_a_failure_is_published_without_the_home_folder(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BenchmarkError, match=f"{tmp_path}/answers.csv: the file cannot be read"):
        runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.csv"))
    failure = only_failure(tmp_path).failure
    assert failure is not None
    assert failure.message.startswith("~/answers.csv: the file cannot be read")
    assert str(tmp_path) not in f"{failure.message} {failure.fix}"


def test_plots_are_stored_with_the_record(compose_run: Compose) -> None:
    run = runner.run(compose_run("model=tiny_llama"), save_plots=draw_run)
    assert {path.stem for path in run.folder.glob("*.png")} == {
        "label_distribution", "confusion", "training_curve", "reliability",
    }  # fmt: skip


def test_a_finished_run_is_not_repeated_unless_forced(compose_run: Compose) -> None:
    first = runner.run(compose_run("model=tfidf"))
    before = (first.folder / "record.json").stat().st_mtime_ns
    assert runner.run(compose_run("model=tfidf")).folder == first.folder
    assert (first.folder / "record.json").stat().st_mtime_ns == before
    runner.run(compose_run("model=tfidf", "force=true"))
    assert (first.folder / "record.json").stat().st_mtime_ns != before


def test_runs_with_different_options_have_different_folders(compose_run: Compose) -> None:
    shipped, changed = runner.run(compose_run("model=tfidf")), runner.run(compose_run("model=tfidf", "model.C=1"))
    assert shipped.folder != changed.folder
    assert shipped.folder.parent == changed.folder.parent


@pytest.mark.parametrize(
    ("overrides", "problem", "fix"),
    [
        pytest.param(
            ("model=llama3_lora",),
            "CUDA GPU",
            "model.device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
        (("model=external",), "model=external", "model.path=FILE"),
        (("model=tfidf", "dataset.synthetic=null"), "no source", "dataset.path"),
    ],
)
def test_a_run_that_never_began_to_train_is_kept_outside_the_results_without_a_traceback(
    compose_run: Compose, overrides: tuple[str, ...], problem: str, fix: str, tmp_path: Path
) -> None:
    with pytest.raises(BenchmarkError) as error:
        runner.run(compose_run(*overrides))
    record = only_failure(tmp_path)
    assert record.status is Status.failed
    assert record.failure == Failure(error.value.problem, fix=error.value.fix)
    assert problem in error.value.problem
    assert fix in str(error.value.fix)


def test_a_checkpoint_of_another_kind_is_a_failure_that_is_kept(compose_run: Compose, tmp_path: Path) -> None:
    (tmp_path / "decoder").mkdir()
    (tmp_path / "decoder/config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(BenchmarkError, match="llama is a decoder"):
        runner.run(compose_run("model=encoder", f"model.path={tmp_path}/decoder"))
    assert "llama is a decoder" in str(only_failure(tmp_path).failure)


def test_a_finished_run_is_kept_after_a_mistaken_start_and_warns_that_its_model_was_not_saved(
    compose_run: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finished = runner.run(compose_run("model=tiny_bert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "load", raising(BenchmarkError("dataset.path is not a folder.", "Name another.")))
        with pytest.raises(BenchmarkError, match="is not a folder"):
            runner.run(compose_run("model=tiny_bert"))
    assert only_run(tmp_path).folder == finished.folder
    assert list(tmp_path.glob("checkpoints/failures/tiny_bert/synthetic/*.json"))
    with caplog.at_level(logging.WARNING):
        again = runner.run(compose_run("model=tiny_bert", f"models_dir={tmp_path}/models"))
    assert only_run(tmp_path).folder == finished.folder == again.folder
    assert not list(tmp_path.rglob("failures/**/*.json"))
    assert f"{tmp_path}/models/tiny_bert/" in caplog.text


def test_a_finished_run_whose_model_gets_no_record_is_finished_and_says_where_to_copy_it_from(
    compose_run: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def block_record(run: Run) -> None:
        folder = tmp_path / "models" / run.folder.relative_to(tmp_path / "results" / "runs")
        (folder / "record.json").mkdir(parents=True)

    with caplog.at_level(logging.WARNING):
        run = runner.run(compose_run("model=tfidf", f"models_dir={tmp_path}/models"), on_record=block_record)
    assert only_run(tmp_path).record.status is run.record.status is Status.completed
    assert f"{run.folder}/record.json" in caplog.text


@pytest.mark.parametrize(
    ("limits", "options"),
    [
        ({"train": 5}, {"dataset.validation_rows=5", "dataset.test_rows=5"}),
        ({"train": 5, "validation": 5}, {"dataset.test_rows=5"}),
        ({"train": 5, "validation": 5, "test": 5}, set()),
        ({"test": 5}, set()),
    ],
)
def test_a_trial_with_few_training_rows_names_the_options_that_limit_the_other_splits(
    limits: dict[str, int], options: set[str], compose_run: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    every = dict.fromkeys(("train", "validation", "test"), "null") | limits
    with caplog.at_level(logging.INFO):
        runner.run(compose_run("model=majority", *(f"dataset.{name}_rows={rows}" for name, rows in every.items())))
    assert set(re.findall(r"dataset\.\w+_rows=\d+", caplog.text)) == options


def test_a_forced_run_that_fails_keeps_the_completed_one(compose_run: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    completed = runner.run(compose_run("model=majority"))
    monkeypatch.setattr(MAJORITY_FIT, ending_while_it_trains(OSError("broken")))
    with pytest.raises(OSError, match="broken"):
        runner.run(compose_run("model=majority", "force=true"))
    assert store.read(completed.folder).record.status is Status.completed


def test_a_damaged_record_of_the_same_run_does_not_hide_why_a_forced_one_failed(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed = runner.run(compose_run("model=majority"))
    (completed.folder / "record.json").write_text("{")
    monkeypatch.setattr(MAJORITY_FIT, ending_while_it_trains(OSError("broken")))
    with pytest.raises(OSError, match="broken"):
        runner.run(compose_run("model=majority", "force=true"))


@pytest.mark.parametrize(("began", "phases"), [(False, {"fit", "predict"}), (True, {"predict"})])
def test_the_energy_is_that_of_the_device_used_and_of_whole_phases_only(
    began: bool, phases: set[str], compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def measure(joules: dict[str, dict[str, float]], phase: str, _: int) -> Iterator[None]:
        yield
        joules[phase] = {"cpu": 2.0, "gpu": 3.0}

    monkeypatch.setattr(runner.energy, "measure", measure)
    config = compose_run("model=majority")
    if began:
        monkeypatch.setattr(MAJORITY_FIT, ending_while_it_trains(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            runner.run(config)
        monkeypatch.undo()
        monkeypatch.setattr(runner.energy, "measure", measure)
        (work_dir,) = (path for path in Path(config.checkpoints_dir).iterdir() if path.is_dir())
        (work_dir / "checkpoint-1").mkdir(exist_ok=True)
    assert runner.run(config).record.joules == {phase: {"cpu": 2.0} for phase in phases}


@pytest.mark.parametrize(
    ("first_part", "shared"),
    [
        ({}, False),
        ({"processor": "Another processor"}, True),
        ({"device_shared": True}, True),
        (None, True),  # nothing is known about it
    ],
)
def test_a_training_continued_on_other_hardware_or_after_a_shared_part_counts_as_shared(
    first_part: dict[str, Any] | None, shared: bool, compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.measurement, "device_is_shared", lambda: False)
    config = compose_run("model=majority")

    def end(fit: Callable[..., None]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MAJORITY_FIT, fit)
            with pytest.raises(KeyboardInterrupt):
                runner.run(config)

    end(ending_while_it_trains(KeyboardInterrupt()))
    (marker,) = Path(config.checkpoints_dir).glob(f"*/{job.TRAINING_MARKER}")
    earlier = RunRecord.from_json(marker.read_bytes(), str(marker))
    if first_part is None:
        marker.unlink()
    else:
        marker.write_bytes(to_json(replace(earlier, environment=replace(earlier.environment, **first_part))))
    (marker.parent / "checkpoint-1").mkdir()
    end(raising(KeyboardInterrupt()))  # before it continues to train
    end(ending_while_it_trains(KeyboardInterrupt()))
    assert runner.run(config).record.environment.device_shared is shared


def test_a_model_that_was_saved_but_not_kept_is_named(compose_run: Compose, caplog: pytest.LogCaptureFixture) -> None:
    config = compose_run("model=majority")
    run = runner.run(config)
    config = replace(config, models_dir=str(Path(config.results_dir).parent / "models"))
    folder = Path(str(config.models_dir)) / run.folder.relative_to(Path(config.results_dir) / "runs")
    (folder / "weights").mkdir(parents=True)  # of a run that ended before its record was written
    runner.run(config)
    assert f"its model is not in {folder}" in caplog.text


def test_a_device_that_others_used_at_the_end_was_shared(compose_run: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([False, True])
    monkeypatch.setattr(runner.measurement, "device_is_shared", lambda: next(readings))
    assert runner.run(compose_run("model=majority")).record.environment.device_shared is True


def test_an_unexpected_error_leaves_its_traceback(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "+model.architecture.type_vocab_size=0")  # no row for the first type
    with pytest.raises(RuntimeError, match="index_select"):
        runner.run(config)
    assert "encoder.py" in str(failure_of(only_run(tmp_path)).traceback)


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("broken"), Status.failed), (KeyboardInterrupt(), Status.interrupted)]
)
def test_a_run_that_ended_while_it_trained_is_recorded_and_tried_again(
    error: BaseException, status: Status, compose_run: Compose, tmp_path: Path
) -> None:
    config = compose_run("model=majority")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MAJORITY_FIT, ending_while_it_trains(error))
        with pytest.raises(type(error)):
            runner.run(config)
    assert only_run(tmp_path).record.status is status
    assert runner.run(config).record.status is Status.completed
    assert only_run(tmp_path).record.status is Status.completed


def test_failed_tries_of_a_model_are_forgotten_once_it_works(compose_run: Compose, tmp_path: Path) -> None:
    for attempt in ("not a table", "joy\n"):
        (tmp_path / "answers.csv").write_text(attempt)
        with pytest.raises(BenchmarkError):
            runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.csv"))
    with pytest.raises(BenchmarkError):
        runner.run(compose_run("model=external", "dataset.name=other"))
    assert len(list(tmp_path.glob("checkpoints/failures/external/synthetic/*.json"))) == 2
    (tmp_path / "answers.csv").write_text("predict\n" + "joy\n" * 24)
    others = [
        tmp_path / "failures/external/synthetic/mine.json",
        tmp_path / "checkpoints/failures/external/synthetic/a",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.csv"))
    assert [path.parent.name for path in tmp_path.glob("checkpoints/failures/**/*.json")] == ["other"]
    assert all(path.is_file() for path in others)


def test_two_files_with_the_same_name_are_two_runs(compose_run: Compose, tmp_path: Path) -> None:
    folders = set()
    for answer in ("joy", "love"):
        file = tmp_path / answer / "answers.jsonl"
        file.parent.mkdir()
        file.write_text(f'{{"predict": "{answer}"}}\n' * 24)
        folders.add(runner.run(compose_run("model=external", f"model.path={file}")).folder)
    assert len(folders) == 2


def test_answers_in_another_order_are_sorted_and_the_record_says_by_what(compose_run: Compose, tmp_path: Path) -> None:
    overrides = [f"model.path={tmp_path}/answers.csv", "dataset.test_rows=12", "dataset.label_words={joy: happy}"]
    test = load(compose_run(*overrides[1:]).dataset).test
    words = ("sadness", "happy", "love", "anger", "fear", "surprise")
    rows = [f"{name},{words[label]}" for name, label in zip(test.ids, test.labels, strict=True)]
    (tmp_path / "answers.csv").write_text("\n".join(["id,predict", *reversed(rows)]))
    run = runner.run(compose_run("model=external", *overrides))
    assert run.record.matched == {"id": 12}
    assert (run.predictions.predicted == test.labels).all()
    assert run.ids == test.ids != tuple(f"test-{row}" for row in range(12))
    assert check(tmp_path / "results").faults == []


def test_a_decoder_writes_the_word_of_a_label(compose_run: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, ...]] = []
    real = Prompter.__init__

    def noted(self: Prompter, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options)
        written.append(self.labels)

    monkeypatch.setattr(Prompter, "__init__", noted)
    run = runner.run(compose_run("model=tiny_llama", "dataset.label_words={joy: happy}"))
    assert written == [("sadness", "happy", "love", "anger", "fear", "surprise")]
    assert run.record.labels[1] == "joy"


def test_a_probability_that_is_not_finite_fails_with_its_row_and_without_a_score(
    compose_run: Compose, tmp_path: Path
) -> None:
    labels = compose_run().dataset.labels
    rows = [{"predict": "joy", **{f"p_{label}": 1 / len(labels) for label in labels}} for _ in range(24)]
    rows[7]["p_joy"] = float("nan")
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    with pytest.raises(BenchmarkError, match="row 8: the probabilities are .* the sum nan"):
        runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.json"))
    assert only_failure(tmp_path).status is Status.failed


def test_truncated_texts_of_both_splits_are_counted(compose_run: Compose) -> None:
    record = runner.run(compose_run("model=tiny_bert", "recipe.max_length=8")).record
    assert record.fit is not None
    assert 0 < record.fit.truncated_texts <= 60
    assert 0 < record.truncated_test_texts <= 24
    assert record.truncated_texts == {"train": record.fit.truncated_texts, "test": record.truncated_test_texts}


def test_the_record_of_a_killed_run_has_the_start_and_the_commits_of_its_own_process(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = ["model=minilm", "model.weights.hub.revision=main"]
    config, pinned = compose_run(*branch), compose_run("model=minilm")
    monkeypatch.setattr(failures, "pin", lambda _: pinned)
    record_killed_run(config, branch, BenchmarkError("The run's process was killed."))
    commit = pinned.model.parameters["weights"]["hub"]["revision"]
    assert only_failure(tmp_path).overrides == ["model=minilm", f'model.weights.hub.revision="{commit}"']
    began, _ = job.with_data(job.new_job(pinned, [], lambda _: None), build_classifier(pinned.model))
    environment = replace(began.record.environment, device_shared=True, threads=77)
    record = replace(began.record, started="2001-01-01T00:00:00+00:00", environment=environment)
    replace(began, record=record).begin_training()
    record_killed_run(config, branch, BenchmarkError("The run's process was killed."))
    failed = only_run(tmp_path).record
    assert failed.status is Status.failed
    assert (failed.started, failed.environment) == (record.started, environment)


def test_a_training_on_weights_of_another_server_is_not_continued_on_those_of_the_hub(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders(model: str) -> list[Path]:
        found = []
        for server in ("https://mirror.example", "https://other.example", "https://huggingface.co"):
            monkeypatch.setenv("HF_ENDPOINT", server)
            found.append(job.new_job(compose_run(f"model={model}"), [], lambda _: None).work_dir)
        monkeypatch.delenv("HF_ENDPOINT")
        return [*found, job.new_job(compose_run(f"model={model}"), [], lambda _: None).work_dir]

    mirror, other, hub, unset = folders("bert_base")
    assert len({mirror, other, hub}) == 3
    assert hub == unset
    assert len(set(folders("tiny_bert"))) == 1  # its weights are not from a hub


class Held(FileLock):
    """A lock that another process holds, and whose waiter is interrupted."""

    def acquire(self, timeout: float | None = None, *_: Any, **__: Any) -> Any:
        if timeout == 0:
            raise Timeout(self.lock_file)
        raise KeyboardInterrupt


def test_a_process_that_only_waits_for_a_run_leaves_no_record_of_it(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(job, "FileLock", Held)
    config = compose_run("model=majority")
    with pytest.raises(KeyboardInterrupt):
        runner.run(config)
    record_killed_run(config, [], BenchmarkError("The run was killed while it waited."))
    assert store.read_all(tmp_path / "results") == []
