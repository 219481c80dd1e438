import json
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from benchmark.analysis.evidence import read_evidence
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from benchmark.analysis import study
from benchmark.config import CONF_DIR, RunConfig, build_classifier, from_hydra
from benchmark.errors import BenchmarkError
from benchmark.interface import Optimizer
from benchmark.report.tables import TABLES
from benchmark.run.compose import composed


def shipped(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))


MODELS, DATASETS, RECIPES, EXPERIMENTS = (shipped(group) for group in ("model", "dataset", "recipe", "experiment"))
HASHES = {"train": "a" * 64, "validation": "b" * 64, "test": "c" * 64}


@cache
def choose(*choices: str) -> DictConfig:
    """What Hydra composes of these files, its own part included; a sixth of a second each."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("config", overrides=list(choices), return_hydra_config=True)


@cache
def changed(*overrides: str) -> RunConfig:
    """As `composed`, but quicker: single values are merged into what was composed of the chosen files before."""
    choices = [override for override in overrides if override.partition("=")[0] in GROUPS]
    whole = choose(*choices)
    run = OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"])
    OmegaConf.set_struct(run, False)
    return from_hydra(OmegaConf.merge(run, OmegaConf.from_dotlist([o for o in overrides if o not in choices])))


GROUPS = ("model", "dataset", "recipe", "experiment")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for nested in value.values() if isinstance(value, dict) else value:
            yield from strings(nested)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_built_from_its_yaml_and_holds_parameters_only(model: str) -> None:
    config = changed(f"model={model}").model
    classifier = build_classifier(config)
    assert type(classifier).__module__.startswith("baselines.")
    assert set(vars(classifier)) == {field.name for field in fields(classifier)}  # type: ignore[arg-type]
    assert config.name == model  # the name that folders and tables go by


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_dataset_and_recipe_composes_under_its_own_name(dataset: str, recipe: str) -> None:
    config = changed(f"dataset={dataset}", f"recipe={recipe}")
    assert (config.dataset.name, config.recipe.name) == (dataset, recipe)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_sweeps_models_there_are(experiment: str) -> None:
    assert changed(f"experiment={experiment}").dataset.name in DATASETS
    models = choose(f"experiment={experiment}").hydra.sweeper.params.model.split(",")
    assert set(models) <= set(MODELS)


def test_experiment_table3_is_the_studys_five_models_as_the_study_trained_them() -> None:
    config, sweep = changed("experiment=table3"), choose("experiment=table3").hydra.sweeper.params
    assert sweep.model.split(",") == list(study.TABLE3)
    assert len(set(sweep.seed.split(","))) > 1  # so that there is a spread
    assert (config.dataset.name, config.recipe.name) == (study.DATASET, "paper")
    assert (config.dataset.train_rows, config.dataset.test_rows, config.recipe.max_steps) == (None, None, None)


@pytest.mark.parametrize("experiment", ["quickstart", "smoke"])
def test_the_first_experiments_need_no_file_of_data(experiment: str) -> None:
    dataset = changed(f"experiment={experiment}").dataset
    assert dataset.synthetic is not None
    assert (dataset.path, dataset.hub) == (None, None)


def test_the_command_line_wins_over_an_experiment() -> None:
    config = composed(["experiment=smoke", "recipe.max_steps=7", "dataset.synthetic.train=90", "recipe=tuned"])
    assert (config.recipe.max_steps, config.recipe.schedule) == (7, "linear")  # that of recipe=tuned
    assert config.recipe.name == "smoke"  # what an experiment changed goes by the experiment's name
    assert config.dataset.synthetic is not None
    assert (config.dataset.synthetic.train, config.dataset.synthetic.test) == (90, 48)


@pytest.mark.parametrize("model", MODELS)
def test_recipe_paper_is_the_studys_table_2(model: str) -> None:
    config = changed(f"model={model}")
    of_the_recipe = {key: value for key, value in study.TABLE2.items() if key not in ("optimizer", "lora_rank")}
    assert {key: getattr(config.recipe, key) for key in of_the_recipe} == of_the_recipe
    assert (config.recipe.optimizer, config.recipe.weight_decay) == (Optimizer.adamw, 0)  # which is Adam
    assert config.recipe.schedule == study.PROSE["schedule"]
    assert (config.recipe.name, config.recipe.max_steps) == ("paper", None)
    if config.model.family == "decoder":
        assert config.model.parameters["lora"]["rank"] == study.TABLE2["lora_rank"]


def test_llama_3_runs_in_the_precision_and_with_the_attention_of_the_study() -> None:
    parameters = changed("model=llama3_lora").model.parameters
    assert (parameters["precision"], parameters["attention"]) == (study.PROSE["precision"], study.PROSE["attention"])


@pytest.mark.parametrize(
    ("model", "batch_size", "accumulation", "weight_decay"),
    [("bert_base", 32, 1, 0.01), ("smollm2_lora", 10, 2, 0.0), ("tfidf", 5, 4, 0.0)],
)
def test_recipe_tuned_gives_each_family_its_own_values(
    model: str, batch_size: int, accumulation: int, weight_decay: float
) -> None:
    recipe = changed(f"model={model}", "recipe=tuned").recipe
    assert (recipe.batch_size, recipe.gradient_accumulation_steps) == (batch_size, accumulation)
    assert recipe.weight_decay == weight_decay
    assert recipe.schedule == "linear"


def test_a_models_own_learning_rate_goes_before_its_familys() -> None:
    rates = {
        model: changed(f"model={model}", "recipe=tuned").recipe.learning_rate for model in ("minilm", "bert_large")
    }
    assert rates["minilm"] > rates["bert_large"] == 5e-5


def test_recipe_tuned_takes_the_learning_rate_that_was_best_on_validation() -> None:
    """As `experiment=tune_cpu` found, whose records are among the results; of equals the lower."""
    tried = TABLES["tuning"](read_evidence(CONF_DIR.parent / "results"))
    ranked = tried.sort_values(["validation_accuracy", "learning_rate"], ascending=[False, True])
    best = ranked.groupby("model").first()["learning_rate"]
    models = {changed(f"model={name}", "recipe=tuned").model.title: name for name in ("minilm", "smollm2_lora")}
    assert set(best.index) == set(models)
    for title, name in models.items():
        assert changed(f"model={name}", "recipe=tuned").recipe.learning_rate == best[title]
    assert changed("model=smollm2_head", "recipe=tuned").recipe.learning_rate == best["SmolLM2-135M + LoRA"]


def test_the_command_line_wins_over_a_familys_value() -> None:
    recipe = composed(["model=smollm2_lora", "recipe=tuned", "recipe.learning_rate=3e-5"]).recipe
    assert (recipe.learning_rate, recipe.batch_size) == (3e-5, 10)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("recipe.learning_rte=1", "recipe.learning_rte"),
        ("model.precison=fp32", "model.precison"),
        ("sed=1", "sed"),
        ("model=brt_base", "model/brt_base"),
        ("dataset=emotions", "dataset/emotions"),
        ("recipe=papr", "recipe/papr"),
        ("experiment=table_3", "experiment/table_3"),
    ],
)
def test_hydra_refuses_what_is_nowhere_in_conf(override: str, named: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(named)):
        composed([override])


@pytest.mark.parametrize(
    ("overrides", "named", "said"),
    [
        ("+recipe.learning_rte=1", "recipe.learning_rte", "Known here: name, optimizer, learning_rate"),
        ("~recipe.learning_rate", "recipe.learning_rate", "missing"),
        ("~model.name", "model.name", "missing"),
        ("~model._target_", "_target_", "names no class"),
        ("~dataset.hub.revision", "dataset.hub.revision", "missing"),
        ("recipe.learning_rate=${recipe.nothing}", "recipe.nothing", "not found"),
    ],
)
def test_what_hydra_lets_pass_is_refused_after_it(overrides: str, named: str, said: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(named)) as refusal:
        composed(overrides.split())
    assert said in str(refusal.value)


MISTYPED = [
    ("model.precison=fp32", "model.precison", "Known here: weights, architecture"),
    ("model.weights.hug=3", "model.weights.hug", "Known here: source, hub, wheel, path"),
    ("model.facts.cutoff=2020", "model.facts.cutoff", "Known here: training_data"),
    ("model=smollm2_lora model.lora.rnk=8", "model.lora.rnk", "Known here: rank, alpha"),
    ("model=tfidf model.epochs=8", "model.epochs", "Known here: ngrams"),
    ("dataset.pth=x", "dataset.pth", "Known here: name, labels, path"),
    ("dataset.hub.branch=main", "dataset.hub.branch", "Known here: id, configuration, revision"),
    ("dataset.sha256.tset=abc", "dataset.sha256", "tset"),
    ("dataset=synthetic dataset.synthetic.rows=1", "dataset.synthetic.rows", "Known here: train"),
    ("sed=1", "sed", "Known here: model, dataset, recipe, seed"),
]
WRONG_TYPE = [
    ("recipe.learning_rate=fast", "recipe.learning_rate", "fast"),
    ("recipe.batch_size=2.5", "recipe.batch_size", "2.5"),
    ("recipe.batch_size=null", "recipe.batch_size", "None"),
    ("seed=zero", "seed", "zero"),
    ("seed=1.5", "seed", "1.5"),
    ("force=maybe", "force", "maybe"),
    ("report_to=tensorboard", "report_to", "write [a, b], [a] for one, [] for none"),
    ("results_dir=null", "results_dir", "None"),
    ("dataset.labels=joy", "dataset.labels", "list"),
    ("dataset.hub=3", "dataset.hub", "int"),
    ("dataset.test_rows=some", "dataset.test_rows", "some"),
    ("model.prediction_batch_size=many", "model.prediction_batch_size", "many"),
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
    ("model.attention=magic", "model.attention", "flash_attention_2, sdpa, eager"),
    ("model.weights.source=internet", "model.weights.source", "hub, wheel, folder, random"),
    ("model.weights.source=folder", "model.weights.path", "set it"),
    ("model=bert_base model.weights.source=wheel", "model.weights.wheel", "set it"),
    ("model=smollm2_lora model.readout=guess", "model.readout", "labels, generate, head"),
    ("model._target_=baselines.encoder.Nothing", "model._target_", "cannot be imported"),
    ("model._target_=nowhere.Nothing", "model._target_", "No module named 'nowhere'"),
    ("model._target_=baselines", "model._target_", "cannot be imported"),
    ("model._target_=pathlib.Path", "model._target_", "no dataclass"),
]
OUT_OF_RANGE = [
    ("recipe.learning_rate=0", "recipe.learning_rate", "above 0"),
    ("recipe.learning_rate=-1", "recipe.learning_rate", "above 0"),
    ("recipe.learning_rate=.nan", "recipe.learning_rate", "nan"),
    ("recipe.learning_rate=.inf", "recipe.learning_rate", "inf"),
    ("recipe.max_gradient_norm=0", "recipe.max_gradient_norm", "above 0"),
    ("recipe.epochs=0", "recipe.epochs", "above 0"),
    ("recipe.epochs=.inf", "recipe.epochs", "inf"),
    ("recipe.batch_size=0", "recipe.batch_size", "at least 1"),
    ("recipe.gradient_accumulation_steps=0", "recipe.gradient_accumulation_steps", "at least 1"),
    ("recipe.max_length=0", "recipe.max_length", "at least 1"),
    ("recipe.max_steps=0", "recipe.max_steps", "at least 1"),
    ("recipe.warmup_ratio=1", "recipe.warmup_ratio", "[0, 1)"),
    ("recipe.warmup_ratio=-0.1", "recipe.warmup_ratio", "[0, 1)"),
    ("recipe.weight_decay=-0.1", "recipe.weight_decay", "-0.1"),
    ("recipe.weight_decay=.nan", "recipe.weight_decay", "nan"),
    ("recipe.name=a/b", "recipe.name", "a/b"),
    ("seed=-1", "seed", "[0, 2**32)"),
    ("seed=4294967296", "seed", "[0, 2**32)"),
    ("dataset.labels=[joy]", "dataset.labels", "two or more"),
    ("dataset.labels=[joy,joy]", "dataset.labels", "different"),
    ("dataset.validation_share=0", "dataset.validation_share", "(0, 1)"),
    ("dataset.validation_share=1", "dataset.validation_share", "(0, 1)"),
    ("dataset.train_rows=0", "dataset.train_rows", "at least 1"),
    ("dataset.test_rows=-5", "dataset.test_rows", "at least 1"),
    ("dataset.name=../elsewhere", "dataset.name", "elsewhere"),
    ("dataset=synthetic dataset.synthetic.train=0", "dataset.synthetic", "at least one row"),
    ("dataset=synthetic dataset.synthetic.flipped_share=1", "dataset.synthetic.flipped_share", "[0, 1)"),
    ("model.prediction_batch_size=0", "model.prediction_batch_size", "at least 1"),
    ("model=smollm2_lora model.prediction_batch_size=0", "model.prediction_batch_size", "at least 1"),
    ("model=smollm2_lora model.max_new_tokens=0", "model.max_new_tokens", "at least 1"),
    ("model=smollm2_lora model.lora.rank=0", "model.lora", "at least 1"),
    ("model=smollm2_lora model.lora.dropout=1", "model.lora", "[0, 1)"),
    ("model=smollm2_lora model.lora.targets=[]", "model.lora.targets", "all-linear"),
    ("model=tfidf model.C=0", "model.C", "above 0"),
]


@pytest.mark.parametrize(("overrides", "named", "said"), [*MISTYPED, *WRONG_TYPE, *UNKNOWN_CHOICE, *OUT_OF_RANGE])
def test_a_bad_value_is_refused_in_one_line_that_names_the_option(overrides: str, named: str, said: str) -> None:
    with pytest.raises(BenchmarkError, match=re.escape(named)) as refusal:
        build_classifier(changed(*overrides.split()).model)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "recipe.learning_rate=1e-4",
        "recipe.max_steps=5",
        "recipe=tuned",
        "model=bert_base",
        "model.precision=bf16",
        "model.weights.hub.revision=main",
        "dataset.train_rows=10",
        "dataset=synthetic",
    ],
)
def test_the_digest_changes_with_whatever_can_change_a_result(override: str) -> None:
    assert changed(override).digest(HASHES) != changed().digest(HASHES)


@pytest.mark.parametrize("split", HASHES)
def test_the_digest_changes_with_the_content_of_the_data(split: str) -> None:
    assert changed().digest({**HASHES, split: "d" * 64}) != changed().digest(HASHES)


@pytest.mark.parametrize(
    "override",
    [
        "results_dir=/elsewhere/results",
        "checkpoints_dir=/elsewhere/checkpoints",
        "dataset.path=/elsewhere/data",
        "model.title=Another",
        "model.facts.token_count=9T",
        "force=true",
        "report_to=[tensorboard]",
    ],
)
def test_the_digest_ignores_whatever_cannot_change_a_result(override: str) -> None:
    assert changed(override) != changed()
    assert changed(override).digest(HASHES) == changed().digest(HASHES)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_in_the_identity_has_a_slash_but_hub_ids_and_the_inside_of_a_wheel(model: str) -> None:
    identity = changed(f"model={model}").identity()
    weights = identity["model"]["parameters"].get("weights", {})
    public = {identity["dataset"]["hub"]["id"], *strings(weights.get("hub")), *strings(weights.get("wheel"))}
    assert {string for string in strings(identity) if "/" in string} <= public


@pytest.mark.parametrize(
    ("overrides", "kept"),
    [
        ("model=external model.path=/home/somebody/answers.jsonl", "answers.jsonl"),
        ("model.weights.source=folder model.weights.path=/home/somebody/minilm/", "minilm"),
    ],
)
def test_the_identity_keeps_only_the_last_name_of_what_a_model_reads(overrides: str, kept: str) -> None:
    folders = ("dataset.path=/home/somebody/data", "results_dir=/home/somebody", "checkpoints_dir=/home/somebody")
    identity = changed(*overrides.split(), *folders).identity()
    assert not [string for string in strings(identity) if "somebody" in string]
    assert kept in strings(identity)


def test_other_weights_under_the_same_name_make_another_identity(tmp_path: Path) -> None:
    """Else they would be taken for a run that is finished."""
    found = []
    for number, content in enumerate(["one", "two", "one", "one"]):
        folder = tmp_path / str(number) / "mine"
        (folder / "logs").mkdir(parents=True)
        (folder / "model.safetensors").write_text(content)
        (folder / "README.md").write_text(str(number))
        (folder / "chat_template.jinja").write_text("another" if number == 3 else "the same")
        found.append(changed("model.weights.source=folder", f"model.weights.path={folder}").identity())
    one, two, again, prompted = found
    assert one == again
    assert two != one != prompted


@pytest.mark.parametrize("model", MODELS)
def test_nothing_of_hydra_travels_in_a_run(model: str) -> None:
    identity = changed(f"model={model}").identity()
    assert json.loads(json.dumps(identity)) == identity  # json knows no DictConfig


@pytest.mark.parametrize(
    ("part", "field"), [("", "seed"), ("recipe", "learning_rate"), ("dataset", "name"), ("model", "title")]
)
def test_a_run_is_frozen(part: str, field: str) -> None:
    whole = changed()
    with pytest.raises(FrozenInstanceError):
        setattr(getattr(whole, part) if part else whole, field, "changed")


def test_experiment_tune_cpu_sees_nothing_of_the_test_split() -> None:
    config = changed("experiment=tune_cpu")
    assert config.dataset.test_rows == 1  # a run answers at least one text
    assert config.recipe.name == "tune_cpu"  # never taken for recipe=tuned


@pytest.mark.parametrize(
    ("experiment", "model", "precision"),
    [
        ("learning_curve", "minilm", "fp32"),
        ("learning_curve", "smollm2_lora", "bf16"),
        ("tune_cpu", "minilm", "fp32"),
        ("tune_cpu", "smollm2_lora", "bf16"),
        ("readouts", "smollm2_lora", "bf16"),
        ("readouts", "smollm2_head", "bf16"),
    ],
)
def test_cpu_experiments_run_the_decoder_in_bf16(experiment: str, model: str, precision: str) -> None:
    config = composed([f"experiment={experiment}", f"model={model}"])
    assert config.model.parameters["precision"] == precision


def test_experiment_learning_curve_ends_with_the_run_of_recipe_tuned() -> None:
    sweep = choose("experiment=learning_curve").hydra.sweeper.params
    assert sweep["dataset.train_rows"].split(",") == ["160", "480", "1600", "4800", "null"]
    for model, options in (("tfidf", []), ("minilm", []), ("smollm2_lora", ["model.precision=bf16"])):
        last = composed([f"model={model}", "experiment=learning_curve", "dataset.train_rows=null"])
        assert last.digest(HASHES) == composed([f"model={model}", "recipe=tuned", *options]).digest(HASHES)


@pytest.mark.parametrize("family", ["smollm2", "llama3"])
def test_the_head_and_the_words_are_read_off_the_same_training(family: str) -> None:
    words, head = (changed(f"model={family}_{readout}").model.parameters for readout in ("lora", "head"))
    assert {option for option in words if words[option] != head[option]} == {"readout"}
