import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import FIT, GOLD, RANDOM_FIT, a_record, analysis, publish, row_with, rows_of, table_rows

from benchmark.analysis import study
from benchmark.analysis.frame import read_results
from benchmark.analysis.inference import accuracy_interval
from benchmark.interface import NO_LABEL, WeightSource
from benchmark.report.formats import milliseconds
from benchmark.report.table import Analysis
from benchmark.report.tables import TABLES
from benchmark.report.tables.leaderboard import leaderboard
from benchmark.report.tables.study import DEVIATES
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run
from benchmark.run.compose import composed
from benchmark.run.published import spec_of

TWO_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 0, 0)  # of GOLD: the second love and the second anger are taken for sadness
ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)  # the second anger is
FAILED = {"status": Status.failed, "failure": Failure("There is no CUDA GPU.", fix="Set model.device=cpu.")}
LLAMA = "Llama 3 8B Instruct + LoRA"


def table(name: str, *runs: Run) -> list[dict[str, Any]]:
    """The table's rows, None where a cell is empty."""
    return table_rows(name, *runs)


def standing(*runs: Run, dataset: str = "emotion") -> list[dict[str, Any]]:
    return rows_of(leaderboard(dataset).data(analysis(*runs)))


def deviating(row: dict[str, Any]) -> set[str]:
    return {setting for setting, value in row.items() if str(value).endswith(DEVIATES)}


def test_table1_opens_with_the_studys_own_row_verbatim() -> None:
    row = table("table1_models")[0]
    assert row == {
        "model": "Llama3-8b",
        "weights": None,
        "parameters": "8B",
        "trained_parameters": None,
        "context_length": "8k",
        "grouped_query_attention": "yes",
        "training_data": "publicly available data",
        "token_count": "15T+",
        "knowledge_cutoff": "March 2023",
        "source": "the study",
    }


def test_table1_computes_llama_3_from_its_architecture() -> None:
    row = row_with(table("table1_models"), model=LLAMA)
    assert (row["parameters"], row["trained_parameters"]) == (8_030_261_248, 20_971_520)
    assert (row["context_length"], row["grouped_query_attention"]) == (8192, True)
    assert row["weights"] == "meta-llama/Meta-Llama-3-8B-Instruct@8afb486c"
    assert row["knowledge_cutoff"] == "March 2023"


def test_table1_has_a_row_for_every_model_with_weights_the_largest_first() -> None:
    rows = table("table1_models")[1:]
    with_weights = [entry for entry in read_catalogue().values() if entry.card.parameters is not None]
    assert {row["model"] for row in rows} == {entry.config.model.title for entry in with_weights}
    assert [row["parameters"] for row in rows] == sorted((row["parameters"] for row in rows), reverse=True)
    assert all(row["source"] for row in rows)  # of what nobody can compute


def test_table2_opens_with_the_studys_settings() -> None:
    row = table("table2_settings")[0]
    assert study.TABLE2.items() | study.PROSE.items() <= row.items()
    assert not deviating(row)


@pytest.mark.parametrize(
    ("model", "deviations"),
    [
        (LLAMA, set()),
        ("Llama 3 8B (base) + LoRA on q, v", set()),
        ("SmolLM2-135M + LoRA", {"precision", "attention"}),
        ("MiniLM-L6 (22M BERT)", {"precision", "attention"}),
        ("RoBERTa large", {"precision", "attention"}),
    ],
)
def test_table2_marks_what_deviates_under_recipe_paper_and_nothing_else(model: str, deviations: set[str]) -> None:
    row = row_with(table("table2_settings"), model=model)
    assert deviating(row) == deviations
    assert row["lora_rank"] == (8 if "LoRA" in model else "none")
    assert (row["optimizer"], row["learning_rate"], row["epochs"]) == ("AdamW, no decay", 5e-5, 3.0)
    assert row["status"] == "not run"


def test_table2_shows_a_deviation_with_its_own_value(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("smollm2_lora", "recipe.learning_rate=0.0002", "recipe.max_length=64"))
    row = row_with(table("table2_settings", run), status="run")
    assert row["recipe"] == "paper, recipe.learning_rate=0.0002, recipe.max_length=64"
    assert (row["learning_rate"], row["max_length"], row["precision"]) == ("2e-4 *", "64 *", "fp32 *")
    assert deviating(row) == {"learning_rate", "max_length", "precision", "attention"}


