import hashlib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from factories import row_names, words
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis import study
from benchmark.analysis.evidence import Evidence
from benchmark.interface import NO_LABEL, CurvePoint, Examples, FitReport, ModelCard, Predictions
from benchmark.report.figures import FIGURES, RUN_FIGURES, draw_run, save_png, save_svg
from benchmark.results import store as records
from benchmark.results.catalogue import Contestant
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run

LABELS = ("sadness", "joy", "love")
GOLD = [0, 0, 0, 1, 1, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 1, 1, 1, 0]  # 6 of 8 right
TRAIN = {"sadness": 20, "joy": 30, "love": 5}
CURVE = (CurvePoint(10, 0.5, loss=1.5), CurvePoint(20, 1.0, 1.0, validation_loss=0.9, validation_accuracy=0.75))

MakeRun = Callable[..., Run]


@pytest.fixture(autouse=True)
def complain_about_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        model: str = "minilm",
        predicted: list[int] = PREDICTED,
        recipe: str = "paper",
        seed: int = 0,
        title: str = "MiniLM",
        source: str = "pip",
        curve: tuple[CurvePoint, ...] = (),
        status: Status = Status.completed,
        train: dict[str, int] = TRAIN,
        overrides: tuple[str, ...] = (),
        **limits: int,
    ) -> Run:
        config: dict[str, Any] = {
            "model": {"name": model, "title": title, "parameters": {}},
            "dataset": {"name": "emotion", "labels": list(LABELS), "train_rows": None, "test_rows": None, "sha256": {}},
            "recipe": {"name": recipe, "max_steps": limits.pop("max_steps", None)},
            "seed": seed,
        }
        config["dataset"] |= limits
        config["recipe"] |= dict(override.removeprefix("recipe.").split("=") for override in overrides)
        splits = {"train": {"rows": sum(train.values()), "sha256": "0" * 64, "counts": train}}
        fit = FitReport(weights={"source": source}, curve=curve)
        digest = hashlib.sha256(repr((config, train, curve)).encode()).hexdigest()
        record = RunRecord(status, config, list(overrides), digest, "", "", data={"splits": splits}, fit=fit)
        if status is not Status.completed:
            return records.write(tmp_path, record)
        ids = tuple(f"test-{row}" for row in range(len(GOLD)))
        test = Examples(ids, ids, np.array(GOLD, dtype=np.int64))
        return records.write(tmp_path, record, records.encode_predictions(test, answers(predicted), LABELS))

    return make


def answers(predicted: list[int]) -> Predictions:
    """Each with probability 0.8, or three times a third where it names no label."""
    probabilities = np.full((len(predicted), len(LABELS)), 1 / 3)
    for row, label in enumerate(predicted):
        if label != NO_LABEL:
            probabilities[row] = 0.1
            probabilities[row, label] = 0.8
    generated = tuple("?" for _ in predicted) if NO_LABEL in predicted else None
    return Predictions(probabilities.astype(np.float32), np.array(predicted, dtype=np.int64), generated)


def llama(**changes: int) -> dict[str, Contestant]:
    dimensions = {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "lora_rank": 8,
        "lora_alpha": 16,
        "lora_targets": ["all-linear"],
    }
    card = ModelCard("llama", "some weights", dimensions={**dimensions, **changes})
    return {"llama3_lora": Contestant({"model": {"title": "Llama 3"}}, card)}


def draw(name: str, subject: Run | Evidence) -> Figure:
    figure = RUN_FIGURES[name](subject) if isinstance(subject, Run) else FIGURES[name](subject)
    assert figure is not None
    return figure


def widths(axes: Axes, legend: str) -> list[float]:
    [bars] = [bars for bars in axes.containers if bars.get_label() == legend]
    return [float(bar.get_width()) for bar in bars]


def series(axes: Axes, legend: str) -> list[list[float]]:
    [line] = [line for line in axes.get_lines() if line.get_label() == legend]
    return np.asarray(line.get_xydata()).tolist()


