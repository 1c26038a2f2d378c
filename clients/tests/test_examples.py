"""The snippets and the notebook in examples/, run as they are."""

import os
import pathlib
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def run(demo, script: str) -> list[str]:
    """Runs a script in a process of its own, and gives the lines that it prints."""
    ran = subprocess.run(
        [sys.executable, EXAMPLES / script, "--uri", demo.node.uri],
        env={**os.environ, "JETWAY_TOKEN": demo.token},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.covers("StatementQuery", client="polars")
@pytest.mark.covers("StatementIngest", client="polars")
def test_polars(demo_node):
    rows = [line.split() for line in run(demo_node, "with_polars.py")]
    assert ["│", "0", "┆", "149178", "┆", "11.0", "│"] in rows
    assert ["│", "20", "┆", "20201", "┆", "16.37", "│"] in rows


@pytest.mark.covers("DoGet", client="DuckDB")
def test_duckdb(demo_node):
    assert run(demo_node, "with_duckdb.py")[1:] == [
        "EWR: 117596 flights, 15.11 minutes late, the goal is 12.0",
        "LGA: 101509 flights, 10.35 minutes late, the goal is 9.0",
    ]


@pytest.mark.covers("StatementQuery", client="Jupyter")
@pytest.mark.covers("StatementIngest", client="Jupyter")
def test_the_notebook_runs_from_top_to_bottom(demo_node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JETWAY_URI", demo_node.node.uri)
    monkeypatch.setenv("JETWAY_TOKEN", demo_node.token)
    path = EXAMPLES / "notebook" / "flights.ipynb"
    written = nbformat.read(path, as_version=4)
    ran = NotebookClient(nbformat.read(path, as_version=4), timeout=120).execute()
    # The last output of every cell is the one that the checked-in notebook shows.
    shown, found = ([_last(cell) for cell in notebook.cells] for notebook in (written, ran))
    assert found == shown
    assert sum(output is not None for output in found) == 4


def _last(cell) -> str | None:
    outputs = [output["data"]["text/plain"] for output in cell.get("outputs", []) if "data" in output]
    return outputs[-1] if outputs else None
