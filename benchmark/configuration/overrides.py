"""Overrides of the command line: written so that Hydra and a shell read them back, and explained when refused."""

import re
import shlex
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from benchmark.errors import BenchmarkError

SIMPLE = re.compile(r"(?!(null|true|false|nan|inf)$)[a-zA-Z_/][a-zA-Z0-9_./@-]*", re.IGNORECASE | re.ASCII)
"""Texts that need no quotes in an override."""
PLUGINS = {
    "hydra/launcher/joblib": "hydra-joblib-launcher==1.2.0",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher==1.2.0",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher==1.2.0",
    "hydra/launcher/ray": "hydra-ray-launcher==1.2.2",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper==1.3.0",
}
"""Choices that a plugin of Hydra brings, and the package of that plugin."""
AS_GROUPS = {"dataset.test": "dataset@dataset.test", "model.prompt": "prompt@model.prompt"}
"""Options that choose a file for a part of a group, as users write them -> as Hydra reads them."""
Compose = Callable[[list[str]], DictConfig]
"""Composes the configuration of overrides; raises one of `REFUSALS`."""
REFUSALS = (HydraException, OmegaConfBaseException, MarkedYAMLError, UnicodeDecodeError)
"""What Hydra raises for overrides and for YAML files that it cannot read."""


def check_named(overrides: Sequence[str]) -> None:
    """Raise `BenchmarkError` for an override without an option, for which Hydra raises a bare `ValueError`."""
    for override in overrides:
        if re.match(r"[+~]*[=@:]", override):
            raise _unreadable(override)


def parse(override: str) -> Override:
    """The parts of an override; raises `OverrideParseException` if Hydra cannot read it."""
    return OverridesParser.create().parse_overrides([override])[0]


def with_groups(overrides: Sequence[str]) -> list[str]:
    """The overrides as Hydra reads them: a data set to test on and a prompt are choices of files, not values."""
    return [_as_group(override) for override in overrides]


def as_written(override: str) -> str:
    """An override as users write it."""
    for option, group in AS_GROUPS.items():
        if override == f"~{group}":
            return f"{option}=null"
        if override.startswith(f"{group}="):
            return option + override.removeprefix(group)
    return override


def element(override: str) -> Any:
    """The value of an override that is no sweep: numbers, text, lists and dictionaries. Quotes are removed."""
    return _plain_element(parse(override)._value)


def hydra_value(value: Any) -> str:
    """A value as Hydra reads it in an override."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_key(key)}:{hydra_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    if isinstance(value, str):
        return value if SIMPLE.fullmatch(value) else text_value(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def text_value(text: str) -> str:
    """A text as Hydra reads it in an override, whatever it contains."""
    return str(QuotedString(text=text, quote=Quote.double).with_quotes())


def in_shell(override: str) -> str:
    """The override as one word of a shell command."""
    return shlex.quote(override)


def refusal_error(error: Exception, overrides: Sequence[str], compose: Compose) -> BenchmarkError:
    """Why Hydra raised one of `REFUSALS`, and what to write instead."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        place = f"{error.problem_mark.name}, line {error.problem_mark.line + 1}"
        return BenchmarkError(f"{place}: the YAML is invalid ({error.problem}).", "Correct the file.")
    if isinstance(error, UnicodeDecodeError):
        return BenchmarkError(
            f"A YAML file of the configuration is not UTF-8 ({error.reason}).", "Save those in --config-dir as UTF-8."
        )
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return _no_such_choice(error.missing_cfg_file, error.options or ())
    if (
        several := next((override for override in overrides if sweeps(override) and override in str(error)), None)
    ) is not None:
        return _several_values(several)
    if (option := getattr(error.__cause__, "full_key", None)) is not None:
        return _no_such_option(option, overrides, compose)
    problem = " ".join(str(error).partition("Config search path")[0].split()).rstrip(".")
    return BenchmarkError(f"Hydra refused the overrides: {problem}.", "Correct the override.")


