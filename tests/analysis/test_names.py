"""The label of a configuration, and the command that makes its runs again."""

import shlex
from dataclasses import replace

import pytest
from factories import FIT, a_record

from benchmark.analysis.names import command, options_given, recipe_in_words, settings_of, short_name
from benchmark.interface import WeightSource
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord

CATALOGUE = read_catalogue()


def typed(record: RunRecord, *overrides: str) -> RunRecord:
    """The record as if these had been the overrides of the command line."""
    return replace(record, overrides=list(overrides))


def label(record: RunRecord) -> str:
    return recipe_in_words(record, CATALOGUE)


def test_a_model_as_shipped_is_labelled_by_its_recipe_alone() -> None:
    assert label(a_record("minilm")) == "paper"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.precision=bf16", "bf16"),
        ("model.weights.source=random", "random weights"),
        ("recipe.learning_rate=0.5", "learning rate 0.5"),
        ("recipe.learning_rate=0.0001", "learning rate 1e-4"),
        ("recipe.learning_rate=1.5e-03", "learning rate 1.5e-3"),
        ("recipe.epochs=9", "9 epochs"),
        ("recipe.weight_decay=0.1", "weight decay 0.1"),
        ("recipe.batch_size=64", "batch size 64 x 4"),
        ("recipe.gradient_accumulation_steps=1", "batch size 5"),
        ("model.attention=eager", "eager attention"),
        ("model.device=cuda", "on cuda"),
    ],
)
def test_what_an_experiments_file_changes_is_in_the_label(override: str, words: str) -> None:
    record = typed(a_record("minilm", override), "experiment=mine", "model=minilm")
    assert label(record) == f"paper, {words}"


@pytest.mark.parametrize(
    ("model", "overrides", "text", "more"),
    [
        ("mpnet_base", ["model.batching=padded", "model.device=cuda"], "MPNet base, paper", ["padded", "on cuda"]),
        (
            "smollm2_lora",
            ["model.precision=bf16", "recipe.learning_rate=0.5", "recipe.epochs=1", "recipe.max_steps=null"],
            "SmolLM2-135M LoRA, paper, bf16, 1 epoch",
            ["learning rate 0.5"],
        ),
        ("tfidf", ["dataset.train_rows=16", "dataset.test_rows=8"],
         "TF-IDF + logistic regression, paper, 16 training texts, 8 test texts", []),
        ("minilm", ["model.title=MiniLM-L6 (22M BERT) + LoRA"], "MiniLM-L6 LoRA, paper", []),
    ],
)  # fmt: skip
def test_a_short_name_has_the_two_most_important_settings(
    model: str, overrides: list[str], text: str, more: list[str]
) -> None:
    made = short_name(a_record(model, *overrides), CATALOGUE)
    assert (made.text, sorted(made.qualifiers)) == (text, sorted(more))


def test_hashes_that_were_not_checked_are_in_the_label() -> None:
    assert label(typed(a_record("tfidf"), "~dataset.sha256", "dataset.path=DIR/mine")) == "paper, hashes not checked"
    assert label(typed(a_record("tfidf"), "dataset.sha256={}")) == "paper, hashes not checked"
    assert label(typed(a_record("tfidf"), "~dataset.hub")) == "paper, without hub"


def test_an_override_that_changes_nothing_is_not_in_the_label() -> None:
    record = typed(a_record("minilm"), "model.precision=fp32", "model.title=MiniLM", "recipe.epochs=3")
    assert label(record) == "paper"


def test_a_newer_option_at_its_default_is_in_the_name_where_the_model_as_shipped_sets_it() -> None:
    record = a_record("llama3_qlora")
    del record.config.model.parameters["quantization"]  # as records leave it out
    assert settings_of(record, CATALOGUE) == ["model.quantization=none"]
    assert short_name(record, CATALOGUE) != short_name(a_record("llama3_qlora"), CATALOGUE)


def test_the_values_of_another_recipe_are_not_compared_with_those_of_paper() -> None:
    record = a_record("minilm", "recipe.name=tuned", "recipe.learning_rate=0.5")
    assert label(typed(record, "recipe=tuned")) == "tuned"
    assert label(typed(record, "recipe=tuned", "recipe.learning_rate=0.5")) == "tuned, learning rate 0.5"


def test_settings_of_data_are_those_of_the_command_line() -> None:
    assert label(a_record("minilm", "dataset.train_rows=16", "dataset.name=mine")) == "paper, 16 training texts"
    assert recipe_in_words(a_record("minilm", "dataset.train_rows=16"), CATALOGUE, ("dataset.train_rows=",)) == "paper"


def test_limits_of_a_data_sets_file_are_in_the_label() -> None:
    record = typed(a_record("minilm", "dataset.train_rows=16", "recipe.name=mine", "recipe.max_steps=1"), "recipe=mine")
    assert label(record) == "mine, 16 training texts, 1 step"


def test_settings_are_written_as_on_the_command_line() -> None:
    record = a_record(
        "smollm2_lora", 'model.lora.targets=["q_proj","v_proj"]', "model.lora.rank=16", "recipe.max_steps=null",
        "model.adapter=tuned-seed0@0123456789ab",
    )  # fmt: skip
    assert settings_of(record, CATALOGUE) == [
        "model.adapter=tuned-seed0@0123456789ab",
        "model.lora.rank=16",
        "model.lora.targets=[q_proj,v_proj]",
    ]


