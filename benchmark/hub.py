"""Questions to the Hugging Face Hub, asked once and answered within seconds."""

import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

OFFICIAL_HUB = "https://huggingface.co"
COMMIT = re.compile(r"[0-9a-f]{40}")

T = TypeVar("T")


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
