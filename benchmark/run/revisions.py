"""What a configuration leaves to the hub: the commits of its branches and tags, and the architecture of weights.

A record names what was read.
"""

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.config import RunConfig
from benchmark.errors import BenchmarkError
from benchmark.run.checkpoint import is_read_later, read_architecture

COMMIT = re.compile(r"[0-9a-f]{40}")


def pinned(config: RunConfig) -> RunConfig:
    """The configuration with whole commits, and with the architecture of the checkpoint if none is declared.

    Asks the hub, or else its local cache, where one of them is missing.
    """
    dataset, parameters = config.dataset, config.model.parameters
    if dataset.hub is not None and dataset.path is None and dataset.synthetic is None:
        commit = commit_of("dataset", dataset.hub.id, dataset.hub.revision)
        dataset = replace(dataset, hub=replace(dataset.hub, revision=commit))
    weights = parameters.get("weights")
    if isinstance(weights, dict) and weights.get("source") == "hub" and isinstance(hub := weights.get("hub"), dict):
        hub = hub | {"revision": commit_of("model", hub["id"], hub["revision"])}
        parameters = parameters | {"weights": weights | {"hub": hub}}
    if is_read_later(parameters):
        parameters = parameters | {"architecture": read_architecture(parameters["weights"])}
    return replace(config, dataset=dataset, model=replace(config.model, parameters=parameters))


def commit_of(kind: str, repository: str, revision: Any) -> str:
    """The commit of a revision of a model or dataset; raises `BenchmarkError` if nobody can tell.

    A revision that the hub refuses is returned as it is: whoever reads the files reports it.
    """
    if COMMIT.fullmatch(str(revision)):
        return str(revision)
    import httpx2  # the transport of huggingface_hub
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = Path(HF_HUB_CACHE, f"{kind}s--{repository.replace('/', '--')}", "refs", revision)
    try:
        info = huggingface_hub.HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=10)
    except (httpx2.TransportError, huggingface_hub.errors.OfflineModeIsEnabled) as error:
        if cached.is_file():
            return cached.read_text(encoding="utf-8").strip()
        option = {"model": "model.revision or model.weights.hub.revision", "dataset": "dataset.hub.revision"}[kind]
        raise BenchmarkError(
            f"The hub could not be reached, and the cache does not say which commit {revision!r} of {repository} is.",
            f"Go online, or set {option} to the commit.",
        ) from error
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return str(revision)
    with suppress(OSError):  # files are fetched by their commit, so the client does not remember the branch
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(info.sha or "", encoding="utf-8")
    return info.sha or ""