def test_table2_marks_the_optimizer_that_is_not_adam(tmp_path: Path) -> None:
    tuned = replace(a_record("minilm"), config=spec_of(composed(["model=minilm", "recipe=tuned"])))
    adafactor = a_record("smollm2_lora", "recipe.optimizer=adafactor")
    rows = table("table2_settings", publish(tmp_path, tuned), publish(tmp_path, adafactor))
    minilm, smollm2 = row_with(rows, recipe="tuned"), row_with(rows, recipe="paper, recipe.optimizer=adafactor")
    assert (smollm2["optimizer"], minilm["optimizer"]) == ("Adafactor, no decay *", "AdamW, decay 0.01 *")
    assert deviating(minilm) == {
        "optimizer", "learning_rate", "batch_size", "gradient_accumulation_steps", "schedule", "precision", "attention"
    }  # fmt: skip


def test_table2_has_one_row_for_all_seeds_and_none_for_models_that_are_not_fine_tuned(tmp_path: Path) -> None:
    rows = table("table2_settings", *(publish(tmp_path, a_record("minilm", seed=seed)) for seed in (0, 1)))
    assert row_with(rows, model="MiniLM-L6 (22M BERT)")["status"] == "run"
    assert "TF-IDF + logistic regression" not in {row["model"] for row in rows}


def test_table3_without_runs_has_the_studys_figures_and_nothing_of_ours() -> None:
    rows = table("table3_accuracy")
    assert [(row["name"], row["study"]) for row in rows[:5]] == [
        ("bert_base", 0.9063),
        ("bert_large", 0.9086),
        ("roberta_base", 0.9125),
        ("roberta_large", 0.9189),
        ("llama3_lora", 0.9262),
    ]
    assert {row["name"] for row in rows} == set(read_catalogue()) - {"external"}
    for row in rows:
        assert (row["status"], row["command"]) == ("not run", f"python -m benchmark model={row['name']}")
        measured = ("accuracy", "spread", "low", "high", "seeds", "macro_f1", "training_seconds", "hardware")
        assert {row[column] for column in measured} == {None}
    assert {row["study"] for row in rows[5:]} == {None}


def test_table3_keeps_the_studys_order_and_sorts_the_others_by_accuracy(tmp_path: Path) -> None:
    rows = table(
        "table3_accuracy",
        publish(tmp_path, a_record("roberta_large"), TWO_WRONG),
        publish(tmp_path, a_record("bert_base"), GOLD),
        publish(tmp_path, a_record("minilm"), GOLD),
        publish(tmp_path, a_record("tfidf"), ONE_WRONG),
        publish(tmp_path, a_record("majority"), [5, 5, 5, 5, 5, 4, 5, 5, 5, 5]),
    )
    assert [row["name"] for row in rows[:5]] == list(study.TABLE3)
    assert [(row["name"], row["accuracy"]) for row in rows[5:8]] == [("majority", 0.0), ("tfidf", 0.9), ("minilm", 1.0)]
    assert {row["status"] for row in rows[8:]} == {"not run"}
    assert (rows[3]["study"], rows[3]["accuracy"]) == (0.9189, 0.8)
    assert (rows[0]["study"], rows[0]["accuracy"], rows[0]["status"]) == (0.9063, 1.0, "measured")


def test_figures_of_two_seeds_are_those_computed_by_hand(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record(seed=0, fit=replace(FIT, training_seconds=80.0)), TWO_WRONG),
        publish(tmp_path, a_record(seed=1, fit=replace(FIT, training_seconds=100.0)), ONE_WRONG),
    ]
    row = row_with(table("table3_accuracy", *runs), name="tfidf")
    assert (row["seeds"], row["status"]) == (2, "measured")
    assert row["accuracy"] == pytest.approx((0.8 + 0.9) / 2)
    assert row["spread"] == pytest.approx(0.1 / 2**0.5)  # the standard deviation of two, one degree of freedom
    # F1 is 2 TP / (2 TP + FP + FN). Seed 0: sadness 4/6, joy 1, love 2/3, anger 2/3, fear 1, surprise 1.
    # Seed 1: sadness 4/5, joy 1, love 1, anger 2/3, fear 1, surprise 1.
    assert row["macro_f1"] == pytest.approx(((4 / 6 + 2 / 3 + 2 / 3 + 3) / 6 + (4 / 5 + 2 / 3 + 4) / 6) / 2)
    interval = accuracy_interval(np.array([[True] * 8 + [False] * 2, [True] * 9 + [False]]))
    assert (row["low"], row["high"]) == (interval.low, interval.high)
    assert (row["training_seconds"], row["hardware"]) == (90.0, "A processor, 2 cores")
    assert row["command"] == "python -m benchmark -m model=tfidf dataset=emotion recipe=paper seed=0,1"


