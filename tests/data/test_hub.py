"""The hub is replaced here; tests/run/test_hub_over_http.py reads from a server."""

from dataclasses import replace
from typing import Any

import datasets
import httpx2
import huggingface_hub
import pytest

from benchmark.config import DatasetConfig, HubDataset
from benchmark.data import hub
from benchmark.data.load import load
from benchmark.errors import BenchmarkError

CONFIG = DatasetConfig("mine", ["sadness", "joy"], hub=HubDataset("owner/name", "split", "0123456789abcdef"))
SPLITS = ("train", "validation", "test")
NOT_FOUND = httpx2.Response(404, request=httpx2.Request("GET", "https://hub"))


def serve(monkeypatch: pytest.MonkeyPatch, splits: tuple[str, ...], columns: tuple[str, str]) -> list[Any]:
    """Make the hub hold two rows per split; the list collects the arguments of each request."""
    rows = datasets.Dataset.from_dict({columns[0]: ["i feel fine", "i feel low"], columns[1]: [1, 0]})
    requests: list[Any] = []

    def load_dataset(*arguments: Any, **options: Any) -> datasets.DatasetDict:
        requests.append((*arguments, options, datasets.config.HF_HUB_OFFLINE))
        return datasets.DatasetDict(dict.fromkeys(splits, rows))

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "_is_reachable", lambda _: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return requests


def test_splits_are_read_at_the_pinned_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = serve(monkeypatch, SPLITS, ("tweet", "emotion"))
    splits = load(replace(CONFIG, text_column="tweet", label_column="emotion"))
    assert requests == [("owner/name", "split", {"revision": "0123456789abcdef"}, False)]
    assert splits.report.route == "hub owner/name@01234567"
    for examples in (splits.train, splits.validation, splits.test):
        assert examples.texts == ("i feel fine", "i feel low")
        assert examples.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("columns", "splits", "problem", "option"),
    [
        (("text", "label"), ("train",), "no test split, only train", "dataset.hub"),
        (("text", "label"), ("validation", "test"), "no train split, only validation, test", "dataset.hub"),
        (("tweet", "label"), SPLITS, "owner/name train: there is no column 'text'", "dataset.text_column"),
        (("text", "emotion"), SPLITS, "owner/name train: there is no column 'label'", "dataset.label_column"),
    ],
)
def test_a_missing_split_or_column_is_refused(
    columns: tuple[str, str], splits: tuple[str, ...], problem: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, splits, columns)
    with pytest.raises(BenchmarkError, match=problem) as caught:
        load(CONFIG)
    assert option in str(caught.value.fix)


def test_a_wrong_label_is_refused_with_split_and_row(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, SPLITS, ("text", "label"))
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 2]})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict(train=rows, test=rows))
    with pytest.raises(BenchmarkError, match="owner/name train, row 2: label 2"):
        load(CONFIG)


def test_an_error_of_the_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    serve(monkeypatch, SPLITS, ("text", "label"))
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(BenchmarkError, match="owner/name .*ConnectionError") as caught:
        load(CONFIG)
    assert "dataset.path" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("error", "reachable"),
    [
        (None, True),
        (httpx2.ConnectError("refused"), False),
        (huggingface_hub.errors.OfflineModeIsEnabled(), False),
        (huggingface_hub.errors.HfHubHTTPError("404", response=NOT_FOUND), True),
    ],
)
def test_the_hub_is_reachable_if_it_answers_at_all(
    error: Exception | None, reachable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dataset_info(repository: str, revision: str, timeout: float) -> None:
        assert (repository, revision, timeout) == ("owner/name", "0123456789abcdef", 10)
        if error is not None:
            raise error

    monkeypatch.setattr(huggingface_hub, "dataset_info", dataset_info)
    assert CONFIG.hub is not None
    assert hub._is_reachable(CONFIG.hub) is reachable
