import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import (
    FIT,
    GOLD,
    LABELS,
    RANDOM_FIT,
    a_latency,
    a_record,
    a_record_on_rows,
    a_throughput,
    analysis_of,
    answers,
    loading,
    publish,
    rows_of,
)

from benchmark.analysis import frame, study
from benchmark.analysis.columns import RUN_COLUMNS
from benchmark.analysis.frame import Results, label_names, read_results, results_of
from benchmark.errors import BenchmarkError
from benchmark.interface import NO_LABEL, CurvePoint, ModelCard, Readout
from benchmark.results import error_costs
from benchmark.results.catalogue import read_catalogue
from benchmark.results.environment import Environment
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.speed import write_speed
from benchmark.results.store import Run, read_all

FAILED: dict[str, Any] = {"status": Status.failed, "failure": Failure("It ran out of memory.")}
ONE_WRONG = (*GOLD[:-1], 0)


def results(*runs: Run) -> Results:
    return analysis_of(*runs).results


def row(folder: Path, record: RunRecord, predicted: tuple[int, ...] = GOLD) -> dict[str, Any]:
    """The run's row among the runs."""
    (only,) = rows_of(results(publish(folder, record, predicted)).runs)
    return only


def ids(column: str, *runs: Run) -> list[Any]:
    return results(*runs).runs[column].tolist()


def test_a_row_describes_its_run(tmp_path: Path) -> None:
    found = row(tmp_path, a_record("smollm2_lora", "recipe.learning_rate=0.5", seed=3), ONE_WRONG)
    expected = {
        "run": f"smollm2_lora/emotion/{Path(found['run']).name}",
        "model": "smollm2_lora",
        "title": "SmolLM2-135M LoRA",
        "kind": "decoder",
        "readout": "constrained labels",
        "recipe": "paper, learning rate 0.5",
        "short_name": "SmolLM2-135M LoRA, paper, learning rate 0.5",
        "seed": 3,
        "dataset": "emotion",
        "test_sha256": study.TEST_SHA256,
        "status": "completed",
        "precision": "fp32",
        "hardware": "A processor, 2 cores",
        "test_rows": 10,
        "train_rows": 140,
        "steps": 24,
        "parameters": 134515008,
        "training_seconds": 90.0,
        "peak_memory": 2**30,
        "trained_parameters": 10,
        "seconds_per_text": 0.2,
        "validation_accuracy": 0.75,
        "trained_by": None,
    }
    flags = {"result", "pretrained", "scorable", "counted", "trained", "learns", "has_confidences"}
    assert {name: found[name] for name in expected} == expected
    assert {name for name, value in found.items() if value is True} == flags
    assert set(found) == set(RUN_COLUMNS)


def test_a_run_that_ended_early_has_a_row_without_measurements(tmp_path: Path) -> None:
    found = row(tmp_path, replace(a_record("minilm", **FAILED), data=None, card=None))
    missing = ("test_sha256", "readout", "parameters", "test_rows", "train_rows", "steps", "seconds_per_text",
               "precision", "trained_parameters", "validation_accuracy", "training")  # fmt: skip
    assert {found[name] for name in missing} == {None}
    assert (found["status"], found["kind"], found["learns"], found["pretrained"]) == ("failed", "encoder", True, True)
    assert not any(found[name] for name in ("result", "scorable", "has_confidences", "collapsed", "counted"))


def test_predictions_made_elsewhere_have_no_cost(tmp_path: Path) -> None:
    found = row(tmp_path, a_record("external"))
    costs = ("training_seconds", "peak_memory", "trained_parameters", "seconds_per_text")
    assert {found[cost] for cost in costs} == {None}


def test_numbers_of_zero_steps_and_trained_parameters_are_missing(tmp_path: Path) -> None:
    found = row(tmp_path, a_record("minilm", fit=replace(FIT, steps=0, trained_parameters=0)))
    assert (found["steps"], found["trained_parameters"], found["trained"]) == (None, None, False)


@pytest.mark.parametrize("memory", [{"host": 1}, {"host": 7, "device": 1}])
def test_memory_is_that_of_the_gpu_if_there_was_one(memory: dict[str, int], tmp_path: Path) -> None:
    assert row(tmp_path, replace(a_record("minilm"), peak_memory=memory))["peak_memory"] == 1


@pytest.mark.parametrize(("gpu", "hardware"), [("A GPU", "A GPU"), (None, "CPU, ? cores")])
def test_a_failed_run_is_attributed_to_the_best_device_of_its_machine(gpu: str | None, hardware: str) -> None:
    assert replace(a_record("minilm", **FAILED), environment=Environment(gpu=gpu)).hardware == hardware


