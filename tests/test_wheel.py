"""A built wheel holds everything that a run needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from factories import SMALL, variables

from benchmark.results import store

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_wheel_runs_from_another_folder_with_its_own_conf(tmp_path: Path) -> None:
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    packaged = {name for name in tracked if name.startswith(("benchmark/", "baselines/", "conf/"))}
    for name in {*packaged, "pyproject.toml", "README.md", "LICENSE"}:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name.replace("benchmark/conf/", "conf/") for name in ZipFile(wheel).namelist()}
    assert packaged <= inside
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "packages", wheel], check=True)
    elsewhere.mkdir()
    environment = {**variables(), "PYTHONPATH": os.fspath(tmp_path / "packages")}
    command = [sys.executable, "-m", "benchmark", "model=tfidf", *SMALL]
    ended = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (run,) = store.read_all(elsewhere / "results")
    assert run.record.model == "tfidf"
    assert run.folder.is_relative_to(elsewhere / "results")
