"""The options in an `adapter_config.json`: those with a known effect are read, any other is refused by name."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines.weights.heads import HEADS
from baselines.weights.lora import SEQ_CLS
from benchmark.errors import BenchmarkError

CONFIG_FILE = "adapter_config.json"  # peft's file name

READ = {"peft_type", "task_type", "r", "lora_alpha", "use_rslora", "fan_in_fan_out", "base_model_name_or_path"}
IN_THE_TENSORS = {"target_modules", "exclude_modules"}  # the saved matrices show what they selected
WITHOUT_EFFECT = {"auto_mapping", "peft_version", "revision", "inference_mode", "lora_dropout", "eva_config",
                  "megatron_core", "qalora_group_size", "runtime_config"}  # fmt: skip
"""Options that change no prediction: of training, of loading, or parameters of an option that is off."""
SUPPORTED_VALUES = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),  # the others change the base model as well
}
MERGE_FIRST = (
    "Merge it into its base model with merge_and_unload() of the peft that made it, save that with the tokenizer, and "
    "set model.train=false model.weights.source=folder model.weights.path=FOLDER."
)
PREDICT_WITH_PEFT = "Predict with peft and score the predictions with model=external model.path=FILE."
OTHER_REMEDIES = {
    "init_lora_weights": "Convert it to a plain LoRA adapter when saving it, with peft's "
    "path_initial_model_for_weight_conversion. If that is not possible: "
    f"{PREDICT_WITH_PEFT[0].lower()}{PREDICT_WITH_PEFT[1:]}",
    "alora_invocation_tokens": PREDICT_WITH_PEFT,  # is not active in the whole prompt, so it cannot be merged
    "lora_bias": PREDICT_WITH_PEFT,  # cannot be merged into layers without a bias
}


@dataclass(frozen=True)
class AdapterConfig:
    """The options that are read, under peft's meanings. `base` is None if the file does not name the base model."""

    rank: int
    alpha: float
    rslora: bool
    fan_in_fan_out: bool
    task: str | None
    base: str | None


def read_adapter_config(folder: Path) -> AdapterConfig:
    """The options of the adapter in `folder`; raises `BenchmarkError` for one whose effect is not known."""
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        kind = str(values["peft_type"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BenchmarkError(f"{folder / CONFIG_FILE} cannot be read ({reason}).", "Save the adapter again.") from error
    if kind != "LORA":
        raise BenchmarkError(f"The adapter {folder} is of the kind {kind}, not LORA.", PREDICT_WITH_PEFT)
    if options := _unsupported_options(values):
        listed = ", ".join(f"{option}={json.dumps(value)}" for option, value in options.items())
        fix = OTHER_REMEDIES.get(next(iter(options)), MERGE_FIRST)
        raise BenchmarkError(f"The adapter {folder} uses {listed}, which is not supported here.", fix)
    try:
        return AdapterConfig(
            rank=int(values.get("r", 8)),
            alpha=float(values.get("lora_alpha", 8)),
            rslora=bool(values.get("use_rslora")),
            fan_in_fan_out=bool(values.get("fan_in_fan_out")),
            task=values.get("task_type"),
            base=values.get("base_model_name_or_path") or None,
        )
    except (TypeError, ValueError) as error:
        raise BenchmarkError(
            f"{folder / CONFIG_FILE} has a value of the wrong type ({error}).", "Correct it."
        ) from error


def check_base(folder: Path, base: str | None, declared: str | None) -> None:
    """Raise if the adapter names another base model on the hub than `declared`, the hub's id of the weights."""
    if base is None or declared is None or not is_hub_id(base) or base.lower() == declared.lower():
        return
    raise BenchmarkError(
        f"The adapter {folder} was trained on {base}, but model.weights is {declared}.",
        f"Set model.weights to {base}; if both are the same weights, write {declared} as base_model_name_or_path in "
        f"{CONFIG_FILE}.",
    )


def is_hub_id(name: str) -> bool:
    """Whether a base model's name can be an id on the hub, and not only a folder."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) is not None


def _unsupported_options(values: dict[str, Any]) -> dict[str, Any]:
    """The options with an effect that is not known here, with their values; options with another remedy first."""
    ignored = READ | IN_THE_TENSORS | WITHOUT_EFFECT
    unsupported = {
        option: value for option, value in values.items() if option not in ignored and not _is_supported(option, values)
    }
    return dict(sorted(unsupported.items(), key=lambda item: (item[0] not in OTHER_REMEDIES, item[0])))


def _is_supported(option: str, values: dict[str, Any]) -> bool:
    """Whether an option is off (null, false, empty), or at a value that is supported."""
    value = values[option]
    if option in SUPPORTED_VALUES:
        return value in SUPPORTED_VALUES[option]
    if option == "modules_to_save" and values.get("task_type") == SEQ_CLS:
        return set(value or ()) <= set(HEADS)
    return not value
