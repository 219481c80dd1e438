"""What a configuration leaves to the hub: the commits of its branches and tags, and the architecture of weights.

A record names what was read.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmark.config import RunConfig
from benchmark.configuration.model_by_place import is_read_later, read_architecture
from benchmark.configuration.overrides import hydra_value
from benchmark.configuration.quoting import as_text
from benchmark.configuration.resolvers import LABELS
from benchmark.data.load import resolve_labels
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.files import replacing
from benchmark.hub import COMMIT, repository_info


def pin(config: RunConfig) -> RunConfig:
    """The configuration with whole commits, and with labels and architecture as its files state them if it names none.

    Reads local files, or asks the hub or else its local cache, where one of them is missing. The labels in the model's
    instruction are written out.
    """
    parameters, dataset = config.model.parameters, pin_dataset(config.dataset)
    if isinstance(text := parameters.get("instruction"), str):
        parameters = parameters | {"instruction": text.replace(LABELS, ", ".join(dataset.words))}
    weights = parameters.get("weights")
    if isinstance(weights, dict) and weights.get("source") == "hub" and isinstance(hub := weights.get("hub"), dict):
        hub_id, revision = (as_text(f"model.weights.hub.{key}", hub.get(key)) for key in ("id", "revision"))
        hub = {**hub, "id": hub_id, "revision": commit_of("model", hub_id, revision)}
        parameters = parameters | {"weights": weights | {"hub": hub}}
    if is_read_later(parameters):
        parameters = parameters | {"architecture": read_architecture(parameters["weights"])}
    return replace(config, dataset=dataset, model=replace(config.model, parameters=parameters))


def pin_dataset(dataset: DatasetConfig) -> DatasetConfig:
    """The part of `pin` about the data set: whole commits, and the labels that its files state if it names none."""
    pinned = _with_commit(dataset)
    return pinned if _names_labels(pinned) else resolve_labels(pinned)


def with_commits(overrides: Sequence[str], config: RunConfig, pinned: RunConfig) -> list[str]:
    """The overrides of `config` with the commits of `pinned`, its pinned form, so that they make the same run again."""
    asked, resolved = _revisions(config), _revisions(pinned)
    changed = [option for option in resolved if resolved[option] != asked[option]]
    kept = [override for override in overrides if override.partition("=")[0].lstrip("+") not in changed]
    return [*kept, *(f"{option}={hydra_value(resolved[option])}" for option in changed)]


def commit_of(kind: str, repository: str, revision: str) -> str:
    """The commit of a revision of a model or dataset; raises `BenchmarkError` if it cannot be resolved.

    A revision that the hub refuses is returned as it is: the later download reports the error.
    """
    if COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub.constants import HF_HUB_CACHE  # slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    cached = Path(HF_HUB_CACHE, f"{kind}s--{repository.replace('/', '--')}", "refs", revision)
    try:
        info = repository_info(kind, repository, revision)
    except (HfHubHTTPError, HFValidationError):
        return revision
    if info is None and cached.is_file() and (known := cached.read_text(encoding="utf-8").strip()):
        return known
    commit = info and info.sha
    if not commit:
        option = {"model": "model.revision or model.weights.hub.revision", "dataset": "dataset.hub.revision"}[kind]
        missing = "The hub does not say" if info else "The hub could not be reached, and the cache does not say"
        raise BenchmarkError(
            f"{missing} which commit {revision!r} of {repository} is.", f"Go online, or set {option} to the commit."
        )
    # Files are fetched by their commit, so the client does not remember the branch.
    with suppress(OSError), replacing(cached) as path:
        path.write_text(commit, encoding="utf-8")
    return str(commit)


def _names_labels(dataset: DatasetConfig) -> bool:
    """Whether labels are named, also for the data set to test on."""
    return bool(dataset.labels) and (dataset.test is None or bool(dataset.test.labels))


def _with_commit(dataset: DatasetConfig) -> DatasetConfig:
    test = dataset.test and _with_commit(dataset.test)
    if dataset.hub is None or dataset.path or dataset.synthetic is not None:
        return replace(dataset, test=test)
    commit = commit_of("dataset", dataset.hub.id, dataset.hub.revision)
    return replace(dataset, hub=replace(dataset.hub, revision=commit), test=test)


def _revisions(config: RunConfig) -> dict[str, str]:
    """The revisions of hub repositories, by option."""
    revisions = {}
    for option, dataset in (("dataset", config.dataset), ("dataset.test", config.dataset.test)):
        if dataset is not None and dataset.hub is not None:
            revisions[f"{option}.hub.revision"] = dataset.hub.revision
    weights = config.model.parameters.get("weights")
    if isinstance(weights, dict) and isinstance(hub := weights.get("hub"), dict):
        option = "model.revision" if config.model_by_id else "model.weights.hub.revision"
        revisions[option] = str(hub.get("revision"))
    return revisions
