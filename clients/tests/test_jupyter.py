"""The Jupyter magics, in a notebook that is executed as Jupyter does it."""

import nbclient
import nbformat
import pytest
from jetway_client import magic  # noqa: F401
from jetway_node import ADMIN, Node

pytestmark = pytest.mark.covers("CommandStatementQuery", client="Jupyter")

CELLS = [
    "%load_ext jetway_client.magic",
    "%jetway",
    "%%sql\nCREATE TABLE {table} (n BIGINT, s VARCHAR)",
    "%%sql\nINSERT INTO {table} (n, s) VALUES (1, '<a>'), (2, 'b');",
    "%jetway tables",
    "%%sql\nSELECT n, s FROM {table} ORDER BY n",
    "%%sql kept << --arrow\nSELECT sum(n) AS total FROM {table}",
    "kept.to_pydict()",
    "%matplotlib inline\n_ = Out[6].plot(y='n')",
    "%%sql\nSELECT nothing",
]


def test_a_notebook_connects_asks_and_plots(node: Node, table, monkeypatch):
    monkeypatch.setenv("JETWAY_URL", node.uri)
    monkeypatch.setenv("JETWAY_TOKEN", node.token(f"notebook {table}"))
    cells = [nbformat.v4.new_code_cell(cell.replace("{table}", table)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    said = [cell.outputs for cell in notebook.cells]

    def text(index: int, kind: str) -> str:
        return "".join(out.get("data", {}).get(kind, "") or out.get("text", "") for out in said[index])

    assert text(1, "text/plain").startswith("Connected to Jetway ")
    assert "2 rows changed" in text(3, "text/plain")
    assert f"<td>{ADMIN}</td><td>{table.replace('_', '-')}</td>" in text(4, "text/html")
    assert "2 rows, " in text(5, "text/html") and "<td>&lt;a&gt;</td>" in text(5, "text/html")
    assert text(7, "text/plain") == "{'total': [3]}"
    assert any("image/png" in out.get("data", {}) for out in said[8])
    (error,) = [out for out in said[9] if out.output_type == "error"]
    assert "nothing" in error.evalue
