"""Times per 1,000 rows and their growth come from measurements of speed; the rest follows by arithmetic."""

from typing import Any

import pytest
from factories import a_throughput, rows_of

from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import results_of
from benchmark.report.tables.scale import SCALE
from benchmark.results.speed import Throughput


def epochs(*points: tuple[int, float | None, float]) -> list[dict[str, Any]]:
    """Epochs by their rows, tokens per sample and seconds, as files state them."""
    return [dict(zip(("rows", "tokens_per_sample", "seconds"), point, strict=True)) for point in points]


GROWTH_WITH_ROWS = epochs((10, 8.0, 1.0), (20, 8.0, 2.0))


def measured(**changes: Any) -> Throughput:
    ways = [
        {"batching": "packed", "precision": "fp32", "samples_per_second": 10.0, "answered_per_second": 40.0},
        {"batching": "packed", "precision": "bf16", "samples_per_second": 20.0, "answered_per_second": 50.0},
        {"batching": "padded", "precision": "bf16", "samples_per_second": 99.0, "answered_per_second": 99.0},
    ]
    growth = {"rows": GROWTH_WITH_ROWS, "text": epochs((10, 10.0, 1.0), (10, 20.0, 4.0))}
    return a_throughput(**{"ways": ways, "growth": growth} | changes)


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


@pytest.mark.parametrize(("first", "last"), [(512.0, 512.0), (0.0, 0.0), (None, None), (0.0, 20.0), (20.0, 10.0)])
def test_growth_is_left_out_unless_the_last_size_is_larger(first: float | None, last: float | None) -> None:
    text = epochs((10, first, 1.0), (10, last, 4.0))
    document = measured(growth={"rows": GROWTH_WITH_ROWS, "text": text})
    (row,) = rows_of(SCALE.data(AnalysedResults(results_of([], [document]))))
    assert (row["growth_rows"], row["growth_length"]) == (pytest.approx(1.0), None)


def test_measurements_on_a_device_that_other_jobs_used_are_left_out() -> None:
    documents = [measured(title=str(shared), environment={"device_shared": shared}) for shared in (True, False, None)]
    rows = rows_of(SCALE.data(AnalysedResults(results_of([], documents))))
    assert [row["model"] for row in rows] == ["False", "None"]
