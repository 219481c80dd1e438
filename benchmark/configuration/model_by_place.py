"""Models that are named by their place: `model.id=OWNER/NAME` on the hub, or `model.path=DIR`.

What such a model is comes from the config.json of its checkpoint, which is read without torch.
"""

import json
from pathlib import Path
from typing import Any

from benchmark.configuration.quoting import as_text
from benchmark.errors import BenchmarkError
from benchmark.hub import model_errors

NOT_ARCHITECTURE = ("_attn_implementation", "_name_or_path", "_num_labels", "architectures", "attn_implementation",
                    "num_labels", "auto_map", "dtype", "id2label", "label2id", "problem_type",
                    "quantization_config", "torch_dtype", "transformers_version", "use_cache")  # fmt: skip
"""Entries of a config.json that do not say how a network is built."""
PLACE_FIX = "Set model.id=OWNER/NAME for a model of the hub, or model.path=DIR for a folder."


def with_weights(model: dict[str, Any]) -> dict[str, Any]:
    """The options of a model with `weights` in place of `id`, `revision` and `path`, if it has them.

    The folder comes before the hub. Where one of them is given, the architecture is read from the checkpoint.
    """
    if not {"id", "revision", "path", "weights"} <= model.keys():
        return model
    if not isinstance(model["weights"], dict):
        raise BenchmarkError(f"model.weights is {model['weights']}.", "Leave it out.")
    hub_id, revision, folder = (model.pop(key) for key in ("id", "revision", "path"))
    source = model["weights"].get("source")
    _check_place(model, hub_id, revision, folder)
    if folder is not None:
        return _described_by_checkpoint(model, {"source": "folder", "path": as_text("model.path", folder)})
    if hub_id is not None and source not in ("folder", "random"):
        hub = {"id": as_text("model.id", hub_id), "revision": as_text("model.revision", revision)}
        return _described_by_checkpoint(model, {"source": "hub", "hub": hub})
    if source == "hub" and not model["weights"].get("hub"):
        raise BenchmarkError("Neither model.id nor model.path is set, so there are no weights.", PLACE_FIX)
    return model


def _check_place(model: dict[str, Any], hub_id: Any, revision: Any, folder: Any) -> None:
    """Raise for options that would have no effect, and for a model that no option names."""
    if model.get("name") is None:
        raise BenchmarkError("Neither model.id nor model.path is set, so the model has no name.", PLACE_FIX)
    if folder is not None and hub_id is None and revision not in (None, "main"):
        raise BenchmarkError("model.revision has no effect on model.path.", "Leave it out, or set model.id.")
    weights, architecture = model["weights"], model.get("architecture")
    by_place = folder is not None or (hub_id is not None and weights.get("source") == "hub")
    if by_place and weights.get("path"):
        raise BenchmarkError("model.weights.path has no effect here.", "Set model.path to the folder instead.")
    if by_place and architecture and weights.get("source") in ("hub", "folder"):
        raise BenchmarkError(
            "model.architecture is set, but the config.json of the checkpoint says it.",
            "Leave it out, or change that file.",
        )


def is_read_later(parameters: dict[str, Any]) -> bool:
    """Whether the architecture comes from the checkpoint, and has not been read yet."""
    return parameters.get("architecture") == {} and isinstance(parameters.get("weights"), dict)


def read_architecture(weights: dict[str, Any]) -> dict[str, Any]:
    """What the config.json of the checkpoint says about the network; raises `BenchmarkError` without one."""
    if weights.get("source") == "folder":
        return _architecture(_in_folder(Path(str(weights.get("path")))))
    if weights.get("source") == "hub" and isinstance(hub := weights.get("hub"), dict):
        return _architecture(_from_hub(hub["id"], hub["revision"]))
    raise BenchmarkError(
        f"model.architecture is empty, and weights of the source {weights.get('source')} do not say it.", PLACE_FIX
    )


def _described_by_checkpoint(model: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """The options of a model with `weights`, whose architecture is empty until the checkpoint is read."""
    had_own_weights = model["weights"].get("source") not in ("hub", "folder")  # then its facts are about those
    facts: dict[str, Any] = {"facts": {}} if had_own_weights and "facts" in model else {}
    return model | {"weights": weights, "architecture": {}} | facts


def _in_folder(folder: Path) -> Path:
    """The config.json of a folder with a network; raises for folders without one."""
    file = folder / "config.json"
    if not folder.is_dir():
        raise BenchmarkError(f"model.path={folder} is not a folder.", "Name one with weights and tokenizer.")
    if (folder / "adapter_config.json").is_file() and not file.is_file():
        raise BenchmarkError(
            f"model.path={folder} is a LoRA adapter.",
            f"Set model.adapter={folder} in its place, and model.id or model.path to its base model.",
        )
    if not file.is_file():
        raise BenchmarkError(
            f"model.path={folder} contains no config.json.", "Name a folder that save_pretrained of transformers wrote."
        )
    return file


def _from_hub(repository: str, revision: str) -> Path:
    """The config.json of a repository, downloaded or cached; raises `BenchmarkError` if that fails."""
    import huggingface_hub  # slow to import

    with model_errors(repository, revision, "set model.path=DIR"):
        return Path(huggingface_hub.hf_hub_download(repository, "config.json", revision=revision))


def _architecture(file: Path) -> dict[str, Any]:
    """What the file says about the network; raises if it is damaged, or describes no model of texts."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{file} cannot be read ({error}).", "Put an intact config.json there.") from error
    if not isinstance(values, dict) or not isinstance(values.get("model_type"), str):
        raise BenchmarkError(f"{file} names no model_type.", "Name a model in transformers' format.")
    if isinstance(values.get("text_config"), dict):
        raise BenchmarkError(
            f"{file} describes a model of texts and other inputs ({values['model_type']}), which is not supported.",
            "Choose a model of texts only.",
        )
    return {key: value for key, value in sorted(values.items()) if key not in NOT_ARCHITECTURE}