def test_a_mean_over_seeds_has_the_same_digits_in_every_table(tmp_path: Path) -> None:
    """That of 0.7, 0.8 and 0.9 as floats is not 24/30."""
    right = {7: (0, 0, 0), 8: (1, 0, 0), 9: (1, 2, 0)}
    runs = [publish(tmp_path, a_record("minilm", seed=n), (*GOLD[:7], *end)) for n, end in right.items()]
    assert [float((run.gold == run.predictions.predicted).mean()) for run in runs] == [0.7, 0.8, 0.9]
    columns = {"table3_accuracy": "accuracy", "ties": "accuracy", "seeds": "mean", "frontier": "accuracy"}
    columns |= {"selective": "coverage_100"}
    found = {row_with(table(name, *runs), model="MiniLM-L6 (22M BERT)")[column] for name, column in columns.items()}
    assert found == {24 / 30}


def test_one_seed_has_wilsons_interval_and_no_spread(tmp_path: Path) -> None:
    row = row_with(table("table3_accuracy", publish(tmp_path, a_record(), TWO_WRONG)), name="tfidf")
    assert (row["accuracy"], row["spread"], row["seeds"]) == (0.8, None, 1)
    assert (round(row["low"], 4), round(row["high"], 4)) == (0.4902, 0.9433)  # 8 of 10


@pytest.mark.parametrize("name", ["llama3_lora", "minilm"])
def test_a_failed_run_is_not_run_for_the_reason_it_gave(name: str, tmp_path: Path) -> None:
    run = publish(tmp_path, a_record(name, **FAILED))
    for row in (row_with(table("table3_accuracy", run), name=name), row_with(standing(run), name=name)):
        assert row["status"] == "not run: failed, There is no CUDA GPU"
        assert (row["accuracy"], row["seeds"], row["training_seconds"]) == (None, None, None)


def test_an_interrupted_run_is_not_run(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("minilm", status=Status.interrupted, failure=Failure("signal SIGTERM")))
    assert row_with(table("table3_accuracy", run), name="minilm")["status"] == "not run: interrupted, signal SIGTERM"


def test_a_seed_that_failed_is_counted_beside_those_that_did_not(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(seed=0, **FAILED)), publish(tmp_path, a_record(seed=1), ONE_WRONG)]
    row = row_with(table("table3_accuracy", *runs), name="tfidf")
    assert (row["accuracy"], row["seeds"], row["status"]) == (0.9, 1, "measured; 1 of 2 runs failed")
    stopped = publish(tmp_path, a_record(seed=2, status=Status.interrupted, failure=Failure("signal SIGTERM")))
    status = row_with(table("table3_accuracy", *runs, stopped), name="tfidf")["status"]
    assert status == "measured; 1 of 3 runs failed; 1 of 3 runs interrupted"


LIMITED = [
    (a_record("minilm", "dataset.train_rows=100"), "measured; 100 training rows only"),
    (a_record("minilm", "dataset.test_rows=10"), "measured; 10 test rows only"),
    (a_record("minilm", "recipe.max_steps=24"), "measured; 24 steps only"),
    (
        a_record("minilm", "model.weights.source=random", fit=RANDOM_FIT),
        "measured; random weights, no accuracy",
    ),
]


@pytest.mark.parametrize(("record", "status"), LIMITED)
def test_what_is_limited_is_in_the_leaderboard_by_name_and_not_in_table3(
    record: RunRecord, status: str, tmp_path: Path
) -> None:
    run = publish(tmp_path, record, ONE_WRONG)
    assert row_with(table("table3_accuracy", run), name="minilm")["status"] == "not run"
    assert [row["model"] for row in table("table2_settings", run) if row["status"] == "run"] == []
    (row,) = standing(run)
    assert row["status"] == status
    assert row["accuracy"] == (None if "random" in status else 0.9)


def test_a_limit_is_named_although_the_first_seed_failed(tmp_path: Path) -> None:
    failed = publish(tmp_path, a_record("minilm", "recipe.max_steps=24", seed=0, **FAILED))
    completed = publish(tmp_path, a_record("minilm", "recipe.max_steps=24", seed=1))
    (row,) = standing(failed, completed)
    assert row["status"] == "measured; 24 steps only; 1 of 2 runs failed"


