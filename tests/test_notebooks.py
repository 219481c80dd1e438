"""The notebook runs against the committed results and holds no logic of its own."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "results.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_every_cell_runs_on_the_committed_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    namespace: dict[str, object] = {}
    for cell in code_cells():
        exec(compile(cell, str(NOTEBOOK), "exec"), namespace)


def test_the_notebook_defines_nothing() -> None:
    assert not [cell for cell in code_cells() if "def " in cell or "class " in cell]
