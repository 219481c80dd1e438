"""Runs are identified by what can change their result, and the shipped recipes and experiments are as documented."""

import json
import shlex
from dataclasses import FrozenInstanceError, replace

import pytest
from shipped_configurations import MODELS, changed, swept

from benchmark.analysis import study
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results
from benchmark.analysis.names import command
from benchmark.config import CONF_DIR, RunConfig, RunSpec, digest_of
from benchmark.configuration.compose import compose
from benchmark.configuration.published import spec_of
from benchmark.interface import Optimizer
from benchmark.report.tables.training import tuning
from benchmark.results.catalogue import read_catalogue

HASHES = {"train": "a" * 64, "validation": "b" * 64, "test": "c" * 64}


def digest(config: RunConfig, data_sha256: dict[str, str] = HASHES) -> str:
    return digest_of(spec_of(config).as_json(), data_sha256)


def test_the_spec_of_every_model_survives_json() -> None:
    for model in MODELS:
        for choice in ("dataset=emotion", "dataset=synthetic"):
            spec = spec_of(changed(f"model={model}", choice))
            assert RunSpec.from_json(json.loads(json.dumps(spec.as_json()))) == spec, model


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
        "dataset.validation_rows=10",
        "dataset.label_words={joy: happy}",
        "dataset.perturb=typos",
        "dataset=synthetic",
    ],
)
def test_the_digest_changes_with_everything_that_can_change_a_result(override: str) -> None:
    assert digest(changed(override)) != digest(changed())


@pytest.mark.parametrize("split", HASHES)
def test_the_digest_changes_with_the_content_of_the_data(split: str) -> None:
    assert digest(changed(), {**HASHES, split: "d" * 64}) != digest(changed())


@pytest.mark.parametrize(
    "override",
    [
        "results_dir=/elsewhere/results",
        "checkpoints_dir=/elsewhere/checkpoints",
        "models_dir=/elsewhere/models",
        "dataset.path=/elsewhere/data",
        "model.title=Another",
        "model.facts.token_count=9T",
        "force=true",
        "report_to=[tensorboard]",
        "dataset.row_choice=first",
        "dataset.instruction=Which feeling?",  # minilm asks nothing
    ],
)
def test_the_digest_ignores_what_cannot_change_a_result(override: str) -> None:
    assert changed(override) != changed()
    assert digest(changed(override)) == digest(changed())


def test_the_digest_of_limited_rows_says_how_they_were_chosen() -> None:
    """Those that are the first rows have the digest of runs from before rows were drawn."""
    first = changed("dataset.train_rows=160", "dataset.row_choice=first")
    drawn = changed("dataset.train_rows=160")
    before = spec_of(first).as_json()
    for option in ("validation_rows", "row_choice", "instruction", "label_words"):
        del before["dataset"][option]
    assert digest(first) == digest_of(before, HASHES) != digest(drawn)
    assert RunSpec.from_json(before).dataset.row_choice == "first"


def test_a_shipped_run_on_the_first_rows_has_the_digest_of_its_command() -> None:
    """The command that the tables print for it."""
    results = read_results(CONF_DIR.parent / "results")
    limited = [run.record for run in results.runs_by_name.values() if run.record.config.limits]
    assert len(limited) > 20
    for record in limited:
        words = shlex.split(command([record], read_catalogue()))[3:]
        repeated = compose([word for word in words if word != "-m"])
        assert digest(repeated, record.data_sha256) == record.digest, command([record], read_catalogue())


@pytest.mark.parametrize("experiment", ["learning_curve", "tune_cpu"])
def test_make_results_repeats_the_shipped_runs_of_an_experiment(experiment: str) -> None:
    root = CONF_DIR.parent
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    (line,) = [line for line in makefile.splitlines() if f"$(RUN) experiment={experiment}" in line]
    options = line.split()[2:]
    shipped = [
        run.record
        for run in read_results(root / "results").runs_by_name.values()
        if f"experiment={experiment}" in run.record.overrides
        and run.record.config.dataset.name == study.DATASET
        and run.record.config.limits
    ]
    assert len(shipped) >= 10
    for record in shipped:
        repeated = compose([*record.overrides, *options])
        assert digest(repeated, record.data_sha256) == record.digest, record.overrides


def test_the_digest_is_64_hex_digits() -> None:
    assert len(digest(changed())) == 64
    assert set(digest(changed())) <= set("0123456789abcdef")


@pytest.mark.parametrize("part", ["", "recipe", "dataset", "model"])
def test_a_run_is_frozen(part: str) -> None:
    run = changed()
    target, field = (getattr(run, part), "name") if part else (run, "seed")
    with pytest.raises(FrozenInstanceError):
        setattr(target, field, "changed")


def test_limits_are_what_is_shorter_than_the_data_and_the_recipe() -> None:
    spec = spec_of(changed())
    assert spec.limits == {}
    limited = replace(
        spec,
        dataset=replace(spec.dataset, train_rows=3, test_rows=2),
        recipe=replace(spec.recipe, max_steps=1),
    )
    assert limited.limits == {"training rows": 3, "test rows": 2, "steps": 1}