def test_a_variant_is_a_row_of_its_own_without_the_studys_figure(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("bert_base"), TWO_WRONG),
        publish(tmp_path, a_record("bert_base", "recipe.learning_rate=0.00002", seed=0), ONE_WRONG),
        publish(tmp_path, a_record("bert_base", "recipe.learning_rate=0.00002", seed=1), ONE_WRONG),
    ]
    plain, variant = (row for row in table("table3_accuracy", *runs) if row["name"] == "bert_base")
    assert (plain["recipe"], plain["study"], plain["accuracy"], plain["seeds"]) == ("paper", 0.9063, 0.8, 1)
    assert (variant["recipe"], variant["study"]) == ("paper, recipe.learning_rate=2e-05", None)
    assert (variant["accuracy"], variant["seeds"]) == (0.9, 2)
    assert plain["command"] == "python -m benchmark model=bert_base dataset=emotion recipe=paper"
    assert variant["command"].endswith(" recipe=paper recipe.learning_rate=0.00002 seed=0,1")


def test_a_variant_does_not_stand_for_the_studys_own_run(tmp_path: Path) -> None:
    run = publish(tmp_path, a_record("bert_base", "recipe.learning_rate=0.00002"))
    first, second = (row for row in table("table3_accuracy", run) if row["name"] == "bert_base")
    assert {(row["study"], row["status"]) for row in (first, second)} == {(0.9063, "not run"), (None, "measured")}


def test_a_seed_with_weights_from_a_mirror_is_not_counted(tmp_path: Path) -> None:
    mirrored = replace(FIT, weights=WeightSource(source="hub", endpoint="a mirror"))
    runs = [
        publish(tmp_path, a_record("minilm", seed=0), ONE_WRONG),
        publish(tmp_path, a_record("minilm", seed=1, fit=mirrored), TWO_WRONG),
    ]
    row = row_with(table("table3_accuracy", *runs), name="minilm")
    assert (row["accuracy"], row["seeds"]) == (0.9, 1)
    assert row["status"] == "measured; 1 of 2 runs not counted: weights from a mirror, not the hub"


def test_nor_is_it_counted_in_a_trial(tmp_path: Path) -> None:
    mirrored = replace(FIT, weights=WeightSource(source="hub", endpoint="a mirror"))
    few = "dataset.train_rows=100"
    runs = [
        publish(tmp_path, a_record("minilm", few, seed=0, fit=mirrored), TWO_WRONG),
        publish(tmp_path, a_record("minilm", few, seed=1), ONE_WRONG),
    ]
    (row,) = standing(*runs)
    assert (row["accuracy"], row["seeds"]) == (0.9, 1)


@pytest.mark.parametrize(("gpu", "hardware"), [("H100", "H100"), (None, "A processor, 2 cores")])
def test_a_run_that_failed_is_of_the_best_device_of_its_machine(gpu: str | None, hardware: str) -> None:
    record = a_record("minilm", fit=None, **FAILED)
    assert replace(record, environment=replace(record.environment, gpu=gpu)).hardware == hardware


@pytest.mark.parametrize(("seconds", "shown"), [(1e-6, "under 0.01 ms"), (0.0289, "28.9 ms"), (1.234, "1.2 s")])
def test_a_text_takes_milliseconds_or_longer(seconds: float, shown: str) -> None:
    assert milliseconds(seconds) == shown


def test_training_time_is_the_median_over_seeds(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("minilm", seed=seed, fit=replace(FIT, training_seconds=seconds)))
        for seed, seconds in enumerate((60.0, 70.0, 950.0))
    ]
    assert row_with(table("table3_accuracy", *runs), name="minilm")["training_seconds"] == 70


def test_validation_rows_taken_from_train_are_stated_and_do_not_repeat_the_study(tmp_path: Path) -> None:
    record = a_record("bert_base")
    assert record.data is not None
    run = publish(tmp_path, replace(record, data=replace(record.data, carved_rows=1600)))
    first, second = (row for row in table("table3_accuracy", run) if row["name"] == "bert_base")
    assert (first["study"], first["status"]) == (0.9063, "not run")
    assert (second["study"], second["status"]) == (None, "measured; 1,600 training rows set aside for validation")


def test_a_command_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    record = a_record("external")
    given = ["model=external", "model.title=My system", "model.path=DIR/answers.csv", "dataset=emotion", "recipe=paper"]
    row = row_with(table("table3_accuracy", publish(tmp_path, replace(record, overrides=given))), name="external")
    assert shlex.split(row["command"])[-2:] == ["model.path=DIR/answers.csv", "model.title=My system"]


