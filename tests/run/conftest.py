"""Shared by the tests of runs that are killed, stopped or starved."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child_processes import STEPS, finish, moved_to

from benchmark.config import RunConfig
from benchmark.results.store import Run


@pytest.fixture
def one_thread_per_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def config(compose_run: Callable[..., RunConfig]) -> RunConfig:
    """A run with dropout whose last epoch is incomplete."""
    return compose_run("model=tiny_bert", f"recipe.max_steps={STEPS}", "recipe.learning_rate=1e-3")


@pytest.fixture
def reference(config: RunConfig, tmp_path: Path, one_thread_per_process: None) -> Run:
    return finish(moved_to(config, tmp_path / "reference"))
