"""Every command ends with a message and an exit code."""

import argparse
import sys
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.terminal import INTERRUPTED, add_results_dir, exit_on_error, results_dir_of


def test_an_interrupt_ends_a_command_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error():
        raise KeyboardInterrupt
    assert ended.value.code == INTERRUPTED == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_a_benchmark_error_is_printed_with_its_fix() -> None:
    with pytest.raises(SystemExit) as ended, exit_on_error():
        raise BenchmarkError("There is no data.", "Name a folder.")
    assert ended.value.code == "There is no data. Name a folder."


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="a bug"), exit_on_error():
        raise ValueError("a bug")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder in which not even root can write")
def test_a_file_that_cannot_be_opened_is_named() -> None:
    lock = Path("/sys/results.lock")
    with pytest.raises(SystemExit, match=f"^{lock} cannot be opened"), exit_on_error():
        lock.touch()
    with pytest.raises(OSError, match="results.lock"), exit_on_error(tracebacks=True):
        lock.touch()


@pytest.mark.parametrize(
    "words", [["results_dir=mine"], ['results_dir="mine"'], ["--results-dir", "mine"], ["--results-dir=mine"]]
)
def test_the_results_folder_is_understood_in_both_forms(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    add_results_dir(parser)
    for around in (words, ["--check", *words], [*words, "--check"]):
        assert results_dir_of(parser.parse_intermixed_args(around)) == Path("mine")
    assert results_dir_of(parser.parse_intermixed_args([])) == Path("results")


def test_another_override_is_no_results_folder(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_results_dir(parser)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["model=majority"])
    assert ended.value.code == 2
    assert "model=majority is not understood" in capsys.readouterr().err
