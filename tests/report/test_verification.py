"""Whatever is changed by hand in records, predictions or tables is found, with its file and field."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results
from benchmark.config import digest_of
from benchmark.configuration.compose import build_classifier, compose
from benchmark.data.load import load
from benchmark.interface import Examples, Predictions
from benchmark.report.tables import all_tables
from benchmark.report.verification import check, doubts_about_the_study
from benchmark.results import store as records
from benchmark.results.record import RunRecord, checksum, sha256
from benchmark.results.store import Run, folder_of, read_all
from benchmark.run import runner
from benchmark.run.failures import record_killed_run
from benchmark.run.job import new_job, with_data


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two real runs and a failed one, with their tables."""
    results = tmp_path_factory.mktemp("project") / "results"
    places = [f"results_dir={results}", f"checkpoints_dir={results.parent}/checkpoints", "dataset=synthetic"]
    for model in ("majority", "tfidf"):
        runner.run(compose([f"model={model}", *places]))
    config = compose(["model=minilm", *places])
    job, _ = with_data(new_job(config, [], lambda _: None), build_classifier(config.model))
    job.begin_training()
    record_killed_run(config, [], ValueError("no luck"))
    write_tables(results)
    return results


def write_tables(results: Path) -> None:
    """The report's tables, without its figures and page."""
    for table, data in all_tables(AnalysedResults(read_results(results))).items():
        for name, content in table.files(data).items():
            file = results / "tables" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(content, encoding="utf-8")


@pytest.fixture
def results(once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(once, tmp_path / "results")


def run_of(results: Path, model: str = "tfidf") -> Run:
    return next(run for run in read_all(results) if run.record.model == model)


def found(results: Path) -> set[tuple[str, str]]:
    return {(fault.file.name, fault.field) for fault in check(results).faults}


def edit(run: Run, change: Callable[[dict[str, Any]], None], with_checksum: bool = False) -> None:
    file = run.folder / "record.json"
    document = json.loads(file.read_text())
    change(document)
    if with_checksum:
        document["checksum"] = checksum(document)
    file.write_text(json.dumps(document))


def test_what_runs_leave_is_without_fault(results: Path) -> None:
    assert check(results).faults == []


def test_the_shipped_results_are_without_fault(shipped: Path) -> None:
    assert check(shipped / "results").faults == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("digest", "0" * 64), ("seconds", {"fit": 1.0}), ("overrides", ["seed=9"]), ("truncated_test_texts", 7)],
)
def test_a_field_changed_by_hand_breaks_the_checksum(field: str, value: Any, results: Path) -> None:
    edit(run_of(results), lambda document: document.update({field: value}))
    assert ("record.json", "checksum") in found(results)


def test_a_field_of_a_schema_1_record_changed_by_hand_is_named(shipped: Path, tmp_path: Path) -> None:
    old = next((shipped / "results/runs/majority/emotion").iterdir())
    copy = tmp_path / "runs/majority/emotion" / old.name
    shutil.copytree(old, copy)
    assert found(tmp_path) == set()
    edit(Run(read_all(tmp_path)[0].record, copy), lambda document: document.update(seconds={"fit": 1.0}))
    assert found(tmp_path) == {("record.json", "seconds")}


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Run], None]:
    return lambda run: edit(run, change, with_checksum=True)