@pytest.mark.parametrize(
    ("override", "fit", "scorable"),
    [
        ("dataset.train_rows=5", FIT, True),
        ("dataset.test_rows=5", FIT, True),
        ("dataset.test_rows=1", FIT, False),
        ("recipe.max_steps=3", FIT, True),
        ("model.weights.source=random", RANDOM_FIT, False),
    ],
)
@pytest.mark.parametrize("status", [Status.completed, Status.failed])
def test_limited_runs_and_random_weights_are_trials_however_they_ended(
    override: str, fit: Any, scorable: bool, status: Status, tmp_path: Path
) -> None:
    found = row(tmp_path, a_record("minilm", override, fit=fit, status=status))
    assert (found["reduced"], found["result"]) == (True, False)
    assert found["scorable"] == (scorable and status is Status.completed)
    assert found["pretrained"] == ("random" not in override)


@pytest.mark.parametrize(
    ("predicted", "collapsed"), [([3] * 10, True), ([NO_LABEL] * 10, True), ([3] * 9 + [4], False), ([3], False)]
)
def test_a_run_collapsed_if_it_predicts_one_label_for_every_text(
    predicted: list[int], collapsed: bool, tmp_path: Path
) -> None:
    rows = len(predicted)
    run = publish(tmp_path, a_record(), predicted, ["an answer"] * rows, GOLD[:rows])
    assert ids("collapsed", run) == [collapsed]


def test_free_answers_are_not_graded(tmp_path: Path) -> None:
    assert ids("has_confidences", publish(tmp_path, a_record(), GOLD, ["an answer"] * 10)) == [False]


@pytest.mark.parametrize(("keep", "expected"), [("last", 0.25), ("best", 0.5)])
def test_the_validation_accuracy_is_that_of_the_weights_that_were_kept(
    keep: str, expected: float, tmp_path: Path
) -> None:
    curve = (
        *(CurvePoint(step, 1.0, validation_accuracy=value) for step, value in ((1, 0.5), (2, 0.25))),
        CurvePoint(3, 2),
    )
    record = a_record("minilm", f"recipe.keep={keep}", fit=replace(FIT, curve=curve))
    assert row(tmp_path, record)["validation_accuracy"] == expected
    assert row(tmp_path / "none", a_record("minilm", fit=replace(FIT, curve=())))["validation_accuracy"] is None


@pytest.mark.parametrize(("overrides", "other_texts"), [([], False), (['dataset.sha256={"train":"0"}'], True)])
def test_the_studys_training_texts_are_known_whatever_data_set_the_catalogue_begins_with(
    overrides: list[str], other_texts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = read_catalogue()["tfidf"]
    dataset = replace(entry.config.dataset, name="imdb", sha256={"train": "0"})
    on_imdb = replace(entry, config=replace(entry.config, dataset=dataset))
    monkeypatch.setattr(frame, "read_catalogue", lambda: {"on_imdb": on_imdb, **read_catalogue()})
    recipe = row(tmp_path, a_record("minilm", *overrides))["recipe"]
    assert recipe.endswith(", other training texts") == other_texts


# Grouping


def test_seeds_and_titles_do_not_separate_configurations_but_values_and_data_do(tmp_path: Path) -> None:
    same = [a_record(), a_record(seed=1), a_record("tfidf", "model.title=Other", seed=2)]
    other = [a_record("tfidf", override) for override in ("recipe.epochs=9", "dataset.train_rows=5")]
    other += [a_record(test_sha256="d" * 64), a_record(dataset="mine")]
    found = ids("configuration", *(publish(tmp_path, record) for record in [*same, *other]))
    assert len(set(found[:3])) == 1
    assert len(set(found)) == 5


def test_configurations_of_one_curve_differ_in_rows_only(tmp_path: Path) -> None:
    records = [a_record_on_rows(rows) for rows in (10, 20)]
    records += [a_record_on_rows(10, "minilm", 0, override) for override in ("recipe.epochs=9", "dataset.test_rows=5")]
    records += [a_record("minilm", test_sha256="d" * 64)]
    runs = [publish(tmp_path, record) for record in records]
    first, second, *others = ids("curve", *runs)
    assert first == second
    assert len({first, *others}) == 4
    assert len(set(ids("configuration", *runs))) == 5


def unread(seed: int = 0) -> RunRecord:
    """The record of a run that ended before it read data."""
    return replace(a_record(seed=seed, **FAILED), data=None, digest=str(seed) * 64)


def test_a_seed_that_failed_before_reading_data_joins_the_only_data_of_its_spec(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=0)), publish(tmp_path, unread(seed=1))]
    assert len(set(ids("configuration", *runs))) == 1
    other = publish(tmp_path, a_record(seed=0, test_sha256="d" * 64))
    assert len(set(ids("configuration", *runs, other))) == 3


