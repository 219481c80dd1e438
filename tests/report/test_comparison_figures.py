import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from factories import FIT, a_record, evidence, offer, on_a_gpu, on_rows, row_names, told, words, wrong_at
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmark.report.comparison_figures import DIFFERENT, MOST_PAIRED, TIED
from benchmark.report.figures import FIGURES
from benchmark.report.style import save_png
from benchmark.results.store import Run


@pytest.fixture(autouse=True)
def complain_about_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def draw(name: str, *runs: Run) -> Figure:
    figure = FIGURES[name](evidence(*runs))
    assert figure is not None
    return figure


def lettered(results_dir: Path, count: int) -> list[Run]:
    """As many variants, each one more text wrong."""
    return [
        told(results_dir, a_record("minilm", f"recipe.epochs={number + 1}"), wrong_at(range(number)))
        for number in range(count)
    ]


def test_the_matrix_shows_differences_above_and_p_values_below(tmp_path: Path) -> None:
    ends = {"minilm": 2, "bert_base": 7, "tfidf": 42}
    figure = draw("pairwise", *(told(tmp_path, a_record(model), wrong_at(range(end))) for model, end in ends.items()))
    axes = figure.axes[0]
    cells = {tuple(text.get_position()): text.get_text() for text in axes.texts if text.get_ha() == "center"}
    assert cells == {
        (1, 0): "+2.5", (2, 0): "+20.0", (2, 1): "+17.5",
        (0, 1): ".062", (0, 2): "<.001", (1, 2): "<.001",
    }  # fmt: skip
    faces = [patch.get_facecolor() for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(set(faces)) == 2
    assert faces.count(faces[0]) == 2  # one tied pair, above and below the diagonal
    assert row_names(axes)[0] == "MiniLM-L6 (22M BERT), paper"


def test_tied_and_different_are_told_apart_without_colour() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert lightness(TIED) - lightness(DIFFERENT) > 0.2


def test_a_matrix_too_large_to_read_shows_the_best_and_says_so(tmp_path: Path) -> None:
    figure = draw("pairwise", *lettered(tmp_path, MOST_PAIRED + 2))
    assert f"the best {MOST_PAIRED} of {MOST_PAIRED + 2}" in words(figure)
    assert len(row_names(figure.axes[0])) == MOST_PAIRED


@pytest.mark.parametrize("count", [2, 6, 14])
@pytest.mark.parametrize("name", ["pairwise", "frontier", "calibration"])
def test_nothing_of_a_figure_leaves_its_sheet(name: str, count: int, tmp_path: Path) -> None:
    figure = draw(name, *lettered(tmp_path / "results", count))
    save_png(figure, tmp_path / "figure.png")
    used, (width, height) = figure.get_tightbbox(), figure.get_size_inches()  # inches, both
    assert -0.01 <= used.x0 < used.x1 <= width + 0.01
    assert -0.01 <= used.y0 < used.y1 <= height + 0.01


def test_one_variant_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    run = told(tmp_path, a_record(), wrong_at([0]))
    assert FIGURES["pairwise"](evidence(run)) is None
    assert FIGURES["frontier"](evidence(run)) is None


def test_the_frontier_fills_who_is_on_it_and_names_who_is_dominated(tmp_path: Path) -> None:
    figure = draw(
        "frontier",
        offer(tmp_path, "minilm", 10, training=60, memory=200, trained=50, answering=2),
        offer(tmp_path, "bert_base", 20, training=90, memory=300, trained=70, answering=3),
        offer(tmp_path, "tfidf", 25, training=1, memory=100, trained=60, answering=1),
    )
    assert [axes.get_xlabel().split(",")[0] for axes in figure.axes] == [
        "training time", "peak memory", "parameters trained", "time to answer a text",
    ]  # fmt: skip
    marks = {
        float(line.get_xdata()[0]): line.get_markerfacecolor()  # type: ignore[index]
        for line in figure.axes[0].get_lines()
        if line.get_marker() == "o"
    }
    assert {x for x, face in marks.items() if face == "white"} == {90.0}
    assert "2  BERT base (uncased), paper, 0.9000; dominated by 1" in words(figure)


def test_the_frontier_names_hardware_that_is_not_that_of_most(tmp_path: Path) -> None:
    costs = {"training": 60, "memory": 200, "trained": 50, "answering": 2}
    runs = [offer(tmp_path, model, wrong, **costs) for model, wrong in {"minilm": 10, "tfidf": 25}.items()]
    elsewhere = on_a_gpu(offer(tmp_path, "bert_base", 20, **costs))
    shown = words(draw("frontier", *runs, elsewhere))
    assert f"2  BERT base (uncased), paper, 0.9000 on {elsewhere.record.hardware}" in shown
    assert "1  MiniLM-L6 (22M BERT), paper, 0.9500" in shown


def test_numbers_of_points_that_nearly_coincide_do_not_cover_each_other(tmp_path: Path) -> None:
    close = {"minilm": (10, 2.00), "bert_base": (11, 2.03), "bert_large": (12, 2.06), "roberta_base": (12, 2.09)}
    offers = [
        offer(tmp_path, name, wrong, training=60 * cost, memory=200 * cost, trained=50, answering=cost)
        for name, (wrong, cost) in close.items()
    ]
    figure = draw("frontier", *offers, offer(tmp_path, "tfidf", 30, training=1, memory=9, trained=4, answering=0.01))
    figure.draw_without_rendering()
    numbers = [text.get_window_extent().padded(-1) for text in figure.axes[0].texts]  # pixels
    assert len(numbers) == 5
    assert not any(one.overlaps(other) for one, other in combinations(numbers, 2))


def test_what_ran_on_a_gpu_is_marked_as_such(tmp_path: Path) -> None:
    runs = [told(tmp_path, a_record("tfidf"), wrong_at([0]))]
    assert "GPU" not in words(draw("frontier", *runs, told(tmp_path, a_record("minilm"), wrong_at([0]))))
    runs.append(told(tmp_path, a_record("bert_base", fit=replace(FIT, device="cuda:0")), wrong_at([1])))
    assert "Squares ran on a GPU" in words(draw("frontier", *runs))


def test_a_learning_curve_has_a_line_and_a_panel_a_model(tmp_path: Path) -> None:
    runs = [
        told(tmp_path, on_rows(rows, model), wrong_at(range(wrong)))
        for model in ("minilm", "tfidf")
        for rows, wrong in ((10, 90), (100, 50), (1000, 12))
    ]
    figure = draw("learning_curve", *runs)
    accuracies = {
        container.get_label(): container.lines[0].get_ydata().tolist() for container in figure.axes[0].containers
    }
    assert accuracies == {
        "MiniLM-L6 (22M BERT), paper": [0.55, 0.75, 0.94],
        "TF-IDF + logistic regression, paper": [0.55, 0.75, 0.94],
    }
    small = [axes for axes in figure.axes[1:] if axes.get_title()]
    assert [axes.get_title() for axes in small] == [
        "MiniLM-L6 (22M BERT), paper",
        "TF-IDF + logistic regression,\npaper",
    ]
    assert [len(axes.get_lines()) for axes in small] == [6, 6]


def test_calibration_leaves_out_what_gives_one_answer_to_all(tmp_path: Path) -> None:
    runs = [told(tmp_path, a_record("minilm"), wrong_at(range(9))), told(tmp_path, a_record("majority"), [1] * 200)]
    figure = draw("calibration", *runs)
    right = figure.axes[1]
    assert [line.get_label() for line in right.get_lines()] == ["MiniLM-L6 (22M BERT), paper"]
    [line] = right.get_lines()
    assert line.get_xydata()[-1].tolist() == pytest.approx([100, 191 / 200])  # type: ignore[index]
    assert FIGURES["calibration"](evidence(runs[1])) is None
