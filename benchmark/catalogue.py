"""`python -m benchmark.catalogue`: what every contestant is, computed without weights or network.

The file it writes is part of the package, so that a report knows the models nobody has run yet.
A test keeps it current.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from benchmark.classifier import BenchmarkError
from benchmark.config import CONF_DIR, RunConfig, build_classifier, from_hydra
from benchmark.records import CATALOGUE
from benchmark.runner import recorded


def main() -> None:
    CATALOGUE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {CATALOGUE.name}\n")


def text() -> str:
    """The catalogue as JSON: name -> resolved configuration under recipe=paper, and model card."""
    entries: dict[str, dict[str, Any]] = {}
    for name in contestants():
        config = composed([f"model={name}"])
        entries[name] = {"config": recorded(config), "card": asdict(build_classifier(config.model).describe())}
    return json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def contestants() -> list[str]:
    """Every model of `conf/model` that may give a result; the tiny ones exist for tests."""
    return sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml") if not path.stem.startswith("tiny_"))


def composed(overrides: list[str]) -> RunConfig:
    """The run that these command-line overrides ask for."""
    try:
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return from_hydra(compose("config", overrides=overrides))
    except HydraException as error:
        said = " ".join(str(error).partition("Config search path")[0].split())
        raise BenchmarkError(f"The overrides cannot be composed: {said}") from error


if __name__ == "__main__":
    main()
