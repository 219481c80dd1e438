from dataclasses import replace
from pathlib import Path

import pytest
from factories import FIT, a_record, publish

from benchmark.analysis.variants import command_of, settings_of, shortened, variants
from benchmark.results.record import Failure, RunRecord, Status
from benchmark.results.store import read_all

ONE_WRONG = (0, 1, 2, 3, 4, 5, 0, 1, 2, 0)
FAILED = {"status": Status.failed, "failure": Failure("out of memory")}


def test_a_seed_that_failed_before_its_data_were_read_stands_beside_the_others(tmp_path: Path) -> None:
    publish(tmp_path, a_record(seed=0), ONE_WRONG)
    publish(tmp_path, replace(a_record(seed=1, **FAILED), data=None))
    (variant,) = variants(read_all(tmp_path), "emotion")
    assert [run.record.seed for run in variant.failed] == [1]
    assert variant.accuracy == 0.9


def test_a_mistaken_start_says_nothing_of_a_seed_that_completed(tmp_path: Path) -> None:
    unread = replace(a_record("minilm", **FAILED), data=None, digest="0" * 64)
    publish(tmp_path, a_record("minilm"))
    publish(tmp_path, unread)
    (variant,) = variants(read_all(tmp_path), "emotion")
    assert [run.record.status for run in variant.runs] == [Status.completed]


def test_the_command_of_an_experiments_run_makes_no_others(tmp_path: Path) -> None:
    record = a_record("tfidf")
    given = ["experiment=learning_curve", "model=tfidf", "dataset.train_rows=null", "seed=0"]
    (variant,) = variants([publish(tmp_path, replace(record, overrides=given))], "emotion")
    assert (
        command_of(variant)
        == "python -m benchmark model=tfidf experiment=learning_curve dataset.train_rows=null seed=0"
    )
    limited = [*given[:2], "dataset.train_rows=160", "seed=0"]
    (variant,) = variants([publish(tmp_path / "limited", replace(record, overrides=limited))], "emotion")
    assert command_of(variant).count("train_rows=160") == 1


def test_the_command_names_a_folder_of_ones_own(tmp_path: Path) -> None:
    given = ["--config-dir=conf", "model=mine", "model.weights.path=weights"]
    records = [replace(a_record("minilm", seed=seed), overrides=[*given, f"seed={seed}"]) for seed in (0, 1)]
    for record in records:
        record.config["model"]["name"] = "mine"
    (variant,) = variants([publish(tmp_path, record) for record in records], "emotion")
    assert command_of(variant) == (
        "python -m benchmark --config-dir=DIR/conf -m model=mine dataset=emotion recipe=paper "
        "model.weights.path=DIR/weights seed=0,1"
    )
    assert settings_of(records[0]) == ["model.weights.path=weights"]


def test_between_two_contents_of_the_data_such_a_seed_stands_alone(tmp_path: Path) -> None:
    publish(tmp_path, a_record(seed=0), ONE_WRONG)
    publish(tmp_path, a_record(seed=0, test_sha256="d" * 64), ONE_WRONG)
    publish(tmp_path, replace(a_record(seed=1, **FAILED), data=None))
    assert sorted(len(variant.runs) for variant in variants(read_all(tmp_path), "emotion")) == [1, 1, 1]


@pytest.mark.parametrize("override", ["dataset.train_rows=5", "recipe.max_steps=3", "model.weights.source=random"])
@pytest.mark.parametrize("ended", [Status.completed, Status.failed])
def test_what_is_limited_or_random_is_a_trial_however_it_ended(override: str, ended: Status, tmp_path: Path) -> None:
    fit = replace(FIT, weights={"source": "random"}) if "random" in override else FIT
    publish(tmp_path, a_record("minilm", override, status=ended, fit=fit))
    (variant,) = variants(read_all(tmp_path), "emotion")
    assert variant.is_trial


def test_an_ordinary_run_is_no_trial(tmp_path: Path) -> None:
    for model in ("minilm", "majority"):
        publish(tmp_path, a_record(model))
    assert [variant.is_trial for variant in variants(read_all(tmp_path), "emotion")] == [False, False]


def test_overrides_read_without_their_group_and_an_adapters_long_name_comes_last() -> None:
    given = ["model.adapter=tuned-seed0", "model.precision=bf16", "recipe.epochs=9"]
    assert shortened(given) == ["precision=bf16", "recipe.epochs=9", "adapter=tuned-seed0"]


def named(record: RunRecord, tmp_path: Path) -> str:
    (variant,) = variants([publish(tmp_path, record)], record.dataset)
    return variant.name


def test_what_an_experiments_file_sets_of_a_model_stands_in_the_rows_name(tmp_path: Path) -> None:
    record = replace(a_record("smollm2_lora", "model.precision=bf16"), overrides=["experiment=readouts"])
    assert named(record, tmp_path) == "SmolLM2-135M + LoRA, paper, precision=bf16"


def test_what_is_overridden_to_what_it_is_anyway_and_a_title_do_not(tmp_path: Path) -> None:
    record = replace(a_record("minilm"), overrides=["model.precision=fp32", "model.title=MiniLM", "recipe.epochs=3"])
    assert named(record, tmp_path) == "MiniLM-L6 (22M BERT), paper"


def test_settings_read_as_they_would_be_typed() -> None:
    record = a_record(
        "smollm2_lora", 'model.lora.targets=["q_proj","v_proj"]', "model.lora.rank=16", "model.prediction_batch_size=8"
    )
    record.config["model"]["parameters"]["adapter"] = "tuned-seed0@0123456789ab"
    assert settings_of(record) == [
        "model.adapter=tuned-seed0",
        "model.lora.rank=16",
        "model.lora.targets=[q_proj,v_proj]",
        "model.prediction_batch_size=8",
    ]


def test_of_a_model_that_was_not_shipped_the_overrides_speak(tmp_path: Path) -> None:
    record = replace(a_record("minilm"), overrides=["+model.precision=bf16"])
    record.config["model"]["name"] = "my_model"
    assert settings_of(record) == ["+model.precision=bf16"]


def test_a_seed_that_failed_twice_is_one_seed(tmp_path: Path) -> None:
    publish(tmp_path, replace(a_record("minilm", **FAILED), data=None, digest="0" * 64))
    publish(tmp_path, a_record("minilm", **FAILED))
    (variant,) = variants(read_all(tmp_path), "emotion")
    assert [run.record.seed for run in variant.runs] == [0]
    assert "seed" not in command_of(variant)


def test_what_an_experiments_file_sets_of_the_papers_recipe_stands_in_the_rows_name(tmp_path: Path) -> None:
    record = replace(a_record("minilm", "recipe.learning_rate=0.5"), overrides=["experiment=mine"])
    assert named(record, tmp_path) == "MiniLM-L6 (22M BERT), paper, recipe.learning_rate=0.5"


def test_a_data_set_and_a_recipe_that_were_renamed_are_asked_for_by_their_choice(tmp_path: Path) -> None:
    given = ["model=minilm", "dataset.name=mine", "recipe=tuned", "recipe.name=ours"]
    record = replace(a_record("minilm", dataset="mine"), overrides=given)
    record.config["recipe"]["name"] = "ours"
    (variant,) = variants([publish(tmp_path, record)], "mine")
    assert command_of(variant) == "python -m benchmark model=minilm recipe=tuned dataset.name=mine recipe.name=ours"
