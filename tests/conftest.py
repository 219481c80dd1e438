"""Fixtures for all tests: the folder of the real data, and composed configurations."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from chromium import CHROMIUM
from shipped_configurations import composer

from benchmark.config import RunConfig

os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {}
    if not os.environ.get("EMOTION_DATA"):
        missing["real_data"] = "set EMOTION_DATA to the folder with the official splits"
    if CHROMIUM is None:
        missing["browser"] = "put Chromium on PATH (Debian: apt-get install chromium)"
    for marker, reason in missing.items():
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the results and documents as git's index has them, without a user's own runs and changes."""
    folder = tmp_path_factory.mktemp("shipped")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "results", "docs", "notebooks", "README.md"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    write = ["git", "checkout-index", "-z", "--stdin", f"--prefix={folder}/"]
    subprocess.run(write, cwd=ROOT, input=listed.stdout, check=True)
    return folder


@pytest.fixture
def emotion() -> Path:
    return Path(os.environ["EMOTION_DATA"])


@pytest.fixture
def compose_run(tmp_path: Path) -> Callable[..., RunConfig]:
    return composer(tmp_path)
