"""The reviewer's checklist names tables, fields and files that exist."""

import json
import re
from pathlib import Path

from factories import a_record

from benchmark.report.tables import TABLES
from benchmark.results.record import to_json

ROOT = Path(__file__).resolve().parents[2]
CHECKLIST = (ROOT / "docs/reviewing.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", CHECKLIST)


def test_every_table_it_names_is_declared() -> None:
    named = re.findall(r"tables? `(\w+)`(?: and `(\w+)`)?", CHECKLIST)
    declared = {*TABLES}
    assert {name for pair in named for name in pair if name} <= declared
    assert len(named) > 10


def test_every_field_it_names_is_in_a_record() -> None:
    record = json.loads(to_json(a_record("minilm")))
    paths = [code for code in CODE if re.match(r"(data|fit|environment|seconds)\b[\w.]*$|truncated_\w+$", code)]
    for path in paths:
        value = record
        for name in path.split("."):
            value = value[name]
    assert len(paths) >= 8


def test_every_file_it_names_exists() -> None:
    files = [code for code in CODE if re.fullmatch(r"(benchmark|tests)/[\w/]+\.py", code)]
    assert files
    assert all((ROOT / name).is_file() for name in files)
