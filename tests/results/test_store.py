"""Runs on disk: written completely or not at all, read in one order."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import GOLD, LABELS, a_record, answers, examples, files_below, publish

from benchmark.errors import BenchmarkError
from benchmark.results import store
from benchmark.results.record import Failure, RunRecord, Status, sha256
from benchmark.results.store import Run


@pytest.mark.parametrize(
    "record", [a_record("minilm", seed=3), a_record(status=Status.failed, failure=Failure("No GPU.", fix="Find one."))]
)
def test_a_run_is_read_back_as_it_was_written(record: RunRecord, tmp_path: Path) -> None:
    written = publish(tmp_path, record)
    assert store.read_all(tmp_path) == [written]
    assert replace(written.record, predictions_sha256=None, predicted_rows=None) == record


def test_predictions_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    predicted, generated = [0, 1, 2, 3, 4, -1, 0, 0, 0, 0], [" Sadness", *["naïve"] * 9]
    publish(tmp_path, a_record(), predicted, generated)
    (run,) = store.read_all(tmp_path)
    assert run.gold.tolist() == list(GOLD)
    assert run.predictions.predicted.tolist() == predicted
    assert run.predictions.generated == tuple(generated)
    assert run.predictions.probabilities.dtype == np.float32
    assert np.array_equal(run.predictions.probabilities, answers(predicted).probabilities)
    assert run.table["id"].to_pylist() == [f"test-{row}" for row in range(10)]
    run.predictions.check(10, 6)


def test_only_free_generation_has_generated_answers(tmp_path: Path) -> None:
    assert publish(tmp_path, a_record()).predictions.generated is None


def test_the_same_predictions_are_the_same_bytes() -> None:
    first, again, other = (
        store.encode_predictions(examples(), answers(predicted), LABELS)
        for predicted in (GOLD, list(GOLD), [*GOLD[:-1], 0])
    )
    assert first == again
    assert first != other


def test_the_record_holds_the_hash_of_the_predictions_file(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record())
    assert run.record.predictions_sha256 == sha256((run.folder / "predictions.parquet").read_bytes())


def test_the_folder_of_a_run_names_it(tmp_path: Path) -> None:
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
    assert publish(tmp_path, failed).record == store.read_all(tmp_path)[0].record
    publish(tmp_path, record, GOLD)
    (run,) = store.read_all(tmp_path)
    assert run.predictions.predicted.tolist() == list(GOLD)
    assert {path.name for path in run.folder.parent.iterdir()} == {run.folder.name}


def test_runs_with_other_digests_are_kept(tmp_path: Path) -> None:
    publish(tmp_path, a_record())
    publish(tmp_path, a_record("tfidf", "model.C=1.0"))
    publish(tmp_path, a_record(test_sha256="d" * 64))
    assert len(store.read_all(tmp_path)) == 3


def test_plots_are_drawn_before_the_run_becomes_visible(tmp_path: Path) -> None:
    seen: list[tuple[list[Run], list[int]]] = []

    def draw(run: Run) -> None:
        seen.append((store.read_all(tmp_path), run.predictions.predicted.tolist()))
        (run.folder / "plot.png").write_bytes(b"a plot")

    content = store.encode_predictions(examples(), answers(GOLD), LABELS)
    run = store.write(tmp_path, a_record(), content, draw)
    assert seen == [([], list(GOLD))]
    assert (run.folder / "plot.png").read_bytes() == b"a plot"


def test_an_earlier_run_is_deleted_after_the_new_one_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish(tmp_path, a_record()).folder
    delete, found_in_place = shutil.rmtree, []

    def recording(place: Path, **options: Any) -> None:
        if place.name.startswith(".retired-") and any(place.iterdir()):
            found_in_place.append((folder / "record.json").is_file())
        delete(place, **options)

    monkeypatch.setattr(shutil, "rmtree", recording)
    publish(tmp_path, a_record())
    assert found_in_place == [True]


def test_an_earlier_run_is_kept_if_the_new_one_cannot_move_into_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, a_record())
    before, rename = files_below(tmp_path / "runs"), Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name.startswith(".partial-"):
            raise OSError("no space left")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space left"):
        publish(tmp_path, a_record(), [0] * 10)
    (run,) = store.read_all(tmp_path)
    assert run.predictions.predicted.tolist() == list(GOLD)
    assert files_below(tmp_path / "runs") == before


def test_an_earlier_run_that_a_killed_process_had_moved_aside_is_restored(tmp_path: Path) -> None:
    folder = publish(tmp_path, a_record()).folder
    folder.rename(folder.parent / f".retired-{folder.name}")
    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path, a_record(), b"other predictions", half_drawn(KeyboardInterrupt()))
    assert [run.predictions.predicted.tolist() for run in store.read_all(tmp_path)] == [list(GOLD)]
    assert not list(tmp_path.rglob(".*"))


def half_drawn(error: BaseException) -> Callable[[Run], None]:
    """A function that writes a part of a plot and raises `error`."""

    def draw(run: Run) -> None:
        (run.folder / "half.png").write_bytes(b"half a plot")
        raise error

    return draw


def test_a_run_whose_plots_cannot_be_drawn_is_stored_without_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = store.encode_predictions(examples(), answers(GOLD), LABELS)
    run = store.write(tmp_path, a_record(), content, half_drawn(OSError("no font")))
    assert "OSError: no font" in caplog.text
    assert {path.name for path in run.folder.iterdir()} == {"record.json", "predictions.parquet"}
    assert [found.predictions.predicted.tolist() for found in store.read_all(tmp_path)] == [list(GOLD)]


@pytest.mark.parametrize("earlier", [False, True])
def test_an_interruption_while_plots_are_drawn_leaves_everything_unchanged(earlier: bool, tmp_path: Path) -> None:
    if earlier:
        publish(tmp_path, a_record())
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)}
    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path, a_record(), b"other predictions", half_drawn(KeyboardInterrupt()))
    assert {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path)} == before
    assert not list(tmp_path.rglob(".*"))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    file = publish(tmp_path, a_record()).folder / "record.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(BenchmarkError) as error:
        store.read_all(tmp_path)
    assert str(file) in error.value.problem


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_damaged_predictions_are_named_when_they_are_read(damage: str, tmp_path: Path) -> None:
    file = publish(tmp_path, a_record()).folder / "predictions.parquet"
    content = file.read_bytes()
    file.unlink()
    if damage == "cut short":
        file.write_bytes(content[:-10])
    (run,) = store.read_all(tmp_path)
    with pytest.raises(BenchmarkError) as error:
        _ = run.gold
    assert str(file) in error.value.problem


def test_runs_are_read_by_model_data_set_recipe_seed_and_digest(tmp_path: Path) -> None:
    expected = [
        a_record("bert_base"),
        a_record("minilm", seed=2),
        *sorted(
            [a_record("minilm", seed=10), a_record("minilm", test_sha256="d" * 64, seed=10)], key=lambda r: r.digest
        ),
        a_record("minilm", "recipe.name=tuned"),
        a_record("minilm", dataset="synthetic"),
        a_record("tfidf"),
    ]
    for record in expected[::-1]:
        store.write(tmp_path, record)
    assert [run.record for run in store.read_all(tmp_path)] == expected


def test_half_written_and_retired_runs_are_not_read(tmp_path: Path) -> None:
    folder = publish(tmp_path, a_record()).folder
    for name in (".partial-x", ".retired-x"):
        shutil.copytree(folder, folder.parent / name)
    assert len(store.read_all(tmp_path)) == 1


def test_a_missing_results_folder_has_no_runs(tmp_path: Path) -> None:
    assert store.read_all(tmp_path / "nowhere") == []


def test_a_run_that_is_replaced_while_all_are_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, a_record())
    monkeypatch.setattr(store, "read", lambda folder: (folder / "moved").read_bytes())
    assert store.read_all(tmp_path) == []
