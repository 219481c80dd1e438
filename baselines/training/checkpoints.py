"""The newest intact checkpoint of a training."""

import logging
import shutil
from pathlib import Path

from baselines.compute.folder_hashes import find_damage

log = logging.getLogger(__name__)


def newest_intact(folder: Path) -> Path | None:
    """The newest intact `checkpoint-<step>` in `folder`, or None. Deletes later checkpoints, which are damaged."""
    folders = [path for path in folder.glob("checkpoint-*") if path.is_dir()]
    for checkpoint in sorted(folders, key=_step, reverse=True):
        if (damage := find_damage(checkpoint)) is None:
            return checkpoint
        log.warning("%s is damaged (%s): deleted, continuing from the previous checkpoint", checkpoint, damage)
        shutil.rmtree(checkpoint)
    return None


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1
