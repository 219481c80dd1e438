"""The models that can be asked for, run or not: their configurations and cards, kept in models.json."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.interface import ModelCard

CATALOGUE = Path(__file__).with_name("models.json")


@dataclass(frozen=True)
class Contestant:
    """A model that can be asked for: its resolved configuration under recipe=paper, and its card."""

    config: dict[str, Any]
    card: ModelCard


@cache
def read_contestants() -> dict[str, Contestant]:
    """The catalogue that `python -m benchmark.catalogue` keeps, by model name."""
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {name: Contestant(entry["config"], ModelCard(**entry["card"])) for name, entry in entries.items()}
