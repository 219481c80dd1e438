"""Checks that a checkpoint is intact: the hashes of its files are written last and compared before it is used."""

import json
import logging
import shutil
from pathlib import Path

from benchmark.files import sha256_of_file

log = logging.getLogger(__name__)

HASHES = "seal.json"


def write_hashes(checkpoint: Path) -> None:
    """Write the hash of every file in the folder; call it when all other files are complete."""
    temporary = checkpoint / f".{HASHES}"
    temporary.write_text(json.dumps(_hashes(checkpoint)), encoding="utf-8")
    temporary.replace(checkpoint / HASHES)


def newest_intact(folder: Path) -> Path | None:
    """The newest intact `checkpoint-<step>` in `folder`; newer ones, which are damaged, are deleted."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        if (damage := find_damage(checkpoint)) is None:
            return checkpoint
        log.warning("%s is damaged (%s): deleted, continuing from the previous checkpoint", checkpoint, damage)
        shutil.rmtree(checkpoint)
    return None


def find_damage(checkpoint: Path) -> str | None:
    """A phrase that says what differs from the written hashes, or None if the folder is intact."""
    try:
        written = json.loads((checkpoint / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it is incomplete"
    actual = _hashes(checkpoint)
    changed = sorted(name for name in written.keys() | actual.keys() if written.get(name) != actual.get(name))
    return f"{changed[0]} has changed" if changed else None


def _hashes(checkpoint: Path) -> dict[str, str]:
    files = (path for path in checkpoint.rglob("*") if path.is_file() and not path.name.endswith(HASHES))
    return {str(path.relative_to(checkpoint)): sha256_of_file(path) for path in sorted(files)}


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1
