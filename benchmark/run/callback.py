"""The Hydra callback that notes when a command started and where its results go."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class Started(Callback):
    """Set when a run or sweep starts; `results_dir` stays None for --help and --cfg."""

    results_dir: ClassVar[Path | None] = None
    dataset: ClassVar[str] = ""
    at: ClassVar[str] = ""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        results_dir = OmegaConf.select(config, "results_dir")
        Started.results_dir = None if results_dir is None else Path(results_dir)
        Started.dataset = str(OmegaConf.select(config, "dataset.name"))
        Started.at = datetime.now(UTC).isoformat(timespec="seconds")

    on_multirun_start = on_run_start
