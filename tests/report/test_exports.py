"""Exports have the fields of the formats, the accuracy of the stored predictions, and no text."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories import GOLD, LABELS, RANDOM_FIT, a_record, files_below, publish
from huggingface_hub import parse_eval_result_entries

from benchmark.analysis.compared_models import read_models
from benchmark.analysis.configurations import mean_accuracy
from benchmark.errors import BenchmarkError
from benchmark.report import __main__ as report_command
from benchmark.report.exports import export
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run, read_all

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)

AGGREGATE = {
    "schema_version", "evaluation_id", "evaluation_timestamp", "retrieved_timestamp", "source_metadata", "model_info",
    "eval_library", "evaluation_results", "detailed_evaluation_results",
}  # fmt: skip
SAMPLE = {
    "schema_version", "evaluation_id", "model_id", "evaluation_name", "evaluation_result_id", "sample_id",
    "sample_hash", "interaction_type", "input", "output", "messages", "answer_attribution", "evaluation",
}  # fmt: skip
"""Fields of schema 0.3.0, which allows no others; `make check-exports` runs its own validator."""


def exported(results_dir: Path, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The aggregate and the samples of the only run."""
    assert export(results_dir, "every-eval-ever", folder) == 1
    (aggregate,), (samples,) = folder.rglob("*.json"), folder.rglob("*.jsonl")
    return json.loads(aggregate.read_text()), [json.loads(line) for line in samples.read_text().splitlines()]


