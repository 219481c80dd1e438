"""One progress bar at a time, with a label, and none left behind."""

import pytest

from baselines.compute import bars


@pytest.fixture(autouse=True)
def in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "shows_bars", lambda: True)


def interrupted_while_validating() -> None:
    with bars.bar(10, "training") as training:
        training.update(1)
        with bars.prediction_label("validating"), bars.bar(5):
            raise KeyboardInterrupt


def test_bars_are_removed_after_an_interrupt_and_name_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_while_validating()
    with bars.bar(3):
        pass
    frames = [frame.strip() for frame in capsys.readouterr().err.split("\r")]
    labels = [frame.partition(":")[0] for frame in frames if frame]
    assert list(dict.fromkeys(labels)) == ["training", "validating", "predicting"]
    hidden = frames.index("", next(index for index, frame in enumerate(frames) if frame.startswith("training")))
    assert hidden < next(index for index, frame in enumerate(frames) if frame.startswith("validating"))
    assert frames[-1] == ""
    assert bars._open == []


def test_chunks_under_a_bar_are_all_rows_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(range(2 * bars.CHUNK + 1))
    chunks = list(bars.chunks(rows, "tokenising"))
    assert [len(chunk) for chunk in chunks] == [bars.CHUNK, bars.CHUNK, 1]
    assert [row for chunk in chunks for row in chunk] == rows
    assert "tokenising" in capsys.readouterr().err


def test_without_a_terminal_there_is_no_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "shows_bars", lambda: False)
    with bars.bar(3, "training") as shown:
        shown.update(3)
    assert capsys.readouterr().err == ""