def diamonds(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(np.ravel(line.get_xydata())) for line in axes.get_lines() if line.get_marker() == "D"]


def file_bytes(figure: Figure, folder: Path, save_order: tuple[Any, ...] = (save_svg, save_png)) -> list[bytes]:
    for save in save_order:
        save(figure, folder / save.__name__)
    return [(folder / name).read_bytes() for name in ("save_svg", "save_png")]


def test_every_figure_of_a_run_says_which_run_it_is(make_run: MakeRun) -> None:
    run = make_run(curve=CURVE, seed=7, recipe="tuned")
    for name in RUN_FIGURES:
        text = words(draw(name, run))
        assert "MiniLM" in text
        assert "emotion · recipe tuned · seed 7 · test accuracy 6/8 = 0.7500" in text


def test_random_weights_are_named_and_given_no_accuracy(make_run: MakeRun) -> None:
    text = words(draw("confusion", make_run(source="random")))
    assert "MiniLM, random weights" in text
    assert "accuracy" not in text


def test_a_failed_run_has_nothing_to_show(make_run: MakeRun) -> None:
    run = make_run(status=Status.failed)
    assert [figure(run) for figure in RUN_FIGURES.values()] == [None] * len(RUN_FIGURES)


def test_labels_are_counted_in_falling_order_of_gold(make_run: MakeRun) -> None:
    [axes] = draw("label_distribution", make_run()).axes
    assert row_names(axes) == ["joy", "sadness", "love"]
    assert widths(axes, "gold (8 test texts)") == [4, 3, 1]
    assert widths(axes, "predicted") == [5, 3, 0]


def test_answers_without_a_label_have_a_bar_of_their_own(make_run: MakeRun) -> None:
    [axes] = draw("label_distribution", make_run(predicted=[0, 0, NO_LABEL, 1, 1, 1, 1, 2])).axes
    assert row_names(axes) == ["joy", "sadness", "love", "no label"]
    assert widths(axes, "gold (8 test texts)") == [4, 3, 1]
    assert widths(axes, "predicted") == [4, 2, 1, 1]


def test_a_confusion_matrix_is_shaded_by_the_share_of_its_row(make_run: MakeRun) -> None:
    axes = draw("confusion", make_run()).axes[0]
    assert row_names(axes) == ["sadness (3)", "joy (4)", "love (1)"]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(LABELS)
    np.testing.assert_allclose(axes.images[0].get_array(), [[2 / 3, 1 / 3, 0], [0, 1, 0], [1, 0, 0]])
    assert [text.get_text() for text in axes.texts] == list("210040100")


def test_a_confusion_matrix_has_a_column_for_no_label_only_when_needed(make_run: MakeRun) -> None:
    axes = draw("confusion", make_run(predicted=[0, 0, NO_LABEL, 1, 1, 1, 1, 2])).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [*LABELS, "no label"]
    assert [text.get_text() for text in axes.texts] == list("200104000010")


def test_a_label_that_is_never_gold_has_an_empty_row(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_figures.GOLD", [0, 0, 0, 1, 1, 1, 1, 1])
    axes = draw("confusion", make_run()).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array()[2], 0)


def test_a_training_curve_shows_the_logged_points(make_run: MakeRun) -> None:
    losses, accuracies = draw("training_curve", make_run(curve=CURVE)).axes
    assert series(losses, "training, mean since the point before") == [[10, 1.5], [20, 1.0]]
    assert series(losses, "validation") == [[20, 0.9]]
    assert series(accuracies, "validation") == [[20, 0.75]]


def test_without_validation_there_is_one_panel(make_run: MakeRun) -> None:
    assert len(draw("training_curve", make_run(curve=CURVE[:1])).axes) == 1


