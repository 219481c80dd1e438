"""Remembers which files of the hub's cache came from another server than the official hub.

The cache itself does not say. Weights from a mirror may be others than those of the same name on the hub.
"""

from pathlib import Path

from huggingface_hub.constants import ENDPOINT

OFFICIAL_HUB = "https://huggingface.co"


def other_endpoint(snapshot: Path) -> str | None:
    """The server that these files came from, if it was not the official hub."""
    marker = _marker(snapshot)
    return marker.read_text(encoding="utf-8") if marker.is_file() else None


def must_download_again(snapshot: Path) -> bool:
    """Whether the official hub serves these files, but the cached ones came from elsewhere."""
    return ENDPOINT == OFFICIAL_HUB and other_endpoint(snapshot) is not None


def remember_endpoint(snapshot: Path) -> None:
    """Write down where these files were just downloaded from."""
    if ENDPOINT == OFFICIAL_HUB:
        _marker(snapshot).unlink(missing_ok=True)
    else:
        _marker(snapshot).parent.mkdir(exist_ok=True)
        _marker(snapshot).write_text(ENDPOINT, encoding="utf-8")


def _marker(snapshot: Path) -> Path:
    """The cache of a repository has snapshots/COMMIT; this is endpoints/COMMIT beside it."""
    return snapshot.parent.parent / "endpoints" / snapshot.name
