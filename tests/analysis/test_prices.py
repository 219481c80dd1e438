"""Prices are read from a file that people edit, so what is no price is refused."""

from pathlib import Path

import pytest
import yaml

from benchmark.analysis.prices import FILE, Prices, read_prices
from benchmark.errors import BenchmarkError


def test_the_shipped_prices_cover_the_hardware_of_the_shipped_runs() -> None:
    prices = read_prices()
    assert (
        prices.dollars_per_hour("AMD EPYC with AVX2, 2 cores")
        == prices.dollars_per_hour("AMD EPYC, 1 of 2 cores")
        == 0.1
    )
    assert (
        prices.dollars_per_hour("NVIDIA H100 80GB HBM3"),
        prices.dollars_per_hour("NVIDIA H200"),
        prices.per_kwh,
    ) == (3, 4, 0.13)


def test_the_shipped_prices_have_a_date_and_each_a_link() -> None:
    content = yaml.safe_load(FILE.read_text())
    assert content["date"]
    assert all(
        entry["source"].startswith("https://") for entry in [*content["machines"].values(), content["electricity"]]
    )


def test_hardware_has_the_price_of_the_first_name_that_is_part_of_it() -> None:
    prices = Prices({"2 cores": 1.0, "A GPU": 2.0, "GPU": 3.0}, 0.1)
    assert [prices.dollars_per_hour(name) for name in ("P, 12 cores", "P, 2 cores", "A GPU", "GPU 4", "GPUs")] == [
        None,
        1,
        2,
        3,
        None,
    ]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("dollars_per_hour: 0.10", "dollars_per_hour: -1", "2 cores: -1"),
        ("dollars_per_hour: 3.00", "dollars_per_hour: free", "H100: 'free'"),
        ("dollars_per_kwh: 0.13", "dollars_per_kwh: .inf", "electricity: inf"),
        ("machines:", "machine:", "KeyError: 'machines'"),
        ("machines:", "machines: [", "ParserError"),
    ],
)
def test_a_file_without_prices_is_refused(tmp_path: Path, old: str, new: str, named: str) -> None:
    (path := tmp_path / "prices.yaml").write_text(FILE.read_text().replace(old, new))
    with pytest.raises(BenchmarkError) as error:
        read_prices(path)
    assert str(path) in error.value.problem
    assert named in error.value.problem