CHANGES: dict[str, tuple[Callable[[Run], None], tuple[str, str]]] = {
    "a setting": (
        changed(lambda document: document["config"]["recipe"].update(epochs=30)),
        ("record.json", "digest"),
    ),
    "the hash of a split": (
        changed(lambda document: document["data"]["splits"]["train"].update(sha256="0" * 64)),
        ("record.json", "digest"),
    ),
    "a count of labels": (
        changed(lambda document: document["data"]["splits"]["train"]["counts"].update(joy=1)),
        ("record.json", "data.splits.train.counts"),
    ),
    "the number of test rows": (
        changed(lambda document: document.update(predicted_rows=299)),
        ("predictions.parquet", "rows"),
    ),
    "a failure that was none": (
        changed(lambda document: document.update(failure={"message": "no", "traceback": None, "fix": None})),
        ("record.json", "failure"),
    ),
    "a success that was none": (
        changed(lambda document: document.update(status="failed")),
        ("record.json", "status"),
    ),
    "no checksum": (lambda run: edit(run, lambda document: document.pop("checksum")), ("record.json", "checksum")),
    "no record": (lambda run: (run.folder / "record.json").unlink(), ("record.json", "the file")),
    "no predictions": (
        lambda run: (run.folder / "predictions.parquet").unlink(),
        ("predictions.parquet", "the content"),
    ),
    "half the predictions": (
        lambda run: _halve(run.folder / "predictions.parquet"),
        ("predictions.parquet", "the content"),
    ),
    "no validation predictions": (
        lambda run: (run.folder / "validation.parquet").unlink(),
        ("validation.parquet", "the content"),
    ),
    "half the validation predictions": (
        lambda run: _halve(run.folder / "validation.parquet"),
        ("validation.parquet", "the content"),
    ),
    "validation predictions that the record does not know": (
        changed(lambda document: document.pop("validation_sha256")),
        ("validation.parquet", "the content"),
    ),
    "validation predictions of other rows": (
        lambda run: _replace_validation(run, (run.folder / "predictions.parquet").read_bytes()),
        ("validation.parquet", "gold"),
    ),
    "validation predictions under the ids of other rows": (
        lambda run: _replace_validation_ids(run, [f"validation-{row + 1}" for row in range(len(run.validation_ids))]),
        ("validation.parquet", "id"),
    ),
    "validation predictions under the ids of training rows": (
        lambda run: _replace_validation_ids(run, [name.replace("validation", "train") for name in run.validation_ids]),
        ("validation.parquet", "id"),
    ),
    "another folder": (
        lambda run: shutil.move(run.folder, run.folder.with_name("paper-seed1-00000000")),
        ("record.json", "digest"),
    ),
}  # fmt: skip


def _replace_validation(run: Run, content: bytes) -> None:
    (run.folder / "validation.parquet").write_bytes(content)
    edit(run, lambda document: document.update(validation_sha256=sha256(content)), with_checksum=True)


