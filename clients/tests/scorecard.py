"""Makes docs/conformance.md out of the marks on the tests: which client was tried with which command, and which test watches
over which trap. `python scorecard.py --write` writes it; a test compares."""

import ast
import dataclasses
import pathlib
import re
import sys
from collections.abc import Iterator

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "conformance.md"

CLIENTS = [
    "ADBC Python", "jetway-client", "SQLAlchemy", "pandas", "polars", "DuckDB", "pyarrow.flight", "flightsql-dbapi", "Jupyter",
    "Superset", "JDBC", "JavaScript", "jetway CLI", "raw gRPC",
]  # fmt: skip

# What the protocol knows, in its own words, in the order of the page. Other marks come after these.
COMMANDS = [
    "Handshake", "GetFlightInfo", "GetSchema", "DoGet", "DoPut", "DoAction", "ListActions", "ListFlights", "PollFlightInfo", "DoExchange",
    "StatementQuery", "StatementUpdate", "CreatePreparedStatement", "PreparedStatementQuery", "PreparedStatementUpdate",
    "ClosePreparedStatement", "StatementSubstraitPlan", "CreatePreparedSubstraitPlan", "StatementIngest", "BeginTransaction", "EndTransaction",
    "BeginSavepoint", "CancelFlightInfo", "CancelQuery", "RenewFlightEndpoint", "SetSessionOptions", "GetSessionOptions", "CloseSession",
    "GetCatalogs", "GetDbSchemas", "GetTables", "GetTableTypes", "GetPrimaryKeys", "GetExportedKeys", "GetImportedKeys",
    "GetCrossReference", "GetSqlInfo", "GetXdbcTypeInfo",
]  # fmt: skip

TRAPS = {
    1: "FlightInfo, GetSchema, prepared and streamed schemas are equal, byte for byte",
    2: "Schemas of metadata results are those of the specification",
    3: "GetTables: four columns, five with include_schema, whose schemas are valid",
    4: "Fields carry type name, precision, scale, remarks and the like",
    5: "String and binary views are expanded unless a client asks for them",
    6: "Dictionaries: what is declared is what is sent",
    7: "Bodies are compressed only for who asks",
    8: "Timestamps: zones, offsets, naive ones, summer time, before 1970",
    9: "Decimals of 128 and 256 bits, negative scales, decimal parameters",
    10: "Rare types are cast by profile and never crash a client",
    11: "Results without rows, without columns, with equal column names; always an endpoint",
    12: "catalog null and empty, patterns with % and _ and an escape",
    13: "Filters by table type, as tools spell them",
    14: "GetXdbcTypeInfo, which Power BI needs",
    15: "JDBC: catalog and schema, unknown properties",
    16: "Primary keys are there for editors",
    17: "GetSqlInfo answers every code",
    18: "A maintained SQLAlchemy dialect",
    19: "Metadata is fast with many tables, and does not queue behind queries",
    20: "Preparing is cheap and executes nothing",
    21: "What changes data runs exactly once, wherever it is sent",
    22: "Typed parameters: LIMIT, IN, LIKE, CAST, INSERT; nulls; many rows",
    23: "Binding gives a new handle; clients that ignore it work too",
    24: "is_update tells queries from updates",
    25: "One plan per query",
    26: "Errors have the right code, a place, and fit into the trailers",
    27: "Messages stay below what clients accept; a row that is too large is refused clearly",
    28: "Large headers are accepted",
    29: "Connections live while a query computes",
    30: "Tokens, tickets, handles and sessions are good on every replica",
    31: "A ticket used twice, late, or by somebody else",
    32: "A client that goes away stops its query within a second",
    33: "A slow reader holds up nobody and no memory",
    34: "SIGTERM: health says no, running calls finish, a second signal ends",
    35: "Certificates of clients, own authorities, reload without restart",
    38: "Planning with many small slices",
    39: "Memory runs out for the query, not for the process",
    40: "A sparse filter does not send the rest of a buffer",
    41: "Computing does not hold up the network",
    42: "Cached results are keyed by rights, session, profile and heads",
    43: "A query sees one snapshot from planning to the last DoGet",
}
# These are about storage that this node does not have: its lists of files come from chains.
ELSEWHERE = {
    36: "a cache of lists of files that never expires: slices are named by blocks, and no list of files is cached",
    37: "caches of footers and statistics for tables of files: the statistics of slices are in the dataset's summary",
}


