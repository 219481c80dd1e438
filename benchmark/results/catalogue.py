"""The shipped models, run or not: their specs under recipe=paper and their cards, kept in models.json."""

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.config import RunSpec
from benchmark.interface import ModelCard

CATALOGUE = Path(__file__).with_name("models.json")


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that can be asked for.

    `later_defaults` are the defaults of the options that it sets and that records leave out at their default.
    """

    config: RunSpec
    card: ModelCard
    later_defaults: dict[str, Any] = field(default_factory=dict)


@cache
def read_catalogue() -> dict[str, CatalogueEntry]:
    """The models of models.json, which `python -m benchmark.run.catalogue` writes, by name."""
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {
        name: CatalogueEntry(
            RunSpec.from_json(entry["config"]), ModelCard.from_json(entry["card"]), entry.get("later_defaults", {})
        )
        for name, entry in entries.items()
    }
