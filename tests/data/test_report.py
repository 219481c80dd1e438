import json
from dataclasses import asdict, replace

import pytest

from benchmark.data.report import DataReport, Overlap, SplitReport

REPORT = DataReport(
    "local files (.txt)",
    {name: SplitReport(7, name[0] * 64, {"joy": 4, "anger": 3}) for name in ("train", "validation", "test")},
    ["train-2", "train-3"],
    ["train-3"],
    [Overlap("test", "train", ["test-0", "test-1"], ["test-1"])],
    ["Only the first 7 of 9 test rows are used."],
)


@pytest.mark.parametrize("report", [REPORT, replace(REPORT, carved_rows=1600)])
def test_a_report_survives_json(report: DataReport) -> None:
    document = json.loads(json.dumps(asdict(report)))
    assert DataReport.from_json(document) == report
    assert asdict(DataReport.from_json(document)) == document


def test_records_without_carved_rows_are_read() -> None:
    document = asdict(REPORT)
    del document["carved_rows"]
    assert DataReport.from_json(document) == REPORT


def test_hashes_are_those_of_the_splits() -> None:
    assert REPORT.hashes() == {"train": "t" * 64, "validation": "v" * 64, "test": "t" * 64}
