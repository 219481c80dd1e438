from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import FIT, GOLD, LABELS, a_record, publish

from benchmark.analysis.frame import RUN_COLUMNS, label_names, read_results, read_speeds, results_of
from benchmark.errors import BenchmarkError
from benchmark.interface import AdapterSource, CurvePoint, WeightSource
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
FAILED = {"status": Status.failed, "failure": Failure("out of memory")}
RANDOM = replace(FIT, weights=WeightSource("random"))


def unread(model: str = "tfidf", seed: int = 0) -> RunRecord:
    """The record of a run that ended before its data were read."""
    return replace(a_record(model, seed=seed, **FAILED), data=None, digest=f"{seed:064d}")


def configurations_of(*runs: Run) -> list[list[str]]:
    """The names of the runs of each configuration."""
    frame = results_of(list(runs)).runs
    return [group["run"].tolist() for _, group in frame.groupby("configuration", sort=False)]


def test_a_run_has_a_row_with_every_documented_column(tmp_path: Path) -> None:
    curve = (
        CurvePoint(1, 1.0, validation_accuracy=0.3),
        CurvePoint(2, 2.0, validation_accuracy=0.5),
        CurvePoint(2, 2.0),
    )
    record = replace(a_record("minilm", fit=replace(FIT, curve=curve, precision="bf16")), finished="x")
    run = publish(tmp_path, record, ONE_WRONG)
    frame = read_results(tmp_path).runs
    assert list(frame.columns) == list(RUN_COLUMNS)
    (row,) = frame.to_dict("records")
    expected = {
        "run": run.name, "model": "minilm", "title": "MiniLM-L6 (22M BERT)", "kind": "encoder", "readout": None,
        "recipe": "paper", "label": "MiniLM-L6 (22M BERT), paper", "seed": 0, "dataset": "emotion",
        "test_sha256": "c" * 64, "status": "completed", "result": True, "pretrained": True, "scorable": True,
        "limits": "", "trial": False, "counted": True, "trained": True, "learns": True, "graded": True,
        "collapsed": False, "precision": "bf16", "hardware": "A processor, 2 cores", "test_rows": 10, "train_rows": 140,
        "steps": 24, "training_seconds": 90.0, "peak_memory": 2**30, "trained_parameters": 10,
        "seconds_per_text": 0.2, "validation_accuracy": 0.5,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_an_answer_has_a_row_per_run_and_item(tmp_path: Path) -> None:
    first, second = (publish(tmp_path, a_record(model), ONE_WRONG) for model in ("minilm", "tfidf"))
    results = results_of([first, second])
    assert len(results.answers) == 20
    answers = results.of(second.name)
    assert answers["item"].tolist() == [f"test-{row}" for row in range(10)]
    assert answers["gold"].tolist() == list(GOLD)
    assert answers["predicted"].tolist() == list(ONE_WRONG)
    assert answers["correct"].tolist() == [True] * 9 + [False]
    assert answers["confidence"].tolist() == [1.0] * 10
    assert answers[f"p_{LABELS[0]}"].tolist() == [1, 0, 0, 0, 0, 0, 1, 0, 0, 1]
    assert results.correct([first.name, second.name]).shape == (2, 10)
    np.testing.assert_array_equal(results.predicted([second.name]), [ONE_WRONG])


def test_without_runs_the_frames_have_their_columns() -> None:
    results = results_of([])
    assert list(results.runs.columns) == list(RUN_COLUMNS)
    assert results.answers.empty


def test_runs_that_differ_in_their_seed_or_title_are_one_configuration(tmp_path: Path) -> None:
    records = [a_record("minilm", seed=0), a_record("minilm", "model.title=Other", seed=1)]
    other = a_record("minilm", "recipe.epochs=9")
    runs = [publish(tmp_path, record, ONE_WRONG) for record in (*records, other)]
    assert configurations_of(*runs) == [[runs[0].name, runs[1].name], [runs[2].name]]


def test_other_content_of_the_data_is_another_configuration(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(test_sha256=letter * 64), ONE_WRONG) for letter in "cd"]
    assert len(configurations_of(*runs)) == 2


def test_a_seed_that_failed_before_its_data_were_read_joins_the_others(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=0), ONE_WRONG), publish(tmp_path, unread(seed=1))]
    assert configurations_of(*runs) == [[run.name for run in runs]]


def test_it_is_left_out_if_the_same_seed_came_further(tmp_path: Path) -> None:
    done, failed = publish(tmp_path, a_record()), publish(tmp_path, a_record("minilm", **FAILED))
    runs = [done, publish(tmp_path, unread()), failed, publish(tmp_path, unread("minilm"))]
    assert configurations_of(*runs) == [[done.name], [failed.name]]


