from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import FIT, a_record, offer, on_a_gpu, table_rows, the, told, wrong_at

from benchmark.results.store import Run


def frontier(*runs: Run) -> list[dict[str, Any]]:
    return table_rows("frontier", *runs)


def test_a_variant_that_costs_more_for_less_is_dominated_and_by_whom_is_said(tmp_path: Path) -> None:
    rows = frontier(
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        offer(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
        offer(tmp_path, "tfidf", 30, training=1, memory=100, trained=60, answering=1),
    )
    by_model = {row["model"]: row for row in rows}
    everywhere = "training time, peak memory, trained parameters, prediction time"
    assert by_model["MiniLM-L6 (22M BERT)"]["frontier"] == everywhere
    assert by_model["BERT base (uncased)"]["dominated_by"] == "MiniLM-L6 (22M BERT), paper"
    assert by_model["BERT base (uncased)"]["frontier"] is None
    tfidf = by_model["TF-IDF + logistic regression"]
    assert tfidf["dominated_by"] is None
    assert tfidf["frontier"] == "training time, peak memory, prediction time"


def test_costs_are_medians_over_seeds_and_answering_is_per_text(tmp_path: Path) -> None:
    """One seed that had to share the machine does not count for more than the others."""
    runs = [
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2, seed=0),
        offer(tmp_path, "minilm", 10, training=70, memory=300, trained=50, answering=3, seed=1),
        offer(tmp_path, "minilm", 10, training=950, memory=301, trained=50, answering=99, seed=2),
    ]
    row = the(frontier(*runs))
    costs = (row["training_seconds"], row["peak_memory"], row["trained_parameters"], row["seconds_per_text"])
    assert costs == pytest.approx((70, 300, 50, 3 / 200))


def test_of_several_machines_that_of_most_seeds_is_priced(tmp_path: Path) -> None:
    runs = [
        on_a_gpu(offer(tmp_path, "minilm", 10, training=6, memory=400, trained=50, answering=0.2, seed=0)),
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2, seed=1),
        offer(tmp_path, "minilm", 10, training=80, memory=300, trained=50, answering=4, seed=2),
    ]
    row = the(frontier(*runs))
    assert (row["training_seconds"], row["peak_memory"], row["seconds_per_text"]) == (70, 250, 3 / 200)
    assert row["hardware"] == "A processor, 2 cores"
    ranked = the(table_rows("table3_accuracy", *runs), name="minilm")
    assert (ranked["training_seconds"], ranked["hardware"]) == (70, "A processor, 2 cores / A GPU")
    of_each_one = the(frontier(*runs[:2]))
    assert (of_each_one["training_seconds"], of_each_one["hardware"]) == (6, "A GPU")


def test_nobody_dominates_on_other_hardware_or_unmeasured(tmp_path: Path) -> None:
    """A GPU is not held against a CPU, an adapter read again not against its training, a file against nothing."""
    slow = offer(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3)
    quick = on_a_gpu(offer(tmp_path, "minilm", 10, training=6, memory=200, trained=50, answering=0.2))
    read_again = replace(a_record("smollm2_lora", fit=replace(FIT, trained_parameters=0)), peak_memory={"host": 1})
    elsewhere = replace(a_record("external", fit=replace(FIT, trained_parameters=0)), seconds={"predict": 0.001})
    others = [
        told(tmp_path, replace(one, digest=str(n)), wrong_at([0])) for n, one in enumerate((read_again, elsewhere))
    ]
    rows = frontier(slow, quick, *others)
    assert [row["dominated_by"] for row in rows] == [None] * 4
    assert the(rows, model="External predictions")["seconds_per_text"] is None


def test_an_accelerators_memory_counts_where_there_is_one(tmp_path: Path) -> None:
    record = replace(a_record("minilm"), peak_memory={"host": 1, "device": 7})
    assert the(frontier(told(tmp_path, record, wrong_at([0]))))["peak_memory"] == 7


def test_what_was_not_measured_decides_nothing(tmp_path: Path) -> None:
    rows = frontier(
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        offer(tmp_path, "majority", 20, training=90, memory=300, trained=None, answering=3),
    )
    row = the(rows, model="Majority label")
    assert (row["trained_parameters"], row["dominated_by"]) == (None, "MiniLM-L6 (22M BERT), paper")


def test_a_moments_difference_is_no_dominance(tmp_path: Path) -> None:
    """The same training run twice, say under two recipes that it does not know."""

    def timed(seconds: float) -> Run:
        return offer(tmp_path, "tfidf", 10, training=seconds, memory=200, trained=50, answering=2.0)

    again = offer(tmp_path, "minilm", 10, training=6.3, memory=201, trained=50, answering=2.1)
    assert [row["dominated_by"] for row in frontier(timed(6.0), again)] == [None, None]
    slower = offer(tmp_path / "slower", "minilm", 10, training=7, memory=201, trained=50, answering=2.1)
    assert [row["dominated_by"] is None for row in frontier(timed(6.0), slower)].count(False) == 1


def test_equals_do_not_dominate_each_other(tmp_path: Path) -> None:
    alike = {"wrong": 10, "training": 60.0, "memory": 200, "trained": 50, "answering": 2.0}
    rows = frontier(*(offer(tmp_path, model, **alike) for model in ("minilm", "bert_base")))  # type: ignore[arg-type]
    assert [row["dominated_by"] for row in rows] == [None, None]
