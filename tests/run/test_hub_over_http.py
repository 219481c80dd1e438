"""Data and weights from a local hub server over HTTP: tiny checkpoints under the real ids, every error of the hub."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import GONE, TOKEN, environment_of, problem_of, run_with_hub
from hub_server import Hub, serving
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from baselines.weights.tokenizer import train_tokenizer
from benchmark.analysis.analysed import AnalysedResults
from benchmark.analysis.frame import read_results
from benchmark.analysis.names import command
from benchmark.config import digest_of
from benchmark.configuration.compose import compose
from benchmark.configuration.published import spec_of
from benchmark.configuration.revisions import pin
from benchmark.data.load import load
from benchmark.report.tables.leaderboard import ranked
from benchmark.report.tables.study_tables import table3_accuracy
from benchmark.report.verification import check
from benchmark.results import store as records
from benchmark.results.catalogue import read_catalogue
from benchmark.results.record import RunRecord, Status

pytestmark = pytest.mark.slow

MODELS = ("bert_base", "roberta_large", "llama3_lora")
TINY = {"vocab_size": 600, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8, "intermediate_size": 64}
ON_CPU = ["model.device=cpu", "model.attention=sdpa", "model.precision=fp32"]
SMALL = [f"model.architecture.{name}={value}" for name, value in TINY.items()]
CARD = """---
configs:
- config_name: split
  data_files:
  - {split: train, path: split/train-*}
  - {split: validation, path: split/validation-*}
  - {split: test, path: split/test-*}
---
"""


def checkpoint(model: str, folder: Path) -> tuple[tuple[str, str], tuple[str, Path]]:
    """A tiny network of the model's own family with the head it was pretrained with, and where the hub has it."""
    parameters: dict[str, Any] = compose([f"model={model}"]).model.parameters
    architecture = {**parameters["architecture"], **TINY}
    tokenizer = train_tokenizer(architecture, ["i feel quite happy today", "Do emotion classification"])
    tokenizer.save_pretrained(folder / model)
    pretrained = AutoModelForCausalLM if architecture["model_type"] == "llama" else AutoModelForMaskedLM
    network = pretrained.from_config(AutoConfig.for_model(**architecture, pad_token_id=tokenizer.pad_token_id))
    network.save_pretrained(folder / model)
    at = parameters["weights"]["hub"]
    return ("models", at["id"]), (at["revision"], folder / model)


def emotion(folder: Path, texts: dict[str, tuple[list[str], list[int]]]) -> tuple[tuple[str, str], tuple[str, Path]]:
    """The data set as the hub keeps it."""
    (folder / "emotion" / "split").mkdir(parents=True)
    (folder / "emotion" / "README.md").write_text(CARD)
    for split, (rows, labels) in texts.items():
        table = pa.table({"text": rows, "label": labels})
        pq.write_table(table, folder / "emotion" / "split" / f"{split}-00000-of-00001.parquet")
    at = compose(["dataset=emotion"]).dataset.hub
    assert at is not None
    return ("datasets", at.id), (at.revision, folder / "emotion")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """One with a tiny BERT and three rows that are not the published ones."""
    made_up = {split: ([f"{split} text"], [1]) for split in ("train", "validation", "test")}
    with serving(Hub(dict([checkpoint("bert_base", tmp_path / "hub"), emotion(tmp_path / "hub", made_up)]))) as hub:
        yield hub


def record(folder: Path) -> RunRecord:
    (run,) = records.read_all(folder / "results")
    return run.record


def test_any_data_set_of_the_hub_is_one_line(hub: Hub, tmp_path: Path) -> None:
    """Its splits, its labels, the validation rows, its commit and hashes, and the question for a decoder."""
    folder, commit = tmp_path / "reviews", "d" * 40
    (folder / "film").mkdir(parents=True)
    features = datasets.Features(body=datasets.Value("string"), stars=datasets.ClassLabel(names=["bad", "good"]))
    rows = datasets.Dataset.from_dict({"body": [f"film {n}" for n in range(20)], "stars": [0, 1] * 10}, features)
    for split in ("train", "test"):
        rows.to_parquet(folder / "film" / f"{split}-00000-of-00001.parquet")
    card = CARD.replace("split/", "film/").replace("config_name: split", "config_name: film")
    (folder / "README.md").write_text("".join(line for line in card.splitlines(True) if "validation" not in line))
    hub.repositories["datasets", "o/reviews"] = (commit, folder)
    line = ["dataset=hub", "dataset.hub.id=o/reviews", "dataset.text_column=body", "dataset.label_column=stars"]
    tiny = ["model=tiny_llama", "model.weights.source=random", "recipe.max_steps=1"]
    done = run_with_hub(tmp_path / "run", hub.url, *tiny, *line)
    assert done.returncode == 0, done.stdout + done.stderr
    made = record(tmp_path / "run")
    assert (made.dataset, made.labels) == ("reviews", ("bad", "good"))
    assert made.config.dataset.hub is not None
    assert made.config.dataset.hub.revision == commit
    assert f"dataset.hub.revision={commit}" in made.overrides
    assert made.data is not None
    assert {name: split.rows for name, split in made.data.splits.items()} == {"train": 18, "validation": 2, "test": 20}
    assert made.config.model.parameters["instruction"].endswith("one of: bad, good.")


