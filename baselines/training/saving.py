"""Save a trained network with its tokenizer, so that it can be used without this suite and on another machine."""

import json
import sys
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_NAME

from baselines.weights.adapter import LABELS_FILE, WEIGHTS_FILE
from baselines.weights.lora import SEQ_CLS
from benchmark.files import sha256_of_file


def save(
    network: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path, labels: tuple[str, ...]
) -> str:
    """Save network and tokenizer in their libraries' formats; returns the SHA-256 of the weights file.

    An adapter comes with the names of the labels of its head, if it has one. No file contains a path of this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    adapted = isinstance(network, PeftModel)
    if adapted:
        for config in network.peft_config.values():
            config.base_model_name_or_path = _without_folder(config.base_model_name_or_path or "")
            if config.task_type == SEQ_CLS:
                (folder / LABELS_FILE).write_text(json.dumps(labels), encoding="utf-8")
        # Otherwise peft asks the hub whether the vocabulary has changed; no adapter here changes embeddings.
        network.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # peft's template, with nothing filled in
    else:
        network.save_pretrained(folder, max_shard_size=sys.maxsize)  # one file, of any size
    tokenizer.name_or_path = _without_folder(tokenizer.name_or_path)
    tokenizer.save_pretrained(folder)
    return sha256_of_file(folder / (WEIGHTS_FILE if adapted else SAFE_WEIGHTS_NAME))


def _without_folder(name: str) -> str:
    """The last part of a path of this machine; an id of the hub is unchanged."""
    return Path(name).name if Path(name).exists() else name
