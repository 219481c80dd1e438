"""Latency is measured with tiny models; one by one they answer what they answer together."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from factories import SMALL, answers, folders_in
from networks import keep

from benchmark import speed
from benchmark.config import RunConfig
from benchmark.configuration.compose import compose
from benchmark.errors import BenchmarkError
from benchmark.interface import Predictions
from benchmark.measure import latency
from benchmark.run import runner

Compose = Callable[..., RunConfig]


@pytest.mark.parametrize(
    "overrides", [["model=tfidf"], ["model=tiny_bert"], ["model=tiny_llama"], ["model=tiny_llama_head"],
                  ["model=tiny_bert", "model.batching=padded"]]
)  # fmt: skip
def test_texts_have_the_same_answers_one_by_one_and_together(overrides: list[str], compose_run: Compose) -> None:
    measured = latency.measure(compose_run(*overrides), texts=20)
    found = measured.latency
    assert (found.texts, found.different_answers) == (20, 0)
    assert found.largest_difference is not None
    assert found.largest_difference < 1e-5
    assert 0 < found.p50 <= found.p95 <= found.p99
    assert (measured.precision, measured.subject.pretrained) == ("fp32", overrides == ["model=tfidf"])


def test_answers_that_differ_are_counted() -> None:
    class Unsteady:
        calls = 0

        def predict(self, texts: list[str]) -> Predictions:
            self.calls += 1
            return answers([0] * len(texts)) if self.calls != 3 else answers([1])

    found = latency.time_predictions(Unsteady(), ["a", "b", "c"])  # type: ignore[arg-type]
    assert (found.different_answers, found.largest_difference) == (1, 1.0)


def test_percentiles_are_those_of_the_seconds_of_single_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Constant:
        def predict(self, texts: list[str]) -> Predictions:
            return answers([0] * len(texts))

    seconds = np.arange(1, 102) / 100  # 0.01, 0.02, ..., 1.00 for single texts, then 1.01 for all
    clock = iter([moment for taken in seconds for moment in (0.0, float(taken))])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    found = latency.time_predictions(Constant(), ["a"] * 100)  # type: ignore[arg-type]
    assert [found.p50, found.p95, found.p99] == pytest.approx(np.percentile(seconds[:100], (50, 95, 99)).tolist())
    assert found.batched_per_second == pytest.approx(100 / 1.01)


def test_the_command_measures_a_kept_model(
    compose_run: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tfidf")
    options = ["--latency", str(folder), "dataset=synthetic", "--texts", "15", f"results_dir={tmp_path}/measured"]
    monkeypatch.setattr(sys, "argv", ["speed", *options])
    speed.main()
    [path] = (tmp_path / "measured/speed").glob("*/tfidf-latency-synthetic-paper-fp32.json")
    measured = json.loads(path.read_text())
    assert (measured["model"], measured["dataset"], measured["latency"]["texts"]) == ("tfidf", "synthetic", 15)
    assert f"p99 {1000 * measured['latency']['p99']:.3g} ms" in capsys.readouterr().out


def test_a_kept_model_of_random_weights_is_no_measurement_of_the_pretrained_one(
    compose_run: Compose, tmp_path: Path
) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tiny_bert")
    [path] = latencies_in(tmp_path / "measured", str(folder), "--texts", "3", "dataset=synthetic")
    assert path.name.startswith("tiny_bert-random-latency")
    assert json.loads(path.read_text())["pretrained"] is False


def kept_by_command(folder: Path, *overrides: str) -> Path:
    """The folder of a TF-IDF model that the command with these overrides kept."""
    overrides = ("model=tfidf", *overrides, f"models_dir={folder}/models", *folders_in(folder)[:2])
    runner.run(compose([*overrides]), overrides)
    (record,) = (folder / "models").rglob("record.json")
    return record.parent


def latency_on(folder: Path, *words: str) -> str:
    """The data set on which the command measures the model in `folder`."""
    measured = Path(tempfile.mkdtemp(dir=folder.parent))
    [path] = latencies_in(measured, str(folder), *words)
    return str(json.loads(path.read_text())["dataset"])


def latencies_in(results_dir: Path, *words: str) -> list[Path]:
    """The files in the folder after the command has measured one more latency."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["speed", "--latency", *words, f"results_dir={results_dir}"])
        speed.main()
    return sorted((results_dir / "speed").glob("*/*.json"))


