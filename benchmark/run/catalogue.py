"""`python -m benchmark.run.catalogue`: write what every shipped model is, without weights or network.

The file it writes is part of the package, so that a report knows the models nobody has run yet.
A test keeps it current.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from benchmark.config import CONF_DIR, build_classifier
from benchmark.results.catalogue import CATALOGUE
from benchmark.run.compose import composed
from benchmark.run.runner import recorded


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmark.run.catalogue", description=__doc__).parse_args()
    CATALOGUE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {CATALOGUE.name}\n")


def text() -> str:
    """The catalogue as JSON: name -> resolved configuration under recipe=paper, and model card."""
    entries: dict[str, dict[str, Any]] = {}
    for name in shipped_models():
        config = composed([f"model={name}"])
        entries[name] = {"config": recorded(config), "card": asdict(build_classifier(config.model).describe())}
    return json.dumps(entries, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def shipped_models() -> list[str]:
    """Every model of `conf/model` that may give a result; the tiny ones exist for tests."""
    return sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml") if not path.stem.startswith("tiny_"))


if __name__ == "__main__":
    main()
