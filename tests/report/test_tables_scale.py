"""Times per 1,000 rows and their growth come from measurements of speed; the rest follows by arithmetic."""

from typing import Any

import pytest
from factories import rows_of

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import results_of
from benchmark.report.tables.cost import ways_of
from benchmark.report.tables.scale import SCALE


def measured(**changes: Any) -> dict[str, Any]:
    ways = [
        {"batching": "packed", "precision": "fp32", "samples_per_second": 10.0, "answered_per_second": 40.0},
        {"batching": "packed", "precision": "bf16", "samples_per_second": 20.0, "answered_per_second": 50.0},
        {"batching": "padded", "precision": "bf16", "samples_per_second": 99.0, "answered_per_second": 99.0},
    ]
    growth = {
        "rows": [{"rows": 10, "seconds": 1.0}, {"rows": 20, "seconds": 2.0}],
        "text": [{"tokens_per_sample": 10.0, "seconds": 1.0}, {"tokens_per_sample": 20.0, "seconds": 4.0}],
    }
    whole = {"title": "A model", "pretrained": True, "device": "A CPU", "effective_batch": 20}
    return whole | {"ways": ways, "growth": growth} | changes


def test_the_fastest_packed_way_gives_time_growth_and_projection() -> None:
    (row,) = rows_of(SCALE.data(AnalysedResults(results_of([], [measured()]))))
    assert (row["precision"], row["training"], row["prediction"]) == ("bf16", 50.0, 20.0)
    assert (row["growth_rows"], row["growth_length"]) == (pytest.approx(1.0), pytest.approx(2.0))
    assert (row["million"], row["million_shared"]) == (3 * 50_000.0, 3 * 50_000.0 / 8)
    assert row["million_predicted"] == 20_000.0


def test_what_was_not_measured_is_left_out() -> None:
    way = {"batching": "packed", "precision": "bf16", "samples_per_second": 20.0, "answered_per_second": None}
    (row,) = rows_of(SCALE.data(AnalysedResults(results_of([], [measured(ways=[way], growth={})]))))
    assert [row[name] for name in ("prediction", "growth_rows", "million_predicted")] == [None, None, None]
    assert not len(SCALE.data(AnalysedResults(results_of([], [measured(ways=[])]))))


def test_a_whole_training_counts_without_the_seconds_that_prepared_its_graphs() -> None:
    training = {"training_seconds": 60.0, "graph_seconds": 20.0, "steps": 800, "effective_batch": 20}
    training |= {"precision": "bf16", "graph_steps": 800, "predicted_per_second": [300.0, 700.0]}
    (way,) = ways_of(training)
    assert (way.samples_per_second, way.answered_per_second) == (400.0, 700.0)
    assert (way.batching, way.graphs, way.title) == ("packed", True, "packed, CUDA graphs")
    assert ways_of({"latency": {}}) == []
    (way,) = ways_of(training | {"batching": "padded", "samples_seen": 15_000})
    assert (way.batching, way.samples_per_second) == ("padded", 375.0)


@pytest.mark.parametrize(("first", "last"), [(512.0, 512.0), (0.0, 0.0), (None, None), (0.0, 20.0), (20.0, 10.0)])
def test_growth_is_left_out_unless_the_last_size_is_larger(first: float | None, last: float | None) -> None:
    text = [{"tokens_per_sample": first, "seconds": 1.0}, {"tokens_per_sample": last, "seconds": 4.0}]
    document = measured(growth=measured()["growth"] | {"text": text})
    (row,) = rows_of(SCALE.data(AnalysedResults(results_of([], [document]))))
    assert (row["growth_rows"], row["growth_length"]) == (pytest.approx(1.0), None)


def test_measurements_on_a_device_that_other_jobs_used_are_left_out() -> None:
    documents = [measured(title=str(shared), environment={"device_shared": shared}) for shared in (True, False, None)]
    rows = rows_of(SCALE.data(AnalysedResults(results_of([], documents))))
    assert [row["model"] for row in rows] == ["False", "None"]
