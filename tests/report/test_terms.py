import re
from pathlib import Path

import pandas as pd

from benchmark.report.terms import TERMS, terms_in

SELF_EXPLANATORY = re.compile(
    r"(\d+ epochs?|batch size .+|learning rate .+|max length \d+|on cuda|on cpu|the study|\d+ steps?)"
)


def test_terms_are_those_of_the_names_in_a_fixed_order() -> None:
    names = ["paper", "tuned, free generation, bf16, adapter tuned-seed0", "AMD EPYC with AVX2, 2 cores"]
    assert [term for term, _ in terms_in(names)] == [
        "paper", "tuned", "fp32, tf32, bf16, fp16", "free generation", "adapter NAME", "with AVX2"
    ]  # fmt: skip
    assert terms_in(["tuned, learning rate 5e-4", "NVIDIA H200"]) == [("tuned", dict(TERMS.values())["tuned"])]
    assert not terms_in(["mytuned", "papers"])


def test_every_part_of_the_names_in_the_shipped_tables_is_explained(shipped: Path) -> None:
    tables = [pd.read_csv(path) for path in (shipped / "results/tables").glob("leaderboard*.csv")]
    names = {name for table in tables for name in table["recipe"]}
    parts = {part for name in names for part in name.split(", ")}
    assert len(parts) > 10
    assert [part for part in sorted(parts) if not terms_in([part]) and not SELF_EXPLANATORY.fullmatch(part)] == []