WEIGHTS = ["model=bert_base", "dataset=synthetic", "recipe.max_steps=1", *SMALL]
DATA = ["model=majority", "dataset=emotion"]


# One process for all errors, because importing the libraries, which read HF_ENDPOINT, takes long.
EVERY_ERROR = """
import json, os, sys
from pathlib import Path
from hub_server import Hub, serving
repositories, troubles, overrides = json.loads(sys.argv[1])
hub = Hub({(kind, id): (revision, Path(folder)) for kind, id, revision, folder in repositories})
with serving(hub):
    os.environ["HF_ENDPOINT"] = hub.url
    from baselines.weights.sources import fetch
    from benchmark.configuration.compose import build_classifier, compose
    from benchmark.errors import BenchmarkError
    from benchmark.data.load import load
    config = compose(overrides)
    weights = build_classifier(config.model).weights
    for trouble in troubles:
        hub.trouble = tuple(trouble) if isinstance(trouble, list) else trouble
        for ask in (lambda: fetch(weights), lambda: load(config.dataset)):
            try:
                ask()
                print("no error")
            except BenchmarkError as error:
                print(error)
"""
REFUSALS = {
    (401, "RepoNotFound"): "at 86b5e093 is not on the hub, or HF_TOKEN does not give access to it.",
    (401, "GatedRepo"): "is gated. Accept its licence on the hub and set HF_TOKEN to your token",
    (403, "GatedRepo"): "is gated. Accept its licence on the hub and set HF_TOKEN to your token",
    (404, "RepoNotFound"): "at 86b5e093 is not on the hub, or HF_TOKEN does not give access to it.",
    (404, "RevisionNotFound"): "at 86b5e093 is not on the hub, or HF_TOKEN does not give access to it.",
    (418, ""): "is not in the local cache and could not be downloaded from the hub (HfHubHTTPError).",
    "slow": "is not in the local cache and could not be downloaded from the hub",
    "cut": "is not in the local cache and could not be downloaded from the hub",
}


