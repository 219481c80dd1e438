"""Tables 1 to 3, the leaderboards, and the README's table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import GOLD, RANDOM_FIT, a_record, analysis_of, publish, row_with, rows_of, table_rows

from benchmark.analysis import study
from benchmark.analysis.configuration_status import ConfigurationStatus, Outcome
from benchmark.interface import ModelCard
from benchmark.report.formats import parameters
from benchmark.report.tables.leaderboard import leaderboard, reduced_runs
from benchmark.report.tables.study_tables import DEVIATES
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import Run

TWO_WRONG = (*GOLD[:8], 0, 0)
ONE_WRONG = (*GOLD[:9], 0)
NONE_RIGHT = tuple((label + 1) % 6 for label in GOLD)
FAILED: dict[str, Any] = {"status": Status.failed, "failure": Failure("It needs a GPU.", fix="Set model.device=cpu.")}
LLAMA = "Llama 3 8B Instruct LoRA"
MINILM = "MiniLM-L6"
RUN = ConfigurationStatus(Outcome.run)


def ranked_rows(*runs: Run, dataset: str = "emotion") -> list[dict[str, Any]]:
    return rows_of(leaderboard(dataset).data(analysis_of(*runs)))


def reduced_of(*runs: Run, dataset: str = "emotion") -> list[dict[str, Any]]:
    return rows_of(reduced_runs(dataset).data(analysis_of(*runs)))


def deviating(row: dict[str, Any]) -> set[str]:
    return {setting for setting, value in row.items() if str(value).endswith(DEVIATES)}


def test_table1_begins_with_the_row_of_the_study_as_printed() -> None:
    row = table_rows("table1_models")[0]
    assert {name: value for name, value in row.items() if value is not None} == {
        "model": "Llama 3 8B",
        "parameters": "8B",
        "context_length": "8k",
        "grouped_query_attention": "yes",
        "training_data": "publicly available data",
        "token_count": "15T+",
        "knowledge_cutoff": "March 2023",
        "source": "the study",
    }


def test_table1_computes_llama_3_from_its_architecture() -> None:
    row = row_with(table_rows("table1_models"), model=LLAMA)
    assert (row["parameters"], row["trained_parameters"]) == (8_030_261_248, 20_971_520)
    assert (row["context_length"], row["grouped_query_attention"]) == (8192, True)
    assert (row["weights"], row["knowledge_cutoff"]) == ("meta-llama/Meta-Llama-3-8B-Instruct@8afb486c", "March 2023")


def test_table1_has_every_shipped_network_the_largest_first() -> None:
    rows = table_rows("table1_models")[1:]
    networks = [one for one in read_catalogue().values() if one.card.parameters is not None]
    assert {row["model"] for row in rows} == {one.config.model.title for one in networks}
    assert [row["parameters"] for row in rows] == sorted((row["parameters"] for row in rows), reverse=True)
    assert all(row["source"] for row in rows)


def test_table2_begins_with_the_settings_of_the_study() -> None:
    row = table_rows("table2_settings")[0]
    assert study.TABLE2.items() | study.PROSE.items() <= row.items()
    assert (row["recipe"], str(row["status"]), deviating(row)) == ("the study", "published", set())


@pytest.mark.parametrize(
    ("model", "deviations"),
    [
        (LLAMA, set()),
        ("Llama 3 8B base LoRA on q, v", set()),
        ("SmolLM2-135M LoRA", {"precision", "attention"}),
        (MINILM, {"precision", "attention"}),
    ],
)
def test_table2_marks_the_settings_that_deviate_under_recipe_paper(model: str, deviations: set[str]) -> None:
    row = row_with(table_rows("table2_settings"), model=model)
    assert deviating(row) == deviations
    assert row["lora_rank"] == (8 if "LoRA" in model else "none")
    assert (row["optimizer"], row["learning_rate"], row["epochs"]) == ("AdamW, no decay", 5e-5, 3.0)
    assert (row["recipe"], str(row["status"])) == ("paper", "not run")


def test_table2_shows_a_deviation_with_its_own_value(tmp_path: Path) -> None:
    settings = ("recipe.learning_rate=0.0002", "recipe.max_length=64", "recipe.optimizer=adafactor")
    row = row_with(table_rows("table2_settings", publish(tmp_path, a_record("smollm2_lora", *settings))), status=RUN)
    assert row["recipe"] == "paper, learning rate 2e-4, max length 64, optimizer adafactor"
    assert (row["learning_rate"], row["max_length"], row["precision"]) == ("2e-4 *", "64 *", "fp32 *")
    assert row["optimizer"] == "Adafactor, no decay *"
    assert deviating(row) == {"learning_rate", "max_length", "precision", "attention", "optimizer"}
    decayed = publish(tmp_path, a_record("minilm", "recipe.weight_decay=0.01"))
    assert row_with(table_rows("table2_settings", decayed), status=RUN)["optimizer"] == "AdamW, decay 0.01 *"


def test_table2_has_a_model_that_states_some_settings_only(tmp_path: Path) -> None:
    record = a_record("minilm", "model.name=mine")
    record = replace(record, card=ModelCard("new", "new", settings={"precision": "fp32"}))
    row = row_with(table_rows("table2_settings", publish(tmp_path, record)), status=RUN)
    assert (row["precision"], row["lora_rank"], row["attention"]) == ("fp32 *", None, None)


def test_table2_has_one_row_per_configuration_that_was_fine_tuned(tmp_path: Path) -> None:
    records = [a_record("minilm"), a_record("minilm", seed=1), a_record("tfidf")]
    records += [a_record("bert_base", "recipe.max_steps=2"), a_record("roberta_base", dataset="mine")]
    rows = table_rows("table2_settings", *(publish(tmp_path, record) for record in records))
    assert row_with(rows, model=MINILM)["status"] == RUN
    assert [row["model"] for row in rows if row["status"] == RUN] == [MINILM]
    assert "TF-IDF + logistic regression" not in {row["model"] for row in rows}


def test_table3_without_runs_has_the_figures_of_the_study_and_none_measured() -> None:
    rows = table_rows("table3_accuracy")
    assert [(row["name"], row["study"]) for row in rows[:5]] == [*study.TABLE3.items()]
    assert {row["name"] for row in rows} == set(read_catalogue()) - {"external"}
    for row in rows:
        assert (str(row["status"]), row["command"]) == ("not run", f"python -m benchmark model={row['name']}")
        measured = ("accuracy", "spread", "low", "high", "seeds", "macro_f1", "training_seconds", "hardware")
        assert {row[column] for column in measured} == {None}
    assert {row["study"] for row in rows[5:]} == {None}


def test_table3_has_the_most_accurate_first_and_then_the_models_of_the_study_that_were_not_run(tmp_path: Path) -> None:
    predictions = {
        "roberta_large": TWO_WRONG,
        "bert_base": GOLD,
        "minilm": GOLD,
        "tfidf": ONE_WRONG,
        "majority": NONE_RIGHT,
    }
    runs = [publish(tmp_path, a_record(model), predicted) for model, predicted in predictions.items()]
    rows = table_rows("table3_accuracy", *runs)
    measured = [(row["name"], row["accuracy"]) for row in rows[:5]]
    assert measured[2:] == [("tfidf", 0.9), ("roberta_large", 0.8), ("majority", 0.0)]
    assert measured[:2] == [("bert_base", 1.0), ("minilm", 1.0)]
    assert [row["name"] for row in rows[5:8]] == ["bert_large", "roberta_base", "llama3_lora"]
    assert {str(row["status"]) for row in rows[5:]} == {"not run"}
    assert rows[3]["study"] == 0.9189
    assert (rows[0]["study"], str(rows[0]["status"])) == (0.9063, "measured")
    assert row_with(rows, name="minilm")["run"] == runs[2].name


@pytest.mark.parametrize("name", ["llama3_lora", "minilm"])
def test_a_failed_run_is_not_run_for_its_reason(name: str, tmp_path: Path) -> None:
    run = publish(tmp_path, a_record(name, **FAILED))
    for rows in (table_rows("table3_accuracy", run), ranked_rows(run)):
        row = row_with(rows, name=name)
        assert row["accuracy"] is None
        assert row["configuration"]
    in_table3 = row_with(table_rows("table3_accuracy", run), name=name)
    assert (str(in_table3["status"]), in_table3["run"]) == ("no result: failed, It needs a GPU", run.name)


def test_another_configuration_does_not_take_the_place_of_the_one_that_repeats_the_study(tmp_path: Path) -> None:
    other = publish(tmp_path, a_record("bert_base", "recipe.learning_rate=0.00002"), ONE_WRONG)
    of_bert = [row for row in table_rows("table3_accuracy", other) if row["name"] == "bert_base"]
    assert [(row["study"], str(row["status"]), row["accuracy"]) for row in of_bert] == [
        (None, "measured", 0.9),
        (0.9063, "not run", None),
    ]
    plain = publish(tmp_path, a_record("bert_base"), TWO_WRONG)
    of_bert = [row for row in table_rows("table3_accuracy", other, plain) if row["name"] == "bert_base"]
    assert [(row["recipe"], row["study"], row["accuracy"]) for row in of_bert] == [
        ("paper, learning rate 2e-5", None, 0.9),
        ("paper", 0.9063, 0.8),
    ]


def test_weights_from_a_mirror_alone_are_the_reason_of_a_study_model_not_run(tmp_path: Path) -> None:
    random = publish(tmp_path, a_record("bert_base", fit=RANDOM_FIT))
    row = row_with(table_rows("table3_accuracy", random), name="bert_base")
    assert (str(row["status"]), row["study"], row["run"]) == ("no result: random weights", 0.9063, random.name)


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (a_record("minilm", "recipe.max_steps=24"), "only reduced runs"),
        (a_record("minilm", fit=RANDOM_FIT), "no result: random weights"),
    ],
    ids=["limited", "random"],
)
def test_reduced_runs_are_in_a_table_of_their_own(record: RunRecord, status: str, tmp_path: Path) -> None:
    run = publish(tmp_path, record, ONE_WRONG)
    assert str(row_with(table_rows("table3_accuracy", run), name="minilm")["status"]) == status
    assert row_with(table_rows("table3_accuracy", run), name="minilm")["accuracy"] is None
    (row,) = reduced_of(run)
    assert row["status"].outcome is Outcome.measured
    assert ranked_rows(run) == []


def test_the_leaderboard_and_the_reduced_runs_of_a_data_set_begin_with_the_most_accurate(tmp_path: Path) -> None:
    few = "recipe.max_steps=2"
    runs = [
        publish(tmp_path, a_record("majority", dataset="synthetic"), NONE_RIGHT),
        publish(tmp_path, a_record("llama3_lora", dataset="synthetic", **FAILED)),
        publish(tmp_path, a_record("bert_base", few, dataset="synthetic"), ONE_WRONG),
        publish(tmp_path, a_record("minilm", few, dataset="synthetic"), GOLD),
        publish(tmp_path, a_record("tfidf", dataset="synthetic"), TWO_WRONG),
        publish(tmp_path, a_record("tfidf", dataset="emotion"), ONE_WRONG),
    ]
    rows = ranked_rows(*runs, dataset="synthetic")
    assert [row["name"] for row in rows] == ["tfidf", "majority", "llama3_lora"]
    assert [row["name"] for row in reduced_of(*runs, dataset="synthetic")] == ["minilm", "bert_base"]
    assert [(row["name"], row["model"], row["accuracy"]) for row in ranked_rows(*runs)] == [
        ("tfidf", "TF-IDF + logistic regression", 0.9)
    ]


def test_one_predicted_test_text_is_not_an_accuracy(tmp_path: Path) -> None:
    (row,) = reduced_of(publish(tmp_path, a_record("minilm", "dataset.test_rows=1")))
    assert (row["accuracy"], row["training_seconds"]) == (None, 90)


def test_the_overview_has_the_best_configuration_of_every_model(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("bert_base"), TWO_WRONG),
        publish(tmp_path, a_record("bert_base", "recipe.epochs=9"), ONE_WRONG),
        *(publish(tmp_path, a_record("minilm", seed=seed), GOLD) for seed in (0, 1)),
        publish(tmp_path, a_record("tfidf"), TWO_WRONG),
    ]
    rows = table_rows("overview", *runs)
    assert [(row["name"], row["accuracy"], row["study"]) for row in rows] == [
        ("minilm", 1.0, None),
        ("bert_base", 0.9, None),
        ("tfidf", 0.8, None),
        ("bert_large", None, 0.9086),
        ("roberta_base", None, 0.9125),
        ("roberta_large", None, 0.9189),
        ("llama3_lora", None, 0.9262),
    ]
    assert rows[1]["model"] == "BERT base, paper, 9 epochs"
    assert [str(row["status"]) for row in rows] == [
        "measured, 2 seeds", "measured, 1 seed", "measured, 1 seed", *["not run"] * 4
    ]  # fmt: skip
    assert rows[1]["measured"] == f"0.9000 ({rows[1]['low']:.4f} to {rows[1]['high']:.4f})"
    assert rows[6]["parameters"] == 8_030_261_248
    assert row_with(table_rows("overview", runs[0]), name="bert_base")["study"] == 0.9063
    assert len(table_rows("overview")) == 5


def test_the_overview_has_the_parameters_of_the_network_that_was_measured(tmp_path: Path) -> None:
    record = a_record("minilm", "model.architecture.num_hidden_layers=12")
    assert record.card is not None
    record = replace(record, card=replace(record.card, parameters=1234))
    assert table_rows("overview", publish(tmp_path, record))[0]["parameters"] == 1234


@pytest.mark.parametrize(
    ("count", "shown"),
    [(999_885_952, "1B"), (8_030_261_248, "8.03B"), (1e9, "1B"), (22_713_216, "22.7M"), (1_235_001, "1.24M")],
)
def test_parameters_have_three_digits(count: float, shown: str) -> None:
    assert parameters(count) == shown
