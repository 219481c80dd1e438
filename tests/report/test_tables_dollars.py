from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from factories import (
    FIT,
    a_record,
    a_throughput,
    analysis_of,
    loading,
    publish_many,
    publish_with_costs,
    row_with,
    rows_of,
    wrong_at,
)

from benchmark.analysis.analysed import AnalysedResults
from benchmark.report.tables import ALWAYS_SHOWN, all_tables
from benchmark.report.tables.dollars import PROJECTED
from benchmark.report.tables.dollars import TABLES as DECLARED
from benchmark.results.environment import Environment
from benchmark.results.record import RunRecord
from benchmark.results.speed import Throughput
from benchmark.results.store import Run

DOLLARS, ENERGY = DECLARED


def rows(name: int, *runs: Run) -> list[dict[str, Any]]:
    return rows_of(DECLARED[name].data(analysis_of(*runs)))


def timed(model: str, training: float, answering: float, environment: Environment) -> RunRecord:
    fit = replace(FIT, training_seconds=training, device="cuda:0" if environment.gpu else "cpu")
    seconds = {"data": 1.0, "fit": training + 9, "predict": answering}
    return replace(a_record(model, fit=fit), seconds=seconds, environment=environment)


def test_a_year_costs_one_training_and_365000_texts(tmp_path: Path) -> None:
    slow = publish_many(tmp_path, timed("minilm", 36_000, 20, Environment(cores=2)), wrong_at([1]))
    fast = publish_many(tmp_path, timed("bert_base", 360, 0.2, Environment(gpu="NVIDIA H200", cores=2)), wrong_at([2]))
    first, second = rows(0, slow, fast)
    assert (first["hardware"], second["hardware"], second["per_hour"]) == ("NVIDIA H200", "CPU, 2 cores", 0.1)
    assert (first["training_dollars"], second["training_dollars"]) == pytest.approx((0.4, 1.0))
    assert (first["answering_dollars"], second["answering_dollars"]) == pytest.approx(
        (365 * 4 / 3600, 36_500 * 0.1 / 3600)
    )
    assert [row["year_dollars"] - row["training_dollars"] - row["answering_dollars"] for row in (first, second)] == [
        0,
        0,
    ]


def test_a_run_on_several_gpus_pays_for_each_and_processes_on_one_cpu_share_it(tmp_path: Path) -> None:
    gpus = Environment(gpu="NVIDIA H200", cores=2, processes=4)
    [row] = rows(0, publish_many(tmp_path, timed("minilm", 3600, 20, gpus), wrong_at([1])))
    assert (row["hardware"], row["per_hour"], row["training_dollars"]) == ("4 x NVIDIA H200", 16, pytest.approx(16))
    cores = Environment(cores=2, processes=2)
    [row] = rows(0, publish_many(tmp_path, timed("minilm", 3600, 20, cores), wrong_at([1])))
    assert (row["per_hour"], row["training_dollars"]) == (0.1, pytest.approx(0.1))


def test_a_loaded_adapter_costs_what_its_training_did(tmp_path: Path) -> None:
    trained = publish_many(tmp_path, timed("smollm2_lora", 36_000, 20, Environment(cores=2)), wrong_at([1]))
    record = loading(a_record("smollm2_lora", "model.readout=generate"), trained.folder.name)
    record = replace(record, environment=Environment(cores=2))
    loaded = publish_many(tmp_path, record, wrong_at([1]))
    found = [row for row in rows(0, trained, loaded) if pd.isna(row["training_seconds"])]
    assert [row["training_dollars"] for row in found] == [pytest.approx(1.0)]
    [row] = rows(0, loaded)  # without the run that trained it
    assert (row["training_dollars"], row["year_dollars"]) == (None, None)
    assert row["answering_dollars"] > 0


def test_a_model_that_needs_no_training_costs_its_answers_only(tmp_path: Path) -> None:
    record = timed("smollm2_lora", 100, 20, Environment(cores=2))
    record = replace(record, fit=replace(FIT, trained_parameters=0))
    [row] = rows(0, publish_many(tmp_path, record, wrong_at([1])))
    assert row["training_dollars"] == 0
    assert row["year_dollars"] == row["answering_dollars"] > 0


def test_the_training_of_a_checkpoint_that_was_only_scored_is_not_known(tmp_path: Path) -> None:
    fit = replace(FIT, trained_parameters=0, weights=replace(FIT.weights, head="kept", trained_head=True))
    scored = publish_many(tmp_path, replace(with_energy(0, 50.0, {"cpu": 100.0}), fit=fit), wrong_at([1]))
    trained = publish_many(tmp_path, timed("bert_base", 3600, 20, Environment(cores=2)), wrong_at([1]))
    first, second = rows(0, scored, trained)
    assert first["model"] == "BERT base"  # not the cheapest
    assert (second["training_dollars"], second["year_dollars"]) == (None, None)
    [row] = rows(1, scored)
    assert (row["training_joules"], row["year_dollars"], row["joules_per_text"]) == (None, None, 0.5)


@pytest.mark.parametrize("environment", [Environment(cores=2, device_shared=True), Environment(cores=64)])
def test_shared_times_and_hardware_without_a_price_have_no_row(tmp_path: Path, environment: Environment) -> None:
    run = publish_many(tmp_path, timed("minilm", 60, 2, environment), wrong_at([1]))
    assert rows(0, run) == []
    assert {"dollars", "energy"}.isdisjoint(table.name for table in all_tables(analysis_of(run)))
    assert "dollars" not in ALWAYS_SHOWN


def with_energy(run_seed: int, training: float, predicting: dict[str, float], shared: bool = False) -> RunRecord:
    environment = Environment(cores=2, device_shared=shared)
    record = replace(a_record("minilm", seed=run_seed), environment=environment)
    return replace(record, joules={"fit": {"cpu": training}, "predict": predicting})