def closest(name: str, options: Sequence[str]) -> str | None:
    """The option that was probably meant."""
    plain = {_plain(option): option for option in options}
    return next((plain[match] for match in get_close_matches(_plain(name), plain, n=1)), None)


def sweeps(override: str) -> bool:
    """Whether the override gives several values."""
    try:
        return parse(override).is_sweep_override()
    except OverrideParseException:
        return False


def choices(override: str) -> list[str]:
    """The values of `group=value`, several for a sweep: `model=a,b`, `model=choice(a,b)` or `model=glob(a*)`.

    What cannot be listed is returned as it is, and refused where it is composed: an interval, or a glob while Hydra is
    not initialised.
    """
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None
    try:
        return list(OverridesParser.create(loader).parse_overrides([override])[0].sweep_string_iterator())
    except HydraException:
        return [override.partition("=")[2]]


def _as_group(override: str) -> str:
    option, _, value = override.partition("=")
    group = AS_GROUPS.get(option)
    if group is None:
        return override
    return f"~{group}" if value == "null" else f"{group}={value}"


def _unreadable(override: str) -> BenchmarkError:
    option, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[+~]*\w[\w./@:-]*", option):
        return BenchmarkError(f"{override} is not an override.", "Write option=value, for example seed=1.")
    if value.startswith("~/"):
        return BenchmarkError(f"The shell left ~ as it is in {override}.", f'Write "{option}=$HOME{value[1:]}".')
    quoted = in_shell(f"{option}={text_value(value)}")
    return BenchmarkError(f"Hydra cannot read {override}.", f"If the value is a text, quote it: {quoted}")


def _no_such_choice(missing: str, options: Sequence[str]) -> BenchmarkError:
    """The error for a file that a group does not have, or a plugin that is not installed."""
    group, _, name = missing.rpartition("/")
    if missing in PLUGINS:
        return BenchmarkError(
            f"{group}={name} needs a package that is not installed: {PLUGINS[missing]}.",
            f"Run pip install {PLUGINS[missing]} in the environment of this project.",
        )
    shown = [option for option in options if not option.startswith("tiny_")]
    meant = closest(name, options if name.startswith("tiny") else shown)
    question = f"Did you mean {meant}? " if meant else ""
    listed = f"Choices are {', '.join(shown)}." if shown else "Correct it."
    return BenchmarkError(f"{group}={name} is not available.", f"{question}{listed}")


def _several_values(override: str) -> BenchmarkError:
    option, _, value = override.partition("=")
    quoted = in_shell(f"{option}={text_value(value)}")
    return BenchmarkError(
        f"{override} gives several values to one run.",
        f"Give one value, or for python -m benchmark one run per value with -m. If it is one text, quote it: {quoted}",
    )


def _no_such_option(option: str, overrides: Sequence[str], compose: Compose) -> BenchmarkError:
    """The error for an option that does not exist; `option` is the shortest part of its name that does not."""
    group, _, name = option.rpartition(".")
    kept = [override for override in overrides if option not in override and not sweeps(override)]
    try:
        config = compose(kept)
    except REFUSALS:
        config = compose([])
    node = OmegaConf.select(config, group) if group else config
    options = [str(key) for key in node if key != "_target_"] if isinstance(node, DictConfig) else []
    meant = closest(name, options)
    prefix = f"{group}." if group else ""
    other = "Leave it out, or choose another model. " if group == "model" else ""
    question = f"Did you mean {prefix}{meant}? " if meant else other
    listed = f"Options of {group} are" if group else "Options are"
    fix = f"{question}{listed} {', '.join(options)}." if options else "Correct it or leave it out."
    return BenchmarkError(f"There is no option {option}.", fix)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _plain_element(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, dict):
        return {key: _plain_element(inner) for key, inner in value.items()}
    return [_plain_element(inner) for inner in value] if isinstance(value, list) else value


def _key(key: Any) -> str:
    return hydra_value(key.text if isinstance(key, QuotedString) else key)