@dataclasses.dataclass(frozen=True)
class Test:
    """A test and what it is marked with."""

    name: str
    covers: tuple[tuple[str, str, tuple[int, ...]], ...]
    traps: frozenset[int]


def python_tests() -> Iterator[Test]:
    for path in sorted(HERE.rglob("test_*.py")):
        module = Constants(path).visit(ast.parse(path.read_text(), str(path)))
        shared = tuple(covers(value) for value in module_marks(module))
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = tuple(covers(mark) for mark in node.decorator_list if is_covers(mark)) + shared
                if marks:
                    traps = frozenset(trap for _, _, found in marks for trap in found)
                    yield Test(f"{path.relative_to(ROOT)}::{node.name}", marks, traps)


class Constants(ast.NodeTransformer):
    """Puts the texts that a module names at its top, such as `ADBC = "ADBC Python"`, where their names are used."""

    def __init__(self, path: pathlib.Path) -> None:
        statements = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
        texts = [(node.targets[0], node.value) for node in statements if isinstance(node.value, ast.Constant)]
        self.values = {target.id: value for target, value in texts if isinstance(target, ast.Name)}

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def module_marks(module: ast.Module) -> Iterator[ast.expr]:
    """What `pytestmark = [...]` says of all tests of a module."""
    for statement in module.body:
        if isinstance(statement, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in statement.targets):
            values = statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else [statement.value]
            yield from (value for value in values if is_covers(value))


def is_covers(mark: ast.expr) -> bool:
    return isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == "covers"


def covers(mark: ast.expr) -> tuple[str, str, tuple[int, ...]]:
    arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in mark.keywords}
    command, client = ast.literal_eval(mark.args[0]), arguments["client"]
    traps = tuple(arguments.get("traps", ()))
    if client not in CLIENTS:
        raise ValueError(f"{client!r} is no client of the scorecard")
    if unknown := [trap for trap in traps if trap not in TRAPS]:
        raise ValueError(f"the mark of {command} names the traps {unknown}, which the scorecard does not have")
    return command, client, traps


def rust_tests() -> Iterator[Test]:
    """Rust tests with a comment such as `// Trap 12: ...` or `/// Traps 1, 3.` above them."""
    for path in sorted(path for room in ("flight", "planner", "control", "server", "odf") for path in (ROOT / room).rglob("*.rs")):
        traps: set[int] = set()
        for line in path.read_text().splitlines():
            text = line.strip()
            if comment := re.match(r"//[/!]? ?.*?\bTraps? ((?:\d+(?:, | and )?)+)", text):
                traps.update(int(number) for number in re.findall(r"\d+", comment.group(1)))
            elif function := re.match(r"(?:pub )?(?:async )?fn (\w+)", text):
                if traps:
                    yield Test(f"{path.relative_to(ROOT)}::{function.group(1)}", (), frozenset(traps))
                traps = set()


def page() -> str:
    tests = [*python_tests(), *rust_tests()]
    counts: dict[tuple[str, str], int] = {}
    for test in tests:
        for command, client, _ in test.covers:
            counts[command, client] = counts.get((command, client), 0) + 1
    commands = COMMANDS + sorted({command for command, _ in counts} - set(COMMANDS))
    clients = [client for client in CLIENTS if any(client == used for _, used in counts)]
    lines = [
        "# Conformance",
        "",
        "Made from the marks on the tests by `clients/tests/scorecard.py`; a test compares this page with them, and `cargo xtask test` runs all",
        "tests against a real node (those of Superset with `--all`). A number is how many tests use a command through a client.",
        "",
        "## Commands and clients",
        "",
        f"| command or feature | {' | '.join(clients)} |",
        f"|---|{'---|' * len(clients)}",
    ]
    for command in commands:
        cells = [str(counts.get((command, client), "")) for client in clients]
        lines.append(f"| {command} | {' | '.join(cells)} |")
    lines += ["", "## Traps", "", "What users of Flight SQL servers complain about, and the tests that watch over it here.", ""]
    lines += ["| | trap | tests |", "|---|---|---|"]
    for trap, title in TRAPS.items():
        watching = sorted({test.name for test in tests if trap in test.traps})
        shown = ", ".join(f"`{name.split('::')[1]}`" for name in watching[:4])
        more = f" and {len(watching) - 4} more" if len(watching) > 4 else ""
        lines.append(f"| {trap} | {title} | {shown + more or '**open**'} |")
    lines += [f"| {trap} | {reason} | not here |" for trap, reason in ELSEWHERE.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    else:
        print(page(), end="")
