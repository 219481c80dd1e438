"""Every command ends with a message and an exit code."""

import pytest

from benchmark.errors import BenchmarkError
from benchmark.terminal import INTERRUPTED, plain_endings


def test_an_interrupt_ends_a_command_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, plain_endings():
        raise KeyboardInterrupt
    assert ended.value.code == INTERRUPTED == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_a_benchmark_error_is_printed_with_its_fix() -> None:
    with pytest.raises(SystemExit) as ended, plain_endings():
        raise BenchmarkError("There is no data.", "Name a folder.")
    assert ended.value.code == "There is no data. Name a folder."


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="a bug"), plain_endings():
        raise ValueError("a bug")