def test_a_start_that_failed_is_left_out_if_the_same_seed_read_its_data(tmp_path: Path) -> None:
    for status in (Status.completed, Status.failed):
        runs = [publish(tmp_path / status, unread()), publish(tmp_path / status, a_record(status=status))]
        assert ids("run", *runs) == [runs[1].name]
    assert ids("run", runs[0]) == [runs[0].name]


def test_results_count_before_pretrained_trials_and_those_before_random_weights(tmp_path: Path) -> None:
    few = "dataset.train_rows=5"
    random = publish(tmp_path, a_record("minilm", few, seed=0, fit=RANDOM_FIT))
    failed = publish(tmp_path, a_record("minilm", few, seed=2, **FAILED))
    trial = publish(tmp_path, a_record("minilm", few, seed=1))
    assert ids("counted", random, failed, trial) == [False, False, True]
    assert ids("counted", random, failed) == [True, False]
    assert ids("counted", failed) == [False]
    replaced = publish(tmp_path, a_record("minilm", seed=1, fit=RANDOM_FIT))
    assert ids("counted", publish(tmp_path, a_record("minilm")), replaced) == [True, False]


# Adapters


def trained(*overrides: str, saved: str | None = None, seed: int = 0) -> RunRecord:
    return a_record("smollm2_lora", *overrides, seed=seed, fit=replace(FIT, saved_sha256=saved))


def reading(adapter: str, sha256: str = "f" * 64, way: str = "generate") -> RunRecord:
    return loading(a_record("smollm2_lora", f"model.readout={way}", f"model.adapter={adapter}"), adapter, sha256)


def test_an_adapter_belongs_to_the_run_that_saved_it_by_hash_before_folder(tmp_path: Path) -> None:
    by_hash = publish(tmp_path, trained(saved="a" * 64))
    by_folder = publish(tmp_path, trained("recipe.epochs=9"))
    folder = by_folder.folder.name
    readers = [
        publish(tmp_path, reading(folder, "a" * 64)),
        publish(tmp_path, reading(folder, "b" * 64, "labels")),
        publish(tmp_path, reading("made_elsewhere", "b" * 64)),
    ]
    perturbed = reading("kept", "c" * 64)  # read the model that by_hash kept
    assert perturbed.fit is not None
    readers.append(publish(tmp_path, replace(perturbed, fit=replace(perturbed.fit, saved_sha256="a" * 64))))
    found = ids("trained_by", by_hash, by_folder, *readers)
    assert found == [None, None, by_hash.name, by_folder.name, None, None]


def test_read_outs_share_the_training_that_they_load(tmp_path: Path) -> None:
    first, second = publish(tmp_path, trained(seed=4)), publish(tmp_path, trained("recipe.epochs=9"))
    of_first, of_second = (publish(tmp_path, reading(run.folder.name)) for run in (first, second))
    one, other, same_as_one, same_as_other = ids("training", first, second, of_first, of_second)
    assert (one, other) == (same_as_one, same_as_other)
    assert one != other


def test_a_training_is_of_weights_recipe_and_data_whatever_the_read_out_and_seed(tmp_path: Path) -> None:
    same = [trained(), trained("model.readout=generate", seed=1)]
    elsewhere = [reading("one", "1" * 64), reading("other", "2" * 64)]
    other = [trained("model.lora.rank=4"), a_record("smollm2_lora", test_sha256="d" * 64), *elsewhere]
    found = ids("training", *(publish(tmp_path, record) for record in [*same, *other]))
    assert found[0] == found[1]
    assert len(set(found)) == 5
    assert ids("training", publish(tmp_path, a_record("minilm"))) == [None]


def test_models_that_do_not_say_what_they_train_share_no_training(tmp_path: Path) -> None:
    cards = [ModelCard(name, name, readout=Readout.labels) for name in ("mine", "yours")]
    records = [replace(a_record("minilm", f"model.name={card.weights}"), card=card) for card in cards]
    assert ids("training", *(publish(tmp_path, record) for record in records)) == [None, None]