def test_recipe_paper_is_the_studys_table_2_for_every_model() -> None:
    of_the_recipe = {key: value for key, value in study.TABLE2.items() if key not in ("optimizer", "lora_rank")}
    for model in MODELS:
        config = changed(f"model={model}")
        assert {key: getattr(config.recipe, key) for key in of_the_recipe} == of_the_recipe, model
        assert (config.recipe.optimizer, config.recipe.weight_decay) == (Optimizer.adamw, 0), model  # which is Adam
        assert (config.recipe.name, config.recipe.schedule) == ("paper", study.PROSE["schedule"]), model
        assert config.recipe.max_steps is None, model
        if config.model.family == "decoder":
            assert config.model.parameters["lora"]["rank"] == study.TABLE2["lora_rank"], model


def test_llama_3_has_the_precision_and_attention_of_the_study() -> None:
    parameters = changed("model=llama3_lora").model.parameters
    assert (parameters["precision"], parameters["attention"]) == (study.PROSE["precision"], study.PROSE["attention"])


@pytest.mark.parametrize(
    ("model", "batch_size", "accumulation", "weight_decay"),
    [("bert_base", 32, 1, 0.01), ("smollm2_lora", 10, 2, 0.0), ("tfidf", 5, 4, 0.0)],
)
def test_recipe_tuned_has_values_for_each_family(
    model: str, batch_size: int, accumulation: int, weight_decay: float
) -> None:
    recipe = changed(f"model={model}", "recipe=tuned").recipe
    assert (recipe.batch_size, recipe.gradient_accumulation_steps) == (batch_size, accumulation)
    assert (recipe.weight_decay, recipe.schedule) == (weight_decay, "linear")


def test_a_models_own_learning_rate_replaces_its_familys() -> None:
    rates = {
        model: changed(f"model={model}", "recipe=tuned").recipe.learning_rate for model in ("minilm", "bert_large")
    }
    assert rates["minilm"] > rates["bert_large"] == 5e-5


def test_recipe_tuned_has_the_learning_rates_with_the_best_validation_accuracy() -> None:
    """Those of the shipped runs of `experiment=tune_cpu`; of equal ones the lower."""
    tried = tuning(AnalysedResults(read_results(CONF_DIR.parent / "results")).for_dataset(study.DATASET))
    ranked = tried.sort_values(["validation_accuracy", "learning_rate"], ascending=[False, True])
    best = ranked.groupby("model").first()["learning_rate"]
    for name in ("minilm", "smollm2_lora", "smollm2_head"):
        config = changed(f"model={name}", "recipe=tuned")
        title = changed(f"model={name.replace('head', 'lora')}").model.title
        assert config.recipe.learning_rate == best[title], name
    assert len(best) == 2


def test_experiment_table3_is_the_studys_five_models_as_the_study_trained_them() -> None:
    config, sweep = changed("experiment=table3"), swept("table3")
    assert sweep["model"].split(",") == list(study.TABLE3)
    assert len(set(sweep["seed"].split(","))) > 1  # otherwise there is no standard deviation
    assert (config.dataset.name, config.recipe.name) == (study.DATASET, "paper")
    assert spec_of(config).limits == {}
    for model, precision in (("roberta_large", "bf16"), ("llama3_lora", "fp16")):
        assert changed("experiment=table3", f"model={model}").model.parameters["precision"] == precision


@pytest.mark.parametrize("experiment", ["quickstart", "smoke"])
def test_the_first_experiments_need_no_data_files(experiment: str) -> None:
    dataset = changed(f"experiment={experiment}").dataset
    assert dataset.synthetic is not None
    assert (dataset.path, dataset.hub) == (None, None)


def test_experiment_tune_cpu_does_not_use_the_test_split() -> None:
    config = changed("experiment=tune_cpu")
    assert config.dataset.test_rows == 1  # a run predicts at least one text
    assert config.recipe.name == "tune_cpu"  # so that it is not taken for recipe=tuned


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
def test_experiments_on_a_cpu_run_decoders_in_bf16(experiment: str, model: str, precision: str) -> None:
    config = compose([f"experiment={experiment}", f"model={model}"])
    assert config.model.parameters["precision"] == precision


def test_experiment_learning_curve_ends_with_the_runs_of_recipe_tuned() -> None:
    assert swept("learning_curve")["dataset.train_rows"].split(",") == ["160", "480", "1600", "4800", "null"]
    for model, options in (("tfidf", []), ("minilm", []), ("smollm2_lora", ["model.precision=bf16"])):
        last = compose([f"model={model}", "experiment=learning_curve", "dataset.train_rows=null"])
        assert digest(last) == digest(compose([f"model={model}", "recipe=tuned", *options]))


@pytest.mark.parametrize("family", ["smollm2", "llama3"])
def test_the_head_and_the_labels_read_the_same_training(family: str) -> None:
    labels, head = (changed(f"model={family}_{readout}").model.parameters for readout in ("lora", "head"))
    assert {option for option in labels if labels[option] != head[option]} == {"readout"}