@pytest.mark.parametrize("curve", [(), (CurvePoint(5, 1.0),)])
def test_without_a_logged_value_there_is_no_training_curve(make_run: MakeRun, curve: tuple[CurvePoint, ...]) -> None:
    assert RUN_FIGURES["training_curve"](make_run(curve=curve)) is None


def test_reliability_states_the_error_and_shows_every_row(make_run: MakeRun) -> None:
    figure = draw("reliability", make_run())
    above, below = figure.axes
    assert "ECE 0.0500" in words(figure)  # 0.75 right at confidence 0.8
    np.testing.assert_allclose(series(above, "the same, fewer than 10 texts"), [[0.8, 0.75]])
    assert sum(bar.get_height() for bar in below.patches) == len(GOLD)


def test_draw_run_saves_what_there_is_to_show(make_run: MakeRun) -> None:
    run = make_run()
    draw_run(run)
    assert {path.stem for path in run.folder.glob("*.png")} == set(RUN_FIGURES) - {"training_curve"}


def test_without_evidence_there_is_no_figure() -> None:
    assert [figure(Evidence([], {})) for figure in FIGURES.values()] == [None] * len(FIGURES)


def test_the_decoder_block_states_the_models_own_shapes() -> None:
    text = words(draw("figure1_decoder_block", Evidence([], llama())))
    for fact in (
        "Llama 3", "× 32 layers", "128,256 × 4,096", "4,096 × 4,096", "1,024 × 4,096", "14,336 × 4,096",
        "32 query heads share 8 key/value heads of 128", "41,943,040 parameters", "176,160,768 parameters",
    ):  # fmt: skip
        assert fact in text
    assert "× 2 layers" in words(draw("figure1_decoder_block", Evidence([], llama(num_hidden_layers=2))))


def test_the_adapter_states_rank_scale_and_parameters() -> None:
    text = words(draw("figure2_lora", Evidence([], llama(lora_rank=4))))
    for fact in ("4,096 × 4", "4 × 4,096", "16,384 parameters", "16 / 4 = 4", "32,768 parameters, 0.20% of"):
        assert fact in text


def test_training_labels_fall_with_counts_shares_and_ratio(make_run: MakeRun) -> None:
    carved = make_run(seed=1, train={"sadness": 18, "joy": 27, "love": 4})
    figure = draw("figure3_label_distribution", Evidence([carved, make_run()], {}))
    [axes] = figure.axes
    assert row_names(axes) == ["joy", "sadness", "love"]
    assert widths(axes, "training texts") == [30, 20, 5]
    for fact in ("55 training texts", "joy is 6.0 times as frequent as love", "30  (54.5%)"):
        assert fact in words(figure)


@pytest.mark.parametrize(
    "limit", [{"source": "random"}, {"train_rows": 4}, {"test_rows": 8}, {"max_steps": 1}, {"status": Status.failed}]
)
def test_what_is_no_result_is_not_shown_as_one(make_run: MakeRun, limit: dict[str, Any]) -> None:
    evidence = Evidence([make_run(**limit)], {})
    assert FIGURES["accuracy"](evidence) is None
    assert FIGURES["figure3_label_distribution"](evidence) is None


def test_accuracies_fall_and_gather_the_seeds_of_a_recipe(make_run: MakeRun) -> None:
    runs = [
        make_run("minilm", recipe="paper", title="MiniLM", seed=0),
        make_run("minilm", predicted=[0] * 8, recipe="paper", title="MiniLM", seed=1),
        make_run("minilm", predicted=GOLD, recipe="tuned", title="MiniLM"),
        make_run("minilm", recipe="tuned", title="MiniLM", overrides=("recipe.epochs=9",)),
    ]
    figure = draw("accuracy", Evidence(runs, {}))
    ours = [name for name in row_names(figure.axes[0]) if name.startswith("MiniLM")]
    assert ours == ["MiniLM, tuned", "MiniLM, tuned, recipe.epochs=9", "MiniLM, paper"]
    assert "0.5625, 2 seeds" in words(figure)
    assert "1.0000, 1 seed" in words(figure)


