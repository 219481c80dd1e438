"""Data of a hub over HTTP and of its cache: exactly what was asked for is read, or the hub's reason is told.

One process for everything that is online, because importing the libraries, which read HF_ENDPOINT, takes long.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import datasets
import pytest

from benchmark.data.hub import _prepare

pytestmark = pytest.mark.slow

A, B = "a" * 40, "b" * 40
ROWS = {
    "text": ["poor", "bad film", "fine", "good film"],
    "label": [1, 1, 0, 0],
    "labels": [[1], [1], [0], [0, 1]],  # several a row
}
NAMES = ["good", "bad"]  # the other way round than dataset.labels
LOADS = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from hub_server import Hub, serving
repositories, online, unreachable = json.loads(sys.argv[1])
hub = Hub({("datasets", id): (revision, Path(folder)) for id, revision, folder in repositories})
hub.repositories["models", "o/weights"] = ("c" * 40, Path(sys.argv[2]))

def outcomes(asked):
    from benchmark.dataset_config import DatasetConfig, HubDataset
    from benchmark.data.load import load
    from benchmark.errors import BenchmarkError
    for name, source, options in asked:
        try:
            labels = options.pop("labels", ["bad", "good"])
            hub_options = {"splits": options.pop("splits")} if "splits" in options else {}
            splits = load(DatasetConfig("mine", labels, hub=HubDataset(*source, **hub_options), **options))
            labels = {split: getattr(splits, split).labels.tolist() for split in ("train", "validation", "test")}
            names = list(splits.report.splits["train"].counts)
            yield name, {"labels": labels, "names": names, "route": splits.report.route}
        except BenchmarkError as error:
            yield name, {"problem": error.problem, "fix": error.fix}

def commit():
    from benchmark.configuration.compose import compose
    from benchmark.configuration.revisions import pin
    config = compose(["model=bert_base", "model.weights.hub={id: o/weights, revision: main}"])
    return pin(config).model.parameters["weights"]["hub"]["revision"]

found = {}
if online:
    with serving(hub):
        os.environ["HF_ENDPOINT"] = hub.url
        found |= dict(outcomes(online)) | {"main": commit()}
found |= dict(outcomes(unreachable))
print(json.dumps(found | {"url": hub.url}))
"""


