import hashlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark.analysis.evidence import Evidence
from factories import row_names, words
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis import study
from benchmark.interface import NO_LABEL, Examples, FitReport, ModelCard, Predictions
from benchmark.report.figures import FIGURES
from benchmark.results import store as records
from benchmark.results.catalogue import Contestant
from benchmark.results.record import RunRecord, Status
from benchmark.results.store import Run

LABELS = ("sadness", "joy", "love")
GOLD = [0, 0, 0, 1, 1, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 1, 1, 1, 0]  # 6 of 8 right
TRAIN = {"sadness": 20, "joy": 30, "love": 5}

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
        fit = FitReport(weights={"source": source})
        digest = hashlib.sha256(repr((config, train)).encode()).hexdigest()
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


def draw(name: str, evidence: Evidence) -> Figure:
    figure = FIGURES[name](evidence)
    assert figure is not None
    return figure


def widths(axes: Axes, legend: str) -> list[float]:
    [bars] = [bars for bars in axes.containers if bars.get_label() == legend]
    return [float(bar.get_width()) for bar in bars]


def diamonds(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(np.ravel(line.get_xydata())) for line in axes.get_lines() if line.get_marker() == "D"]


def test_without_evidence_there_is_no_figure() -> None:
    assert [figure(Evidence([], {})) for figure in FIGURES.values()] == [None] * len(FIGURES)


def test_the_diagrams_show_the_model_that_repeats_the_study() -> None:
    assert "Decoder block: Llama 3" in words(draw("figure1_decoder_block", Evidence([], llama())))
    assert "4,096 × 4" in words(draw("figure2_lora", Evidence([], llama(lora_rank=4))))


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