def test_a_variant_made_by_an_experiment_does_not_pass_for_recipe_paper(tmp_path: Path) -> None:
    whole = a_record("bert_base", "recipe.learning_rate=0.00002")
    record = replace(whole, overrides=["experiment=mine", "model=bert_base"])  # the value stands in its YAML
    rows = [row for row in table("table3_accuracy", publish(tmp_path, record)) if row["name"] == "bert_base"]
    assert {(row["study"], row["status"]) for row in rows} == {(0.9063, "not run"), (None, "measured")}


def test_runs_on_other_texts_under_the_same_name_are_not_averaged(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record(dataset="mine", seed=0), TWO_WRONG),
        publish(tmp_path, a_record(dataset="mine", seed=0, test_sha256="d" * 64), ONE_WRONG),
    ]
    assert [(row["accuracy"], row["seeds"]) for row in standing(*runs, dataset="mine")] == [(0.9, 1), (0.8, 1)]


def test_a_new_title_does_not_part_the_seeds_of_a_model(tmp_path: Path) -> None:
    renamed = a_record("tfidf", "model.title=Another title", seed=1)
    (row,) = standing(publish(tmp_path, a_record(seed=0)), publish(tmp_path, renamed))
    assert row["seeds"] == 2


def test_the_share_of_answers_that_name_no_label_is_stated(tmp_path: Path) -> None:
    predicted = [NO_LABEL, NO_LABEL, NO_LABEL, *GOLD[3:]]
    record = a_record("smollm2_lora", "model.readout=generate")
    run = publish(tmp_path, record, predicted, ["no idea"] * 3 + ["some label"] * 7)
    row = row_with(table("table3_accuracy", run), recipe="paper, readout=generate")
    assert row["status"] == "measured; 30.0% of answers name no label"
    assert row["accuracy"] == 0.7


def test_the_leaderboard_is_of_one_data_set_and_begins_with_the_most_accurate(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("majority", dataset="synthetic"), [5] * 9 + [0]),
        publish(tmp_path, a_record("llama3_lora", dataset="synthetic", **FAILED)),
        publish(tmp_path, a_record("minilm", dataset="synthetic"), GOLD),
        publish(tmp_path, a_record("tfidf", dataset="synthetic"), TWO_WRONG),
        publish(tmp_path, a_record("tfidf", dataset="emotion"), ONE_WRONG),
    ]
    assert [row["name"] for row in standing(*runs, dataset="synthetic")] == [
        "minilm",
        "tfidf",
        "majority",
        "llama3_lora",
    ]
    assert [row["name"] for row in standing(*runs, dataset="emotion")] == ["tfidf"]
    assert not [row for row in table("table3_accuracy", *runs[:-1]) if row["accuracy"] is not None]


def test_tables_are_the_same_however_the_runs_were_made(tmp_path: Path) -> None:
    made = [a_record("tfidf", seed=1), a_record("minilm"), a_record("tfidf", seed=0), a_record("minilm", **FAILED)]
    for place, order in (("one", made[:3]), ("two", made[2::-1])):
        for record in order:
            publish(tmp_path / place, record)
    one, two = (Analysis(read_results(tmp_path / place)) for place in ("one", "two"))
    for table in TABLES.values():
        assert table.csv(table.data(one)) == table.csv(table.data(two))


@pytest.mark.parametrize("name", TABLES)
def test_with_nothing_to_show_a_table_has_its_columns_and_is_still_a_table(name: str) -> None:
    empty = TABLES[name].data(analysis())
    assert isinstance(empty, pd.DataFrame)
    assert len(empty.columns) > 2
    assert len(TABLES[name].markdown(empty).splitlines()) == len(empty) + 2


@pytest.mark.parametrize("name", TABLES)
def test_the_first_run_does_not_change_a_tables_columns(name: str, tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record(model), TWO_WRONG) for model in ("tfidf", "minilm")]
    assert list(TABLES[name].data(analysis(*runs)).columns) == list(TABLES[name].data(analysis()).columns)


def test_a_study_model_with_weights_from_a_mirror_alone_is_not_run(tmp_path: Path) -> None:
    fit = replace(FIT, weights=WeightSource(source="hub", endpoint="https://mirror.example"))
    mirrored = publish(tmp_path, a_record("bert_base", fit=fit))
    row = row_with(table("table3_accuracy", mirrored), name="bert_base")
    assert row["status"] == "not run: weights from https://mirror.example, not the hub"
    assert (row["study"], row["accuracy"], row["run"]) == (0.9063, None, mirrored.name)