def repository(folder: Path, files: dict[str, list[str]]) -> str:
    """A data set of the hub: configuration -> the names of its splits, which all have the same rows."""
    label = datasets.ClassLabel(names=NAMES)
    features = datasets.Features(text=datasets.Value("string"), label=label, labels=datasets.List(label))
    rows = datasets.Dataset.from_dict(ROWS, features=features)
    card = ["---", "configs:"]
    for configuration, splits in files.items():
        card += [f"- config_name: {configuration}", "  data_files:"]
        for split in splits:
            place = folder / configuration / f"{split}-00000-of-00001.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            (rows.select([]) if configuration == "empty" and split == "test" else rows).to_parquet(place)
            card += [f"  - {{split: {split}, path: {configuration}/{split}-*}}"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return str(folder)


ONLINE = {
    "dev": ("o/reviews", None, A, {}),
    "column": ("o/reviews", None, A, {"text_column": "tweet"}),
    "configuration": ("o/two", "x", A, {}),
    "another configuration": ("o/two", "y", A, {}),
    "no configuration": ("o/two", None, A, {}),
    "unknown configuration": ("o/two", "z", A, {}),
    "two validation splits": ("o/several", None, A, {}),
    "a similar split": ("o/similar", None, A, {}),
    "no test split": ("o/untested", None, A, {}),
    "no repository": ("o/nothing", None, A, {}),
    "id": ("o/x/y", None, A, {}),
    "stated labels": ("o/reviews", None, A, {"labels": []}),
    "one of several labels": ("o/reviews", None, A, {"label_column": "labels", "skip_multilabel": True}),
    "several labels": ("o/reviews", None, A, {"label_column": "labels"}),
    "named splits": ("o/several", None, A, {"splits": {"train": "train", "test": "validation"}}),
    "a split twice": ("o/reviews", None, A, {"splits": {"train": "train", "test": "train"}}),
    "no rows": ("o/empty", None, A, {}),
    "no such split": ("o/reviews", None, A, {"splits": {"train": "train", "test": "none"}}),
}
OFFLINE = {
    "cached": ("o/reviews", None, A, {}),
    "another revision": ("o/reviews", None, B, {}),
    "never loaded": ("o/elsewhere", None, A, {}),
    "branch": ("o/reviews", None, "main", {}),
    "one of two configurations": ("o/two", None, A, {}),
}


def process(folder: Path, arguments: list[Any], **environment: str) -> dict[str, Any]:
    unset = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"HF_HOME": str(folder / "home"), "PYTHONPATH": os.pathsep.join(places), "HF_HUB_DOWNLOAD_TIMEOUT": "1"}
    command = [sys.executable, "-c", LOADS, json.dumps(arguments), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**kept, **own, **environment})
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def asked(loads: dict[str, tuple[str, str | None, str, dict[str, Any]]]) -> list[Any]:
    return [(name, source, options) for name, (*source, options) in loads.items()]


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every load gave; those of OFFLINE with a hub that does not answer, the last without its address."""
    folder = tmp_path_factory.mktemp("hub")
    repositories = [
        ("o/reviews", A, repository(folder / "reviews", {"plain": ["train", "dev", "test"]})),
        ("o/two", A, repository(folder / "two", {"x": ["train", "val", "test"], "y": ["train", "test"]})),
        ("o/several", A, repository(folder / "several", {"plain": ["train", "dev", "validation", "test"]})),
        ("o/similar", A, repository(folder / "similar", {"plain": ["train", "validation_matched", "test"]})),
        ("o/empty", A, repository(folder / "empty", {"empty": ["train", "test"]})),
        ("o/untested", A, repository(folder / "untested", {"plain": ["train", "dev"]})),
    ]
    found = process(folder, [repositories, asked(ONLINE), []])
    unreachable = process(folder, [[], [], asked(OFFLINE)], HF_ENDPOINT="http://127.0.0.1:9")  # nothing listens there
    later = process(folder, [[], [], asked(OFFLINE)], HF_HUB_OFFLINE="1")
    return unreachable | found | {"later": later["cached"]}


@pytest.mark.parametrize("name", ["dev", "cached", "later", "configuration"])
def test_splits_have_the_names_of_folders_and_ids_those_of_the_data_set(name: str, loads: dict[str, Any]) -> None:
    assert loads[name]["labels"] == {key: [0, 0, 1, 1] for key in ("train", "validation", "test")}
    source = "o/two" if name == "configuration" else "o/reviews"
    assert loads[name]["route"] == f"hub {source}@{A[:8]} from {loads['url']}"


def test_labels_rows_and_splits_can_be_chosen(loads: dict[str, Any]) -> None:
    stated = loads["stated labels"]  # in the order of the data set's ids
    assert (stated["names"], stated["labels"]["test"]) == (NAMES, [1, 1, 0, 0])
    assert loads["one of several labels"]["labels"]["test"] == [0, 0, 1]
    assert loads["named splits"]["labels"] == {"train": [0, 1], "validation": [0, 1], "test": [0, 0, 1, 1]}


@pytest.mark.parametrize(
    ("name", "problem", "fix"),
    [
        ("column", "o/reviews train: there is no column 'tweet'", "dataset.text_column"),
        ("no configuration", "['x', 'y']", "dataset.hub.configuration"),
        ("unknown configuration", "'z' not found", "dataset.hub.configuration"),
        ("two validation splits", "several validation splits: validation, dev", "dataset.hub.splits"),
        ("a similar split", "no validation split, but validation_matched", "dataset.hub.splits"),
        ("a split twice", "dataset.hub.splits is {'train': 'train', 'test': 'train'}", "a split of its own"),
        ("no rows", 'Instruction "test" corresponds to no data', "dataset.hub"),
        ("no such split", "the split none, but data set o/reviews has only train", "Name one"),
        ("several labels", "o/reviews train, row 4: there are 2 labels", "dataset.skip_multilabel=true"),
        ("no test split", "no test split, only train, dev", "dataset.hub.splits="),
        ("no repository", "'o/nothing' doesn't exist on the Hub", "HF_TOKEN"),
        ("id", "dataset.hub.id is o/x/y", "OWNER/NAME"),
        ("one of two configurations", "several configurations in the cache: x, y", "dataset.hub.configuration"),
        ("another revision", "o/reviews at bbbbbbbb is not in the cache", "Go online once"),
        ("never loaded", "o/elsewhere at aaaaaaaa is not in the cache", "Go online once"),
        ("branch", "o/reviews at main is not in the cache", "Go online once"),
    ],
)
def test_a_load_that_would_read_something_else_is_refused_with_its_reason(
    name: str, problem: str, fix: str, loads: dict[str, Any]
) -> None:
    assert problem in loads[name]["problem"]
    assert fix in loads[name]["fix"]


def test_a_branch_of_weights_is_recorded_as_its_commit(loads: dict[str, Any]) -> None:
    assert loads["main"] == "c" * 40


@pytest.mark.parametrize("cached", [True, False])
def test_only_data_that_are_downloaded_from_a_mirror_are_marked_as_its_own(
    cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    info = tmp_path / "commit" / "dataset_info.json"
    info.parent.mkdir()
    if cached:
        info.touch()
    builder = Mock(cache_dir=info.parent)
    builder.download_and_prepare.side_effect = lambda **_: info.touch()
    for _ in range(2):  # the second time they are cached, from where they came
        assert _prepare(builder, online=True) == (None if cached else "https://mirror.example")


@pytest.mark.parametrize(
    ("server", "again", "marked"),
    [
        ("https://huggingface.co", "force_redownload", None),
        ("https://mirror.example", None, "https://mirror.example"),
        ("https://third.example", "force_redownload", "https://third.example"),
    ],
)
def test_an_interrupted_download_from_a_mirror_is_not_continued_by_another_server(
    server: str, again: str | None, marked: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = Mock(cache_dir=tmp_path / "configuration" / "commit")
    builder.download_and_prepare.side_effect = KeyboardInterrupt
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    with pytest.raises(KeyboardInterrupt):
        _prepare(builder, online=True)
    builder.download_and_prepare.side_effect = None
    monkeypatch.setenv("HF_ENDPOINT", server)
    assert _prepare(builder, online=True) == marked
    assert builder.download_and_prepare.call_args.kwargs == {"download_mode": again}
    assert _prepare(builder, online=False) == marked
