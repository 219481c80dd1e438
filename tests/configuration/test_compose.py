"""Every shipped configuration composes, and every invalid value is refused with the name of its option."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from shipped_configurations import DATASETS, EXPERIMENTS, MODELS, RECIPES, changed, strings, swept

from benchmark.config import CONF_DIR, ModelConfig
from benchmark.configuration.compose import (
    build_classifier,
    compose,
    each_model,
    with_config_dir,
)
from benchmark.configuration.overrides import element
from benchmark.configuration.published import spec_of
from benchmark.dataset_config import Files
from benchmark.errors import BenchmarkError


def test_every_model_is_built_from_its_yaml_and_identified_without_paths() -> None:
    for model in MODELS:
        config = changed(f"model={model}")
        classifier = build_classifier(config.model)
        assert type(classifier).__module__.startswith("baselines."), model
        options = {field.name for field in fields(classifier)}  # type: ignore[arg-type]
        of_speed = {"speed_overrides"} & set(vars(classifier))  # set by benchmark.speed only
        assert set(vars(classifier)) == options | of_speed, model
        assert config.model.name == model
        spec = spec_of(config).as_json()
        weights = spec["model"]["parameters"].get("weights", {})
        public = {spec["dataset"]["hub"]["id"], *strings(weights.get("hub")), *strings(weights.get("wheel"))}
        facts = set(strings(spec["model"]["facts"]))
        assert {text for text in strings(spec) if "/" in text} <= public | facts, model


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_dataset_and_recipe_composes_under_its_own_name(dataset: str, recipe: str) -> None:
    named = ["dataset.hub.id=owner/hub"] if dataset == "hub" else []  # its name is that of the repository
    config = changed(f"dataset={dataset}", f"recipe={recipe}", *named)
    assert (config.dataset.name, config.recipe.name) == (dataset, recipe)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_sweeps_shipped_models(experiment: str) -> None:
    if experiment == "tune":
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    assert changed(f"experiment={experiment}").dataset.name in DATASETS
    assert set(swept(experiment).get("model", "minilm").split(",")) <= set(MODELS)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ("+recipe.learning_rte=1", "recipe.learning_rte"),
        ("~recipe.learning_rate", "recipe.learning_rate"),
        ("~model.name", "model.name"),
        ("~model._target_", "names no class"),
        ("~dataset.hub.revision", "dataset.hub.revision"),
        ("recipe.learning_rate=${recipe.nothing}", "recipe.nothing"),
    ],
)
def test_invalid_configurations_that_hydra_accepts_are_refused(overrides: str, named: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(named)):
        compose(overrides.split())


UNKNOWN = [
    ("model.precison=fp32", "model.precison", "weights, architecture"),
    ("model.weights.hug=3", "model.weights.hug", "source, hub, wheel, path"),
    ("model.facts.cutoff=2020", "model.facts.cutoff", "training_data"),
    ("model=smollm2_lora model.lora.rnk=8", "model.lora.rnk", "rank, alpha"),
    ("dataset.pth=x", "dataset.pth", "name, labels, path"),
    ("dataset.hub.branch=main", "dataset.hub.branch", "id, configuration, revision"),
    ("dataset.sha256.tset=abc", "dataset.sha256", "train, validation, test"),
    ("sed=1", "sed", "model, dataset, recipe, seed"),
]
WRONG_TYPE = [
    ("recipe.learning_rate=fast", "recipe.learning_rate", "fast"),
    ("recipe.batch_size=2.5", "recipe.batch_size", "2.5"),
    ("recipe.batch_size=null", "recipe.batch_size", "None"),
    ("seed=zero", "seed", "zero"),
    ("force=maybe", "force", "maybe"),
    ("report_to=tensorboard", "report_to", "[a, b], [a] for one value, [] for none"),
    ("results_dir=null", "results_dir", "None"),
    ("dataset.labels=joy", "dataset.labels", "list"),
    ("dataset.hub=3", "dataset.hub", "int"),
    ("dataset.test_rows=some", "dataset.test_rows", "some"),
    ("model.architecture=3", "model.architecture", "int"),
    ("model.title=[1]", "model.title", "string"),
    ("model=smollm2_lora model.lora.rank=eight", "model.lora.rank", "eight"),
    ("model=tfidf model.balanced=maybe", "model.balanced", "maybe"),
]
UNKNOWN_CHOICE = [
    ("recipe.optimizer=sgd", "recipe.optimizer", "adamw, adafactor"),
    ("recipe.schedule=step", "recipe.schedule", "cosine, linear, constant"),
    ("model.device=tpu", "model.device", "auto, cpu, cuda"),
    ("model.precision=fp8", "model.precision", "fp32, bf16, fp16"),
    ("model.weights.source=internet", "model.weights.source", "hub, wheel, wheels, folder, random"),
    ("model.weights.source=folder", "model.weights.path", "model.weights.path"),
    ("model=smollm2_lora model.readout=guess", "model.readout", "labels, generate, head"),
    ("model._target_=baselines.encoder.Nothing", "model._target_", "cannot be imported"),
    ("model._target_=nowhere.Nothing", "model._target_", "nowhere"),
    ("model._target_=baselines", "model._target_", "cannot be imported"),
    ("model._target_=pathlib.Path", "model._target_", "not a dataclass"),
]
OUT_OF_RANGE = [
    (f"{option}={value}", option, value)
    for option, values in {
        "recipe.learning_rate": ["0", "-1", ".nan", ".inf"],
        "recipe.max_gradient_norm": ["0"],
        "recipe.epochs": ["0", ".inf"],
        "recipe.batch_size": ["0"],
        "recipe.gradient_accumulation_steps": ["0"],
        "recipe.max_length": ["0"],
        "recipe.max_steps": ["0"],
        "recipe.warmup_ratio": ["1", "-0.1"],
        "recipe.weight_decay": ["-0.1", ".nan", ".inf"],
        "recipe.name": ["a/b", ".a"],
        "seed": ["-1", "4294967296"],
        "dataset.labels": ["[joy]", "[joy,joy]"],
        "dataset.validation_share": ["0", "1"],
        "dataset.train_rows": ["0"],
        "dataset.test_rows": ["-5"],
        "dataset.name": ["../elsewhere"],
        "model.prediction_batch_size": ["0"],
    }.items()
    for value in values
]
OUT_OF_RANGE = [(given, option, "") for given, option, _ in OUT_OF_RANGE] + [
    ("dataset=synthetic dataset.synthetic.train=0", "dataset.synthetic.train", ""),
    ("dataset=synthetic dataset.synthetic.flipped_share=1", "dataset.synthetic.flipped_share", ""),
    ("dataset=synthetic dataset.synthetic.flipped_share=-0.1", "dataset.synthetic.flipped_share", ""),
    ("dataset.files.label_separator=''", "dataset.files.label_separator", "null for one label per row"),
    ("dataset=synthetic dataset.path=/data", "dataset.path", "the data are synthetic"),
    ("model=smollm2_lora model.max_new_tokens=0", "model.max_new_tokens", ""),
    ("model=smollm2_lora model.lora.rank=0", "model.lora", ""),
    ("model=smollm2_lora model.lora.dropout=1", "model.lora", ""),
    ("model=smollm2_lora model.lora.targets=[]", "model.lora.targets", ""),
    ("model=tfidf model.C=0", "model.C", ""),
]


@pytest.mark.parametrize(("overrides", "option", "text"), [*UNKNOWN, *WRONG_TYPE, *UNKNOWN_CHOICE, *OUT_OF_RANGE])
def test_an_invalid_value_is_refused_in_one_line_that_names_the_option(overrides: str, option: str, text: str) -> None:
    with pytest.raises(BenchmarkError) as error:
        build_classifier(changed(*overrides.split()).model)
    assert option in error.value.problem
    assert text in str(error.value)
    assert error.value.fix is not None
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        "seed=0", "seed=4294967295", "dataset.train_rows=1", "recipe.warmup_ratio=0", "recipe.weight_decay=0",
        "recipe.batch_size=1", "recipe.max_steps=1", "recipe.name=a.b-c_1", "dataset.validation_share=0.5",
    ],
)  # fmt: skip
def test_values_at_the_edge_of_their_range_are_accepted(override: str) -> None:
    build_classifier(changed(override).model)


def test_the_command_line_overrides_an_experiment_and_a_familys_value() -> None:
    config = compose(["experiment=smoke", "recipe.max_steps=7", "dataset.synthetic.train=90", "recipe=tuned"])
    assert (config.recipe.max_steps, config.recipe.schedule) == (7, "linear")  # the schedule is that of recipe=tuned
    assert config.recipe.name == "smoke"  # an experiment that changes a recipe names it
    assert config.dataset.synthetic is not None
    assert (config.dataset.synthetic.train, config.dataset.synthetic.test) == (90, 48)
    recipe = compose(["model=smollm2_lora", "recipe=tuned", "recipe.learning_rate=3e-5"]).recipe
    assert (recipe.learning_rate, recipe.batch_size) == (3e-5, 10)


def test_a_configuration_of_the_hub_may_be_a_number() -> None:
    dataset = compose(["dataset=hub", "dataset.hub.id=owner/reviews", "dataset.hub.configuration=2018"]).dataset
    assert dataset.hub is not None
    assert (dataset.name, dataset.hub.configuration) == ("reviews-2018", "2018")


def test_needs_may_be_left_empty() -> None:
    assert compose(["model=encoder", "model.path=/w", "model.needs=null"]).model.name == "w"


def test_an_experiment_sets_any_option_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    own = "# @package _global_\nseed: 3\nresults_dir: mine\nforce: true\nrecipe: {epochs: 2}\n"
    (tmp_path / "experiment/mine.yaml").write_text(own)
    config = compose(with_config_dir(["experiment=mine", "force=false"], tmp_path))
    assert (config.seed, config.results_dir, config.force, config.recipe.epochs) == (3, "mine", False, 2)
    assert compose(["experiment=readouts"]).models_dir == "outputs/models"


@pytest.mark.parametrize(
    ("overrides", "models"),
    [
        (["experiment=table3"], ["bert_base", "bert_large", "roberta_base", "roberta_large", "llama3_lora"]),
        (["model=majority,tfidf", "seed=1"], ["majority", "tfidf"]),
        (["experiment=table3", "model=tfidf"], ["tfidf"]),
        (["model=choice(minilm,tfidf)"], ["minilm", "tfidf"]),
        (["model=choice('minilm', tfidf)", "seed=1"], ["minilm", "tfidf"]),
        (["dataset=synthetic"], ["minilm"]),
    ],
)
def test_overrides_of_several_models_become_one_run_per_model(overrides: list[str], models: list[str]) -> None:
    assert [compose(one).model.name for one in each_model(overrides)] == models


@pytest.mark.parametrize("override", ["model=choice(", "model=interval(1,2)", "model=glob(*)"])
def test_models_that_cannot_be_listed_are_refused(override: str) -> None:
    (overrides,) = each_model([override])
    with pytest.raises(BenchmarkError) as refusal:
        compose(overrides)
    assert override in refusal.value.problem


def test_options_that_a_data_set_file_leaves_out_are_set_without_a_plus(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/reviews.yaml").write_text("name: reviews\nlabels: [bad, good]\npath: data/reviews\n")
    options = ["dataset.train_rows=10", "dataset.perturb=typos", "dataset.files.label_column=category"]
    dataset = compose(with_config_dir(["dataset=reviews", *options], tmp_path)).dataset
    assert (dataset.name, dataset.labels, dataset.path) == ("reviews", ["bad", "good"], "data/reviews")
    assert (dataset.train_rows, dataset.perturb) == (10, "typos")
    assert dataset.files == Files(label_column="category")
    assert compose(["dataset=emotion", options[-1]]).dataset.files == dataset.files


def test_a_config_dir_must_be_a_folder(tmp_path: Path) -> None:
    assert with_config_dir(["seed=1"], None) == ["seed=1"]
    (tmp_path / "it's, (1)").mkdir()
    for folder in (tmp_path, tmp_path / "it's, (1)"):
        (searched, seed) = with_config_dir(["seed=1"], folder)
        assert element(searched) == [f"file://{folder}"]
        assert seed == "seed=1"
    with pytest.raises(BenchmarkError) as error:
        with_config_dir([], tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in error.value.problem


def test_a_target_that_is_no_class_is_refused() -> None:
    with pytest.raises(BenchmarkError, match=re.escape("model._target_=os.path.join")):
        build_classifier(ModelConfig("mine", "os.path.join", "encoder", "Mine"))


def test_conf_is_found() -> None:
    assert (CONF_DIR / "config.yaml").is_file()
