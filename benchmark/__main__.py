"""`python -m benchmark`: compose the configuration, run it, show how it stands."""

import logging
import os
import signal
import sys
import warnings
from types import FrameType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from benchmark.classifier import BenchmarkError
from benchmark.config import CONF_DIR, from_hydra
from benchmark.leaderboard import Closing

log = logging.getLogger(__name__)


class Stopped(CompactHydraException):
    """A failed run, shown by Hydra as its one sentence and exit code 1."""


@hydra.main(config_path=str(CONF_DIR), config_name="config", version_base="1.3")
def job(composed: DictConfig) -> None:
    from benchmark import report, runner  # --help and --cfg need neither

    quiet_libraries()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        config = from_hydra(composed)
    except BenchmarkError as error:
        raise Stopped(str(error)) from None
    try:
        runner.run(config, list(HydraConfig.get().overrides.task))
    except BenchmarkError as error:
        log.error("%s failed: %s", config.model.name, error)
        raise Stopped(str(error)) from None
    except Exception as error:
        log.exception("%s failed", config.model.name)
        raise Stopped(f"{type(error).__name__}: {error}") from None
    finally:
        report.refresh(config.results_dir)


def quiet_libraries() -> None:
    """Keep the terminal for the run's own story."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("httpx", "filelock", "urllib3", "fsspec", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Could not find a config file")  # peft, of weights from a GGUF file


def interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {signal.Signals(signum).name}")


def main() -> None:
    try:
        job()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; the same command continues from the last checkpoint.\n")
        sys.exit(130)
    finally:
        Closing.print()


if __name__ == "__main__":
    main()
