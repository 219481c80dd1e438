"""The figures over many runs show the values of the tables."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import (
    GOLD,
    MANY_GOLD,
    RANDOM_FIT,
    a_record,
    a_record_on_rows,
    loading,
    on_a_gpu,
    publish,
    publish_confident,
    publish_many,
    publish_with_costs,
    row_names,
    words,
    wrong_at,
)
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import results_of
from benchmark.analysis.inference import wilson_interval
from benchmark.report.colours import DIFFERENT, KINDS, TIED
from benchmark.report.figure import series_styles
from benchmark.report.figures import FIGURES, differences, frontier
from benchmark.report.sections import SECTIONS
from benchmark.report.style import SERIES_STYLES, save_png
from benchmark.results.record import Failure, Status
from benchmark.results.store import Run

pytestmark = pytest.mark.filterwarnings("error")

DIAGRAMS = {"figure1_decoder_block", "figure2_lora"}  # which need no runs
MINILM = "MiniLM-L6"


def drawn(name: str, *runs: Run, dataset: str = study.DATASET) -> Figure | None:
    return FIGURES[name].draw(AnalysedResults(results_of(list(runs))).for_dataset(dataset), dataset)


def draw(name: str, *runs: Run, dataset: str = study.DATASET) -> Figure:
    figure = drawn(name, *runs, dataset=dataset)
    assert figure is not None
    return figure


def narrow(name: str, *runs: Run) -> Figure:
    draw_narrow = FIGURES[name].draw_narrow
    assert draw_narrow is not None
    figure = draw_narrow(AnalysedResults(results_of(list(runs))), study.DATASET)
    assert figure is not None
    return figure


def epochs(results_dir: Path, count: int) -> list[Run]:
    """As many configurations, each with one error more than the one before."""
    return [
        publish_many(results_dir, a_record("minilm", f"recipe.epochs={number + 1}"), wrong_at(range(number)))
        for number in range(count)
    ]


def in_one_line(figure: Figure) -> str:
    """All words, without the breaks of wrapped lines."""
    return " ".join(words(figure).split())


def marked(axes: Axes, marker: str) -> list[tuple[float, float]]:
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


def test_without_runs_only_the_diagrams_are_drawn() -> None:
    assert {name for name in FIGURES if drawn(name) is not None} == DIAGRAMS


def test_every_figure_has_a_section_of_the_page() -> None:
    assert {figure.section for figure in FIGURES.values()} <= {section.name for section in SECTIONS}


def test_the_diagrams_show_the_model_that_repeats_the_study() -> None:
    assert "Decoder block: Llama 3 8B Instruct LoRA" in words(draw("figure1_decoder_block"))
    assert "4,096 × 8" in words(draw("figure2_lora"))


def test_training_labels_are_those_of_the_largest_training_split(tmp_path: Path) -> None:
    carved = a_record("minilm", seed=1)
    whole = carved.data
    assert whole is not None
    train = replace(whole.splits["train"], rows=100, counts={"joy": 60, "love": 40})
    carved = replace(carved, data=replace(whole, splits={**whole.splits, "train": train}))
    figure = draw("figure3_label_distribution", publish(tmp_path, carved), publish(tmp_path, a_record("minilm")))
    (axes,) = figure.axes
    assert row_names(axes) == ["joy", "sadness", "anger", "fear", "love", "surprise"]
    assert [bar.get_width() for bar in axes.containers[0]] == [50, 40, 20, 15, 10, 5]
    for fact in ("140 training texts", "joy is 10.0 times as frequent as surprise", "50  (35.7%)"):
        assert fact in words(figure)


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ([], {"fit": RANDOM_FIT}),
        ([], {"status": Status.failed, "failure": Failure("No memory is left.")}),
        ([], {"test_sha256": "d" * 64}),
        (["dataset.train_rows=4"], {}),
        (["dataset.test_rows=8"], {}),
        (["recipe.max_steps=1"], {}),
    ],
)
def test_only_results_on_the_studys_data_are_drawn(
    tmp_path: Path, overrides: list[str], changes: dict[str, Any]
) -> None:
    run = publish(tmp_path, a_record("minilm", *overrides, **changes))
    assert {name for name in FIGURES if drawn(name, run) is not None} == DIAGRAMS


# Accuracy


def test_accuracies_fall_and_the_seeds_of_a_configuration_share_a_row(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record("minilm", seed=0), wrong_at(range(20))),
        publish_many(tmp_path, a_record("minilm", seed=1), wrong_at(range(10))),
        publish_many(tmp_path, a_record("minilm", "recipe.name=tuned"), MANY_GOLD),
        publish_many(tmp_path, a_record("minilm", "recipe.name=tuned", "recipe.epochs=9"), wrong_at([0])),
    ]
    figure = draw("accuracy", *runs)
    (axes,) = figure.axes
    assert row_names(axes)[:2] == [f"{MINILM}, tuned", f"{MINILM}, tuned, 9 epochs"]
    place = row_names(axes).index(f"{MINILM}, paper")
    assert (0.925, place) in marked(axes, "o")
    assert {x for x, _ in marked(axes, "|")} == {0.9, 0.95}
    assert {round(y - place, 2) for _, y in marked(axes, "|")} == {0.27}
    assert "0.9250, 2 seeds" in words(figure)
    assert "1.0000, 1 seed\n" in words(figure)


def test_an_accuracy_has_its_interval(tmp_path: Path) -> None:
    (axes,) = draw("accuracy", publish_many(tmp_path, a_record("minilm"), wrong_at(range(20)))).axes
    (line,) = [line for line in axes.get_lines() if line.get_linewidth() == 2]
    expected = wilson_interval(180, 200)
    assert np.asarray(line.get_xdata()).tolist() == [expected.low, 0.9, expected.high]


def test_the_studys_accuracies_are_hollow_diamonds_beside_what_repeats_them(tmp_path: Path) -> None:
    figure = draw("accuracy", publish_many(tmp_path, a_record("bert_base"), MANY_GOLD))
    (axes,) = figure.axes
    assert row_names(axes)[:2] == ["BERT base, paper", "Llama 3 8B"]
    diamonds = dict(marked(axes, "D"))
    assert sorted(diamonds) == sorted(study.TABLE3.values())
    assert diamonds[study.TABLE3["bert_base"]] == pytest.approx(-0.27)  # above the row's own interval
    assert diamonds[study.TABLE3["llama3_lora"]] == 1
    assert {line.get_markerfacecolor() for line in axes.get_lines() if line.get_marker() == "D"} == {"white"}
    assert words(figure).count(", the study") == len(study.TABLE3) - 1


def test_the_studys_accuracy_is_not_beside_another_recipe(tmp_path: Path) -> None:
    run = publish_many(tmp_path, a_record("bert_base", "recipe.name=tuned"), MANY_GOLD)
    (axes,) = draw("accuracy", run).axes
    names = row_names(axes)
    rows = {y for _, y in marked(axes, "D")}
    assert names.index("BERT base, tuned") not in rows
    assert names.index("BERT base") in rows


@pytest.mark.parametrize(("errors", "arrows"), [(23, 0), (25, 1)])
def test_an_accuracy_far_below_the_best_is_an_arrow(tmp_path: Path, errors: int, arrows: int) -> None:
    runs = [publish_many(tmp_path, a_record("minilm"), MANY_GOLD)]
    runs += [publish_many(tmp_path, a_record("tfidf"), wrong_at(range(errors)))]
    figure = draw("accuracy", *runs)
    assert len(marked(figure.axes[0], "<")) == arrows
    assert ("left of the axis" in words(figure)) == bool(arrows)
    assert f"{1 - errors / 200:.4f}, 1 seed" in words(figure)


@pytest.mark.parametrize("name", ["accuracy", "pairwise", "frontier", "calibration"])
def test_a_users_own_data_set_has_its_figures(tmp_path: Path, name: str) -> None:
    own = {"dataset": "mine", "test_sha256": "d" * 64}
    runs = [
        publish_many(tmp_path, a_record(model, **own), wrong_at(range(9))) for model in ("minilm", "tfidf", "probe")
    ]
    runs.append(publish_many(tmp_path, a_record("minilm"), MANY_GOLD))
    figure = draw(name, *runs, dataset="mine")
    assert "mine" in words(figure)
    assert "Llama" not in words(figure)


def test_the_caption_has_the_best_accuracy_and_counts_the_models_that_it_does_not_lead(tmp_path: Path) -> None:
    errors = {"minilm": 2, "bert_base": 4, "tfidf": 42}
    runs = [publish_many(tmp_path, a_record(model), wrong_at(range(count))) for model, count in errors.items()]
    interval = wilson_interval(198, 200)
    best = f"{MINILM}, paper is the most accurate, 0.9900 (95% interval {interval.low:.4f} to {interval.high:.4f})."
    assert draw("accuracy", *runs).get_label() == f"{best} Its lead is not significant over 1 of 2 others."
    assert draw("accuracy", runs[0]).get_label() == best
    assert (
        draw("accuracy", runs[0], runs[-1]).get_label() == f"{best} It is significantly more accurate than the other."
    )


# Differences


def test_the_matrix_shows_the_difference_of_each_pair_once(tmp_path: Path) -> None:
    errors = {"minilm": 2, "bert_base": 7, "tfidf": 42}
    runs = [publish_many(tmp_path, a_record(model), wrong_at(range(count))) for model, count in errors.items()]
    figure = draw("pairwise", *runs)
    assert figure.get_label() == (
        "The two most accurate of three configurations do not differ significantly from each other. "
        "One is significantly less accurate than the most accurate."
    )
    axes = figure.axes[0]
    cells = {tuple(text.get_position()): text.get_text() for text in axes.texts if text.get_ha() == "center"}
    assert cells == {(1, 0): "+2.5", (2, 0): "+20.0", (2, 1): "+17.5"}
    colours = [patch.get_facecolor()[:3] for patch in axes.patches if isinstance(patch, Rectangle)]
    assert colours.count(to_rgb(TIED)) == 1
    assert colours.count(to_rgb(DIFFERENT)) == 2
    bold = [text.get_text() for text in axes.texts if text.get_weight() == "bold"]
    assert bold == ["+20.0", "+17.5"]
    assert row_names(axes)[0] == f"{MINILM}, paper"


def test_one_or_two_configurations_have_no_matrix(tmp_path: Path) -> None:
    runs = [publish_many(tmp_path, a_record(model), wrong_at([0])) for model in ("tfidf", "minilm", "bert_base")]
    assert [drawn("pairwise", *runs[:count]) is None for count in (1, 2, 3)] == [True, True, False]


# Costs


def test_the_frontier_is_filled_and_the_dominated_are_named(tmp_path: Path) -> None:
    figure = draw(
        "frontier",
        publish_with_costs(tmp_path, "minilm", 10, training=60, memory=2 * 10**9, trained=50, answering=2),
        publish_with_costs(tmp_path, "bert_base", 20, training=90, memory=4 * 10**9, trained=70, answering=3),
        publish_with_costs(tmp_path, "tfidf", 25, training=1, memory=10**9, trained=60, answering=1),
    )
    points = [
        {float(np.asarray(line.get_xdata())[0]): line.get_markerfacecolor() == "white" for line in axes.get_lines()
         if line.get_marker() == "o"}
        for axes in figure.axes
    ]  # fmt: skip
    assert points == [
        {60: False, 90: True, 1: False},
        {2: False, 4: True, 1: False},
        {50: False, 70: True, 60: True},
        {10: False, 15: True, 5: False},  # milliseconds per text
    ]
    less = "trains faster, needs less memory, trains fewer parameters and predicts faster"
    assert f"2 BERT base, paper, 0.9000; not significantly better than 1, which {less}" in in_one_line(figure)
    assert figure.get_label() == (
        f"Of the points drawn, the most accurate on the frontier is {MINILM}, "
        "paper for training time, peak memory, trained parameters and "
        "prediction time."
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "", "accuracy", ""]


def test_other_hardware_is_named_and_gpus_are_squares_where_costs_do_not_depend_on_it(tmp_path: Path) -> None:
    costs = {"training": 60, "trained": 50, "answering": 2}
    models = (("minilm", 10), ("tfidf", 25), ("bert_large", 30))
    runs = [publish_with_costs(tmp_path, model, wrong, memory=2 * 10**9, **costs) for model, wrong in models]
    without = draw("frontier", *runs)
    assert "GPU" not in words(without)
    gpu = on_a_gpu(publish_with_costs(tmp_path, "bert_base", 20, memory=3 * 10**9, **costs))
    figure = draw("frontier", *runs, gpu)
    time, memory, trained, _ = figure.axes
    assert [marked(axes, "s") for axes in (time, memory, trained)] == [[], [], [(50, 0.9)]]
    assert len(marked(memory, "o")) == 3
    not_drawn = "training time 60 seconds, peak memory 3 GB and prediction time 10 ms/text"
    assert f"2 BERT base, paper, 0.9000 on A GPU; not drawn: {not_drawn}" in in_one_line(figure)
    assert f"1  {MINILM}, paper, 0.9500" in words(figure)
    assert "Machine: A processor, 2 cores, unless another is named." in words(figure)
    key = figure.axes[0].get_legend()
    assert key is not None
    assert [text.get_text() for text in key.get_texts()][-4:] == ["CPU", "GPU", "on the frontier", "95% interval"]


@pytest.mark.parametrize(("largest", "scale"), [(29, "linear"), (31, "log")])
def test_costs_of_a_small_span_have_a_linear_axis(tmp_path: Path, largest: float, scale: str) -> None:
    costs: dict[str, Any] = {"memory": 200, "trained": 50, "answering": 2}
    models = (("minilm", 5, 10), ("tfidf", 20, 20), ("bert_base", 9, largest))
    runs = [publish_with_costs(tmp_path, model, wrong, training=time, **costs) for model, wrong, time in models]
    assert draw("frontier", *runs).axes[0].get_xscale() == scale


def test_one_or_two_configurations_have_no_frontier(tmp_path: Path) -> None:
    costs = {"training": 60, "memory": 200, "trained": 50, "answering": 2}
    models = (("minilm", 5), ("tfidf", 20), ("bert_base", 9))
    runs = [publish_with_costs(tmp_path, model, wrong, **costs) for model, wrong in models]
    assert [drawn("frontier", *runs[:count]) is None for count in (1, 2, 3)] == [True, True, False]


def test_accuracies_below_the_axis_of_costs_are_named_and_not_drawn(tmp_path: Path) -> None:
    costs = {"training": 60, "memory": 200, "trained": 50, "answering": 2}
    models = (("minilm", 0), ("bert_base", 1), ("tfidf", 50))
    figure = draw("frontier", *(publish_with_costs(tmp_path, m, w, **costs) for m, w in models))
    assert [marked(axes, "o") for axes in figure.axes[:1]] == [[(60, 1.0), (60, 0.995)]]
    assert "not drawn: TF-IDF + logistic regression, paper (0.7500)." in words(figure).replace("\n", " ")


def test_every_panel_has_the_number_of_each_configuration_with_that_cost(tmp_path: Path) -> None:
    costs: dict[str, Any] = {"memory": 200, "trained": 50, "answering": 2}
    runs = [publish_with_costs(tmp_path, m, w, training=60, **costs) for m, w in (("minilm", 5), ("tfidf", 20))]
    runs.append(publish_many(tmp_path, loading(a_record("smollm2_lora"), "an-adapter"), wrong_at(range(10))))
    figure = draw("frontier", *runs)
    assert "training time" in figure.axes[0].get_xlabel()
    numbers = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert numbers == [{"1", "3"}, {"1", "2", "3"}, {"1", "3"}, {"1", "2", "3"}]
    assert ", 0.9500; no training time or trained parameters" in in_one_line(figure)


def test_the_caption_names_the_most_accurate_on_each_frontier(tmp_path: Path) -> None:
    costs: dict[str, Any] = {"memory": 200, "trained": 50, "answering": 2}
    runs = [publish_with_costs(tmp_path, m, w, training=60, **costs) for m, w in (("minilm", 5), ("tfidf", 20))]
    runs.append(publish_many(tmp_path, loading(a_record("smollm2_lora"), "an-adapter"), MANY_GOLD))
    figure = draw("frontier", *runs)
    assert figure.get_label() == (
        f"Of the points drawn, the most accurate on the frontier is {MINILM}, "
        "paper for training time, peak memory and trained parameters; "
        "SmolLM2-135M LoRA, paper for prediction time."
    )


def test_points_that_cover_each_other_share_one_text(tmp_path: Path) -> None:
    costs: dict[str, Any] = {"memory": 200, "trained": 50, "answering": 2}
    models = {"minilm": (10, 60), "bert_base": (10, 60), "tfidf": (20, 1)}
    runs = [publish_with_costs(tmp_path, m, wrong, training=time, **costs) for m, (wrong, time) in models.items()]
    assert {text.get_text() for text in draw("frontier", *runs).axes[0].texts} == {"1, 2", "3"}


@pytest.mark.parametrize("name", ["accuracy", "frontier", "scaling", "calibration", "pairwise"])
def test_a_narrow_figure_has_the_values_of_the_wide_one_below_each_other(name: str, tmp_path: Path) -> None:
    costs: dict[str, Any] = {"training": 60, "memory": 200, "trained": 50, "answering": 2}
    models = (("minilm", 5), ("tfidf", 20), ("bert_base", 9))
    runs = [publish_with_costs(tmp_path, m, w, **costs) for m, w in models]
    figure, wide = narrow(name, *runs), draw(name, *runs)
    assert figure.get_figwidth() < wide.get_figwidth() / 1.5
    assert [marked(axes, "o") for axes in figure.axes] == [marked(axes, "o") for axes in wide.axes]
    assert MINILM in words(figure)
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == 1


def test_a_narrow_scaling_has_numbers_at_the_points_and_their_names_below(tmp_path: Path) -> None:
    models = (("minilm", 10), ("mpnet_base", 6), ("smollm2_lora", 8))
    figure = narrow(
        "scaling", *(publish_many(tmp_path, a_record(model), wrong_at(range(wrong))) for model, wrong in models)
    )
    assert {text.get_text() for text in figure.axes[1].texts} == {
        str(1 + number) for number in range(3 + len(study.TABLE3))
    }
    for line in (
        "1  MPNet base, 109M, 0.9700",
        "3  MiniLM-L6, 22.7M, 0.9500",
        "Llama 3 8B of the study, 8.03B, 0.9262",
    ):
        assert line in words(figure)


def test_costs_have_the_interval_of_the_accuracy_and_the_colour_of_the_kind(tmp_path: Path) -> None:
    costs = {"training": 60, "memory": 200, "trained": 50, "answering": 2}
    models = (("minilm", 9), ("tfidf", 20), ("bert_base", 30))
    figure = draw("frontier", *(publish_with_costs(tmp_path, m, w, **costs) for m, w in models))
    expected = wilson_interval(191, 200)
    drawn_intervals = [line.get_segments()[0][:, 1].tolist() for line in figure.axes[0].collections]
    assert [expected.low, expected.high] in drawn_intervals
    colours = {line.get_color() for line in figure.axes[0].get_lines() if line.get_marker() == "o"}
    assert colours == {KINDS["encoder"], KINDS["linear"]}


def test_numbers_of_close_points_do_not_overlap(tmp_path: Path) -> None:
    close = {"minilm": (10, 2.0), "bert_base": (11, 2.5), "bert_large": (12, 3.1), "roberta_base": (12, 3.8)}
    runs = [
        publish_with_costs(tmp_path, name, wrong, training=60 * x, memory=int(200 * x), trained=50, answering=x)
        for name, (wrong, x) in close.items()
    ]
    far = publish_with_costs(tmp_path, "tfidf", 30, training=1, memory=9, trained=4, answering=0.01)
    figure = draw("frontier", *runs, far)
    figure.draw_without_rendering()
    numbers = [text.get_window_extent().padded(-1) for text in figure.axes[0].texts]  # pixels
    assert len(numbers) == 5
    assert not any(one.overlaps(other) for one, other in combinations(numbers, 2))


def test_a_number_is_nearest_to_its_own_point_or_joined_to_it_by_a_line(tmp_path: Path) -> None:
    block = [(8 + 2 * row, 10 * 1.3**column) for row in range(3) for column in range(3)]
    models = ("bert_base", "bert_large", "roberta_base", "roberta_large", "minilm", "mpnet_base", "smollm2_lora",
              "llama3_lora", "probe")  # fmt: skip
    runs = [
        publish_with_costs(tmp_path, model, wrong, training=time, memory=9, trained=4, answering=1)
        for model, (wrong, time) in zip(models, block, strict=True)
    ]
    far = publish_with_costs(tmp_path, "tfidf", 30, training=1, memory=9, trained=4, answering=0.01)
    figure = draw("frontier", *runs, far)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    points = axes.transData.transform(marked(axes, "o"))
    alone = [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch is None]
    for text in alone:
        box = text.get_window_extent()
        middle = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
        own = axes.transData.transform(text.xy)
        assert np.hypot(*(points - middle).T).min() == pytest.approx(np.hypot(*(own - middle)), abs=1)
    assert len(alone) < len(axes.texts) == 1 + len(block)


@pytest.mark.parametrize(("value", "text"), [(1e9, "1G"), (2.5e6, "2.5M"), (1000, "1k"), (999, "999"), (0.01, "0.01")])
def test_large_costs_have_a_prefix(value: float, text: str) -> None:
    assert frontier._with_prefix(value) == text


# Learning curves and confidence


def test_a_learning_curve_has_a_line_per_model_and_a_panel_per_choice_of_rows(tmp_path: Path) -> None:
    chosen = [("minilm", ()), ("tfidf", ()), ("minilm", ("dataset.row_choice=balanced", "recipe.epochs=9"))]
    runs = [
        publish_many(tmp_path, a_record_on_rows(rows, model, 0, *overrides), wrong_at(range(wrong)))
        for model, overrides in chosen
        for rows, wrong in ((10, 90), (100, 50), (110, 40), (10_000, 12))
    ]
    balanced, drawn_rows = draw("learning_curve", *runs).axes
    lines = [[line.get_label() for line in axes.containers] for axes in (balanced, drawn_rows)]
    assert lines == [[f"{MINILM}, paper, 9 epochs"], [f"{MINILM}, paper", "TF-IDF + logistic regression, paper"]]
    assert list(drawn_rows.containers[0].lines[0].get_xydata()[:, 1]) == [0.55, 0.75, 0.8, 0.94]
    assert balanced.get_title("left").endswith("(networks: 9 epochs)")
    assert drawn_rows.get_title("left").endswith("(networks: 3 epochs)")
    assert [tick.get_text() for tick in drawn_rows.get_xticklabels()] == ["10", "110", "10k"]  # 100 would cover 110


def test_the_caption_of_learning_curves_says_up_to_how_many_texts_the_larger_network_leads(tmp_path: Path) -> None:
    wrong_by_rows = {"minilm": {10: 90, 100: 60, 110: 13}, "mpnet_base": {10: 40, 100: 20, 110: 12}}
    runs = [
        publish_many(tmp_path, a_record_on_rows(rows, model, 0), wrong_at(range(wrong)))
        for model, points in wrong_by_rows.items()
        for rows, wrong in points.items()
    ]
    assert draw("learning_curve", *runs).get_label() == (
        "MPNet base is more accurate than MiniLM-L6 with up to 100 training texts (the 95% intervals do not overlap)."
    )
    runs += [publish_many(tmp_path, a_record(model), wrong_at(range(9))) for model in wrong_by_rows]
    caption = draw("learning_curve", *runs).get_label()
    assert caption.endswith("do not overlap); with all 140 they do not differ significantly.")


def test_more_learning_curves_than_line_styles_are_left_out(tmp_path: Path) -> None:
    many = len(SERIES_STYLES) + 1
    runs = [
        publish(tmp_path, a_record_on_rows(rows, "minilm", 0, f"recipe.epochs={number + 1}"))
        for number in range(many)
        for rows in (10, 100)
    ]
    figure = draw("learning_curve", *runs)
    assert f"{many - 1} of {many}" in words(figure)
    assert [len(axes.containers) for axes in figure.axes] == [many - 1]


def test_a_model_has_one_style_in_all_figures_and_its_further_series_have_others(tmp_path: Path) -> None:
    records = [a_record("mpnet_base"), a_record("minilm"), a_record("minilm", dataset="banking77")]
    records += [a_record_on_rows(rows, "minilm", 0) for rows in (10, 100)]
    runs = [publish_many(tmp_path, record, wrong_at(range(9))) for record in records]
    analysis = AnalysedResults(results_of(runs))
    assert analysis.models == ["MiniLM-L6", "MPNet base"]
    styles = series_styles(analysis.for_dataset(study.DATASET), ["MPNet base", "MiniLM-L6", "MiniLM-L6", "TF-IDF"])
    assert styles == [SERIES_STYLES[place] for place in (1, 0, 5, 4)]
    (curve, *_), *_ = (container.lines for container in draw("learning_curve", *runs).axes[0].containers)
    assert curve.get_color() == styles[1]["color"]
    lines = {line.get_label(): line.get_color() for line in draw("calibration", *runs).axes[1].get_lines()}
    assert lines["MiniLM-L6, paper"] == styles[1]["color"]
    assert lines["MPNet base, paper"] == styles[0]["color"]


def test_calibration_leaves_out_constant_predictions(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record("minilm"), wrong_at(range(9))),
        publish_many(tmp_path, a_record("majority"), [1] * 200),
    ]
    left, right = draw("calibration", *runs).axes
    (line,) = right.get_lines()
    assert line.get_label() == f"{MINILM}, paper"
    assert np.asarray(line.get_xydata())[-1].tolist() == [100, 0.955]
    assert np.asarray(line.get_xdata())[0] == 70
    assert marked(left, "o") == [(1.0, 0.955)]


@pytest.mark.parametrize(
    ("confidences", "caption"),
    [
        ([0.975], "overconfident: mean confidence minus accuracy is +0.025."),
        ([0.75, 0.875], "underconfident: mean confidence minus accuracy is -0.200 to -0.075."),
        ([0.75, 0.975], "over- and underconfident: mean confidence minus accuracy is -0.200 to +0.025."),
    ],
)
def test_the_caption_of_calibration_compares_confidence_and_accuracy(
    tmp_path: Path, confidences: list[float], caption: str
) -> None:
    runs = [
        publish_confident(tmp_path, a_record("minilm", f"recipe.epochs={epochs + 1}"), wrong_at(range(10)), [one] * 200)
        for epochs, one in enumerate(confidences)
    ]
    assert caption in draw("calibration", *runs).get_label()


def test_the_caption_of_calibration_says_how_often_unsure_predictions_are_right(tmp_path: Path) -> None:
    confidences = [0.75] * 20 + [0.975] * 180
    run = publish_confident(tmp_path, a_record("minilm"), wrong_at(range(10)), confidences)
    sentence = "Below a confidence of 0.9 lie 10% of the predictions, of which 50% are right."
    assert sentence in draw("calibration", run).get_label()
    few = publish_confident(tmp_path / "few", a_record("minilm"), wrong_at(range(9)), [0.75] * 9 + [0.975] * 191)
    assert "Below a confidence" not in draw("calibration", few).get_label()


@pytest.mark.parametrize(("rows", "points"), [(9, 0), (10, 1)])
def test_calibration_needs_ten_answers_per_bin(tmp_path: Path, rows: int, points: int) -> None:
    run = publish(tmp_path, a_record("minilm"), GOLD[:rows], gold=GOLD[:rows])
    assert len(marked(draw("calibration", run).axes[0], "o")) == points


def test_the_panels_of_calibration_keep_their_size_without_bins(tmp_path: Path) -> None:
    figure = narrow("calibration", publish(tmp_path, a_record("minilm"), GOLD[:9], gold=GOLD[:9]))
    save_png(figure, tmp_path / "figure.png")
    assert min(axes.get_position().height for axes in figure.axes) > 0.2


@pytest.mark.parametrize("count", [3, 14])
@pytest.mark.parametrize("name", ["pairwise", "frontier", "calibration", "accuracy"])
@pytest.mark.parametrize("drawing", [draw, narrow])
def test_nothing_exceeds_the_edges_of_a_figure(
    drawing: Callable[..., Figure], name: str, count: int, tmp_path: Path
) -> None:
    figure = drawing(name, *epochs(tmp_path / "results", count))
    save_png(figure, tmp_path / "figure.png")
    used, (width, height) = figure.get_tightbbox(), figure.get_size_inches()  # both in inches
    assert -0.01 <= used.x0 < used.x1 <= width + 0.01
    assert -0.01 <= used.y0 < used.y1 <= height + 0.01


def test_networks_are_joined_by_kind_and_the_studys_models_are_hollow(tmp_path: Path) -> None:
    runs = [
        publish_many(tmp_path, a_record("minilm"), wrong_at(range(10))),
        publish_many(tmp_path, a_record("minilm", "recipe.epochs=9"), wrong_at(range(12))),
        publish_many(tmp_path, a_record("mpnet_base"), wrong_at(range(6))),
        publish_many(tmp_path, a_record("smollm2_lora"), wrong_at(range(8))),
        publish_many(tmp_path, a_record("tfidf"), wrong_at(range(2))),
    ]
    figure = draw("scaling", *runs)
    sentences = (
        "MPNet base (109 million parameters) is the most accurate, 0.9700. The smallest network, MiniLM-L6 (22.7 "
        "million; 0.9500), is not significantly less accurate. The largest measured here, SmolLM2-135M LoRA (135 "
        "million; 0.9600), is not significantly less accurate."
    )
    assert figure.get_label() == sentences
    by_time, axes = figure.axes
    assert [handle.get_label() for handle in by_time.get_legend().legend_handles] == [
        "encoder", "decoder", "linear", "the study, as printed"
    ]  # fmt: skip
    assert [text.get_text().partition("\n")[0] for text in by_time.texts] == [
        "MPNet base", "SmolLM2-135M LoRA", "MiniLM-L6", "TF-IDF + logistic"
    ]  # fmt: skip
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    sizes, accuracies = lines["encoder"].get_data()
    assert np.allclose(sizes, [22713216, 109486464])
    assert np.allclose(np.asarray(accuracies, dtype=float), [0.95, 0.97])
    assert np.allclose(np.asarray(lines["decoder"].get_ydata(), dtype=float), [0.96])
    assert [lines[kind].get_linestyle() for kind in ("encoder", "decoder")] == ["None", "None"]
    _, more = draw("scaling", *runs, publish_many(tmp_path, a_record("bert_large"), wrong_at(range(5)))).axes
    assert more.get_lines()[0].get_linestyle() == "-"
    hollow = [line for line in axes.get_lines() if line.get_markerfacecolor() == "white"]
    assert [float(line.get_ydata()[0]) for line in hollow] == [*study.TABLE3.values()]
    assert drawn("scaling", runs[0], runs[1], runs[4]) is None


@pytest.mark.parametrize(("name", "most"), [("pairwise", differences.MOST), ("calibration", len(SERIES_STYLES))])
def test_of_many_configurations_the_best_are_shown(name: str, most: int, tmp_path: Path) -> None:
    assert f"the best {most} of {most + 2}" in words(draw(name, *epochs(tmp_path, most + 2)))


def test_a_narrow_matrix_has_fewer_rows_and_their_names_below(tmp_path: Path) -> None:
    figure = narrow("pairwise", *epochs(tmp_path, differences.MOST_NARROW + 1))
    assert f"the best {differences.MOST_NARROW} of {differences.MOST_NARROW + 1}" in in_one_line(figure)
    assert row_names(figure.axes[0]) == [str(number + 1) for number in range(differences.MOST_NARROW)]
    assert f"2  {MINILM}, paper, 2 epochs, 0.9950" in words(figure)