def test_the_studys_values_are_hollow_and_named_as_its_own(make_run: MakeRun) -> None:
    run = make_run("bert_base", title="BERT base", predicted=GOLD)
    shipped = {"bert_base": Contestant(run.record.config, ModelCard("bert", "hub"))}
    figure = draw("accuracy", Evidence([run], {**llama(), **shipped}))
    [axes] = figure.axes
    assert sorted(x for x, _ in diamonds(axes)) == sorted(study.TABLE3.values())
    assert {line.get_markerfacecolor() for line in axes.get_lines() if line.get_marker() == "D"} == {"white"}
    assert row_names(axes)[:2] == ["BERT base, paper", "Llama 3, paper"]
    assert words(figure).count("not run here") == len(study.TABLE3) - 1
    assert "the study, published" in words(figure)


def test_the_studys_value_stands_by_the_recipe_that_repeats_it(make_run: MakeRun) -> None:
    run = make_run("bert_base", title="BERT base", predicted=GOLD, recipe="tuned")
    [axes] = draw("accuracy", Evidence([run], {})).axes
    names = row_names(axes)
    rows = {round(y) for _, y in diamonds(axes)}
    assert names.index("BERT base, tuned") not in rows
    assert names.index("Bert-Base, paper") in rows


def test_an_accuracy_far_below_the_best_is_an_arrow_with_its_number(make_run: MakeRun) -> None:
    runs = [make_run(predicted=GOLD), make_run("majority", predicted=[1] * 8, title="Majority")]
    figure = draw("accuracy", Evidence(runs, {}))
    [axes] = figure.axes
    assert axes.get_xlim()[0] > 0.5
    assert [line.get_marker() for line in axes.get_lines()].count("<") == 1
    assert "0.5000, 1 seed" in words(figure)


def test_a_dollar_sign_in_a_title_is_a_dollar_sign(make_run: MakeRun, tmp_path: Path) -> None:
    save_png(draw("confusion", make_run(title=r"from $3 to $\x")), tmp_path / "figure.png")


@pytest.mark.parametrize("name", ["confusion", "training_curve", "accuracy", "figure2_lora"])
def test_the_same_records_give_the_same_bytes_in_any_order(make_run: MakeRun, tmp_path: Path, name: str) -> None:
    run = make_run(curve=CURVE)
    subject = run if name in RUN_FIGURES else Evidence([run], llama())
    once = file_bytes(draw(name, subject), tmp_path)
    assert once == file_bytes(draw(name, subject), tmp_path, (save_png, save_svg))


def test_a_last_digit_that_another_processor_rounds_otherwise_changes_no_byte(tmp_path: Path) -> None:
    drawn = []
    for width in (0.8, np.nextafter(0.8, 1)):
        figure = Figure()
        figure.add_axes((0.1, 0.1, width, 0.8)).plot([1, 2], [3, 4], marker="o")  # clipped by a path that is shared
        save_svg(figure, tmp_path / "figure.svg")
        drawn.append((tmp_path / "figure.svg").read_text())
    assert drawn[0] == drawn[1]
    assert drawn[0].count('id="shared-1"') == 1
    assert "url(#shared-" in drawn[0]


def test_neither_the_users_settings_nor_other_threads_change_the_bytes(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    runs = [run] * 3
    folders = [tmp_path / str(number) for number in range(len(runs))]
    for folder in folders:
        folder.mkdir()
    expected = file_bytes(draw("confusion", run), tmp_path)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "none"}):
        before = dict(mpl.rcParams)
        with ThreadPoolExecutor(len(runs)) as pool:
            found = list(pool.map(lambda run, folder: file_bytes(draw("confusion", run), folder), runs, folders))
        assert dict(mpl.rcParams) == before
    assert found == [expected] * len(runs)
