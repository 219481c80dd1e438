"""Questions to the Hugging Face Hub, asked once and answered within seconds, and the server of downloaded files."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmark.errors import BenchmarkError

OFFICIAL_HUB = "https://huggingface.co"
COMMIT = re.compile(r"[0-9a-f]{40}")

T = TypeVar("T")


def short_revision(revision: str) -> str:
    """The first digits of a commit; a branch or tag as it is."""
    return revision[:8] if COMMIT.fullmatch(revision) else revision


def endpoint() -> str:
    """The server that the Hub's client asks: the official Hub, or the mirror in HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT", OFFICIAL_HUB).rstrip("/")


def repository_info(kind: str, repository: str, revision: str) -> Any | None:
    """What the Hub says about a revision of a model or dataset; see `ask`."""
    import huggingface_hub  # slow to import

    return ask(lambda: huggingface_hub.HfApi().repo_info(repository, repo_type=kind, revision=revision, timeout=10))


def ask(question: Callable[[], T]) -> T | None:
    """The Hub's answer; None if it cannot be reached or is overloaded. Raises `HfHubHTTPError` if it refuses."""
    import httpx2  # the transport of huggingface_hub, slow to import
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        return question()
    except (httpx2.TransportError, OfflineModeIsEnabled):
        return None
    except HfHubHTTPError as error:
        if error.response.status_code == httpx2.codes.TOO_MANY_REQUESTS or error.response.status_code >= 500:
            return None
        raise


@contextmanager
def model_errors(repository: str, revision: str, instead: str) -> Iterator[None]:
    """Turn the errors of the Hub's client about a model into a `BenchmarkError`; `instead` is what also helps."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (OSError, errors.HFValidationError, httpx2.TransportError) as error:  # the client's others are OSErrors
        revision = short_revision(revision)
        match error:
            case errors.GatedRepoError():
                problem, fix = "is gated.", "Accept its licence on the hub and set HF_TOKEN to your token"
            case errors.RepositoryNotFoundError() | errors.RevisionNotFoundError() | errors.HFValidationError():
                problem = f"at {revision} is not on the hub, or HF_TOKEN does not give access to it."
                fix = "Check both"
            case errors.RemoteEntryNotFoundError():
                problem = f"at {revision} has no config.json."
                fix = "Name a model in transformers' format, not an adapter alone (model.adapter)"
            case _:
                reason = type(error).__name__
                problem = f"is not in the local cache and could not be downloaded from the hub ({reason})."
                fix = "Go online once"
        raise BenchmarkError(f"{repository} {problem}", f"{fix}, or {instead} if you have it already.") from error


def other_server(marker: Path) -> str | None:
    """The server that the files of this marker came from, if it was not the official Hub."""
    return marker.read_text(encoding="utf-8") if marker.is_file() else None


@contextmanager
def recording_server(marker: Path, cached: bool) -> Iterator[bool]:
    """Record in `marker` which server the files come from that this block downloads.

    Yields True if the block must download all files again, those that are `cached` included: files of another server
    are downloaded again from the official Hub, and unfinished ones also from a third server. The marker is written
    before the download starts, so that an interrupted one is marked too.
    """
    server, earlier = endpoint(), other_server(marker)
    is_official = server == OFFICIAL_HUB
    if not is_official and not cached:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(server, encoding="utf-8")
    yield earlier is not None and (is_official or (not cached and earlier != server))
    if is_official:
        marker.unlink(missing_ok=True)
