"""The folder of a sweep, where its jobs leave their outcomes."""

import shutil
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

OUTCOMES = "outcomes"
"""The subfolder of a sweep with one file for each job's outcome, named by the job's number."""


class SweepFolder(Callback):
    """Hydra's callback that remembers the folder of the sweep, where jobs leave their outcomes."""

    path: Path | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        SweepFolder.path = Path(config.hydra.sweep.dir).absolute()
        shutil.rmtree(SweepFolder.path / OUTCOMES, ignore_errors=True)  # of an earlier sweep in the same folder
