"""SQLAlchemy's own compliance suite, against a node of its own: every test passes, or is closed with a reason in
`sqlalchemy_suite/`. A few groups by default; all of it with `cargo xtask test --all`.

With `autocommit`, because the suite looks for its rows before it commits, and rows of a transaction are seen after."""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest
from jetway_node import Node
from test_sqlalchemy import address

SUITE = pathlib.Path(__file__).parent / "sqlalchemy_suite"
QUICK = "SelectTest or FetchLimitOffset or JoinTest or DateTime or Numeric or Boolean or String or LikeFunctions or HasTable"


@pytest.mark.timeout(600)
@pytest.mark.covers("CommandPreparedStatementQuery", client="SQLAlchemy", traps=[18])
def test_the_compliance_suite_passes(fresh_node: Node, tmp_path: pathlib.Path):
    report = tmp_path / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "setup.cfg",
        "test_suite.py",
    ]
    command += ["--tb=short", "--maxfail=1000", "-p", "no:timeout", f"--junit-xml={report}"]
    command += ["--dburi", address(fresh_node, "system_columns=none&constraints=ignore&autocommit=true")]
    if "JETWAY_TEST_LONG" not in os.environ:
        command += ["-k", QUICK]
    done = subprocess.run(command, cwd=SUITE, capture_output=True, text=True, timeout=560)
    suite = xml.parse(report).getroot().find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    print(counts)
    assert counts["failures"] + counts["errors"] == 0, done.stdout[-6000:]
    assert counts["tests"] - counts["skipped"] > (350 if "JETWAY_TEST_LONG" in os.environ else 100)
