"""The figures of one run show the values of its record and predictions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import FIT, a_record, analysis_of, row_names, words
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.interface import NO_LABEL, CurvePoint, Examples, Predictions, WeightSource
from benchmark.report.run_details import details
from benchmark.report.run_figures import RUN_FIGURES, draw_run
from benchmark.results import store as records
from benchmark.results.record import Status
from benchmark.results.store import Run

pytestmark = pytest.mark.filterwarnings("error")

LABELS = ("sadness", "joy", "love")
GOLD = (0, 0, 0, 1, 1, 1, 1, 2)
PREDICTED = (0, 0, 1, 1, 1, 1, 1, 0)  # 6 of 8 are right
ONE_WITHOUT_LABEL = (0, 0, NO_LABEL, 1, 1, 1, 1, 2)
CURVE = (CurvePoint(10, 0.5, loss=1.5), CurvePoint(20, 1.0, 1.0, validation_loss=0.9, validation_accuracy=0.75))

MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        predicted: tuple[int, ...] = PREDICTED,
        gold: tuple[int, ...] = GOLD,
        title: str = "MiniLM",
        status: Status = Status.completed,
        seed: int = 0,
        overrides: tuple[str, ...] = (),
        labels: tuple[str, ...] = LABELS,
        **fit: Any,
    ) -> Run:
        record = a_record("minilm", *overrides, seed=seed, status=status, fit=replace(FIT, **fit))
        config = record.config
        config = replace(config, model=replace(config.model, title=title))
        config = replace(config, dataset=replace(config.dataset, labels=list(labels)))
        record = replace(record, config=config)
        if status is not Status.completed:
            return records.write(tmp_path, record)
        ids = tuple(f"test-{row}" for row in range(len(gold)))
        test = Examples(ids, ids, np.array(gold))
        return records.write(
            tmp_path, record, records.encode_predictions(test, answers(predicted, len(labels)), labels)
        )

    return make


def answers(predicted: tuple[int, ...], labels: int) -> Predictions:
    """Predictions with probability 0.8 each; equal probabilities if no label is predicted."""
    probabilities = np.full((len(predicted), labels), 1 / labels)
    for row, label in enumerate(predicted):
        if label != NO_LABEL:
            probabilities[row] = 0.2 / (labels - 1)
            probabilities[row, label] = 0.8
    generated = tuple("?" for _ in predicted) if NO_LABEL in predicted else None
    return Predictions(probabilities.astype(np.float32), np.array(predicted), generated)


def draw(name: str, run: Run) -> Figure:
    figure = RUN_FIGURES[name](run)
    assert figure is not None
    return figure


def widths(axes: Axes, legend: str) -> list[float]:
    [bars] = [bars for bars in axes.containers if bars.get_label() == legend]
    return [float(bar.get_width()) for bar in bars]


def series(axes: Axes, legend: str) -> list[list[float]]:
    [line] = [line for line in axes.get_lines() if line.get_label() == legend]
    return [list(point) for point in np.asarray(line.get_xydata())]


@pytest.mark.parametrize("name", RUN_FIGURES)
def test_every_figure_names_its_run(make_run: MakeRun, name: str) -> None:
    text = words(draw(name, make_run(seed=7, curve=CURVE)))
    assert "MiniLM" in text
    assert "emotion · recipe paper · seed 7 · test accuracy 6/8 = 0.7500" in text


def test_random_weights_are_named_and_have_no_accuracy(make_run: MakeRun) -> None:
    text = words(draw("confusion", make_run(weights=WeightSource("random"))))
    assert "MiniLM, random weights" in text
    assert "accuracy" not in text


def test_a_dollar_sign_in_a_title_is_no_formula(make_run: MakeRun) -> None:
    draw("confusion", make_run(title=r"from $3 to $\x")).draw_without_rendering()


@pytest.mark.parametrize("name", RUN_FIGURES)
def test_a_failed_run_has_no_figures(make_run: MakeRun, name: str) -> None:
    assert RUN_FIGURES[name](make_run(status=Status.failed)) is None


def test_draw_run_saves_the_figures_that_have_something_to_show(make_run: MakeRun) -> None:
    run = make_run(curve=())
    draw_run(run)
    assert {path.stem for path in run.folder.glob("*.png")} == set(RUN_FIGURES) - {"training_curve"}


def test_one_test_text_is_no_test_to_draw(make_run: MakeRun) -> None:
    run = make_run(predicted=(1,), gold=(0,), curve=CURVE)
    draw_run(run)
    assert [path.stem for path in run.folder.glob("*.png")] == ["training_curve"]


@pytest.mark.parametrize(
    ("predicted", "names", "counts"),
    [(PREDICTED, [], [5, 3, 0]), (ONE_WITHOUT_LABEL, ["no label"], [4, 2, 1, 1])],
)
def test_labels_are_counted_from_the_most_frequent_gold_label_down(
    make_run: MakeRun, predicted: tuple[int, ...], names: list[str], counts: list[int]
) -> None:
    [axes] = draw("label_distribution", make_run(predicted)).axes
    assert row_names(axes) == ["joy", "sadness", "love", *names]
    assert widths(axes, "gold (8 test texts)") == [4, 3, 1]
    assert widths(axes, "predicted") == counts


@pytest.mark.parametrize(
    ("predicted", "columns", "counts"),
    [(PREDICTED, [*LABELS], "210040100"), (ONE_WITHOUT_LABEL, [*LABELS, "no label"], "200104000010")],
)
def test_a_confusion_matrix_has_a_column_for_no_label_only_if_it_was_predicted(
    make_run: MakeRun, predicted: tuple[int, ...], columns: list[str], counts: str
) -> None:
    axes = draw("confusion", make_run(predicted)).axes[0]
    assert row_names(axes) == ["sadness (3)", "joy (4)", "love (1)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == columns
    assert "".join(text.get_text() for text in axes.texts) == counts


def test_a_label_that_is_called_no_label_has_a_column_of_its_own(make_run: MakeRun) -> None:
    labels = (*LABELS[:2], "no label")
    axes = draw("confusion", make_run(ONE_WITHOUT_LABEL, labels=labels)).axes[0]
    columns = [*labels, "no label of the data set"]
    assert [label.get_text() for label in axes.get_xticklabels()] == columns
    (block,) = details(analysis_of(make_run(ONE_WITHOUT_LABEL, labels=labels)))
    assert block.confusion is not None
    assert [*block.confusion] == columns
    (block,) = details(analysis_of(make_run(labels=labels, seed=1)))
    assert block.confusion is not None
    assert [*block.confusion] == [*labels]


MANY = tuple(f"label {number}" for number in range(31))
OF_MANY = (*range(31), 1, 1, 2, 2, 2)
CONFUSED = (*range(30), 0, 3, 3, 4, 4, NO_LABEL)


def test_of_many_labels_the_most_confused_pairs_are_drawn(make_run: MakeRun) -> None:
    figure = draw("confusion", make_run(CONFUSED, OF_MANY, labels=MANY))
    [axes] = figure.axes
    assert row_names(axes) == ["label 1 → label 3", "label 2 → label 4", "label 2 → no label", "label 30 → label 0"]
    assert widths(axes, "errors") == [2, 2, 1, 1]
    assert [text.get_text() for text in axes.texts] == ["2 of 3", "2 of 4", "1 of 4", "1 of 1"]
    assert "The 4 most confused pairs of 31 labels, 6 of 6 errors" in words(figure).replace("\N{NO-BREAK SPACE}", " ")


def test_of_many_pairs_twenty_are_drawn(make_run: MakeRun) -> None:
    shifted = tuple((label + 1) % 31 for label in range(31))
    figure = draw("confusion", make_run(shifted, tuple(range(31)), labels=MANY))
    assert widths(figure.axes[0], "errors") == [1] * 20
    assert "20 of 31 errors" in words(figure).replace("\N{NO-BREAK SPACE}", " ")


def test_many_labels_without_an_error_have_no_pairs(make_run: MakeRun) -> None:
    assert RUN_FIGURES["confusion"](make_run(tuple(range(31)), tuple(range(31)), labels=MANY)) is None


def test_of_many_labels_those_whose_counts_differ_most_are_drawn(make_run: MakeRun) -> None:
    figure = draw("label_distribution", make_run(CONFUSED, OF_MANY, labels=MANY))
    [axes] = figure.axes
    assert row_names(axes)[:4] == ["label 2", "label 1", "label 3", "label 4"]
    assert len(row_names(axes)) == 31
    assert row_names(axes)[-1] == "no label"
    assert widths(axes, "gold (36 test texts)")[:4] == [4, 3, 1, 1]
    assert widths(axes, "predicted")[:4] == [1, 1, 3, 3]
    assert "the 30 of 31 labels whose counts differ most" in words(figure).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("gold", "shares"),
    [
        (GOLD, [[2 / 3, 1 / 3, 0], [0, 1, 0], [1, 0, 0]]),
        ((0, 0, 0, 1, 1, 1, 1, 1), [[2 / 3, 1 / 3, 0], [0.2, 0.8, 0], [0, 0, 0]]),  # "love" is never gold
    ],
)
def test_a_confusion_matrix_is_shaded_by_the_share_of_the_row(
    make_run: MakeRun, gold: tuple[int, ...], shares: list[list[float]]
) -> None:
    axes = draw("confusion", make_run(gold=gold)).axes[0]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), np.array(shares))


def test_a_training_curve_shows_the_logged_points(make_run: MakeRun) -> None:
    losses, accuracies = draw("training_curve", make_run(curve=CURVE)).axes
    assert series(losses, "training, mean since the point before") == [[10, 1.5], [20, 1.0]]
    assert series(losses, "validation") == [[20, 0.9]]
    assert series(accuracies, "validation") == [[20, 0.75]]


@pytest.mark.parametrize(
    ("point", "panel"),
    [
        (CurvePoint(10, 0.5, loss=1.5), "loss"),
        (CurvePoint(10, 0.5, validation_loss=1.5), "loss"),
        (CurvePoint(10, 0.5, validation_accuracy=0.5), "validation accuracy"),
    ],
)
def test_a_training_curve_has_no_empty_panel(make_run: MakeRun, point: CurvePoint, panel: str) -> None:
    [axes] = draw("training_curve", make_run(curve=(point,))).axes
    assert axes.get_ylabel() == panel


@pytest.mark.parametrize(
    ("copies", "legend"), [(1, "the same, fewer than 10 texts"), (2, "accuracy at mean confidence")]
)
def test_reliability_shows_accuracy_by_confidence_and_marks_small_bins(
    make_run: MakeRun, copies: int, legend: str
) -> None:
    figure = draw("reliability", make_run(PREDICTED * copies, GOLD * copies))
    above, below = figure.axes
    assert "ECE 0.0500" in words(figure)  # accuracy 0.75 at confidence 0.8
    np.testing.assert_allclose(series(above, legend), [[0.8, 0.75]])
    assert sum(bar.get_height() for bar in below.containers[0]) == 8 * copies


def test_a_figure_names_the_settings_that_differ_from_the_recipe(make_run: MakeRun) -> None:
    run = make_run(overrides=("recipe.name=tuned", "recipe.epochs=9", "dataset.train_rows=160"))
    assert "recipe tuned, 160 training texts, 9 epochs" in words(draw("confusion", run)).replace("\n", " ")


@pytest.mark.parametrize("name", ["label_distribution", "reliability"])
def test_counts_have_whole_numbers_on_their_axis(make_run: MakeRun, name: str) -> None:
    figure = draw(name, make_run(gold=(0, 1), predicted=(0, 0)))
    axis = figure.axes[-1].yaxis if name == "reliability" else figure.axes[0].xaxis
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in axis.get_ticklabels()]
    assert ticks == [str(number) for number in range(len(ticks))]


@pytest.mark.parametrize("labels", [("正面", "负面", "中立"), ("إيجابي", "سلبي", "محايد"), ("😀", "🥳", "नकारात्मक")])
@pytest.mark.parametrize("name", ["label_distribution", "confusion"])
def test_labels_of_any_script_are_drawn_without_a_warning_and_told_apart(
    make_run: MakeRun, name: str, labels: tuple[str, ...]
) -> None:
    run = make_run(labels=labels, title="模型")
    draw_run(run)
    shown = [row.partition(" (")[0] for row in row_names(draw(name, run).axes[0])]
    assert len(set(shown)) == len(labels)
    assert set(shown) <= {*labels, *(f"label {number}" for number in range(len(labels)))}


def test_a_label_without_a_font_is_numbered_and_the_subtitle_says_so(make_run: MakeRun) -> None:
    no_font = "\U0001f9ff\ue000"  # a character for private use
    text = words(draw("confusion", make_run(labels=("joy", no_font, "love"))))
    assert "label 1 (4)" in text
    assert "numbered from 0" in text.replace("\n", " ")
