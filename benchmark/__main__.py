"""`python -m benchmark`: compose the configuration, run it, show the leaderboard."""

import logging
import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchmark.command import Stopped, attempt, attempt_in_process
from benchmark.config import CONF_DIR
from benchmark.errors import BenchmarkError
from benchmark.run.callback import Started
from benchmark.run.compose import from_hydra
from benchmark.run.sweep import handle_signals
from benchmark.terminal import INTERRUPTED

log = logging.getLogger(__name__)


@hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
def job(values: DictConfig) -> None:
    """One job: the run of a plain command, or one run of a sweep."""
    hydra_config = HydraConfig.get()
    added = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    overrides = [*(f"--config-dir={folder}" for folder in added), *hydra_config.overrides.task]
    sweeping = hydra_config.mode is RunMode.MULTIRUN
    try:
        config = from_hydra(values)
    except BenchmarkError as error:
        if sweeping:  # at the end of a sweep Hydra prints the message of the first failed job only
            log.error("%s: %s", " ".join(overrides), error)
        raise Stopped(str(error)) from None
    if sweeping:
        handle_signals()
        attempt_in_process(config, overrides, OmegaConf.to_container(hydra_config.job_logging, resolve=True))
    else:
        attempt(config, overrides)


def main() -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":  # several processes would wait for each other's lock of the run
        sys.exit(
            "A run is one process on one device. Start it with `python -m benchmark`, not with torchrun or accelerate."
        )
    try:
        job()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. The same command continues from the last checkpoint, if there is one.\n")
        sys.exit(INTERRUPTED)
    finally:
        if Started.results_dir is not None:
            from benchmark.report.terminal import print_standing  # --help does not wait for pandas

            print_standing(Started.results_dir, Started.dataset, Started.at)


if __name__ == "__main__":
    main()
