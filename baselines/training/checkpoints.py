"""Checkpoints that can be continued from: a seal is written once one is whole, and checked before it is used."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

SEAL = "seal.json"


def seal(checkpoint: Path) -> None:
    """Write down the hash of every file in the folder; call it when all others are there."""
    temporary = checkpoint / f".{SEAL}"
    temporary.write_text(json.dumps(_hashes(checkpoint)), encoding="utf-8")
    temporary.replace(checkpoint / SEAL)


def newest_whole(folder: Path) -> Path | None:
    """The newest `checkpoint-<step>` in `folder` that is as it was sealed; newer, damaged ones are deleted."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        if (found := damage(checkpoint)) is None:
            return checkpoint
        log.warning("%s is damaged (%s); going back to the one before", checkpoint, found)
        shutil.rmtree(checkpoint)
    return None


def damage(checkpoint: Path) -> str | None:
    """In what the folder is not as it was sealed, in a phrase; None if it is."""
    try:
        sealed = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "it was not written to its end"
    actual = _hashes(checkpoint)
    changed = sorted(name for name in sealed.keys() | actual.keys() if sealed.get(name) != actual.get(name))
    return f"{changed[0]} is not what was written" if changed else None


def _hashes(checkpoint: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file() and not path.name.endswith(SEAL)):
        with path.open("rb") as file:
            hashes[str(path.relative_to(checkpoint))] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1
