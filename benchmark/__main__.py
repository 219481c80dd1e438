"""`python -m benchmark`: compose the configuration, run it, show how it stands."""

import logging
import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from benchmark.classifier import BenchmarkError
from benchmark.config import CONF_DIR, from_hydra
from benchmark.job import Stopped, attempt, attempt_apart, heed_signals
from benchmark.leaderboard import Closing
from benchmark.terminal import INTERRUPTED

log = logging.getLogger(__name__)


@hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
def job(composed: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    added = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    overrides = [*(f"--config-dir={folder}" for folder in added), *hydra_config.overrides.task]
    sweeping = hydra_config.mode is RunMode.MULTIRUN
    try:
        config = from_hydra(composed)
    except BenchmarkError as error:
        if sweeping:  # at the end of a sweep Hydra tells the first job's reason only
            log.error("%s: %s", " ".join(overrides), error)
        raise Stopped(str(error)) from None
    if sweeping:
        heed_signals()
        attempt_apart(config, overrides, OmegaConf.to_container(hydra_config.job_logging, resolve=True))
    else:
        attempt(config, overrides)


def main() -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":  # else one process holds the run's lock while it waits for the others
        sys.exit("A run is one process on one device; start it by python -m benchmark, without torchrun or accelerate.")
    try:
        job()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; the same command continues from the last checkpoint, if there is one yet.\n")
        sys.exit(INTERRUPTED)
    finally:
        Closing.print()


if __name__ == "__main__":
    main()
