"""Overrides are written so that a shell and Hydra read them back, and refused ones are answered with what works."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import a_record
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.analysis.names import command
from benchmark.config import digest_of
from benchmark.configuration.compose import compose, with_config_dir
from benchmark.configuration.overrides import element, hydra_value
from benchmark.configuration.published import published_overrides, spec_of
from benchmark.errors import BenchmarkError
from benchmark.results.catalogue import read_catalogue

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="$\\"), min_size=1)
tricky = st.text("abc ,=[]{}():'\"%#é語~*|&;<>!?@\t", min_size=1)
labels = st.lists(texts | tricky, min_size=2, max_size=4, unique=True)
numbers = st.integers(1, 10_000)
names = st.text("ab1 ='(é,", min_size=1).map(lambda name: f"x{name}x")


def as_given(value: Any) -> str:
    """A value with every text in single quotes, where `hydra_value` chooses its own way."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_given, value))}]"
    return "'" + value.replace("'", "\\'") + "'" if isinstance(value, str) else str(value)


def options(path: Path) -> st.SearchStrategy[list[str]]:
    """Overrides of a run, in any order, some of them twice."""
    writer = st.sampled_from([as_given, hydra_value])

    def option(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
        return st.builds(lambda value, write: f"{name}={write(value)}", values, writer)

    weights = st.builds(
        lambda name, write: f"model.weights={{source: folder, path: {write(f'{path}/{name}')}}}", names, writer
    )
    one = st.one_of(
        option("dataset.labels", labels),
        option("dataset.text_column", texts | tricky),
        option("dataset.label_column", tricky),
        option("recipe.epochs", numbers),
        option("recipe.batch_size", numbers),
        option("model.title", tricky),
        option("++model.architecture.note", texts | tricky),
        option("model.weights.path", names.map(lambda name: f"{path}/{name}")),
        weights,
        st.sampled_from(["recipe=tuned", "recipe.max_steps=null", "dataset=synthetic", "model=bert_base"]),
    )
    return st.lists(one, max_size=6)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_printed_command_makes_the_same_digest_when_it_is_pasted_into_a_shell(data: st.DataObject) -> None:
    folder = Path("/nowhere")
    overrides = [f"seed={data.draw(st.integers(0, 9))}", *data.draw(options(folder))]
    chosen = {override.partition("=")[0]: override for override in overrides}
    groups = [chosen.pop(group) for group in ("model", "dataset", "recipe") if group in chosen]
    overrides = [*groups, *(one for one in overrides if one not in groups)]
    config = compose(overrides)
    spec = spec_of(config)
    record = replace(a_record(), config=spec, overrides=published_overrides(config, overrides))
    python, module, name, *pasted = shlex.split(command([record], read_catalogue()).replace("DIR/", f"{folder}/"))
    assert (python, module, name) == ("python", "-m", "benchmark")
    again = spec_of(compose(pasted))
    assert digest_of(again.as_json(), {}) == digest_of(spec.as_json(), {})


@settings(max_examples=200)
@given(
    value=st.recursive(
        texts | tricky | numbers | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_written_value_is_read_back(value: Any) -> None:
    assert element(f"option={hydra_value(value)}") == value


@pytest.mark.parametrize("override", ["results_dir=~/mine", "dataset.path=~/mine"])
def test_a_home_folder_that_the_shell_did_not_replace_is_named_with_what_works(override: str) -> None:
    with pytest.raises(BenchmarkError) as refused:
        compose([override])
    assert refused.value.problem == f"The shell left ~ as it is in {override}."
    assert refused.value.fix == f'Write "{override.replace("~", "$HOME")}".'


def test_a_command_keeps_the_order_of_options_that_overlap_and_the_names_that_were_chosen() -> None:
    given_twice = ["model=minilm", "recipe.epochs=2", "recipe.epochs=1", "model.name=mine"]
    config = compose(given_twice)
    record = replace(a_record(), config=spec_of(config), overrides=given_twice)
    pasted = shlex.split(command([record], read_catalogue()))[3:]
    assert (compose(pasted).recipe.epochs, compose(pasted).model.name) == (1, "mine")


@pytest.mark.parametrize(
    "name", ["données", "run=3", "data (1)", "data[1]", "it's", 'a "b"', "a,b", "{x}", "語 &;|", "a:b"]
)
@pytest.mark.parametrize("option", ["dataset.path", "models_dir", "++model.architecture.note"])
def test_the_remedy_for_a_path_that_hydra_cannot_read_works_in_a_shell(name: str, option: str) -> None:
    path, refused = f"/data/{name}", ""
    try:
        config = compose([f"{option}={path}"])
    except BenchmarkError as error:
        refused = str(error)
        (remedy,) = shlex.split(refused.partition("quote it: ")[2])
        config = compose([remedy])
    assert not refused or f"{option}={path}" in refused
    found = {"dataset.path": config.dataset.path, "models_dir": config.models_dir}
    assert found.get(option, config.model.parameters["architecture"].get("note")) == path


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("model=bert-base", "bert_base"),
        ("model=BERT_base", "bert_base"),
        ("model=roberta", "roberta_base"),
        ("dataset=emotions", "emotion"),
        ("recipe=papr", "paper"),
        ("experiment=table_3", "table3"),
        ("recipe.epoch=5", "recipe.epochs"),
        ("model.precison=fp32", "model.precision"),
        ("sed=1", "seed"),
        ("modle=minilm", "model"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_one_that_was_meant(override: str, meant: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        compose([override])
    option, _, value = override.partition("=")
    assert option in error.value.problem
    assert f"Did you mean {meant}?" in str(error.value.fix)
    assert "tiny_" not in str(error.value.fix)
    compose([f"{option}={meant}" if option in ("model", "dataset", "recipe", "experiment") else f"{meant}={value}"])


@pytest.mark.parametrize(
    "overrides", [["model=majority", "nothing"], ["seed=0,1"], ["+seed=3"], ["~seed.x"], ["=3"], ["seed=${x}"]]
)
def test_other_overrides_that_hydra_refuses_end_in_two_sentences(overrides: list[str]) -> None:
    with pytest.raises(BenchmarkError) as error:
        compose(overrides)
    assert error.value.fix is not None
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"name: mine\nname: yours\n", "mine.yaml, line 2: "),
        (b"labels: [a, b\npath: x\n", "mine.yaml, line 2: "),
        (b"name: mine\n\tpath: x\n", "mine.yaml, line 2: "),
        ("name: mine\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_yaml_file_that_cannot_be_read_is_named_with_its_line(content: bytes, place: str, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_bytes(content)
    with pytest.raises(BenchmarkError) as error:
        compose(with_config_dir(["dataset=mine"], tmp_path))
    assert place in error.value.problem


def test_an_option_of_a_model_is_suggested_although_another_model_is_the_default() -> None:
    with pytest.raises(BenchmarkError) as error:
        compose(["model=smollm2_lora", "model.lora.rnk=3"])
    assert "Did you mean model.lora.rank?" in str(error.value.fix)
