import pytest

from benchmark.errors import BenchmarkError
from benchmark.terminal import plain_endings


def test_an_interrupt_ends_a_command_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, plain_endings():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_an_error_that_explains_itself_is_its_sentence_and_any_other_is_not_hidden() -> None:
    with pytest.raises(SystemExit, match="name a folder"), plain_endings():
        raise BenchmarkError("name a folder")
    with pytest.raises(ValueError, match="a mistake of ours"), plain_endings():
        raise ValueError("a mistake of ours")