def test_files_come_last_in_a_label_without_folder_and_hash() -> None:
    record = a_record("smollm2_lora", "model.adapter=tuned-seed0@0123456789ab", "model.precision=bf16")
    assert label(record) == "paper, bf16, adapter tuned-seed0"
    other = typed(a_record("minilm", "model.name=mine"), "model.weights.path=DIR/weights")
    assert label(other) == "paper, weights from folder weights"


PINNED = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"model.safetensors": PINNED}, "paper, padded"),
        ({"model.safetensors": "0" * 64}, "paper, padded, weights from folder mine"),
        ({"model.safetensors": PINNED, "more.safetensors": "0" * 64}, "paper, padded, weights from folder mine"),
    ],
)
def test_a_folder_is_named_in_a_label_unless_it_holds_the_pinned_file(files: dict[str, str], words: str) -> None:
    weights = '{"source": "folder", "path": "mine@0123456789ab", "hub": null}'
    record = a_record("mpnet_base", f"model.weights={weights}", "model.batching=padded")
    read = replace(FIT, weights=WeightSource("folder", sha256=files))
    assert label(replace(record, fit=read)) == words


def test_a_model_that_is_not_shipped_is_labelled_by_its_overrides() -> None:
    record = typed(a_record("minilm", "model.name=mine"), "+model.precision=bf16", "seed=3", "model.name=mine")
    assert settings_of(record, CATALOGUE) == ["model.precision=bf16"]


def test_options_are_the_overrides_that_choose_nothing() -> None:
    chosen = ["--config-dir=DIR/conf", "model=m", "dataset=d", "recipe=r", "seed=1", "experiment=e", "force=true",
              "report_to=[]", "dataset.train_rows=null", "dataset.perturb=null"]  # fmt: skip
    options = ["recipe.epochs=9", "+model.new=1", "dataset.train_rows=5"]
    assert options_given(typed(a_record(), *chosen, *options)) == sorted(options)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ([], "model=tfidf dataset=emotion recipe=paper"),
        (["dataset=other", "recipe=tuned", "force=true"], "model=tfidf dataset=other recipe=tuned"),
        (["recipe.epochs=9", "+x=1"], "model=tfidf dataset=emotion recipe=paper +x=1 recipe.epochs=9"),
        (["dataset.name=mine"], "model=tfidf recipe=paper dataset.name=mine"),
        (["dataset=d", "recipe.name=ours"], "model=tfidf dataset=d dataset.name=mine recipe.name=ours"),
        (["--config-dir=DIR/conf"], "--config-dir=DIR/conf model=tfidf dataset=emotion recipe=paper"),
    ],
)
def test_a_command_names_the_choices_and_the_options(given: list[str], made: str) -> None:
    if "dataset=d" in given:
        given = [*given, "dataset.name=mine"]
    assert command([typed(a_record("tfidf"), *given)], CATALOGUE) == f"python -m benchmark {made}"


@pytest.mark.parametrize(
    ("seeds", "words"), [([0], "A=1"), ([3], "A=1 seed=3"), ([0, 1], "A=1 seed=0,1"), ([2, 3], "A=1 seed=2,3")]
)
def test_a_command_runs_the_seeds_of_all_records(seeds: list[int], words: str) -> None:
    made = command([typed(a_record("tfidf", seed=seed), "A=1") for seed in seeds], CATALOGUE)
    many = "-m " if len(seeds) > 1 else ""
    assert made == f"python -m benchmark {many}model=tfidf dataset=emotion recipe=paper {words}"


@pytest.mark.parametrize("rows", ["null", "160"])
def test_the_command_of_an_experiments_run_names_what_the_experiment_sweeps(rows: str) -> None:
    given = ("experiment=learning_curve", "model=tfidf", f"dataset.train_rows={rows}", "seed=0", "recipe=tuned")
    made = shlex.split(command([typed(a_record("tfidf"), *given)], CATALOGUE))
    assert sorted(made[3:]) == sorted(given)
    assert made[:5] == ["python", "-m", "benchmark", "model=tfidf", "experiment=learning_curve"]


def test_a_choice_of_rows_is_named_only_where_rows_are_left_out() -> None:
    typed_choice = typed(a_record("tfidf", 'dataset.row_choice="first"'), "dataset.row_choice=first")
    assert options_given(typed_choice) == []
    assert label(typed_choice) == "paper"


def test_a_command_states_what_a_folder_of_configurations_set_for_a_shipped_model() -> None:
    record = a_record("smollm2_lora", "model.precision=bf16", "model.batching=padded", "model.train=false")
    made = command([typed(record, "--config-dir=DIR/conf", "model=smollm2_lora", "model.batching=padded")], CATALOGUE)
    assert made.split()[3:] == [
        "--config-dir=DIR/conf",
        "model=smollm2_lora",
        "dataset=emotion",
        "recipe=paper",
        "model.batching=padded",
        "model.precision=bf16",
        "++model.train=false",
    ]


def test_a_command_states_no_text_of_a_folder_of_configurations() -> None:
    record = a_record("smollm2_lora", 'model.prompt={"name":"mine","user":"{instruction}\\n{text}","system":null}')
    made = command([typed(record, "--config-dir=DIR/conf", "model=smollm2_lora")], CATALOGUE)
    assert made.endswith("--config-dir=DIR/conf model=smollm2_lora dataset=emotion recipe=paper")


def test_a_command_can_be_pasted_into_a_shell() -> None:
    made = command([typed(a_record("external"), "model.title=My system", "model.path=DIR/answers.csv")], CATALOGUE)
    assert shlex.split(made)[-2:] == ["model.path=DIR/answers.csv", "model.title=My system"]
