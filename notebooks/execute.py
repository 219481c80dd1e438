"""`python notebooks/execute.py`: run results.ipynb on the records and store its output."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).with_name("results.ipynb")


def executed(project: Path = NOTEBOOK.parent.parent) -> nbformat.NotebookNode:
    """The notebook after a run from a fresh kernel in a project's folder; the same records give the same notebook."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    metadata = notebook.metadata.copy()
    for cell in notebook.cells:
        cell.metadata = {}
    NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": str(project)}}).execute()
    notebook.metadata = metadata  # without the version of Python
    return notebook


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