def test_a_run_has_the_fields_of_every_eval_ever(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record("minilm", seed=3), ONE_WRONG)
    whole, samples = exported(tmp_path / "results", tmp_path / "out")
    assert set(whole) == AGGREGATE
    assert {frozenset(sample) for sample in samples} == {frozenset(SAMPLE)}
    assert whole["schema_version"] == samples[0]["schema_version"] == "0.3.0"
    model, detail = whole["model_info"], whole["detailed_evaluation_results"]
    assert {(row["evaluation_id"], row["model_id"]) for row in samples} == {(whole["evaluation_id"], model["id"])}
    content = (tmp_path / "out" / detail["file_path"]).read_bytes()
    assert (detail["total_rows"], detail["checksum"]) == (10, hashlib.sha256(content).hexdigest())
    own = model["additional_details"]
    assert all(type(value) is str for value in own.values())
    assert (own["run_digest"], own["seed"], own["deployment_type"]) == (run.record.digest, "3", "self_deployed")
    result = whole["evaluation_results"][0]
    assert result["evaluation_result_id"] == samples[0]["evaluation_result_id"] == "accuracy"
    assert result["score_details"]["score"] == 0.9
    interval = result["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert {(metric["min_score"], metric["max_score"]) for metric in metrics(whole).values()} == {(0.0, 1.0)}
    assert {name for name, metric in metrics(whole).items() if metric["lower_is_better"]} == {
        "expected_calibration_error"
    }


def metrics(whole: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {result["evaluation_result_id"]: result["metric_config"] for result in whole["evaluation_results"]}


def test_a_sample_says_what_was_asked_and_answered(tmp_path: Path) -> None:
    publish(tmp_path / "results", a_record("tfidf"), ONE_WRONG)
    _, samples = exported(tmp_path / "results", tmp_path / "out")
    assert [row["sample_id"] for row in samples] == [f"test-{number}" for number in range(10)]
    assert [row["input"]["reference"] for row in samples] == [[LABELS[gold]] for gold in GOLD]
    assert [row["answer_attribution"][0]["extracted_value"] for row in samples] == [LABELS[one] for one in ONE_WRONG]
    assert [row["evaluation"]["score"] for row in samples] == [1.0] * 9 + [0.0]
    assert len({row["sample_hash"] for row in samples}) == 10


def test_no_text_and_no_generated_answer_is_written(tmp_path: Path) -> None:
    record = a_record("smollm2_lora", "model.readout=generate")
    publish(tmp_path / "results", record, (*ONE_WRONG[:9], -1), ["i feel secret words"] * 10)
    whole, samples = exported(tmp_path / "results", tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*.json*") if "secret" in path.read_text()]
    assert samples[9]["output"]["raw"] == ["no label"]
    assert set(metrics(whole)) == {"accuracy", "f1_macro"}  # free answers carry no confidence


@pytest.mark.parametrize(
    ("overrides", "kind"), [([], "hf_dataset"), (["dataset.sha256={}"], "other")], ids=["checked", "not checked"]
)
def test_the_hubs_data_set_is_named_only_if_the_content_is_its_own(
    overrides: list[str], kind: str, tmp_path: Path
) -> None:
    publish(tmp_path / "results", a_record("tfidf", *overrides, dataset="mine" if overrides else "emotion"))
    whole, _ = exported(tmp_path / "results", tmp_path / "out")
    source = whole["evaluation_results"][0]["source_data"]
    assert source["source_type"] == kind
    assert source.get("hf_repo") == ("dair-ai/emotion" if kind == "hf_dataset" else None)


def test_only_runs_with_an_accuracy_on_the_whole_test_split_are_written(tmp_path: Path) -> None:
    results = tmp_path / "results"
    kept = [publish(results, a_record("tfidf", seed=1)), publish(results, a_record("minilm", "dataset.train_rows=140"))]
    publish(results, a_record("tfidf", seed=2, status=Status.failed, failure=Failure("No.")))
    publish(results, a_record("minilm", fit=RANDOM_FIT))
    publish(results, a_record("minilm", "dataset.test_rows=10"))
    publish(results, a_record("minilm", "dataset.perturb=typos", test_sha256="c" * 64))
    assert export(results, "hub-eval-results", tmp_path / "out") == 2
    assert files_below(tmp_path / "out") == {f"{run.name}/.eval_results/emotion.yaml" for run in kept}


def test_the_hubs_client_reads_the_evaluation_results(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record("minilm"), ONE_WRONG)
    publish(tmp_path / "results", a_record("minilm", "dataset.sha256={}", dataset="mine"))  # not known to the hub
    assert export(tmp_path / "results", "hub-eval-results", tmp_path / "out") == 1
    (path,) = (tmp_path / "out" / run.name / ".eval_results").iterdir()
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    place = (entry.dataset_id, entry.task_id, entry.dataset_revision)
    assert place == ("dair-ai/emotion", "split", "cab853a1dbdf4c42c2b3ef2173804746df8825fe")
    assert (entry.value, entry.date) == (0.9, run.record.finished)


def test_evaluation_results_name_the_split_of_the_hub(tmp_path: Path) -> None:
    splits = 'dataset.hub.splits={"train": "train", "test": "validation"}'
    run = publish(tmp_path / "results", a_record("minilm", splits))
    export(tmp_path / "results", "hub-eval-results", tmp_path / "out")
    (path,) = (tmp_path / "out" / run.name / ".eval_results").iterdir()
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert "10 texts of the split validation" in (entry.notes or "")


@pytest.mark.parametrize("skipped", [True, False])
def test_an_export_says_that_rows_of_several_labels_are_left_out(skipped: bool, tmp_path: Path) -> None:
    publish(tmp_path / "results", a_record("minilm", f"dataset.skip_multilabel={str(skipped).lower()}"))
    export(tmp_path / "results", "hub-eval-results", tmp_path / "hub")
    (path,) = (tmp_path / "hub").rglob("*.yaml")
    (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
    assert ("test, without rows of several labels: MiniLM-L6" in (entry.notes or "")) is skipped
    whole, _ = exported(tmp_path / "results", tmp_path / "out")
    details = whole["evaluation_results"][0]["source_data"]["additional_details"]
    assert details.get("left_out") == ("rows with several labels" if skipped else None)


def test_two_exports_have_the_same_content(tmp_path: Path) -> None:
    publish(tmp_path / "results", a_record("tfidf"))
    assert exported(tmp_path / "results", tmp_path / "a") == exported(tmp_path / "results", tmp_path / "b")
    assert files_below(tmp_path / "a") == files_below(tmp_path / "b")


def check_reimport(samples: Path, run: Run) -> None:
    """Raise unless `benchmark.compare` reads the same answers from an export as from its run."""
    compared = read_models([str(samples), str(run.folder)], {})
    exported, own = ([(one.correct, one.gold, one.predicted) for one in file] for file in compared.aligned.files)
    assert exported == own
    accuracies = [mean_accuracy(correct) for correct in compared.correct.values()]
    assert accuracies == [float((run.gold == run.predictions.predicted).mean())] * 2


def test_compare_reads_the_same_answers_from_an_export_as_from_its_run(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record("smollm2_lora"), (*ONE_WRONG[:9], -1), ["words"] * 10)
    exported(tmp_path / "results", tmp_path / "out")
    check_reimport(*(tmp_path / "out").rglob("*.jsonl"), run)


@pytest.mark.slow
def test_compare_reads_the_same_answers_from_the_export_of_every_shipped_run(shipped: Path, tmp_path: Path) -> None:
    assert export(shipped / "results", "every-eval-ever", tmp_path / "out") >= 57
    runs = {run.record.digest: run for run in read_all(shipped / "results")}
    for path in (tmp_path / "out").rglob("*.json"):
        details = json.loads(path.read_text())["model_info"]["additional_details"]
        check_reimport(path.with_name(f"{path.stem}_samples.jsonl"), runs[details["run_digest"]])


def test_the_command_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path / "results", a_record())
    out = str(tmp_path / "out")
    command = ["report", f"results_dir={tmp_path / 'results'}", "--export", "every-eval-ever", out]
    monkeypatch.setattr(sys, "argv", command)
    report_command.main()
    assert capsys.readouterr().out == f"wrote 1 run to {out}\n"
    assert len(files_below(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    ("form", "record", "problem"),
    [
        ("csv", a_record(), "'csv'"),
        ("every-eval-ever", a_record(status=Status.failed, failure=Failure("No.")), "no run"),
        ("hub-eval-results", a_record(dataset="mine"), "no run for hub-eval-results"),
    ],
)
def test_what_cannot_be_exported_is_an_error(form: str, record: RunRecord, problem: str, tmp_path: Path) -> None:
    publish(tmp_path / "results", record)
    with pytest.raises(BenchmarkError) as raised:
        export(tmp_path / "results", form, tmp_path / "out")
    assert problem in raised.value.problem
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    publish(tmp_path / "results", a_record())
    with pytest.raises(BenchmarkError) as raised:
        export(tmp_path / "results", "every-eval-ever", tmp_path)
    assert raised.value.problem == f"{tmp_path} is not an empty folder."
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_changed_predictions_are_not_exported(tmp_path: Path) -> None:
    run = publish(tmp_path / "results", a_record())
    other = publish(tmp_path / "other", a_record(), ONE_WRONG)
    (run.folder / "predictions.parquet").write_bytes((other.folder / "predictions.parquet").read_bytes())
    with pytest.raises(BenchmarkError) as raised:
        export(tmp_path / "results", "every-eval-ever", tmp_path / "out")
    assert str(run.folder / "predictions.parquet") in raised.value.problem
