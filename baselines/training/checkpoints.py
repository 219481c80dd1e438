"""The folder of the checkpoints of a training, and the newest intact one."""

import logging
import shutil
import tempfile
from pathlib import Path

import torch

from baselines.compute.collectives import broadcast_from_first, sum_over_processes
from baselines.compute.folder_hashes import find_damage
from benchmark.errors import BenchmarkError
from benchmark.processes import rank, world_size

log = logging.getLogger(__name__)


def check_same_folder(folder: Path) -> None:
    """Raise `BenchmarkError` in every process unless all of them see the same files in `folder`."""
    if world_size() == 1:
        return
    name = Path(tempfile.mkdtemp(prefix=".shared-", dir=folder)).name if rank() == 0 else None
    probe = folder / str(broadcast_from_first(name))
    seen = int(sum_over_processes(torch.tensor(int(probe.exists()))))
    if rank() == 0:
        probe.rmdir()
    if seen < world_size():
        raise BenchmarkError(
            "checkpoints_dir is not the same folder on all machines.",
            "Set it to a folder on a file system that they share.",
        )


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
