from dataclasses import replace
from pathlib import Path
from typing import Any

from factories import FIT, LABELS, a_record, answers, evidence, rows_of, the, the_test_split, told, wrong_at
from factories import MANY_GOLD as GOLD

from benchmark.interface import NO_LABEL
from benchmark.report.tables import TABLES
from benchmark.results import store as records
from benchmark.results.record import RunRecord
from benchmark.results.store import Run


def read_by(way: str, *overrides: str, seed: int = 0) -> RunRecord:
    record = a_record("smollm2_lora", f"model.readout={way}", *overrides, seed=seed)
    if way == "head":
        record.config["model"] |= {"name": "smollm2_head", "title": "SmolLM2-135M + LoRA, head"}
        for prompt in ("instruction", "chat_template", "max_new_tokens"):
            del record.config["model"]["parameters"][prompt]
    return record


def written(results_dir: Path, record: RunRecord, predicted: list[int]) -> Run:
    made = answers(predicted, ["some words"] * len(predicted))
    content = records.encode_predictions(the_test_split(GOLD), made, LABELS)
    return records.write(results_dir, replace(record, predicted_rows=len(predicted)), content)


def readouts(*runs: Run) -> list[dict[str, Any]]:
    return rows_of(TABLES["readouts"](evidence(*runs)))


def test_three_ways_to_read_a_decoder_are_held_against_each_other(tmp_path: Path) -> None:
    free = wrong_at(range(10))
    free[0] = free[100] = NO_LABEL
    rows = readouts(
        told(tmp_path, read_by("head"), wrong_at(range(20, 24))),
        written(tmp_path, read_by("generate"), free),
        told(tmp_path, read_by("labels"), wrong_at(range(10))),
    )
    ways = ["constrained labels", "free generation", "classification head"]
    assert [row["readout"] for row in rows] == ways
    assert [row["accuracy"] for row in rows] == [190 / 200, 189 / 200, 196 / 200]
    assert [row["invalid"] for row in rows] == [0, 2 / 200, 0]
    labels, generate, head = rows
    assert (labels["differs_from_labels"], labels["differs_from_generate"]) == (None, 2 / 200)
    assert labels["differs_from_head"] == head["differs_from_labels"] == 14 / 200
    assert generate["differs_from_head"] == 15 / 200


def test_only_seeds_that_were_read_twice_are_compared(tmp_path: Path) -> None:
    rows = readouts(
        told(tmp_path, read_by("labels", seed=0), wrong_at(range(10))),
        told(tmp_path, read_by("labels", seed=1), wrong_at(range(50))),
        told(tmp_path, read_by("head", seed=0), wrong_at(range(10))),
    )
    assert [(row["seeds"], row["accuracy"]) for row in rows] == [(1, 0.95), (1, 0.95)]
    assert rows[0]["differs_from_head"] == 0


def test_an_adapter_counts_for_the_seed_that_trained_it_and_one_made_elsewhere_for_none(tmp_path: Path) -> None:
    def reads(name: str) -> RunRecord:
        adapter = {"adapter": {"name": name, "sha256": "f" * 64}}
        record = read_by("generate", f"model.adapter={name}".replace("-", "_"))
        return replace(record, fit=replace(FIT, weights=adapter, trained_parameters=0))

    trained = told(tmp_path, read_by("labels", seed=3), wrong_at(range(10)))
    rows = readouts(trained, told(tmp_path, reads(trained.folder.name), wrong_at(range(14))))
    assert [row["differs_from_labels"] for row in rows] == [None, 4 / 200]
    assert readouts(trained, told(tmp_path, reads("another"), wrong_at(range(14)))) == []
    paper = told(tmp_path, read_by("labels", "recipe.learning_rate=0.5"), wrong_at(range(10)))
    again = told(tmp_path, reads(paper.folder.name), wrong_at(range(11)))  # under the reader's own recipe
    assert [row["differs_from_labels"] for row in readouts(trained, paper, again)] == [None, 1 / 200]


def test_another_recipe_is_another_fine_tuning(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, read_by("labels", "recipe.learning_rate=0.001"), GOLD),
        told(tmp_path, read_by("head"), GOLD),
    ]
    assert readouts(*runs) == []
    both = readouts(*runs, told(tmp_path, read_by("generate", "recipe.learning_rate=0.001"), GOLD))
    assert {row["recipe"] for row in both} == {"paper, recipe.learning_rate=0.001"}
    assert the(both, readout="constrained labels")["differs_from_generate"] == 0


def test_limited_runs_are_not_compared(tmp_path: Path) -> None:
    assert readouts(*(told(tmp_path, read_by(way, "recipe.max_steps=3"), GOLD) for way in ("labels", "head"))) == []
