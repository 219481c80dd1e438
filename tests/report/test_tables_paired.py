from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import MANY_GOLD, a_record, analysis_of, data_report, publish_many, rows_of, wrong_at

from benchmark.analysis import study
from benchmark.analysis.inference import mcnemar
from benchmark.config import digest_of
from benchmark.interface import WeightSource
from benchmark.report.table import Table
from benchmark.report.tables import all_tables
from benchmark.report.tables.paired import ABLATIONS, ROBUSTNESS
from benchmark.results.record import RunRecord
from benchmark.results.store import Run

PERTURB = 'dataset.perturb="typos"'


def rows(table: Table, *runs: Run) -> list[dict[str, Any]]:
    return rows_of(table.data(analysis_of(*runs)))


def changed(seed: int = 0, *overrides: str, before: str = study.TEST_SHA256) -> RunRecord:
    record = a_record("minilm", PERTURB, *overrides, seed=seed)
    data = replace(data_report("c" * 64), perturbed_rows=5, unperturbed_sha256=before)
    return replace(record, data=data, digest=digest_of(record.config.as_json(), data.hashes()))


def test_changed_texts_are_compared_with_the_same_seeds_on_the_unchanged_texts(tmp_path: Path) -> None:
    own = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(10))) for seed in (0, 1, 2)]
    others = [
        publish_many(tmp_path, changed(0), wrong_at(range(5, 40))),
        publish_many(tmp_path, changed(1), wrong_at(range(30))),
        publish_many(tmp_path, changed(3), wrong_at(range(200))),  # no run on the unchanged texts
    ]
    [row] = rows(ROBUSTNESS, *own, *others)
    assert (row["tested_on"], row["perturbation"], row["seeds"], row["changed_texts"]) == ("emotion", "typos", 2, 0.5)
    assert (row["before"], row["after"]) == (0.95, 1 - (35 + 30) / 400)
    assert row["difference"] == pytest.approx(row["after"] - 0.95)
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["p"] == pytest.approx(max(mcnemar(5, 30), mcnemar(0, 20)), rel=1e-3)
    assert row["changed_answers"] == pytest.approx((35 + 20) / 400)


def test_the_models_title_is_as_short_as_in_other_tables(tmp_path: Path) -> None:
    def titled(record: RunRecord) -> RunRecord:
        model = replace(record.config.model, title="MiniLM (22M encoder)")
        return replace(record, config=replace(record.config, model=model))

    own = publish_many(tmp_path, titled(a_record("minilm")), MANY_GOLD)
    [row] = rows(ROBUSTNESS, own, publish_many(tmp_path, titled(changed()), wrong_at([1])))
    assert row["model"] == "MiniLM"


def test_changed_texts_are_compared_with_the_model_that_was_tested_on_them(tmp_path: Path) -> None:
    def kept(record: RunRecord, weights: str) -> RunRecord:
        assert record.fit is not None
        return replace(record, fit=replace(record.fit, saved_sha256=weights * 64))

    own = publish_many(tmp_path, kept(a_record("minilm"), "a"), MANY_GOLD)
    assert rows(ROBUSTNESS, own, publish_many(tmp_path, kept(changed(), "a"), wrong_at([1])))
    assert not rows(ROBUSTNESS, own, publish_many(tmp_path, kept(changed(), "b"), wrong_at([1])))
    assert not rows(ROBUSTNESS, own, publish_many(tmp_path, changed(), wrong_at([1])))


def test_changed_texts_are_in_no_other_table(tmp_path: Path) -> None:
    own = publish_many(tmp_path, a_record("minilm"), MANY_GOLD)
    analysis = analysis_of(own, publish_many(tmp_path, changed(), wrong_at([1])))
    assert analysis.datasets == ["emotion"]
    tables = all_tables(analysis)
    [configuration] = rows_of(tables[ROBUSTNESS])
    for table, data in tables.items():
        if table is not ROBUSTNESS and "configuration" in data:
            assert configuration["configuration"] not in set(data["configuration"]), table.name


@pytest.mark.parametrize("override", ["dataset.train_rows=50", "recipe.learning_rate=1e-3"])
def test_changed_texts_without_the_same_configuration_have_no_row(tmp_path: Path, override: str) -> None:
    own = publish_many(tmp_path, a_record("minilm"), MANY_GOLD)
    assert rows(ROBUSTNESS, own, publish_many(tmp_path, changed(0, override), wrong_at([1]))) == []
    assert ROBUSTNESS not in all_tables(analysis_of(own))


def test_changed_texts_of_another_test_split_have_no_row(tmp_path: Path) -> None:
    own = publish_many(tmp_path, a_record("minilm"), MANY_GOLD)
    assert rows(ROBUSTNESS, own, publish_many(tmp_path, changed(before="d" * 64), wrong_at([1]))) == []


def test_random_weights_have_no_row(tmp_path: Path) -> None:
    record = changed()
    assert record.fit is not None
    record = replace(record, fit=replace(record.fit, weights=WeightSource("random")))
    own = publish_many(tmp_path, a_record("minilm"), MANY_GOLD)
    assert rows(ROBUSTNESS, own, publish_many(tmp_path, record, wrong_at([1]))) == []


def test_soft_labels_are_a_training_option_that_no_headline_has(tmp_path: Path) -> None:
    made = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(40))) for seed in (0, 1)]
    taught = [
        publish_many(
            tmp_path, a_record("minilm", "model.soft_labels=soft.jsonl@0123456789ab", seed=seed), wrong_at([1])
        )
        for seed in (0, 1, 2)
    ]
    (row,) = rows(ABLATIONS, *made, *taught)
    assert (row["option"], row["seeds"]) == ("soft_labels=soft.jsonl", 2)
    assert (row["accuracy_without"], row["accuracy_with"]) == (0.8, 0.995)
    assert [best["accuracy"] for _, best in analysis_of(*made, *taught).comparable.iterrows()] == [0.8]


def test_a_training_option_is_compared_with_the_recipe_without_it(tmp_path: Path) -> None:
    base = [publish_many(tmp_path, a_record("minilm", seed=seed), wrong_at(range(40 + seed))) for seed in (0, 1)]
    made = [*base, publish_many(tmp_path, a_record("minilm", 'recipe.keep="best"', seed=9), wrong_at([1]))]
    for overrides, wrong in (
        (['recipe.class_weights="balanced"'], range(20)),
        (['recipe.keep="best"', "recipe.patience=2"], range(38, 78)),
        (["recipe.label_smoothing=0.1", "recipe.learning_rate=0.5"], range(1)),  # another learning rate too
    ):
        made.append(publish_many(tmp_path, a_record("minilm", *overrides), wrong_at(wrong)))
    made.append(publish_many(tmp_path, a_record("bert_base", 'recipe.class_weights="balanced"'), wrong_at([1])))
    balanced, best = rows(ABLATIONS, *made)
    assert (balanced["option"], best["option"]) == ("class_weights=balanced", "keep=best, patience=2")
    assert (balanced["recipe"], balanced["seeds"]) == ("paper", 1)
    assert (balanced["accuracy_without"], balanced["accuracy_with"]) == (0.8, 0.9)
    assert (balanced["difference"], best["difference"]) == pytest.approx((0.1, 0.0))
    assert 0 < balanced["low"] < 0.1 < balanced["high"]
    assert best["low"] < 0 < best["high"]
    assert balanced["p"] == pytest.approx(mcnemar(20, 0), rel=1e-3)
    assert balanced["macro_f1_difference"] > 0.05
    assert balanced["base_id"] == best["base_id"] != balanced["configuration"]
    assert balanced["changed_answers"] == 0.1