def _replace_validation_ids(run: Run, ids: list[str]) -> None:
    table = pq.read_table(run.folder / "validation.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(table.schema.get_field_index("id"), "id", pa.array(ids)), sink)
    _replace_validation(run, sink.getvalue().to_pybytes())


def _halve(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", CHANGES)
def test_a_record_changed_with_its_checksum_contradicts_itself(name: str, results: Path) -> None:
    change, expected = CHANGES[name]
    change(run_of(results))
    assert expected in found(results)


def rewrite(run: Run, gold: Any = None, predicted: Any = None, probabilities: Any = None, ids: Any = None) -> None:
    """Other predictions, with a hash, seal and record to match."""
    gold = run.gold if gold is None else gold
    stored = run.predictions
    stored = Predictions(
        stored.probabilities if probabilities is None else probabilities,
        stored.predicted if predicted is None else predicted,
    )
    names = tuple(run.table["id"].to_pylist()) if ids is None else ids
    content = records.encode_predictions(Examples(names, names, gold), stored, run.record.labels)
    (run.folder / "predictions.parquet").write_bytes(content)
    edit(run, lambda document: document.update(predictions_sha256=sha256(content)), with_checksum=True)


def test_a_changed_prediction_is_found_by_its_hash(results: Path) -> None:
    run = run_of(results)
    file = run.folder / "predictions.parquet"
    kept = (run.folder / "record.json").read_bytes()
    rewrite(run, predicted=run.gold)
    (run.folder / "record.json").write_bytes(kept)
    assert (file.name, "the content") in found(results)


FORGED: dict[str, tuple[Callable[[Run], dict[str, Any]], str]] = {
    "gold labels as predictions": (lambda run: {"predicted": run.gold}, "predicted"),
    "predictions as gold labels": (lambda run: {"gold": run.predictions.predicted}, "gold"),
    "gold labels in another order": (lambda run: {"gold": np.roll(run.gold, 1)}, "gold"),
    "other rows": (lambda run: {"ids": tuple(f"test-{row}" for row in range(1, len(run.gold) + 1))}, "id"),
    "probabilities that are none": (
        lambda run: {"probabilities": run.predictions.probabilities * np.float32(np.nan)},
        "the content",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_predictions_forged_with_their_hash_contradict_the_rest(name: str, results: Path) -> None:
    """The probabilities, the counts of labels, the other runs, or what predictions are."""
    change, field = FORGED[name]
    rewrite(run_of(results), **change(run_of(results)))
    assert found(results) == {("predictions.parquet", field)}


def test_a_whole_split_that_is_not_the_pinned_one_is_found(results: Path) -> None:
    run = run_of(results)

    def pin(document: dict[str, Any]) -> None:
        document["config"]["dataset"]["sha256"] = {"test": "0" * 64}
        hashes = {name: split["sha256"] for name, split in document["data"]["splits"].items()}
        document["digest"] = digest_of(document["config"], hashes)

    edit(run, pin, with_checksum=True)
    pinned = RunRecord.from_json((run.folder / "record.json").read_bytes(), "here")
    shutil.move(run.folder, folder_of(results, pinned.config, pinned.digest))
    assert found(results) == {("record.json", "data.splits.test.sha256")}


def test_validation_carved_from_a_pinned_train_split_is_no_fault(tmp_path: Path) -> None:
    """The study's own files have no validation split."""
    for split in ("train", "test"):
        rows = [f"{word} {number};{word}" for number in range(20) for word in ("joy", "love")]
        (tmp_path / f"{split}.txt").write_text("\n".join(rows) + "\n")
    hashes = load(compose(["dataset.path=" + str(tmp_path), "~dataset.sha256", "+dataset.sha256={}"]).dataset)
    places = [f"results_dir={tmp_path}/results", f"checkpoints_dir={tmp_path}/checkpoints", f"dataset.path={tmp_path}"]
    pins = [f"dataset.sha256.{split}={hashes.report.hashes()['test']}" for split in ("train", "test")]
    run = runner.run(compose(["model=majority", *places, *pins]))
    assert run.record.data is not None
    assert run.record.data.carved_rows == 4
    assert check(tmp_path / "results").faults == []


def test_runs_whose_labels_have_another_order_are_no_fault(tmp_path: Path) -> None:
    """Their ids of gold labels differ on the same texts."""
    for split in ("train", "validation", "test"):
        rows = [f"{word} {split} {number};{word}" for number in range(9) for word in ("joy", "love")]
        (tmp_path / f"{split}.txt").write_text("\n".join(rows) + "\n")
    places = [f"results_dir={tmp_path}/results", f"checkpoints_dir={tmp_path}/checkpoints", f"dataset.path={tmp_path}"]
    own = [*places, "~dataset.sha256", "+dataset.sha256={}"]
    runs = [
        runner.run(compose([f"model={model}", *own, f"dataset.labels={labels}"]))
        for model, labels in (("majority", "[joy,love]"), ("tfidf", "[love,joy]"))
    ]
    assert runs[0].record.data_sha256["test"] == runs[1].record.data_sha256["test"]
    assert runs[0].gold.tolist() != runs[1].gold.tolist()
    assert check(tmp_path / "results").faults == []


@pytest.mark.parametrize("suffix", [".csv", ".md", ".tex"])
def test_a_table_changed_by_hand_is_found_with_its_line(suffix: str, results: Path) -> None:
    """Though the new figure is a possible one."""
    file = results / "tables" / f"leaderboard_synthetic{suffix}"
    lines = file.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "TF-IDF" in line)
    lines[place] = re.sub(r"0\.\d\d", "0.99", lines[place], count=1)
    file.write_text("".join(lines))
    assert found(results) == {(file.name, f"line {place + 1}")}


def test_a_record_without_its_data_is_named(results: Path) -> None:
    edit(run_of(results), lambda document: document.update(data=None), with_checksum=True)
    assert ("record.json", "data") in found(results)


def test_an_unreadable_measurement_is_found(results: Path) -> None:
    file = results / "speed" / "a-machine" / "minilm.json"
    file.parent.mkdir(parents=True)
    for content in ("{", "{}"):
        file.write_text(content)
        assert found(results) == {(results.name, "the content")}


def test_an_unreadable_record_beside_sound_ones_is_named(results: Path) -> None:
    failed = run_of(results, "minilm").folder / "record.json"
    failed.write_text("{")
    assert found(results) == {("record.json", "the file")}


def test_stray_files_and_empty_folders_are_passed_over_as_the_report_does(results: Path) -> None:
    before = [run.folder for run in read_all(results)]
    for folder in (results / "runs", *(results / "runs").glob("*"), *(results / "runs").glob("*/*")):
        for name in ("desktop.ini", ".DS_Store"):
            (folder / name).touch()
        (folder / "empty/inside").mkdir(parents=True)
        copy = folder / ".ipynb_checkpoints/minilm/emotion"
        shutil.copytree(before[0], copy)
    assert [run.folder for run in read_all(results)] == before
    assert found(results) == set()


def test_a_copied_folder_is_left_out_and_named(results: Path) -> None:
    own = run_of(results).folder
    copy = Path(shutil.copytree(own, own.with_name("a-copy")))
    checked = check(results)
    assert (checked.runs, checked.copies, checked.faults) == (3, [copy], [])


def test_four_of_the_studys_five_accuracies_fail_the_same_check() -> None:
    doubted = [sentence.partition(" is not k/")[0].split()[-1] for sentence in doubts_about_the_study()]
    assert doubted == ["0.9063", "0.9086", "0.9189", "0.9262"]


def command(results: Path) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "benchmark.verify", "--results-dir", str(results)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command_names_file_and_field_and_exits_1(results: Path) -> None:
    sound = command(results)
    assert (sound.returncode, sound.stdout.splitlines()[-1]) == (0, f"3 runs in {results}, 0 faults")
    assert "0.9262 is not k/2000" in sound.stdout
    nowhere = command(results / "mistyped")
    assert (nowhere.returncode, "mistyped holds no runs" in nowhere.stderr) == (1, True)
    run = run_of(results)
    edit(run, lambda document: document.update(seconds={"fit": 1.0}))
    faulty = command(results)
    assert faulty.returncode == 1
    assert f"{run.folder}/record.json: checksum does not match" in faulty.stdout


MISSHAPEN: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no ids": lambda table: table.drop_columns(["id"]),
    "gold labels in words": lambda table: table.set_column(
        table.schema.get_field_index("gold"), "gold", pa.array(["joy"] * len(table))
    ),
    "no answers": lambda table: table.append_column("generated", pa.nulls(len(table), pa.string())),
}


@pytest.mark.parametrize("shape", MISSHAPEN)
def test_predictions_of_another_shape_are_a_fault_and_no_crash(shape: str, results: Path) -> None:
    run = run_of(results)
    file = run.folder / "predictions.parquet"
    pq.write_table(MISSHAPEN[shape](pq.read_table(file)), file)
    edit(run, lambda document: document.update(predictions_sha256=sha256(file.read_bytes())), with_checksum=True)
    assert "the content" in {field for _, field in found(results)}


def test_a_split_without_its_hash_is_a_fault_and_no_crash(results: Path) -> None:
    run = run_of(results)
    edit(run, lambda document: document["data"]["splits"].update(test={}), with_checksum=True)
    assert ("record.json", "the file") in found(results)


def test_a_digest_in_the_list_of_shared_times_that_is_of_no_run_is_found(results: Path) -> None:
    listed = results / "shared_times.txt"
    listed.write_text(f"{run_of(results).record.digest}\n")
    assert [fault for fault in check(results).faults if fault.file == listed] == []
    listed.write_text(f"{'0' * 64}\n")
    assert [fault.field for fault in check(results).faults if fault.file == listed] == ["0" * 64]
