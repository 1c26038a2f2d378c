"""The SQLAlchemy dialect: what people write with it, with pandas on top; the compliance suite is apart."""

import datetime
import decimal
import urllib.parse
import warnings
from collections.abc import Iterator

import data
import jetway_client
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from jetway_client.sqlalchemy import ArrowType
from jetway_client.sqlalchemy.types import of_arrow
from jetway_node import ADMIN, PASSWORD, Node

pytestmark = pytest.mark.covers("CommandPreparedStatementQuery", client="SQLAlchemy", traps=[18])


def address(node: Node, options: str = "autocommit=true") -> str:
    credentials = f"{ADMIN}:{urllib.parse.quote(PASSWORD)}"
    return f"{node.uri.replace('grpc://', f'jetway://{credentials}@')}?{options}"


@pytest.fixture(scope="module")
def engine(node: Node) -> Iterator[sa.Engine]:
    engine = sa.create_engine(address(node))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


@pytest.mark.covers("CommandGetTables", client="SQLAlchemy")
@pytest.mark.covers("CommandGetPrimaryKeys", client="SQLAlchemy", traps=[13])
def test_a_model_is_made_filled_and_found_again(connection, table):
    made = sa.Table(
        table,
        sa.MetaData(),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("at", sa.DateTime),
        sa.Column("day", sa.Date),
        sa.Column("ratio", sa.Float),
        sa.Column("good", sa.Boolean),
        sa.Column("raw", sa.LargeBinary),
    )
    made.create(connection)
    rows = [
        (
            1,
            "a'b",
            decimal.Decimal("1.25"),
            datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
            datetime.date(1969, 1, 1),
        )
        + (0.5, True, b"\x00\xff"),
        (2, "ä", None, None, None, None, None, None),
    ]
    written = connection.execute(
        made.insert(), [dict(zip(made.columns.keys(), row, strict=True)) for row in rows]
    )
    assert written.rowcount == 2
    assert [tuple(row) for row in connection.execute(sa.select(made).order_by(made.c.id))] == rows
    found = connection.execute(
        sa.select(made.c.name).where(made.c.id.in_([2, 3]), made.c.name.contains("ä")).limit(1).offset(0)
    )
    assert found.scalar_one() == "ä"

    inspector = sa.inspect(connection)
    assert table in inspector.get_table_names() and table in inspector.get_table_names(schema=ADMIN)
    assert inspector.has_table(table) and not inspector.has_table(f"{table}_not")
    assert ADMIN in inspector.get_schema_names()
    assert inspector.get_pk_constraint(table)["constrained_columns"] == ["id"]
    columns = {column["name"]: column for column in inspector.get_columns(table)}
    assert list(columns) == ["event_time", *made.columns.keys()]
    assert not columns["name"]["nullable"] and columns["price"]["nullable"]
    assert repr(columns["price"]["type"]) == "NUMERIC(precision=10, scale=2)"
    assert isinstance(columns["at"]["type"], sa.DateTime)

    again = sa.Table(table, sa.MetaData(), autoload_with=connection, schema=ADMIN)
    assert connection.execute(sa.select(sa.func.count()).select_from(again)).scalar_one() == 2
    made.drop(connection)
    assert not sa.inspect(connection).has_table(table)


@pytest.mark.parametrize(
    ("choice", "columns"), [("none", ["id", "name"]), ("all", None), ("event_time", None)]
)
def test_system_columns_are_shown_as_the_address_says(node: Node, table, choice, columns):
    with jetway_client.connect(node.uri, user=ADMIN, password=PASSWORD, autocommit=True) as client:
        client.ingest(table, data.small())
    engine = sa.create_engine(address(node, f"system_columns={choice}"))
    names = [column["name"] for column in sa.inspect(engine).get_columns(table)]
    system = {"none": [], "event_time": ["event_time"], "all": ["offset", "op", "system_time", "event_time"]}
    assert names == [*system[choice], "id", "name"]
    engine.dispose()


def test_a_missing_table_and_a_constraint_that_is_not_kept_are_said(connection, node: Node, table):
    with pytest.raises(sa.exc.NoSuchTableError):
        sa.inspect(connection).get_columns(f"{table}_not")
    unique = sa.Table(table, sa.MetaData(), sa.Column("x", sa.Integer, unique=True))
    with pytest.raises(sa.exc.NotSupportedError, match="UNIQUE"):
        unique.create(connection)
    engine = sa.create_engine(address(node, "autocommit=true&constraints=ignore"))
    unique.create(engine)
    assert sa.inspect(engine).get_unique_constraints(table) == []
    engine.dispose()


@pytest.mark.parametrize(
    "options", ["system_columns=some", "constraints=keep", "autocommit=maybe", "colour=red"]
)
def test_an_option_that_is_none_is_refused(node: Node, options):
    with pytest.raises((sa.exc.ArgumentError, jetway_client.AddressError)):
        sa.create_engine(address(node, options)).connect()


@pytest.mark.covers("CommandStatementUpdate", client="pandas")
def test_pandas_writes_a_frame_and_reads_it(engine, table):
    frame = pd.DataFrame({"n": [1, 2], "s": ["a", None], "f": [0.5, 1.5]})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "datasets have no indexes")
        frame.to_sql(table, engine, if_exists="fail")
        assert frame.to_sql(table, engine, if_exists="append") == 2
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql(table, engine, if_exists="fail")
    found = pd.read_sql(f"SELECT n, s, f FROM {table} WHERE n = 2", engine)
    assert found.to_dict("list") == {"n": [2, 2], "s": [None, None], "f": [1.5, 1.5]}
    assert len(pd.read_sql_table(table, engine)) == 4


@pytest.mark.covers("EndTransaction", client="SQLAlchemy")
def test_a_block_is_a_transaction(node: Node, table):
    engine = sa.create_engine(address(node, "system_columns=none"))
    made = sa.Table(table, sa.MetaData(), sa.Column("x", sa.BigInteger))
    made.create(engine)
    with engine.begin() as connection:
        connection.execute(made.insert(), [{"x": 1}, {"x": 2}])
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        connection.execute(made.insert(), {"x": 3})
        raise ZeroDivisionError
    with engine.connect() as connection:
        assert connection.execute(sa.select(made.c.x).order_by(made.c.x)).scalars().all() == [1, 2]
    engine.dispose()


def test_patterns_with_any_escape_match_themselves(connection):
    texts = sa.values(sa.column("t", sa.String), name="texts").data([("a%b",), ("a/b",), ("a\\b",), ("axb",)])
    for text in ("a%b", "a/b", "a\\b"):
        found = connection.execute(sa.select(texts.c.t).where(texts.c.t.startswith(text, autoescape=True)))
        assert found.scalars().all() == [text]


def test_every_type_has_one_in_sqlalchemy():
    for field in data.every_type(0).schema:
        assert isinstance(of_arrow(field.type), sa.types.TypeEngine)
    assert isinstance(of_arrow(pa.list_(pa.int64())), ArrowType)
    assert of_arrow(pa.uint64()).precision == 20
    assert isinstance(of_arrow(pa.dictionary(pa.int8(), pa.string())), sa.String)
