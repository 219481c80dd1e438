"""The description of the machine is true and contains no host or user name."""

import getpass
import json
import socket
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from benchmark.results import environment
from benchmark.results.environment import Environment


def test_the_environment_names_versions_and_code_but_no_host_or_user() -> None:
    described = environment.describe()
    assert described.packages["torch"]
    assert described.threads == torch.get_num_threads()
    assert described.git is None or len(described.git.commit) == 40
    text = json.dumps(asdict(described))
    assert socket.gethostname() not in text.split('"')
    assert getpass.getuser() not in text.split('"')


def test_only_the_commit_of_the_codes_own_checkout_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    inner = tmp_path / "lib" / "site-packages"
    inner.mkdir(parents=True)
    git("init")
    git("commit", "--allow-empty", "-m", "of another project")
    monkeypatch.setattr(environment, "ROOT", inner)
    assert (environment.checkout(), environment.describe().git) == (None, None)
    (inner / "pyproject.toml").touch()
    assert (environment.checkout(), environment.describe().git) == (inner, None)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert environment.describe().git is not None


@pytest.mark.parametrize(
    ("described", "device", "name"),
    [
        (Environment(processor="P", cores=2), "cpu", "P, 2 cores"),
        (Environment(processor="P", cores=1), "cpu", "P, 1 core"),
        (Environment(processor="P"), "cpu", "P, ? cores"),
        (Environment(processor="P", cores=2, threads=2), "cpu", "P, 2 cores"),
        (Environment(processor="P", cores=2, threads=1), "cpu", "P, 1 of 2 cores"),
        (Environment(processor="P", cores=2, vector_units="AVX2"), "cpu", "P with AVX2, 2 cores"),
        (Environment(processor="P", cores=2, vector_units="AMX"), "cpu", "P with AMX, 2 cores"),
        (Environment(processor="P", cores=2, vector_units="AVX-512 BF16"), "cpu", "P, 2 cores"),
        (Environment(processor="P", cores=2, gpu="G"), "cpu", "P, 2 cores"),
        (Environment(processor="P", cores=2, gpu="G"), "cuda (G)", "G"),
        (Environment(processor="P", cores=2), "cuda:0", "CUDA GPU"),
    ],
)
def test_hardware_is_the_device_that_computed(described: Environment, device: str, name: str) -> None:
    assert described.hardware(device) == name


@pytest.mark.parametrize(
    ("flags", "units"),
    [
        ("fpu sse2 avx2", "AVX2"),
        ("avx2 avx512f avx512_bf16 amx_bf16", "AMX"),
        ("avx2 avx512f avx512_bf16", "AVX-512 BF16"),
        ("avx2 avx512f", "AVX-512"),
        ("fpu sse2", None),
    ],
)
def test_the_widest_vector_units_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, units: str | None
) -> None:
    said = f"processor\t: 0\nmodel name\t: A processor\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: other\n"
    (tmp_path / "cpuinfo").write_text(said)
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    described = environment.describe()
    assert (described.processor, described.vector_units) == ("A processor", units)