def test_latencies_of_one_model_on_several_data_sets_and_in_several_precisions_are_all_kept(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("text,label\nfine,good\nawful,bad\n" * 20, encoding="utf-8")
    reviews = ["dataset=hub", "dataset.hub.id=owner/reviews", f"dataset.path={tmp_path}"]
    bf16 = ["model=tiny_bert", "model.precision=bf16", *SMALL]
    for words in (["model=tiny_bert", *SMALL], ["model=tiny_bert", *reviews], bf16):
        found = latencies_in(tmp_path / "measured", *words)
    found = latencies_in(tmp_path / "measured", *bf16, "dataset.perturb=uppercase")
    documents = [json.loads(path.read_text()) for path in found]
    assert [(document["dataset"], document["precision"]) for document in documents] == [
        ("reviews", "fp32"), ("synthetic", "bf16"), ("synthetic", "fp32"), ("synthetic-uppercase", "bf16")
    ]  # fmt: skip


def test_a_kept_model_is_measured_on_its_own_data_set_unless_another_is_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("text,label\nfine,good\nawful,bad\n" * 20, encoding="utf-8")
    of_folder = ["dataset=hub", "dataset.hub.id=owner/reviews", f"dataset.path={tmp_path}"]
    synthetic = kept_by_command(tmp_path / "one", *SMALL)
    assert latency_on(synthetic) == "synthetic"
    assert latency_on(synthetic, *of_folder) == "reviews"
    reviews = kept_by_command(tmp_path / "two", *of_folder)
    assert latency_on(reviews, f"dataset.path={tmp_path}") == "reviews"
    assert latency_on(reviews, "dataset=synthetic") == "synthetic"
    with pytest.raises(SystemExit, match=r"The data set reviews cannot be read: .* dataset.path .* dataset=NAME"):
        latency_on(reviews)


def test_a_kept_model_is_measured_where_the_configured_one_cannot_be_resolved(
    compose_run: Compose, tmp_path: Path
) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tfidf")
    unknown = ["model=tiny_bert", "model.weights.source=hub", "model.weights.hub={id: o/name, revision: main}"]
    with pytest.raises(BenchmarkError, match="'main' of o/name"):
        latency.measure(compose_run(*unknown), texts=1)
    assert latency.measure(compose_run(*unknown), texts=1, folder=str(folder)).subject.model == "tfidf"


def test_a_record_that_does_not_configure_its_data_set_asks_for_it(compose_run: Compose, tmp_path: Path) -> None:
    _, folder, _ = keep(compose_run, tmp_path, "model=tfidf")
    with pytest.raises(BenchmarkError, match="data set synthetic") as refused:
        latency.data_overrides(str(folder), [])
    assert "dataset=NAME" in (refused.value.fix or "")


@pytest.mark.parametrize(
    "words",
    [
        ["--check", "--latency"],
        ["--latency", "--precisions", "bf16"],
        ["--latency", "--steps", "50"],
        ["--latency", "--rounds", "2"],
        ["--check", "--texts", "8"],
        ["--check", "speed", "--precisions", "bf16"],
        ["--latency", "models/minilm", "recipe=tuned"],
    ],
)
def test_options_that_would_be_ignored_are_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for measuring in (latency, speed.gpu_check):
        monkeypatch.setattr(measuring, "measure" if measuring is latency else "check", lambda *_: pytest.fail("it ran"))
    monkeypatch.setattr(sys, "argv", ["speed", *words])
    with pytest.raises(SystemExit) as ended:
        speed.main()
    assert ended.value.code == 2
    option = next(word for word in reversed(words) if "=" in word or word.startswith("--"))
    assert option in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("columns", [80, 112])
def test_the_help_fits_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "argv", ["speed", "--help"])
    with pytest.raises(SystemExit):
        speed.main()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns


@pytest.mark.parametrize("words", [["one", "two"], ["one", "model=tfidf"]])
def test_one_model_is_measured_at_a_time(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "--latency", *words])
    with pytest.raises(SystemExit) as ended:
        speed.main()
    assert ended.value.code == 2


def test_answers_made_elsewhere_have_no_latency(compose_run: Compose, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as error:
        latency.measure(compose_run("model=external", f"model.path={tmp_path}/answers.csv"), texts=1)
    assert "model=external" in error.value.problem
