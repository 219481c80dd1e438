"""Removes local paths from what is published: only their last part remains, and a hash of the files read there."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from benchmark.config import FOLDERS, RunConfig, RunSpec
from benchmark.errors import BenchmarkError
from benchmark.interface import ADDED_LATER, READS_FILES
from benchmark.run.compose import model_class, nested_schema

UNPUBLISHED = (*FOLDERS, "dataset.path", "hydra.")
"""Beginnings of the options that records leave out."""


def spec_of(config: RunConfig) -> RunSpec:
    """What the run computes, without local paths. Reads the model's local files, to hash them."""
    parameters = _without_paths(model_class(config.model), asdict(config.model)["parameters"])
    model = replace(config.model, parameters=parameters)
    return RunSpec(model, replace(config.dataset, path=None), config.recipe, config.seed)


def published_overrides(config: RunConfig, overrides: Sequence[str]) -> list[str]:
    """The overrides without those that name folders, and with DIR/ in place of the folder of other paths."""
    names = "|".join({"path", *_file_options(model_class(config.model))})  # dataset.path is one too
    published = []
    for override in overrides:
        option, _, value = override.partition("=")
        if option.lstrip("+~").startswith(UNPUBLISHED):
            continue
        if value == "null":
            published.append(override)
        elif re.fullmatch(rf"(.*\.)?({names})|--config-dir", option):
            published.append(f"{option}=DIR/{_last_part(value)}")
        else:  # a path may be part of a dictionary, as in model.weights={source:folder,path:/tmp/mine}
            inside = rf"\b({names}): *([^,}}]+)"
            published.append(re.sub(inside, lambda found: f"{found[1]}:DIR/{_last_part(found[2])}", override))
    return published


def without_home(text: str) -> str:
    """`text` with ~ in place of the user's home folder."""
    home = os.environ.get("HOME", "").rstrip("/")
    return re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text) if home else text


def _last_part(value: str) -> str:
    return Path(value.strip("\"' ")).name


def _without_paths(schema: type[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as records have them: names and hashes of files, and no later options at their default."""
    published = dict(parameters)
    for one in fields(schema):
        value, nested = parameters.get(one.name), nested_schema(schema, one.name)
        if ADDED_LATER in one.metadata and value == one.default:
            published.pop(one.name, None)
        elif READS_FILES in one.metadata and value is not None:
            published[one.name] = _name_and_hash(Path(value), one.metadata[READS_FILES])
        elif nested is not None and isinstance(value, dict):
            published[one.name] = _without_paths(nested, value)
    return published


def _file_options(schema: type[Any]) -> list[str]:
    names = [one.name for one in fields(schema) if READS_FILES in one.metadata]
    nested = filter(None, (nested_schema(schema, one.name) for one in fields(schema)))
    return names + [name for inner in nested for name in _file_options(inner)]


def _name_and_hash(path: Path, patterns: Sequence[str]) -> str:
    """The last part of the path, with a hash of the file, or of the files in the folder that match a pattern."""
    files = [path] if path.is_file() else sorted(file for pattern in patterns for file in path.glob(pattern))
    content = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    content.update(block)
        except OSError as error:
            raise BenchmarkError(f"{file} cannot be read ({error.strerror}).", "Make it a readable file.") from error
    return path.name + (f"@{content.hexdigest()[:12]}" if files else "")
