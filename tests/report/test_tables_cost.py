from pathlib import Path
from typing import Any

import pytest
from factories import a_latency, a_throughput, analysis_of, on_a_gpu, publish_with_costs, row_with, rows_of, table_rows

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import results_of
from benchmark.report.tables import TABLES, all_tables
from benchmark.report.tables.cost import LATENCY
from benchmark.results.speed import Latency, read_speeds


def test_the_frontier_table_names_costs_and_dominating_configurations(tmp_path: Path) -> None:
    runs = [
        publish_with_costs(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        publish_with_costs(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
        publish_with_costs(tmp_path, "tfidf", 30, training=1, memory=100, trained=60, answering=1),
    ]
    rows = table_rows("frontier", *runs)
    minilm, bert, tfidf = rows
    assert minilm["model"] == "MiniLM-L6"
    assert minilm["frontier"] == "training time, peak memory, trained parameters, prediction time"
    assert (bert["frontier"], bert["dominated_by"]) == (None, "MiniLM-L6, paper")
    assert bert["dominated_by_id"] == minilm["configuration"]
    assert (tfidf["frontier"], tfidf["dominated_by"]) == ("training time, peak memory, prediction time", None)
    assert (tfidf["training_seconds"], tfidf["peak_memory"], tfidf["seconds_per_text"]) == (1, 100, 1 / 200)


def test_a_gpu_does_not_dominate_a_cpu(tmp_path: Path) -> None:
    slow = publish_with_costs(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3)
    fast = publish_with_costs(tmp_path, "minilm", 10, training=6, memory=200, trained=50, answering=0.2)
    assert [row["dominated_by"] for row in table_rows("frontier", slow, on_a_gpu(fast))] == [None, None]
    rows = table_rows("frontier", slow, fast)
    assert row_with(rows, model="BERT base")["hardware"] == "A processor, 2 cores"
    assert [row["dominated_by"] is None for row in rows] == [True, False]


def test_the_frontier_is_empty_without_results() -> None:
    assert TABLES["frontier"].data(analysis_of()).empty


def way(batching: str, precision: str, training: float, answering: float | None) -> dict[str, Any]:
    return {"batching": batching, "precision": precision, "samples_per_second": training, "utilisation": 0.25,
            "answered_per_second": answering}  # fmt: skip


@pytest.mark.parametrize(("pretrained", "model"), [(True, "A model"), (False, "A model, random weights")])
def test_speeds_are_compared_with_padded_batches_in_the_same_precision(pretrained: bool, model: str) -> None:
    ways = [way("packed", "fp32", 30, 80), way("padded", "fp32", 10, 20), way("packed", "bf16", 40, 50)]
    measured = a_throughput(pretrained=pretrained, ways=ways)
    rows = rows_of(TABLES["speed"].data(AnalysedResults(results_of([], [measured]))))
    assert [(row["batching"], row["precision"]) for row in rows] == [
        (one["batching"], one["precision"]) for one in ways
    ]
    assert [(row["training_ratio"], row["answering_ratio"]) for row in rows] == [(3, 4), (1, 1), (None, None)]
    assert (rows[0]["model"], rows[0]["hardware"], rows[0]["batch_size"]) == (model, "A GPU", 20)
    assert (rows[2]["samples_per_second"], rows[2]["answered_per_second"], rows[2]["utilisation"]) == (40, 50, 0.25)


def test_a_speed_that_was_not_measured_has_no_ratio() -> None:
    ways = [way("packed", "bf16", 30, 80), way("padded", "bf16", 10, None), way("padded, one pass", "bf16", 20, None)]
    measured = a_throughput(pretrained=False, ways=ways)
    rows = rows_of(TABLES["speed"].data(AnalysedResults(results_of([], [measured]))))
    assert [(row["training_ratio"], row["answering_ratio"]) for row in rows] == [(3, None), (1, None), (2, None)]


def latency_of(title: str, shared: bool | None, p50: float, **changes: str) -> Latency:
    found = {"texts": 300, "p50": p50, "p95": 0.2, "p99": 0.3, "batched_per_second": 90.0, "different_answers": 0}
    return a_latency(title=title, latency=found, environment={"device_shared": shared}, **changes)


def test_latency_is_shown_if_no_other_job_used_the_device_and_never_among_speeds() -> None:
    slow = latency_of("Slow", False, 0.1, dataset="emotion")
    measured = [slow, latency_of("Fast", None, 0.01), latency_of("Unknown", True, 0.001)]
    analysis = AnalysedResults(results_of([], measured))
    rows = rows_of(LATENCY.data(analysis))
    assert [(row["model"], row["p50"], row["p99"], row["batched_per_second"]) for row in rows] == [
        ("Fast", 0.01, 0.3, 90.0),
        ("Slow", 0.1, 0.3, 90.0),
    ]
    assert TABLES["speed"].data(analysis).empty
    assert [row["dataset"] for row in rows] == [None, "emotion"]  # older files may not state it
    assert LATENCY in all_tables(analysis)
    assert LATENCY not in all_tables(AnalysedResults(results_of([], measured[2:])))


def test_the_shipped_latencies_are_read_with_their_data_set() -> None:
    speeds = read_speeds(Path(__file__).parents[2] / "results")
    rows = rows_of(LATENCY.data(AnalysedResults(results_of([], speeds))))
    assert {(row["model"], row["dataset"]) for row in rows} >= {("MiniLM-L6", "emotion")}
    assert "Data set" in [column.heading for column in LATENCY.shown("md")]