def test_every_error_of_the_hub_is_one_line_with_a_fix(hub: Hub, tmp_path: Path) -> None:
    repositories = [[*named, revision, str(folder)] for named, (revision, folder) in hub.repositories.items()]
    asked = json.dumps([repositories, list(REFUSALS), ["model=bert_base", "dataset=emotion", *SMALL]])
    command = [sys.executable, "-c", EVERY_ERROR, asked]
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = environment_of(tmp_path, "") | {"PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.splitlines()
    for of_weights, of_data, expected in zip(lines[::2], lines[1::2], REFUSALS.values(), strict=True):
        assert of_weights.startswith(f"google-bert/bert-base-uncased {expected}")
        assert "model.weights.path=" in of_weights
        assert of_data.startswith("Data set dair-ai/emotion ")
        assert "dataset.path" in of_data


def test_a_gated_model_stops_the_run_before_training(hub: Hub, tmp_path: Path) -> None:
    hub.trouble = (403, "GatedRepo")
    assert "is gated. Accept its licence" in problem_of(tmp_path / "here", hub.url, *WEIGHTS)


def doctor(folder: Path, url: str) -> str:
    command = [sys.executable, "-m", "benchmark.doctor", *WEIGHTS, *ON_CPU, f"checkpoints_dir={folder}/checkpoints"]
    environment = environment_of(folder, url)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def test_the_doctor_asks_the_hub_for_access_and_for_the_size_of_the_download(hub: Hub, tmp_path: Path) -> None:
    (folder,) = (place for (kind, _), (_, place) in hub.repositories.items() if kind == "models")
    (folder / "more.json").write_bytes(b" " * 300_000_000)
    assert "free for the download, 0.3 GB needed" in doctor(tmp_path, hub.url)
    hub.trouble = (403, "GatedRepo")
    assert "STOP  weights    google-bert/bert-base-uncased is gated" in doctor(tmp_path, hub.url)


def test_an_unreachable_hub_is_reported_at_once(tmp_path: Path) -> None:
    assert "could not be downloaded from the hub" in problem_of(tmp_path / "weights", GONE, *WEIGHTS)
    assert "Data set dair-ai/emotion at cab853a1 is not in the cache" in problem_of(tmp_path / "data", GONE, *DATA)


def test_data_on_the_hub_that_differ_from_the_published_ones_are_refused(hub: Hub, tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "here", hub.url, *DATA)
    assert "from hub dair-ai/emotion@cab853a1 is not the published one" in problem


def test_weights_with_another_hash_than_the_hub_states_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.false_hashes = True
    problem = problem_of(tmp_path / "here", hub.url, *WEIGHTS)
    assert "that the hub states." in problem


def test_a_pickled_checkpoint_on_the_hub_is_not_opened(hub: Hub, tmp_path: Path) -> None:
    (folder,) = (place for (kind, _), (_, place) in hub.repositories.items() if kind == "models")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    problem = problem_of(tmp_path / "here", hub.url, *WEIGHTS)
    assert "has no *.safetensors" in problem
    assert not [asked for asked in hub.asked if ".bin" in asked]


def test_weights_from_another_server_stay_marked_and_do_not_count_as_finished(hub: Hub, tmp_path: Path) -> None:
    asked = [*WEIGHTS, *ON_CPU, "dataset.train_rows=12", "dataset.test_rows=6"]
    for url in (hub.url, None):  # the second time from the cache, without the server's address
        done = run_with_hub(tmp_path / "here", url, *asked)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "already finished" not in done.stdout
        assert record(tmp_path / "here").stand_in == f"weights from {hub.url}, not the hub"


def test_weights_of_a_branch_that_moved_are_another_run(hub: Hub, tmp_path: Path) -> None:
    asked = [*WEIGHTS, *ON_CPU, "dataset.train_rows=12", "dataset.test_rows=6", "model.weights.hub.revision=main"]
    (key,) = (key for key in hub.repositories if key[0] == "models")
    commits = ("a" * 40, "b" * 40)
    for commit in commits:
        hub.repositories[key] = (commit, hub.repositories[key][1])
        done = run_with_hub(tmp_path / "here", hub.url, *asked)
        assert done.returncode == 0, done.stdout + done.stderr
    found = [run.record for run in records.read_all(tmp_path / "here" / "results")]
    assert {run.fit.weights.revision for run in found if run.fit} == set(commits)
    assert {run.config.model.parameters["weights"]["hub"]["revision"] for run in found} == set(commits)
    for run in found:
        again = compose([word for word in shlex.split(command([run], read_catalogue()))[3:] if "DIR" not in word])
        assert pin(again) == again
        assert digest_of(spec_of(again).as_json(), run.data_sha256) == run.digest


@pytest.mark.real_data
@pytest.mark.skipif("EMOTION_DATA" not in os.environ, reason="EMOTION_DATA is not set")
def test_the_studys_sweep_runs_from_the_hub_and_then_from_the_cache_without_an_accuracy(tmp_path: Path) -> None:
    splits = load(compose([f"dataset.path={os.environ['EMOTION_DATA']}"]).dataset)
    texts = {
        name: (list(examples.texts), examples.labels.tolist())
        for name, examples in (("train", splits.train), ("validation", splits.validation), ("test", splits.test))
    }
    short = ["recipe.max_steps=2", "dataset.test_rows=20"]
    sweep = ["-m", f"model={','.join(MODELS)}", *ON_CPU, *SMALL, *short]
    with serving(Hub()) as hub:
        hub.repositories = dict([*(checkpoint(model, tmp_path / "hub") for model in MODELS), emotion(tmp_path, texts)])
        online = run_with_hub(tmp_path / "online", hub.url, *sweep)
    assert online.returncode == 0, online.stdout + online.stderr
    first = records.read_all(tmp_path / "online" / "results")
    assert sorted(run.record.model for run in first) == sorted(MODELS)
    for run in first:
        assert run.record.status is Status.completed
        assert run.record.fit is not None
        assert run.record.fit.weights.endpoint == hub.url
        assert run.record.data is not None
        assert run.record.data.route == "hub dair-ai/emotion@cab853a1"
        assert run.record.stand_in == f"weights from {hub.url}, not the hub"
        assert not run.record.is_result
    analysis = AnalysedResults(read_results(tmp_path / "online" / "results"))
    assert table3_accuracy(analysis)["accuracy"].isna().all()
    assert ranked("emotion", analysis)["status"].map(str).str.contains("not the hub").all()
    assert check(tmp_path / "online" / "results").faults == []

    offline = run_with_hub(tmp_path / "offline", hub.url, *sweep)  # the server has stopped
    assert offline.returncode == 0, offline.stdout + offline.stderr
    again = records.read_all(tmp_path / "offline" / "results")
    assert [run.record.predictions_sha256 for run in again] == [run.record.predictions_sha256 for run in first]

    assert f"Bearer {TOKEN}" in hub.tokens
    written = [path for place in ("online", "offline") for path in (tmp_path / place).rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if TOKEN.encode() in path.read_bytes()]
    assert TOKEN not in online.stdout + online.stderr + offline.stdout + offline.stderr
