from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.results.shared_times import read_shared_times


def test_the_list_has_one_digest_a_line_and_comments(tmp_path: Path) -> None:
    (tmp_path / "shared_times.txt").write_text(f"# why\n{'a' * 64}\n\n {'0' * 64} \n")
    assert read_shared_times(tmp_path) == {"a" * 64, "0" * 64}


def test_no_list_is_an_empty_one(tmp_path: Path) -> None:
    assert read_shared_times(tmp_path) == frozenset()


@pytest.mark.parametrize("line", ["a" * 63, f"{'a' * 64} because", "model/emotion/tuned-seed0-01234567"])
def test_another_line_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "shared_times.txt").write_text(f"# why\n{line}\n")
    with pytest.raises(BenchmarkError) as refused:
        read_shared_times(tmp_path)
    assert f"line 2: '{line}'" in refused.value.problem