def test_energy_is_the_median_of_the_seeds_that_measured_it_alone(tmp_path: Path) -> None:
    made = [
        publish_many(tmp_path, record, wrong_at([record.seed]))
        for record in (
            with_energy(0, 3e6, {"cpu": 100.0, "gpu": 300.0}),
            with_energy(1, 5e6, {"cpu": 200.0, "gpu": 600.0}),
            with_energy(2, 9e9, {"cpu": 9e9}, shared=True),
            replace(with_energy(3, 0, {}), joules={}),
            replace(with_energy(4, 0, {}), joules={"fit": {}, "predict": {}}),  # as older runs on a CPU beside a GPU
        )
    ]
    made.append(publish_with_costs(tmp_path, "bert_base", 3, training=1, memory=1, trained=1, answering=1))
    [row] = rows(1, *made)
    assert (row["training_joules"], row["joules_per_text"], row["measured"]) == (4e6, 3.0, "CPU and GPU")
    assert row["year_dollars"] == pytest.approx((4e6 + 365_000 * 3) / 3.6e6 * 0.13)
    assert row_with(rows(0, *made), model="BERT base")["training_seconds"] == 1


def energy_of_adapter(folder: Path, training: RunRecord) -> dict[str, Any]:
    """The row of a run that loads the adapter which the run of `training` saved."""
    trained = publish_many(folder, training, wrong_at([1]))
    record = loading(a_record("smollm2_lora", "model.readout=generate"), trained.folder.name)
    record = replace(record, environment=Environment(cores=2), joules={"fit": {"cpu": 7.0}, "predict": {"cpu": 200.0}})
    loaded = publish_many(folder, record, wrong_at([2, 3]))
    ids = {row["run"]: row["configuration"] for _, row in analysis_of(trained, loaded).configurations.iterrows()}
    return row_with(rows(1, trained, loaded), configuration=ids[loaded.name])


def test_a_loaded_adapter_needs_the_energy_of_its_training(tmp_path: Path) -> None:
    training = replace(a_record("smollm2_lora"), environment=Environment(cores=2))
    joules = {"fit": {"cpu": 3e6}, "predict": {"cpu": 100.0}}
    row = energy_of_adapter(tmp_path / "one", replace(training, joules=joules))
    assert (row["training_joules"], row["joules_per_text"]) == (3e6, 1.0)
    assert row["year_dollars"] == pytest.approx((3e6 + 365_000) / 3.6e6 * 0.13)
    shared = replace(training, joules=joules, environment=Environment(cores=2, device_shared=True))
    for number, unknown in enumerate((training, shared)):
        row = energy_of_adapter(tmp_path / str(number), unknown)
        assert (row["training_joules"], row["year_dollars"], row["joules_per_text"]) == (None, None, 1.0)


def test_a_model_that_trains_nothing_shows_the_energy_of_loading_it(tmp_path: Path) -> None:
    record = replace(with_energy(0, 50.0, {"cpu": 100.0}), fit=replace(FIT, trained_parameters=0))
    [row] = rows(1, publish_many(tmp_path, record, wrong_at([1])))
    assert row["training_joules"] == 50.0


def a_speed(**changes: Any) -> Throughput:
    ways = [
        {"batching": "packed", "precision": "bf16", "samples_per_second": 100.0, "answered_per_second": 1000.0},
        {"batching": "padded", "precision": "bf16", "samples_per_second": 200.0, "answered_per_second": None},
    ]
    llama = {"model": "llama3_lora", "title": "Llama 3 8B", "device": "NVIDIA H200", "pretrained": False}
    return a_throughput(**llama | {"environment": {"device_shared": None}, "ways": ways} | changes)


def projected(*measured: Throughput) -> list[dict[str, Any]]:
    return rows_of(PROJECTED.data(AnalysedResults(replace(analysis_of().results, speeds=list(measured)))))


def test_the_speed_with_random_weights_gives_a_projection_in_dollars() -> None:
    others = [a_speed(pretrained=True), a_speed(device="NVIDIA Unknown"), a_speed(ways=[])]
    [row] = projected(*others, a_speed(), a_speed(environment={"device_shared": True}))
    assert (row["model"], row["training"]) == ("Llama 3 8B, random weights", 480)  # three epochs
    assert (row["training_dollars"], row["answering_dollars"]) == pytest.approx((480 * 4 / 3600, 365 * 4 / 3600))
    assert row["year_dollars"] == row["training_dollars"] + row["answering_dollars"]


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        ({"dataset": "emotion", "train": 2000, "dataset_train": 16_000}, [480]),
        ({"dataset": "banking77", "train": 2000, "dataset_train": 9002}, [270.06]),
        ({"dataset": "emotion", "train": 16_000}, [480]),  # older files: all rows of emotion
        ({"dataset": "emotion", "train": 2000}, []),
        ({"dataset": "banking77", "train": 16_000}, []),
    ],
)
def test_the_projection_is_of_all_training_rows_and_left_out_if_their_number_is_not_known(
    rows: dict[str, Any], seconds: list[float]
) -> None:
    assert [row["training"] for row in projected(a_speed(rows=rows | {"answered": 1000}))] == pytest.approx(seconds)


def test_the_projection_counts_the_preparation_of_graphs_once() -> None:
    way = {"batching": "packed", "precision": "bf16", "samples_per_second": 100.0, "answered_per_second": 1000.0}
    [row] = projected(a_speed(ways=[way | {"graph_steps": 8, "graph_seconds": 20.0}]))
    assert (row["batching"], row["training"]) == ("packed, CUDA graphs", 500)
