import shlex
from dataclasses import replace

import pytest
from factories import a_record

from benchmark.analysis.labels import command, recipe_label, settings_of
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord
from benchmark.run.compose import composed

CATALOGUE = read_catalogue()


def given(record: RunRecord, *overrides: str) -> RunRecord:
    return replace(record, overrides=list(overrides))


@pytest.mark.parametrize(
    ("record", "label"),
    [
        (a_record("minilm"), "paper"),
        (a_record("minilm", "recipe.learning_rate=0.5"), "paper, recipe.learning_rate=0.5"),
        (given(a_record("smollm2_lora", "model.precision=bf16"), "experiment=readouts"), "paper, precision=bf16"),
        (given(a_record("minilm"), "model.precision=fp32", "model.title=Mine", "recipe.epochs=3"), "paper"),
        (given(a_record("minilm", "recipe.name=tuned"), "recipe.epochs=9"), "tuned, recipe.epochs=9"),
        (a_record("minilm", "dataset.train_rows=5"), "paper, dataset.train_rows=5"),
        (
            a_record("smollm2_lora", "model.adapter=tuned-seed0@0123456789ab", "model.precision=bf16"),
            "paper, precision=bf16, adapter=tuned-seed0",
        ),
        (given(a_record("minilm", "model.name=mine"), "+model.precision=bf16"), "paper, precision=bf16"),
        (given(a_record("minilm", "model.name=mine"), "model.weights.path=DIR/w"), "paper, weights.path=w"),
    ],
)
def test_a_label_names_what_differs_from_the_shipped_model_and_recipe(record: RunRecord, label: str) -> None:
    assert recipe_label(record, CATALOGUE) == label


def test_settings_can_be_left_out_of_a_label() -> None:
    record = a_record("minilm", "dataset.train_rows=5", "recipe.epochs=9")
    assert recipe_label(record, CATALOGUE, leave_out=("dataset.train_rows=",)) == "paper, recipe.epochs=9"


def test_settings_are_written_as_overrides() -> None:
    record = a_record("smollm2_lora", 'model.lora.targets=["q_proj","v_proj"]', "model.lora.rank=16")
    assert settings_of(record, CATALOGUE) == ["model.lora.rank=16", "model.lora.targets=[q_proj,v_proj]"]


def test_the_command_of_an_experiments_run_makes_no_others() -> None:
    options = ["experiment=learning_curve", "model=tfidf", "dataset.train_rows=null", "seed=0"]
    expected = "python -m benchmark model=tfidf experiment=learning_curve dataset.train_rows=null seed=0"
    assert command([given(a_record("tfidf"), *options)]) == expected
    limited = given(a_record("tfidf"), "experiment=learning_curve", "dataset.train_rows=160")
    assert command([limited]).count("train_rows=160") == 1


def test_the_command_names_folders_as_placeholders_and_all_seeds() -> None:
    options = ["--config-dir=DIR/conf", "model=mine", "model.weights.path=DIR/weights"]
    records = [given(a_record("minilm", "model.name=mine", seed=s), *options, f"seed={s}") for s in (0, 1)]
    assert command(records) == (
        "python -m benchmark --config-dir=DIR/conf -m model=mine dataset=emotion recipe=paper "
        "model.weights.path=DIR/weights seed=0,1"
    )


def test_a_data_set_and_a_recipe_with_other_names_are_asked_for_by_their_choice() -> None:
    options = ["model=minilm", "dataset.name=mine", "recipe=tuned", "recipe.name=ours"]
    record = given(a_record("minilm", "recipe.name=ours", dataset="mine"), *options)
    assert command([record]) == "python -m benchmark model=minilm recipe=tuned dataset.name=mine recipe.name=ours"


def test_seed_0_alone_is_not_named() -> None:
    assert "seed" not in command([a_record("minilm")])
    assert command([a_record("minilm", seed=3)]).endswith(" seed=3")


def test_a_command_can_be_pasted_into_a_shell() -> None:
    record = a_record("smollm2_lora", 'model.lora.targets=["q_proj","v_proj"]')
    record = given(record, "model=smollm2_lora", "model.lora.targets=[q_proj,v_proj]")
    words = shlex.split(command([record]))
    assert words[:3] == ["python", "-m", "benchmark"]
    assert composed(words[3:]).model.parameters["lora"]["targets"] == ["q_proj", "v_proj"]
