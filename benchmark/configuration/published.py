"""Removes local paths from what is published: only their last part remains, and a hash of the files read there."""

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.config import FOLDERS, RunConfig, RunSpec
from benchmark.configuration.compose import model_class
from benchmark.configuration.overrides import as_written, element, hydra_value
from benchmark.configuration.structured import nested_schema
from benchmark.dataset_config import DatasetConfig
from benchmark.errors import BenchmarkError
from benchmark.files import sha256_of_file
from benchmark.interface import ADDED_LATER, READS_FILES

UNPUBLISHED = (*FOLDERS, "dataset.path", "dataset.test.path", "hydra.")
"""Beginnings of the options that records leave out."""


def spec_of(config: RunConfig) -> RunSpec:
    """What the run computes, without local paths. Reads the model's local files, to hash them."""
    parameters = _without_paths(model_class(config.model), asdict(config.model)["parameters"])
    model = replace(config.model, parameters=parameters)
    return replace(config.spec, model=model, dataset=_without_files(config.dataset))


def published_overrides(config: RunConfig, overrides: Sequence[str]) -> list[str]:
    """The overrides that do not name folders, with DIR/ in place of the folder of other paths."""
    paths = {"path", *_file_options(model_class(config.model))}  # dataset.path is one too
    kept = [as_written(override) for override in overrides if not override.lstrip("+~").startswith(UNPUBLISHED)]
    return [_hide_paths(override, paths) for override in kept]


def without_home(text: str) -> str:
    """`text` with ~ in place of the user's home folder."""
    home = os.environ.get("HOME", "").rstrip("/")
    return re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text) if home else text


def _without_files(dataset: DatasetConfig) -> DatasetConfig:
    """The data set without where its files are and how they are written: its content has a hash."""
    return replace(dataset, path=None, files=None, test=dataset.test and _without_files(dataset.test))


def _hide_paths(override: str, paths: set[str]) -> str:
    """The override as it was written, or written again if it has a path, which may be inside a dictionary."""
    option, _, value = override.partition("=")
    if option == "--config-dir":
        return f"{option}={_without_folder(value)}"
    read = element(override)
    changed = _with_hidden_paths(read, paths, option.rpartition(".")[2] in paths)
    return override if changed == read else f"{option}={hydra_value(changed)}"


def _with_hidden_paths(value: Any, paths: set[str], is_path: bool) -> Any:
    """A parsed value with DIR/ in place of the folder of each path."""
    if isinstance(value, dict):
        return {key: _with_hidden_paths(inner, paths, str(key) in paths) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_hidden_paths(inner, paths, False) for inner in value]
    return value if not is_path or value is None else _without_folder(str(value))


def _without_folder(path: str) -> str:
    return f"DIR/{_last_part(Path(path))}"


def _last_part(path: Path) -> str:
    """The name of the file or folder, also of one such as `.` or `..`."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _without_paths(schema: type[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as records have them: names and hashes of files, and no later options at their default."""
    published = dict(parameters)
    for option in fields(schema):
        value, nested = parameters.get(option.name), nested_schema(schema, option.name)
        default: Any = option.default
        if ADDED_LATER in option.metadata and value == (vars(default) if is_dataclass(default) else default):
            published.pop(option.name, None)
        elif READS_FILES in option.metadata and value is not None:
            published[option.name] = _name_and_hash(Path(str(value)), option.metadata[READS_FILES])
        elif nested is not None and isinstance(value, dict):
            published[option.name] = _without_paths(nested, value)
    return published


def _file_options(schema: type[Any]) -> list[str]:
    names = [option.name for option in fields(schema) if READS_FILES in option.metadata]
    nested = filter(None, (nested_schema(schema, option.name) for option in fields(schema)))
    return names + [name for inner in nested for name in _file_options(inner)]


def _name_and_hash(path: Path, patterns: Sequence[str]) -> str:
    """The last part of the path, with a hash of the file, or of the files in the folder that match a pattern."""
    files = [path] if path.is_file() else sorted(file for pattern in patterns for file in path.glob(pattern))
    try:
        content = sha256_of_file(*files)
    except OSError as error:
        problem = f"{error.filename or path} cannot be read ({error.strerror})."
        raise BenchmarkError(problem, "Make it a readable file.") from error
    return _last_part(path) + (f"@{content[:12]}" if files else "")
