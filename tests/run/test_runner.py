"""A run ends in a record: completed with predictions, or failed with the reason."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

from benchmark.config import RunConfig
from benchmark.data.load import load
from benchmark.errors import BenchmarkError
from benchmark.report.run_figures import draw_run
from benchmark.results import store
from benchmark.results.record import Status, sha256
from benchmark.run import runner
from benchmark.run.compose import build_classifier

Compose = Callable[..., RunConfig]


def test_a_completed_run_records_its_configuration_data_and_costs(compose_run: Compose) -> None:
    config = compose_run("model=tiny_bert", "seed=3")
    run = runner.run(config, ["model=tiny_bert", "seed=3"])
    record = store.read(run.folder).record
    assert record.status is Status.completed
    assert record.seed == 3
    assert record.overrides == ["model=tiny_bert", "seed=3"]
    assert record.data == load(config.dataset).report
    assert record.data.splits["test"].rows == record.predicted_rows == 24
    assert record.card == build_classifier(config.model).describe()
    assert record.predictions_sha256 == sha256((run.folder / "predictions.parquet").read_bytes())
    assert record.seconds.keys() == {"data", "fit", "predict"}
    assert record.peak_memory["host"] > 50e6
    assert record.environment.packages["torch"]
    assert record.fit is not None
    assert record.fit.steps == 2


def test_a_record_holds_no_metric_of_the_test_split_and_no_path(compose_run: Compose, tmp_path: Path) -> None:
    paths = [f"results_dir={tmp_path}/results", f"dataset.path={tmp_path}"]
    run = runner.run(compose_run("model=tiny_bert"), ["model=tiny_bert", *paths])
    text = (run.folder / "record.json").read_text()
    assert str(tmp_path) not in text
    document = json.loads(text)
    assert any("validation_accuracy" in point for point in document["fit"].pop("curve"))
    assert not re.search(r'"[^"]*(accuracy|f1)[^"]*":', json.dumps(document))


def test_a_failure_is_published_without_the_home_folder(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = compose_run("model=external", f"model.path={tmp_path}/answers.csv")
    with pytest.raises(BenchmarkError, match=f"model.path={tmp_path}/answers.csv cannot be read"):
        runner.run(config)
    (run,) = store.read_all(Path(config.results_dir))
    assert run.record.failure is not None
    assert run.record.failure.message.startswith("model.path=~/answers.csv cannot be read")
    assert str(tmp_path) not in run.record.failure.message


def test_plots_are_stored_with_the_record(compose_run: Compose) -> None:
    run = runner.run(compose_run("model=tiny_llama"), draw=draw_run)
    assert {path.stem for path in run.folder.glob("*.png")} == {
        "label_distribution", "confusion", "training_curve", "reliability",
    }  # fmt: skip


def test_checkpoints_are_deleted_when_a_run_is_recorded(compose_run: Compose) -> None:
    config = compose_run("model=tiny_bert")
    runner.run(config)
    assert not list(Path(config.checkpoints_dir).rglob("checkpoint-*"))


def test_a_finished_run_is_not_repeated_unless_forced(compose_run: Compose) -> None:
    first = runner.run(compose_run("model=tfidf"))
    before = (first.folder / "record.json").stat().st_mtime_ns
    assert runner.run(compose_run("model=tfidf")).folder == first.folder
    assert (first.folder / "record.json").stat().st_mtime_ns == before
    runner.run(compose_run("model=tfidf", "force=true"))
    assert (first.folder / "record.json").stat().st_mtime_ns != before


def test_an_override_makes_another_folder(compose_run: Compose) -> None:
    official = runner.run(compose_run("model=tfidf"))
    variant = runner.run(compose_run("model=tfidf", "model.C=1"))
    assert official.folder != variant.folder
    assert official.folder.parent == variant.folder.parent


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model=llama3_lora",), "need a CUDA GPU"),
        (("model=external",), "model.path=FILE"),
        (("model=tfidf", "dataset.synthetic=null"), "has no source"),
    ],
)
def test_a_run_that_cannot_start_leaves_a_failed_record_with_a_fix(
    compose_run: Compose, overrides: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    if "CUDA" in message:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    with pytest.raises(BenchmarkError, match=message):
        runner.run(compose_run(*overrides))
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert run.record.failure is not None
    assert message in f"{run.record.failure.message} {run.record.failure.fix}"
    assert run.record.failure.traceback is None
    assert not (run.folder / "predictions.parquet").exists()


def test_a_finished_run_replaces_an_early_failure_and_warns_that_its_model_was_not_saved(
    compose_run: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def unread(*_: object) -> None:
        raise BenchmarkError("dataset.path is not a folder.", "Name another.")

    finished = runner.run(compose_run("model=tiny_bert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "load", unread)
        with pytest.raises(BenchmarkError, match="not a folder"):
            runner.run(compose_run("model=tiny_bert"))
    assert len(store.read_all(tmp_path / "results")) == 2
    with caplog.at_level(logging.WARNING):
        again = runner.run(compose_run("model=tiny_bert", f"models_dir={tmp_path}/models"))
    assert [run.folder for run in store.read_all(tmp_path / "results")] == [finished.folder] == [again.folder]
    assert f"its model is not in {tmp_path}/models/tiny_bert/" in caplog.text


def test_a_forced_run_that_fails_keeps_the_completed_one(compose_run: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    good = runner.run(compose_run("model=majority"))

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("baselines.majority.MajorityClassifier.fit", full_disk)
    with pytest.raises(OSError, match="no space"):
        runner.run(compose_run("model=majority", "force=true"))
    assert store.read(good.folder).record.status is Status.completed


def test_a_crash_leaves_its_traceback(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "+model.architecture.type_vocab_size=0")  # no row for the first type
    with pytest.raises(RuntimeError, match="index_select"):
        runner.run(config)
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.failure is not None
    assert run.record.failure.traceback is not None
    assert "encoder.py" in run.record.failure.traceback


def test_a_failed_run_is_tried_again(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=majority")

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("baselines.majority.MajorityClassifier.fit", full_disk)
        with pytest.raises(OSError, match="no space"):
            runner.run(config)
    assert [run.record.status for run in store.read_all(tmp_path / "results")] == [Status.failed]
    assert runner.run(config).record.status is Status.completed
    assert len(store.read_all(tmp_path / "results")) == 1


def test_an_interrupt_is_recorded_as_one(compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baselines.majority.MajorityClassifier.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(compose_run("model=majority"))
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.interrupted


def test_a_probability_that_is_not_finite_fails_and_names_its_row(compose_run: Compose, tmp_path: Path) -> None:
    labels = compose_run().dataset.labels
    rows = [{"predict": "joy", **{f"p_{label}": 1 / len(labels) for label in labels}} for _ in range(24)]
    rows[7]["p_joy"] = float("nan")
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    with pytest.raises(BenchmarkError, match="The probabilities of test row 7 are not finite"):
        runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.json"))
    (run,) = store.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert not (run.folder / "predictions.parquet").exists()


def test_truncated_texts_of_train_and_test_are_recorded(compose_run: Compose) -> None:
    record = runner.run(compose_run("model=tiny_bert", "recipe.max_length=8")).record
    assert record.fit is not None
    assert 0 < record.fit.truncated_texts <= 60
    assert 0 < record.truncated_test_texts <= 24
    assert record.truncated == {"train": record.fit.truncated_texts / 60, "test": record.truncated_test_texts / 24}


class Held(FileLock):
    """A lock that another process holds; waiting for it is interrupted."""

    def acquire(self, timeout: float | None = None, *_: Any, **__: Any) -> Any:
        if timeout == 0:
            raise Timeout(self.lock_file)
        raise KeyboardInterrupt


def test_stopping_while_another_process_makes_the_run_records_nothing(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "FileLock", Held)
    config = compose_run("model=majority")
    with pytest.raises(KeyboardInterrupt):
        runner.run(config)
    runner.record_failure(config, [], BenchmarkError("It was killed.", "Run it again."))
    assert store.read_all(tmp_path / "results") == []
