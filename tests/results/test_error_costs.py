"""The costs of errors are read from a file that people write, so what is no cost is refused."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import BenchmarkError
from benchmark.results.error_costs import FILE, read_error_costs


def test_costs_are_read_by_label(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("gold, joy,1\n\n1,5,0\njoy,0, 1.5\n")
    costs = read_error_costs(tmp_path)
    assert costs is not None
    np.testing.assert_array_equal(costs.loc[["joy", "1"], ["joy", "1"]], [[0, 1.5], [5, 0]])


def test_no_file_is_no_costs(tmp_path: Path) -> None:
    assert read_error_costs(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("gold,a,b\na,0,1\nb,x,0\n", "row b: 'x'"),
        ("gold,a,b\na,0,-1\nb,1,0\n", "row a: '-1'"),
        ("gold,a,b\na,0,inf\nb,1,0\n", "row a: 'inf'"),
        ("gold,a,b\na,0,nan\nb,1,0\n", "row a: 'nan'"),
        ("gold,a,b\na,0\nb,1,0\n", "row a: ''"),
        ("gold,a,b\na,0,1,9\nb,1,0,9\n", "per label"),
        ("gold,a,b\na,0,1\nb,1,0,9\n", "cannot be read"),
        ("gold,a,b\na,0,1\n", "per label"),
        ("gold,a,b\na,0,1\na,1,0\n", "per label"),
        ("gold,a,b\na,0,1\nb,1,0\nb,1,0\n", "per label"),
        ("gold,a,a\na,0,1\nb,1,0\n", "per label"),
        ("", "cannot be read"),
    ],
)
def test_a_file_that_is_no_matrix_of_costs_is_refused(tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(BenchmarkError) as error:
        read_error_costs(tmp_path)
    assert str(tmp_path / FILE) in error.value.problem
    assert named in error.value.problem
