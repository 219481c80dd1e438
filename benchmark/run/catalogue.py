"""`python -m benchmark.run.catalogue`: write what every shipped model is, without weights or network.

The file is part of the package, so that a report knows models that nobody has run yet. A test keeps it current.
"""

import argparse
import json
import sys
from dataclasses import asdict, fields
from typing import Any

from omegaconf import OmegaConf

from benchmark.config import CONF_DIR, RunConfig
from benchmark.configuration.compose import build_classifier, compose, model_class
from benchmark.configuration.published import spec_of
from benchmark.interface import ADDED_LATER
from benchmark.results.catalogue import CATALOGUE


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmark.run.catalogue", description=__doc__).parse_args()
    CATALOGUE.write_text(catalogue(), encoding="utf-8")
    sys.stdout.write(f"wrote {CATALOGUE.name}\n")


def catalogue() -> str:
    """The catalogue as JSON: model name -> the values of its `CatalogueEntry`."""
    entries: dict[str, dict[str, Any]] = {}
    for name in shipped_models():
        entries[name] = _entry(compose([f"model={name}"]))
    return json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def shipped_models() -> list[str]:
    """The models of `conf/model` that declare what they are; the tiny ones are for tests.

    The others are known by an id or a folder, and described by their checkpoint once they have run.
    """
    names = [path.stem for path in (CONF_DIR / "model").glob("*.yaml") if not path.stem.startswith("tiny_")]
    return sorted(name for name in names if not is_by_place(name))


def _entry(config: RunConfig) -> dict[str, Any]:
    """The model's spec under recipe=paper, its card, and the defaults of the options it sets that were added later."""
    spec = spec_of(config).as_json()
    entry = {"config": spec, "card": asdict(build_classifier(config.model).describe())}
    options = fields(model_class(config.model))
    later = {option.name: option.default for option in options if ADDED_LATER in option.metadata}
    if set_here := later.keys() & spec["model"]["parameters"].keys():
        entry["later_defaults"] = {name: later[name] for name in sorted(set_here)}
    return entry


def is_by_place(name: str) -> bool:
    """Whether the model's YAML is encoder.yaml or decoder.yaml, or a few lines on top of one of them."""
    inherited = OmegaConf.select(OmegaConf.load(CONF_DIR / "model" / f"{name}.yaml"), "defaults", default=[])
    return bool({name, *map(str, inherited)} & {"encoder", "decoder"})


if __name__ == "__main__":
    main()
