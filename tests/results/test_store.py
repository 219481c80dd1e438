import json
import shutil
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import FIT, GOLD, LABELS, a_record, answers, files_below, publish, the_test_split

from benchmark.results import store as records
from benchmark.results.record import SCHEMA_VERSION, Failure, RunRecord, Status, sha256
from benchmark.results.store import Run


@pytest.mark.parametrize(
    "record",
    [
        a_record(),
        a_record("minilm", "recipe.learning_rate=0.001", seed=3),
        a_record(fit=None),
        a_record(status=Status.failed, failure=Failure("naïve — no GPU.", "Traceback ...")),
        a_record(status=Status.interrupted, failure=Failure("KeyboardInterrupt")),
    ],
)
def test_a_record_is_read_back_as_it_was_written(record: RunRecord, tmp_path: Path) -> None:
    written = publish(tmp_path, record)
    (found,) = records.read_all(tmp_path)
    assert found == written
    assert found.record.status is record.status
    assert replace(found.record, predictions_sha256=None, predicted_rows=None) == record


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    predicted, generated = [0, 1, 2, 3, 4, -1, 0, 0, 0, 0], [" Sadness", *["naïve"] * 9]
    publish(tmp_path, a_record(), predicted, generated)
    (run,) = records.read_all(tmp_path)
    assert run.gold.tolist() == list(GOLD)
    assert run.predictions.predicted.tolist() == predicted
    assert run.predictions.generated == tuple(generated)
    assert run.predictions.probabilities.dtype == np.float32
    assert np.array_equal(run.predictions.probabilities, answers(predicted).probabilities)
    assert run.table["id"].to_pylist() == [f"test-{row}" for row in range(10)]
    run.predictions.check(10, 6)


def test_only_a_model_that_writes_freely_has_generated_answers(tmp_path: Path) -> None:
    assert publish(tmp_path, a_record()).predictions.generated is None


def test_the_same_predictions_are_the_same_bytes() -> None:
    first, again, other = (
        records.encode_predictions(the_test_split(), answers(predicted), LABELS)
        for predicted in (GOLD, list(GOLD), [*GOLD[:-1], 0])
    )
    assert first == again
    assert first != other


def test_the_record_holds_the_hash_of_the_predictions_file(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record())
    assert run.record.predictions_sha256 == sha256((run.folder / "predictions.parquet").read_bytes())


def test_a_run_lies_in_the_folder_that_names_it(tmp_path: Path) -> None:
    record = a_record("minilm", seed=3)
    run = publish(tmp_path, record)
    assert run.folder == tmp_path / f"runs/minilm/emotion/paper-seed3-{record.digest[:8]}"
    assert files_below(tmp_path / "runs") == {
        f"minilm/emotion/{run.folder.name}/{name}" for name in ("record.json", "predictions.parquet")
    }


def test_a_run_replaces_the_earlier_one_of_the_same_digest(tmp_path: Path) -> None:
    record = a_record()
    publish(tmp_path, record, [0] * 10)
    failed = replace(record, status=Status.failed, failure=Failure("no memory left."))
    assert publish(tmp_path, failed).record == records.read_all(tmp_path)[0].record
    publish(tmp_path, record, GOLD)
    (run,) = records.read_all(tmp_path)
    assert run.predictions.predicted.tolist() == list(GOLD)
    assert {path.name for path in run.folder.parent.iterdir()} == {run.folder.name}  # the earlier one is not set aside


def test_a_run_of_another_digest_stays_beside_it(tmp_path: Path) -> None:
    publish(tmp_path, a_record())
    publish(tmp_path, a_record("tfidf", "model.C=1.0"))
    publish(tmp_path, a_record(test_sha256="d" * 64))
    assert len(records.read_all(tmp_path)) == 3


def test_plots_are_drawn_before_the_run_is_seen(tmp_path: Path) -> None:
    seen: list[tuple[list[Run], list[int]]] = []

    def draw(run: Run) -> None:
        seen.append((records.read_all(tmp_path), run.predictions.predicted.tolist()))
        (run.folder / "plot.png").write_bytes(b"a plot")

    content = records.encode_predictions(the_test_split(), answers(GOLD), LABELS)
    run = records.write(tmp_path, a_record(), content, draw)
    assert seen == [([], list(GOLD))]
    assert (run.folder / "plot.png").read_bytes() == b"a plot"


def test_an_earlier_run_is_deleted_once_the_new_one_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish(tmp_path, a_record()).folder
    delete, there = shutil.rmtree, []

    def looking(place: Path, **options: Any) -> None:
        if place.name.startswith(".retired-") and any(place.iterdir()):
            there.append((folder / "record.json").is_file())
        delete(place, **options)

    monkeypatch.setattr(shutil, "rmtree", looking)
    publish(tmp_path, a_record())
    assert there == [True]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_plot_that_cannot_be_drawn_leaves_nothing_behind(earlier: bool, tmp_path: Path) -> None:
    if earlier:
        publish(tmp_path, a_record())
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}

    def draw(run: Run) -> None:
        (run.folder / "half.png").write_bytes(b"half a plot")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        records.write(tmp_path, a_record(), b"other predictions", draw)
    assert {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)} == before
    assert not list(tmp_path.rglob(".*"))


