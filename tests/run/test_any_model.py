"""`model=encoder` and `model=decoder`: a checkpoint is named by its id or folder, and says itself what it is."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from factories import GONE, problem_of, run_with_hub
from hub_server import Hub, serving
from shipped_configurations import BY_PLACE, changed
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from baselines.weights.tokenizer import train_tokenizer
from benchmark.config import CONF_DIR, RunConfig, digest_of
from benchmark.configuration.compose import build_classifier, compose
from benchmark.configuration.published import spec_of
from benchmark.configuration.revisions import pin
from benchmark.errors import BenchmarkError
from benchmark.results import store as records
from benchmark.run import diagnosis
from benchmark.run.runner import run

TINY: dict[str, Any] = {"vocab_size": 600, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                        "intermediate_size": 64}  # fmt: skip
ENDS = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "deberta-v3-tiny": ("encoder", "padded", {"model_type": "deberta-v2", "relative_attention": True,
                        "position_buckets": 16, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
                        "position_biased_input": False, "type_vocab_size": 0}),
    "ModernBERT-tiny": ("encoder", "packed", {"model_type": "modernbert", "local_attention": 8, **ENDS}),
    "Qwen3-tiny": ("decoder", "packed", {"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 8,
                   "rope_theta": 1e6}),
    "gemma-3-tiny": ("decoder", "packed", {"model_type": "gemma3_text", "num_key_value_heads": 1, "head_dim": 8,
                     "sliding_window": 8, "query_pre_attn_scalar": 8}),
}  # fmt: skip
"""The model= and the batching that each is expected to get, and its configuration."""
COMMIT = "c" * 40
SHORT = ["dataset=synthetic", "dataset.train_rows=12", "dataset.test_rows=6", "recipe.max_steps=2", "model.device=cpu"]
TEMPLATE = "{% for turn in messages %}{{ turn.content }}{% endfor %}"


def save(name: str, folder: Path) -> Path:
    """A tiny random checkpoint, as transformers saves it."""
    kind, _, options = ARCHITECTURES[name]
    architecture = TINY | options
    tokenizer = train_tokenizer(architecture, ["i feel quite happy today", "Classify the following text"])
    if kind == "decoder":
        tokenizer.chat_template = TEMPLATE
    auto_class = AutoModelForCausalLM if kind == "decoder" else AutoModelForMaskedLM
    pad = {"pad_token_id": tokenizer.pad_token_id} if kind == "encoder" else {}
    network = auto_class.from_config(AutoConfig.for_model(**(architecture | pad)))
    network.save_pretrained(folder / name)
    tokenizer.save_pretrained(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("checkpoints")
    for name in ARCHITECTURES:
        save(name, place)
    return place


Compose = Callable[..., RunConfig]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_folder_trains_and_answers_with_what_its_config_says(name: str, folder: Path, compose_run: Compose) -> None:
    kind, batching, options = ARCHITECTURES[name]
    made = run(compose_run(f"model={kind}", f"model.path={folder / name}", *SHORT)).record
    assert made.config.model.name == made.config.model.title == name
    assert made.config.model.parameters["weights"]["path"].startswith(f"{name}@")
    read = made.config.model.parameters["architecture"]
    assert {key: read[key] for key in TINY} == TINY
    assert read["model_type"] == made.card.architecture == options["model_type"]
    assert (
        made.card.context_length == json.loads((folder / name / "config.json").read_text())["max_position_embeddings"]
    )
    assert made.fit is not None
    assert made.fit.attention is not None
    assert made.fit.attention.startswith("packed") is (batching == "packed")
    assert made.predicted_rows == 6


@pytest.mark.parametrize("name", [name for name, (kind, *_) in ARCHITECTURES.items() if kind == "encoder"])
def test_the_probe_reads_any_encoder(name: str, folder: Path, compose_run: Compose) -> None:
    made = run(compose_run("model=probe", f"model.path={folder / name}", *SHORT)).record
    assert (made.config.model.name, made.card.architecture) == (f"probe_{name}", ARCHITECTURES[name][2]["model_type"])
    assert made.config.model.facts.source is None  # MiniLM's


def test_the_doctor_examines_a_folder(folder: Path, compose_run: Compose) -> None:
    config = compose_run("model=encoder", f"model.path={folder / 'deberta-v3-tiny'}", *SHORT)
    assert [finding for finding in diagnosis.examine(config) if finding.fix] == []


@pytest.mark.parametrize(
    ("overrides", "problem", "fix"),
    [
        ("model=decoder model.path={}/deberta-v3-tiny", "deberta-v2 is an encoder", "Choose model=encoder"),
        ("model=encoder model.path={}/Qwen3-tiny", "qwen3 is a decoder", "Choose model=decoder"),
        ("model=encoder model.path={}/nothing", "nothing is not a folder", "weights and tokenizer"),
        ("model=encoder model.path={}", "contains no config.json", "save_pretrained"),
        ("model=encoder", "Neither model.id nor model.path is set", "model.id=OWNER/NAME"),
        (
            "model=encoder model.weights.source=folder model.weights.path={}",
            "Neither model.id nor model.path is set",
            "model.path=DIR",
        ),
        ("model=encoder model.path={}/Qwen3-tiny model.revision=abc", "model.revision has no effect", "Leave it out"),
        ("model=encoder model.id=a/b model.revision=null", "model.revision contains None", "in quotes"),
        ("model=encoder model.id=a/b model.weights=null", "model.weights is None", "Leave it out"),
        ("model=encoder model.id=a/b model.weights.path={}", "model.weights.path has no effect", "model.path"),
        (
            "model=encoder model.id=a/b +model.architecture.num_hidden_layers=2",
            "model.architecture is set",
            "Leave it out",
        ),
        ("model=encoder model.id=a/b model.weights.source=random", "model.architecture is empty", "model.path=DIR"),
    ],
)
def test_what_cannot_be_read_is_refused(
    overrides: str, problem: str, fix: str, folder: Path, compose_run: Compose
) -> None:
    with pytest.raises(BenchmarkError) as refused:
        build_classifier(pin(compose_run(*overrides.format(folder).split(), *SHORT)).model)
    assert problem in refused.value.problem
    assert fix in str(refused.value.fix)


def test_a_model_is_named_by_its_path_if_it_has_an_id_too() -> None:
    for model, name in (("encoder", "mine"), ("probe", "probe_mine"), ("probe_mpnet", "probe_mine")):
        named = compose([f"model={model}", "model.id=owner/other", "model.path=/w/mine"]).model
        assert (named.name, "mine" in named.title) == (name, True)
        assert named.parameters["weights"] == {"source": "folder", "path": "/w/mine"}


def test_other_inputs_and_unknown_architectures_are_refused(folder: Path, tmp_path: Path, compose_run: Compose) -> None:
    config = compose_run("model=encoder", f"model.path={tmp_path}", *SHORT)
    for content, named in (({"model_type": "gemma3", "text_config": {}}, "gemma3"), ({"a": 1}, "names no model_type")):
        (tmp_path / "config.json").write_text(json.dumps(content))
        with pytest.raises(BenchmarkError, match=named):
            pin(config)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "brt"}))
    with pytest.raises(BenchmarkError, match="brt"):
        build_classifier(pin(config).model).describe()


def test_ids_with_the_same_last_part_are_different_runs() -> None:
    one, other = (compose(["model=encoder", f"model.id={owner}/same"]) for owner in ("a", "b"))
    assert one.model.name == other.model.name == "same"
    assert digest_of(spec_of(one).as_json(), {}) != digest_of(spec_of(other).as_json(), {})


@pytest.fixture
def hub(folder: Path) -> Iterator[Hub]:
    with serving(Hub({("models", f"owner/{name}"): (COMMIT, folder / name) for name in ARCHITECTURES})) as hub:
        yield hub


@pytest.mark.slow
def test_ids_run_from_the_hub_and_then_from_the_cache(hub: Hub, tmp_path: Path) -> None:
    for url in (hub.url, None):
        for kind in ("encoder", "decoder"):
            ids = ",".join(f"owner/{name}" for name, (of, *_) in ARCHITECTURES.items() if of == kind)
            done = run_with_hub(tmp_path / str(bool(url)), url, "-m", f"model={kind}", f"model.id={ids}", *SHORT)
            assert done.returncode == 0, done.stdout + done.stderr
    first, again = (records.read_all(tmp_path / online / "results") for online in ("True", "False"))
    assert sorted(made.record.model for made in first) == sorted(ARCHITECTURES)
    for made in first:
        assert made.record.config.model.parameters["weights"]["hub"]["revision"] == COMMIT
        assert made.record.fit is not None
        assert made.record.fit.weights.revision == COMMIT
        assert f"model.revision={COMMIT}" in made.record.overrides
    assert {made.record.digest for made in again} == {made.record.digest for made in first}
    assert {made.record.predictions_sha256 for made in again} == {made.record.predictions_sha256 for made in first}


@pytest.mark.slow
def test_without_hub_and_cache_the_reason_is_one_sentence(hub: Hub, tmp_path: Path) -> None:
    asked = ["model=encoder", "model.id=owner/ModernBERT-tiny", *SHORT]
    assert "could not be reached" in problem_of(tmp_path / "gone", GONE, *asked)
    assert "is not in the local cache" in problem_of(tmp_path / "pinned", GONE, *asked, f"model.revision={COMMIT}")
    hub.trouble = (403, "GatedRepo")
    assert "owner/ModernBERT-tiny is gated." in problem_of(tmp_path / "gated", hub.url, *asked)


@pytest.mark.parametrize("name", BY_PLACE)
def test_shipped_models_name_an_id_and_a_commit_or_say_that_they_do_not(name: str) -> None:
    model = changed(f"model={name}").model
    hub = model.parameters["weights"]["hub"]
    assert model.name == name
    assert hub["id"].count("/") == 1
    text = (CONF_DIR / "model" / f"{name}.yaml").read_text()
    assert re.fullmatch("[0-9a-f]{40}", hub["revision"]) or "not pinned" in text
    assert ("decoder" in model.target) is (model.family == "decoder")
