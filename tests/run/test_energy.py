"""Energy is read from counters in files, as Linux has them in /sys/class/powercap."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.run import energy, measurement


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return tmp_path


def processor(powercap: Path, number: str, name: str, microjoules: int, limit: int = 10_000_000) -> Path:
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    counter = folder / "energy_uj"
    counter.write_text(f"{microjoules}\n")
    return counter


def test_the_energy_of_all_processors_is_added_without_their_parts(powercap: Path) -> None:
    first, second = processor(powercap, "0", "package-0", 1_000_000), processor(powercap, "1", "package-1", 9_000_000)
    parts = [processor(powercap, "0:0", "core", 0), processor(powercap, "2", "psys", 0)]
    joules: dict[str, dict[str, float]] = {}
    with energy.measure(joules, "fit"):
        first.write_text("3500000")
        second.write_text("500000")  # it reached its limit and began again
        for part in parts:
            part.write_text("999")
    assert joules == {"fit": {"cpu": pytest.approx(2.5 + 1.5)}}


def test_a_counter_that_begins_again_twice_is_read_in_between(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "READING_SECONDS", 0.001)
    counter, joules = processor(powercap, "0", "package-0", 9_000_000), {}
    update, seen = energy.EnergyCounter.update, threading.Event()

    def noted(self: energy.EnergyCounter) -> None:
        update(self)
        if self.last == 1:
            seen.set()

    monkeypatch.setattr(energy.EnergyCounter, "update", noted)
    with energy.measure(joules, "fit"):
        counter.write_text("1000000")
        assert seen.wait(20)
        (counter.parent / "next").write_text("500000")
        (counter.parent / "next").replace(counter)
    assert joules == {"fit": {"cpu": pytest.approx(2 + 9.5)}}


@pytest.mark.parametrize("when", ["before", "during"])
def test_nothing_is_recorded_where_one_processor_cannot_be_read(powercap: Path, when: str) -> None:
    first, second = processor(powercap, "0", "package-0", 1), processor(powercap, "1", "package-1", 1)
    joules: dict[str, dict[str, float]] = {}
    if when == "before":
        second.unlink()
    with energy.measure(joules, "fit"):
        first.write_text("5000000")
        second.unlink(missing_ok=True)
    assert joules == {}


def test_a_counter_that_did_not_move_measured_nothing(powercap: Path) -> None:
    processor(powercap, "0", "package-0", 1_000_000)
    joules: dict[str, dict[str, float]] = {}
    with energy.measure(joules, "predict"):
        pass
    assert joules == {}


def test_a_gpu_counts_in_millijoules(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([5000, 7500])
    nvml = SimpleNamespace(nvmlDeviceGetTotalEnergyConsumption=lambda _: next(readings))
    monkeypatch.setattr(measurement, "nvml_device", lambda: (nvml, "handle"))
    joules: dict[str, dict[str, float]] = {}
    with energy.measure(joules, "predict"):
        pass
    assert joules == {"predict": {"gpu": 2.5}}


def test_a_run_by_several_processes_has_no_energy(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter, joules = processor(powercap, "0", "package-0", 1), {}
    readings = iter([5000, 7500])
    nvml = SimpleNamespace(nvmlDeviceGetTotalEnergyConsumption=lambda _: next(readings))
    monkeypatch.setattr(measurement, "nvml_device", lambda: (nvml, "handle"))
    with energy.measure(joules, "fit", processes=2):
        counter.write_text("5000000")
    assert joules == {}