def test_it_stands_alone_between_two_contents_of_the_data(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(test_sha256=letter * 64), ONE_WRONG) for letter in "cd"]
    assert [len(names) for names in configurations_of(*runs, publish(tmp_path, unread(seed=1)))] == [1, 1, 1]


@pytest.mark.parametrize("ended", [Status.completed, Status.failed])
@pytest.mark.parametrize("override", ["dataset.train_rows=5", "recipe.max_steps=3", "model.weights.source=random"])
def test_a_limited_or_randomly_initialised_run_is_a_trial(override: str, ended: Status, tmp_path: Path) -> None:
    fit = RANDOM if "random" in override else FIT
    run = publish(tmp_path, a_record("minilm", override, status=ended, fit=fit))
    assert results_of([run]).runs["trial"].tolist() == [True]


def test_ordinary_runs_are_not_trials(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(model)) for model in ("minilm", "majority")]
    assert results_of(runs).runs["trial"].tolist() == [False, False]


def test_one_label_for_every_text_is_a_collapsed_run(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record(seed=seed), predicted) for seed, predicted in enumerate(([1] * 10, [1] * 9 + [2]))
    ]
    assert results_of(runs).runs["collapsed"].tolist() == [True, False]


def test_results_are_counted_before_trials_and_pretrained_runs_before_others(tmp_path: Path) -> None:
    results = [publish(tmp_path, a_record(seed=0)), publish(tmp_path, a_record(seed=1, **FAILED))]
    mixed = [publish(tmp_path, a_record("minilm", seed=s, fit=fit)) for s, fit in enumerate((RANDOM, FIT))]
    trial = [
        publish(tmp_path, a_record("bert_base", "recipe.max_steps=3", seed=s, fit=fit))
        for s, fit in enumerate((RANDOM, FIT))
    ]
    random = [publish(tmp_path, a_record("roberta_base", fit=RANDOM))]
    counted = results_of([*results, *mixed, *trial, *random]).runs.set_index("run")["counted"]
    assert counted.tolist() == [True, False, False, True, False, True, True]


def test_predictions_made_elsewhere_have_no_costs(tmp_path: Path) -> None:
    row = results_of([publish(tmp_path, a_record("external"))]).runs.iloc[0]
    assert row[["training_seconds", "peak_memory", "trained_parameters", "seconds_per_text"]].isna().all()


def loads(name: str, sha256: str, seed: int = 0) -> RunRecord:
    weights = WeightSource("wheel", adapter=AdapterSource(name, sha256))
    fit = replace(FIT, weights=weights, trained_parameters=0)
    return a_record("smollm2_lora", "model.readout=generate", f"model.adapter={name}", fit=fit, seed=seed)


def test_an_adapter_belongs_to_the_run_that_saved_it_by_its_hash_and_else_by_its_folder(tmp_path: Path) -> None:
    saved = publish(tmp_path, a_record("smollm2_lora", fit=replace(FIT, saved_sha256="a" * 64)))
    unsaved = publish(tmp_path, a_record("smollm2_lora", seed=1))
    by_hash = publish(tmp_path, loads(unsaved.folder.name, "a" * 64))
    by_folder = publish(tmp_path, loads(unsaved.folder.name, "b" * 64, seed=5))
    foreign = publish(tmp_path, loads("elsewhere", "b" * 64, seed=6))
    frame = results_of([saved, unsaved, by_hash, by_folder, foreign]).runs
    assert frame["trained_by"].tolist() == [None, None, saved.name, unsaved.name, None]
    training = frame["training"].tolist()
    assert training[0] == training[1] == training[2] == training[3] != training[4]


def test_models_with_one_read_out_have_no_training_id(tmp_path: Path) -> None:
    assert results_of([publish(tmp_path, a_record("minilm"))]).runs["training"].tolist() == [None]


def test_curves_join_numbers_of_training_rows_and_nothing_else(tmp_path: Path) -> None:
    overrides = [[], ["dataset.train_rows=5"], ["dataset.test_rows=5"], ["recipe.epochs=9"]]
    runs = [publish(tmp_path, a_record("minilm", *given)) for given in overrides]
    whole, limited, *others = results_of(runs).runs["curve"]
    assert whole == limited
    assert len({whole, *others}) == 3


def test_a_damaged_measurement_of_speed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "speed/machine/minilm.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"model": "minilm"}')
    assert read_speeds(tmp_path) == [{"model": "minilm"}]
    path.write_text("{")
    with pytest.raises(BenchmarkError) as error:
        read_speeds(tmp_path)
    assert str(path) in error.value.problem


def test_the_last_name_of_labels_is_that_of_no_label() -> None:
    assert label_names(("a", "b"))[-1] == "no label"
