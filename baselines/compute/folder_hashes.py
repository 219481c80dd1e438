"""Checks that a folder is intact: the hashes of its files are written last and compared before it is used."""

import json
from pathlib import Path

from benchmark.files import sha256_of_file

HASHES = "seal.json"


def write_hashes(folder: Path) -> None:
    """Write the hash of every file in the folder; call it when all other files are complete."""
    temporary = folder / f".{HASHES}"
    temporary.write_text(json.dumps(_hashes(folder)), encoding="utf-8")
    temporary.replace(folder / HASHES)


def find_damage(folder: Path) -> str | None:
    """A phrase that says what differs from the written hashes, or None if the folder is intact."""
    try:
        written = json.loads((folder / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        written = None
    if not isinstance(written, dict):
        return "it is incomplete"
    actual = _hashes(folder)
    changed = sorted(name for name in written.keys() | actual.keys() if written.get(name) != actual.get(name))
    return f"{changed[0]} has changed" if changed else None


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(HASHES))
    return {str(path.relative_to(folder)): sha256_of_file(path) for path in sorted(files)}
