"""The notebook holds no logic of its own, and shows what the committed results give."""

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture(scope="module")
def committed(shipped: Path) -> nbformat.NotebookNode:
    return nbformat.read(shipped / "notebooks/results.ipynb", as_version=4)


@pytest.fixture(scope="module")
def fresh(shipped: Path) -> nbformat.NotebookNode:
    """Executed in a kernel of its own; raises where a cell does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(NOTEBOOKS), *sys.path])
        from execute import executed

        return executed(shipped)


def shown(notebook: nbformat.NotebookNode) -> list[list[dict[str, Any]]]:
    """What each code cell displays."""
    return [[o.get("data", o) for o in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


def test_the_committed_notebook_is_executed_and_current(
    committed: nbformat.NotebookNode, fresh: nbformat.NotebookNode
) -> None:
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert shown(committed) == shown(fresh), "run python notebooks/execute.py"


def test_it_shows_the_tables_and_the_main_figures(committed: nbformat.NotebookNode) -> None:
    data = [one for outputs in shown(committed) for one in outputs]
    tables = [one["text/html"] for one in data if "text/html" in one]
    assert len(tables) >= 3
    assert any("0.9262" in table for table in tables)  # the study's figure for Llama 3
    figures = ["".join(one["image/svg+xml"]) for one in data if "image/svg+xml" in one]
    assert len(figures) >= 5
    ids = [name for figure in figures for name in set(re.findall(r'id="([a-z_]+-\d+)"', figure))]
    assert len(ids) == len(set(ids)) > 0  # some viewers put all figures into one page


def test_the_notebook_is_short_and_defines_nothing(committed: nbformat.NotebookNode) -> None:
    code = [cell.source for cell in committed.cells if cell.cell_type == "code"]
    assert not [source for source in code if "def " in source or "class " in source or "lambda" in source]
    assert sum(bool(line.strip()) for source in code for line in source.splitlines()) < 40


def test_no_folder_of_the_machine_that_ran_it_is_in_it() -> None:
    text = (NOTEBOOKS / "results.ipynb").read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert str(NOTEBOOKS.parent) not in text
