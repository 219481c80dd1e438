"""Removes local paths from what is published: only their last part remains, and a hash of the files read there."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from benchmark.config import FOLDERS, RunConfig, RunSpec
from benchmark.errors import BenchmarkError
from benchmark.interface import READS_FILES
from benchmark.run.compose import model_class

UNPUBLISHED = (*FOLDERS, "dataset.path", "hydra.")
"""Beginnings of the options that records leave out."""


def spec_of(config: RunConfig) -> RunSpec:
    """What the run computes, without local paths. Reads the model's local files, to hash them."""
    parameters = _without_paths(model_class(config.model), asdict(config.model)["parameters"])
    model = replace(config.model, parameters=parameters)
    return RunSpec(model, replace(config.dataset, path=None), config.recipe, config.seed)


def published_overrides(config: RunConfig, overrides: Sequence[str]) -> list[str]:
    """The overrides without those that name folders, and with DIR/ in place of the folder of other paths."""
    names = "|".join({"path", *_file_options(model_class(config.model))})  # `path` is also that of the data
    published = []
    for override in overrides:
        option, _, value = override.partition("=")
        if option.lstrip("+~").startswith(UNPUBLISHED):
            continue
        if re.fullmatch(rf"(.*\.)?({names})|--config-dir", option):
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
    published = dict(parameters)
    for name, (patterns, nested) in _fields(schema).items():
        value = parameters.get(name)
        if patterns and value is not None:
            published[name] = _name_and_hash(Path(value), patterns)
        elif nested is not None and isinstance(value, dict):
            published[name] = _without_paths(nested, value)
    return published


def _file_options(schema: type[Any]) -> list[str]:
    names = []
    for name, (patterns, nested) in _fields(schema).items():
        names += [name] if patterns else []
        names += _file_options(nested) if nested is not None else []
    return names


def _fields(schema: type[Any]) -> dict[str, tuple[Sequence[str], type[Any] | None]]:
    """Field name -> the patterns of the files that it reads, and the dataclass of its value, if it is one."""
    hints = get_type_hints(schema)
    found: dict[str, tuple[Sequence[str], type[Any] | None]] = {}
    for one in fields(schema):
        types = (hints[one.name], *get_args(hints[one.name]))
        nested = next(
            (candidate for candidate in types if isinstance(candidate, type) and is_dataclass(candidate)), None
        )
        found[one.name] = (one.metadata.get(READS_FILES, ()), nested)
    return found


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
