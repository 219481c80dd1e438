"""The data of the page's comparisons."""

from pathlib import Path

import numpy as np
import pytest
from factories import GOLD, a_record, analysis_of, publish

from benchmark.analysis.inference import mcnemar
from benchmark.interface import NO_LABEL
from benchmark.report import page_comparison
from benchmark.report.page_comparison import comparison_data


def test_labels_are_those_of_the_first_seed_and_the_last_id_is_no_label(tmp_path: Path) -> None:
    runs = [publish(tmp_path, a_record("minilm", seed=seed), np.roll(GOLD, seed).tolist()) for seed in (1, 2)]
    generated = a_record("smollm2_lora", "model.readout=generate")
    runs.append(publish(tmp_path, generated, [NO_LABEL, *GOLD[1:]], ["words"] * 10))
    (comparable,) = comparison_data(analysis_of(*runs), {})
    assert comparable["gold"] == "0123450123"
    found = {
        one["name"].split()[0].rstrip(","): (one["seed"], one["predicted"]) for one in comparable["configurations"]
    }
    assert found == {"SmolLM2-135M": (0, "6123450123"), "MiniLM-L6": (1, "3012345012")}
    ((difference, _, _, p, wins, losses, pairs, adjusted_p, differs),) = comparable["pairs"]
    assert (difference, wins, losses, pairs, differs) == (0.9, 9, 0, 2, True)
    assert p == adjusted_p == float(f"{mcnemar(9, 0):.6g}")


def test_reduced_runs_are_compared_too_but_not_with_other_test_texts(tmp_path: Path) -> None:
    runs = [
        publish(tmp_path, a_record("minilm"), GOLD),
        publish(tmp_path, a_record("minilm", "dataset.train_rows=10"), GOLD),
        publish(tmp_path, a_record("minilm", dataset="mine", test_sha256="d" * 64), GOLD),
    ]
    (comparable,) = comparison_data(analysis_of(*runs), {})
    assert sorted(one["reduced"] for one in comparable["configurations"]) == [False, True]
    assert comparable["pairs"][0][-2:] == [None, None]


def test_the_best_is_compared_with_the_smallest_network_first(tmp_path: Path) -> None:
    predictions = {"bert_base": GOLD, "bert_large": GOLD, "tfidf": [1] * 10, "minilm": np.roll(GOLD, 6).tolist()}
    runs = [publish(tmp_path, a_record(model), predicted) for model, predicted in predictions.items()]
    (comparable,) = comparison_data(analysis_of(*runs), {})
    names = [comparable["configurations"][place]["name"].split(",")[0] for place in comparable["chosen"]]
    assert names == ["BERT base", "MiniLM-L6"]


def test_an_option_that_was_only_tried_is_not_the_pair_that_stands_first(tmp_path: Path) -> None:
    nearly, worse = [*GOLD[:-1], 0], np.roll(GOLD, 6).tolist()
    tried = a_record("bert_base", "recipe.label_smoothing=0.1")
    made = [(tried, GOLD), (a_record("bert_base"), nearly), (a_record("minilm"), worse)]
    (comparable,) = comparison_data(analysis_of(*(publish(tmp_path, *one) for one in made)), {})
    names = [comparable["configurations"][place]["name"] for place in comparable["chosen"]]
    assert names == ["BERT base, paper", "MiniLM-L6, paper"]


def test_labels_have_two_digits_if_one_is_not_enough() -> None:
    names = [str(number) for number in range(100)]
    assert page_comparison._pack(np.array([0, 61, 62, -1]), names) == "000Z101B"


def test_texts_with_more_labels_than_two_digits_tell_apart_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = analysis_of(*(publish(tmp_path, a_record(model), GOLD) for model in ("minilm", "tfidf")))
    monkeypatch.setattr(page_comparison, "DIGITS", "0123")
    assert len(comparison_data(analysis, {})) == 1
    monkeypatch.setattr(page_comparison, "DIGITS", "01")
    assert comparison_data(analysis, {}) == []


@pytest.mark.parametrize(("limit", "value"), [("MOST", 2), ("MOST_PREDICTIONS", 29)])
def test_the_most_accurate_are_kept_if_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(page_comparison, limit, value)
    predictions = {"minilm": GOLD, "tfidf": [1] * 10, "bert_base": np.roll(GOLD, 6).tolist()}
    runs = [publish(tmp_path, a_record(model), predicted) for model, predicted in predictions.items()]
    (comparable,) = comparison_data(analysis_of(*runs), {})
    assert len(comparable["configurations"]) == 2
    assert comparable["configurations"][0]["accuracy"] == 1