# Answers


def test_answers_are_one_row_per_run_and_item(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=seed), predicted) for seed, predicted in ((1, GOLD), (0, ONE_WRONG))]
    found = results(*runs, publish(tmp_path, a_record(seed=2, **FAILED)))
    names = [run.name for run in runs]
    assert found.answers["run"].tolist() == [names[0]] * 10 + [names[1]] * 10
    assert found.answers_of(names[1])["item"].tolist() == [f"test-{row}" for row in range(10)]
    assert found.answers_of(names[1])["confidence"].tolist() == [1.0] * 10
    assert found.gold(names).tolist() == [list(GOLD)] * 2
    assert found.predicted(names).tolist() == [list(GOLD), list(ONE_WRONG)]
    assert found.correct(names[::-1]).tolist() == [[True] * 9 + [False], [True] * 10]
    assert {f"p_{label}" for label in LABELS} <= set(found.answers)
    assert found.labels(names[0]) == LABELS
    assert "texts" not in set(found.answers)


def test_the_confidence_is_that_of_the_predicted_label(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record(), [NO_LABEL, *GOLD[1:]], ["an answer"] * 10)
    expected = answers([NO_LABEL]).probabilities[0, 0]
    assert results(run).answers_of(run.name)["confidence"].tolist() == [expected] + [1.0] * 9


def test_no_runs_are_empty_tables() -> None:
    found = results_of([])
    assert (len(found.runs), len(found.answers), found.speeds) == (0, 0, [])
    assert list(found.runs.columns) == list(RUN_COLUMNS)


def test_the_last_label_name_is_that_of_no_label() -> None:
    assert np.array(label_names(("a", "b")))[[0, 1, NO_LABEL]].tolist() == ["a", "b", "no label"]
    assert label_names(("no label", "b")) == ["no label", "b", "no label of the data set"]


def test_results_are_read_with_the_measurements_of_speed(tmp_path: Path) -> None:
    publish(tmp_path, a_record())
    measured = [a_throughput(device="A"), a_latency(device="B"), a_throughput(device="C")]
    for one in reversed(measured):
        write_speed(one, tmp_path)
    found = read_results(tmp_path)
    assert (len(found.runs), found.speeds) == (1, measured)
    assert (found.throughputs, found.latencies) == (measured[::2], measured[1:2])


def test_costs_of_errors_must_name_the_labels_of_a_data_set(tmp_path: Path) -> None:
    publish(tmp_path, a_record())
    costs = pd.DataFrame(1 - np.eye(6), [f"{label} " for label in LABELS], [f"{label} " for label in LABELS])
    costs.to_csv(tmp_path / error_costs.FILE)
    found = read_results(tmp_path).error_costs
    assert found is not None
    assert (*found.index,) == (*found.columns,) == LABELS
    costs.rename(index=str.title, columns=str.title).to_csv(tmp_path / error_costs.FILE)
    with pytest.raises(BenchmarkError, match="Sadness, Joy.* no data set here"):
        read_results(tmp_path)


def test_a_copied_folder_is_no_second_run(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record("tfidf", seed=seed), ONE_WRONG) for seed in (0, 1)]
    for name in ("a-copy", f"a-{runs[0].record.digest[:8]}", runs[0].folder.name + "-copy"):
        shutil.copytree(runs[0].folder, runs[0].folder.with_name(name))
    analysis = analysis_of(*read_all(tmp_path))
    (row,) = analysis.configurations.to_dict("records")
    assert (row["seeds"], row["counted"]) == (2, [run.name for run in runs])
    assert len(analysis.results.duplicate_runs) == 3
    assert not set(analysis.results.duplicate_runs) & {run.name for run in runs}


def test_configurations_with_one_name_are_numbered(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record("tfidf", dataset=name, test_sha256="d" * 64)) for name in ("one", "two")]
    assert analysis_of(*runs).configurations["short_name"].tolist() == [
        "TF-IDF + logistic regression, paper",
        "TF-IDF + logistic regression, paper (2)",
    ]


def test_configurations_with_one_short_name_get_more_settings(tmp_path: Path) -> None:
    records = [a_record("minilm"), *(a_record("minilm", one) for one in ("model.device=cpu", "model.attention=eager"))]
    names = analysis_of(*(publish(tmp_path, record) for record in records)).configurations["short_name"]
    assert set(names) == {
        "MiniLM-L6, paper",
        "MiniLM-L6, paper, on cpu",
        "MiniLM-L6, paper, eager attention",
    }
