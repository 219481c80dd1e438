"""One run ends in a record: completed with predictions that verify, or failed with the reason."""

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
from benchmark.results import store as records
from benchmark.results.record import Status, sha256
from benchmark.run import runner

Compose = Callable[..., RunConfig]


def test_a_completed_run_keeps_what_was_asked_seen_and_answered(compose_run: Compose) -> None:
    config = compose_run("model=tiny_bert", "seed=3")
    run = runner.run(config, ["model=tiny_bert", "seed=3"])
    record = records.read(run.folder).record
    assert record.status is Status.completed
    assert record.seed == 3
    assert record.overrides == ["model=tiny_bert", "seed=3"]
    assert record.data == load(config.dataset).report.as_json()
    assert record.data["splits"]["test"]["rows"] == record.predicted_rows == 24
    assert record.predictions_sha256 == sha256((run.folder / "predictions.parquet").read_bytes())
    assert record.seconds.keys() == {"data", "fit", "predict"}
    assert record.peak_memory["host"] > 50e6
    assert record.environment["packages"]["torch"]
    assert record.fit is not None
    assert record.fit.steps == 2


def test_a_record_holds_no_metric_of_the_test_split_and_no_path(compose_run: Compose, tmp_path: Path) -> None:
    paths = [f"results_dir={tmp_path}/results", f"dataset.path={tmp_path}"]
    run = runner.run(compose_run("model=tiny_bert"), ["model=tiny_bert", *paths])
    text = (run.folder / "record.json").read_text()
    assert str(tmp_path) not in text
    document = json.loads(text)
    assert any("validation_accuracy" in point for point in document["fit"].pop("curve"))
    assert "accuracy" not in json.dumps(document)
    assert not re.search(r'"[^"]*f1[^"]*":', json.dumps(document))


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("/home/me/data is empty", "~/data is empty"),
        ("cannot read '/home/me'; /home/me: no", "cannot read '~'; ~: no"),
        ("/mnt/home/me/x and /home/meadow", "/mnt/home/me/x and /home/meadow"),
    ],
)
def test_only_the_home_folder_is_shortened(text: str, published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/home/me", "/home/me/"):
        monkeypatch.setenv("HOME", home)
        assert runner._without_home(text) == published
    monkeypatch.setenv("HOME", "/")
    assert runner._without_home(text) == text


def test_a_failure_is_published_without_the_home_folder(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = compose_run("model=external", f"model.path={tmp_path}/answers.csv")
    with pytest.raises(BenchmarkError, match=f"model.path={tmp_path}/answers.csv cannot be read"):
        runner.run(config)
    (run,) = records.read_all(Path(config.results_dir))
    assert run.record.failure is not None
    assert run.record.failure.message.startswith("model.path=~/answers.csv cannot be read")
    assert str(tmp_path) not in run.record.failure.message


def test_plots_lie_beside_the_record(compose_run: Compose) -> None:
    run = runner.run(compose_run("model=tiny_llama"))
    assert {path.stem for path in run.folder.glob("*.png")} == {
        "label_distribution", "confusion", "training_curve", "reliability",
    }  # fmt: skip


def test_checkpoints_are_gone_once_a_run_is_recorded(compose_run: Compose) -> None:
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


def test_the_same_seed_gives_the_same_predictions_file(compose_run: Compose) -> None:
    files = [
        (runner.run(compose_run("model=tiny_bert", "force=true")).folder / "predictions.parquet").read_bytes()
        for _ in range(2)
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model=llama3_lora",), "need a CUDA GPU"),
        (("model=external",), "model.path=FILE"),
        (("model=tfidf", "dataset.synthetic=null"), "has no source"),
    ],
)
def test_a_run_that_cannot_start_leaves_a_failed_record_with_one_sentence(
    compose_run: Compose, overrides: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    if "CUDA" in message:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has the GPU that is missed here")
    with pytest.raises(BenchmarkError, match=message):
        runner.run(compose_run(*overrides))
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert run.record.failure is not None
    assert message in run.record.failure.message
    assert run.record.failure.traceback is None
    assert not (run.folder / "predictions.parquet").exists()


def test_a_finished_run_outlives_a_mistaken_start_and_says_that_it_kept_no_model(
    compose_run: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def unread(*_: object) -> None:
        raise BenchmarkError("dataset.path is no folder; name another.")

    finished = runner.run(compose_run("model=tiny_bert"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "load", unread)
        with pytest.raises(BenchmarkError, match="name another"):
            runner.run(compose_run("model=tiny_bert"))
    assert len(records.read_all(tmp_path / "results")) == 2
    with caplog.at_level(logging.WARNING):
        again = runner.run(compose_run("model=tiny_bert", f"models_dir={tmp_path}/models"))
    assert [run.folder for run in records.read_all(tmp_path / "results")] == [finished.folder] == [again.folder]
    assert f"no model of it is kept in {tmp_path}/models/tiny_bert/" in caplog.text


def test_a_forced_run_that_fails_leaves_the_good_one_alone(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = runner.run(compose_run("model=majority"))

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("baselines.majority.MajorityClassifier.fit", full_disk)
    with pytest.raises(OSError, match="no space"):
        runner.run(compose_run("model=majority", "force=true"))
    assert records.read(good.folder).record.status is Status.completed


def test_a_crash_leaves_its_traceback(compose_run: Compose, tmp_path: Path) -> None:
    config = compose_run("model=tiny_bert", "+model.architecture.type_vocab_size=0")  # no row for the first type
    with pytest.raises(RuntimeError, match="index_select"):
        runner.run(config)
    (run,) = records.read_all(tmp_path / "results")
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
    assert [run.record.status for run in records.read_all(tmp_path / "results")] == [Status.failed]
    assert runner.run(config).record.status is Status.completed
    assert len(records.read_all(tmp_path / "results")) == 1


def test_two_files_of_one_name_are_two_runs(compose_run: Compose, tmp_path: Path) -> None:
    folders = set()
    for answer in ("joy", "love"):
        answers = tmp_path / answer / "answers.jsonl"
        answers.parent.mkdir()
        answers.write_text(f'{{"predict": "{answer}"}}\n' * 24)
        folders.add(runner.run(compose_run("model=external", f"model.path={answers}")).folder)
    assert len(folders) == 2


def test_an_interrupt_is_recorded_as_one(compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baselines.majority.MajorityClassifier.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(compose_run("model=majority"))
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.interrupted


def test_a_probability_that_is_no_number_fails_with_its_row_and_no_score(compose_run: Compose, tmp_path: Path) -> None:
    labels = compose_run().dataset.labels
    rows = [{"predict": "joy", **{f"p_{label}": 1 / len(labels) for label in labels}} for _ in range(24)]
    rows[7]["p_joy"] = float("nan")
    (tmp_path / "answers.json").write_text(json.dumps(rows))
    with pytest.raises(BenchmarkError, match="The probabilities of test row 7 are not finite"):
        runner.run(compose_run("model=external", f"model.path={tmp_path}/answers.json"))
    (run,) = records.read_all(tmp_path / "results")
    assert run.record.status is Status.failed
    assert not (run.folder / "predictions.parquet").exists()


def test_texts_cut_in_train_and_test_are_counted_in_the_record(compose_run: Compose) -> None:
    record = runner.run(compose_run("model=tiny_bert", "recipe.max_length=8")).record
    assert record.fit is not None
    assert 0 < record.fit.truncated_texts <= 60
    assert 0 < record.truncated_test_texts <= 24
    assert record.truncated == {"train": record.fit.truncated_texts / 60, "test": record.truncated_test_texts / 24}


@pytest.mark.parametrize(
    ("override", "published"),
    [
        ("dataset.path=/home/somebody/data", None),
        ("model.adapter=/home/somebody/mine", "model.adapter=mine"),
        ("--config-dir=/home/somebody/conf", "--config-dir=conf"),
        ("model.weights={source:folder,path:/home/somebody/mine}", "model.weights={source:folder,path:mine}"),
        ("model.weights={path: /home/somebody/mine, source: folder}", "model.weights={path:mine, source: folder}"),
        ("recipe.epochs=1", "recipe.epochs=1"),
    ],
)
def test_an_override_is_published_without_folders(override: str, published: str | None) -> None:
    assert runner._without_folder(override) == published


class Held(FileLock):
    """A lock that another process holds until somebody loses patience."""

    def acquire(self, timeout: float | None = None, *_: Any, **__: Any) -> Any:
        if timeout == 0:
            raise Timeout(self.lock_file)
        raise KeyboardInterrupt


def test_who_is_stopped_while_another_process_is_at_the_run_says_nothing_of_it(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "FileLock", Held)
    config = compose_run("model=majority")
    with pytest.raises(KeyboardInterrupt):
        runner.run(config)
    runner.record_failure(config, [], BenchmarkError("killed while waiting"))
    assert records.read_all(tmp_path / "results") == []


def test_a_run_that_is_replaced_while_all_are_read_is_left_out_for_once(
    compose_run: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner.run(compose_run("model=majority"))
    monkeypatch.setattr(records, "read", lambda folder: (folder / "moved").read_bytes())
    assert records.read_all(tmp_path / "results") == []
