"""The callback notes where results go."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmark.run.callback import Started


@pytest.mark.parametrize("values", [{"results_dir": "r", "dataset": {"labels": []}}, {"results_dir": None}, {}])
def test_an_incomplete_configuration_is_no_error(values: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("results_dir", "dataset", "at"):
        monkeypatch.setattr(Started, name, None)
    config = OmegaConf.create(values)
    OmegaConf.set_struct(config, True)
    Started().on_run_start(config)
    assert Started.results_dir == (Path("r") if values.get("results_dir") else None)
    assert Started.at