def changed_json(**changes: Any) -> str:
    return json.dumps({**asdict(a_record()), **changes})


DAMAGED = {
    "cut short": changed_json()[:-30],
    "empty": "",
    "no object": "[1, 2]",
    "without a key": json.dumps({key: value for key, value in asdict(a_record()).items() if key != "digest"}),
    "with a key too many": changed_json(score=0.99),
    "an unknown status": changed_json(status="splendid"),
    "a fit of another kind": changed_json(fit={"curve": [], "loss": 1}),
    "a curve of another kind": changed_json(fit={"curve": [[1, 2]]}),
    "a card of another kind": changed_json(card={"size": 8}),
    "a config that is none": changed_json(config={"seed": 0}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    file = publish(tmp_path, a_record()).folder / "record.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(records.BenchmarkError) as error:
        records.read_all(tmp_path)
    assert str(file) in str(error.value)
    assert "delete its folder and rerun" in str(error.value)


def test_a_record_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = publish(tmp_path, a_record()).folder / "record.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(records.BenchmarkError, match=str(file)):
        records.read_all(tmp_path)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", None])
def test_a_record_of_another_schema_version_is_refused(version: Any) -> None:
    with pytest.raises(records.BenchmarkError, match=f"its schema_version is {version}, not {SCHEMA_VERSION}"):
        RunRecord.from_json(changed_json(schema_version=version), "some/record.json")


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_damaged_predictions_are_named_when_asked_for(damage: str, tmp_path: Path) -> None:
    file = publish(tmp_path, a_record()).folder / "predictions.parquet"
    content = file.read_bytes()
    file.unlink()
    if damage == "cut short":
        file.write_bytes(content[:-10])
    (run,) = records.read_all(tmp_path)
    with pytest.raises(records.BenchmarkError, match=f"{file} cannot be read"):
        _ = run.gold


def test_runs_are_read_by_model_data_set_recipe_seed_and_digest(tmp_path: Path) -> None:
    tuned = deepcopy(a_record("minilm").config)
    tuned["recipe"]["name"] = "tuned"
    expected = [
        a_record("bert_base"),
        a_record("minilm", seed=2),
        *sorted(
            [a_record("minilm", seed=10), a_record("minilm", test_sha256="d" * 64, seed=10)], key=lambda r: r.digest
        ),
        a_record("minilm", config=tuned),
        a_record("minilm", dataset="synthetic"),
        a_record("tfidf"),
    ]
    for record in expected[::-1]:
        records.write(tmp_path, record)
    assert [run.record for run in records.read_all(tmp_path)] == expected


def test_half_written_and_retired_runs_are_not_read(tmp_path: Path) -> None:
    folder = publish(tmp_path, a_record()).folder
    for name in (".partial-x", ".retired-x"):
        shutil.copytree(folder, folder.parent / name)
    assert len(records.read_all(tmp_path)) == 1


def test_where_nothing_ran_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert records.read_all(tmp_path / "nowhere") == []


RANDOM = replace(FIT, weights={"source": "random"})


@pytest.mark.parametrize(
    ("record", "is_result"),
    [
        (a_record(), True),
        (a_record(fit=None), True),
        (a_record("minilm", "recipe.learning_rate=0.1"), True),
        (a_record("tfidf", "dataset.train_rows=5"), False),
        (a_record("tfidf", "dataset.test_rows=5"), False),
        (a_record("minilm", "recipe.max_steps=5"), False),
        (a_record("minilm", fit=RANDOM), False),
        (a_record(status=Status.failed, failure=Failure("no.")), False),
        (a_record(status=Status.interrupted), False),
    ],
)
def test_only_whole_completed_runs_of_pretrained_weights_are_results(record: RunRecord, is_result: bool) -> None:
    assert record.is_result is is_result


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "new" / "table.md"
    with records.replacing(file) as temporary:
        temporary.write_text("first")
        assert not file.exists()
    with records.replacing(file) as temporary:
        temporary.write_text("second")
        assert file.read_text() == "first"
        assert (temporary.parent, temporary.suffix) == (file.parent, ".md")
    assert files_below(tmp_path) == {"new/table.md"}
    assert file.read_text() == "second"
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    file = tmp_path / "table.md"
    file.write_text("first")

    def write_half() -> None:
        with records.replacing(file) as temporary:
            temporary.write_text("sec")
            raise RuntimeError("no more to write")

    with pytest.raises(RuntimeError, match="no more to write"):
        write_half()
    assert files_below(tmp_path) == {"table.md"}
    assert file.read_text() == "first"
