"""What a programmer does who speaks Flight SQL without a driver: `pyarrow.flight` and bytes."""

import json
from collections.abc import Iterator

import data
import flight_sql
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from jetway_node import ADMIN, PASSWORD, Node


@pytest.fixture
def client(node: Node) -> Iterator[tuple[flight.FlightClient, flight.FlightCallOptions]]:
    client, options = node.flight()
    with client:
        yield client, options


def descriptor(sql: str) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(flight_sql.statement_query(sql))


@pytest.fixture
def stored(cursor, table) -> str:
    """A table with a few rows of every type; gives the statement that reads it."""
    cursor.adbc_ingest(table, data.every_type(1000), mode="create")
    return f'SELECT * FROM {ADMIN}.{table} ORDER BY "offset"'


@pytest.mark.covers("GetSchema", client="pyarrow.flight", traps=[1])
@pytest.mark.covers("GetFlightInfo", client="pyarrow.flight", traps=[1])
def test_one_schema_in_every_answer(client, stored):
    client, options = client
    info = client.get_flight_info(descriptor(stored), options)
    stream = client.do_get(info.endpoints[0].ticket, options)
    assert info.schema.equals(stream.schema, check_metadata=True)
    assert info.schema.equals(client.get_schema(descriptor(stored), options).schema, check_metadata=True)


@pytest.mark.covers("DoGet", client="pyarrow.flight")
def test_the_same_rows_as_through_adbc(client, cursor, stored):
    client, options = client
    info = client.get_flight_info(descriptor(stored), options)
    tables = [client.do_get(endpoint.ticket, options).read_all() for endpoint in info.endpoints]
    cursor.execute(stored)
    assert data.differences(cursor.fetch_arrow_table(), pa.concat_tables(tables)) == []


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[31])
def test_a_ticket_can_be_used_again(client, stored):
    client, options = client
    ticket = client.get_flight_info(descriptor(stored), options).endpoints[0].ticket
    first, second = (client.do_get(ticket, options).read_all() for _ in range(2))
    assert data.differences(first, second) == []


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[43])
def test_a_ticket_sees_what_was_there_when_it_was_given(client, cursor, table):
    client, options = client
    cursor.adbc_ingest(table, data.small(), mode="create")
    info = client.get_flight_info(descriptor(f"SELECT id FROM {ADMIN}.{table}"), options)
    cursor.adbc_ingest(table, data.small(), mode="append")
    assert client.do_get(info.endpoints[0].ticket, options).read_all().num_rows == 3


@pytest.mark.covers("GetFlightInfo", client="pyarrow.flight")
def test_without_credentials_nothing_is_told(node: Node, stored):
    with flight.FlightClient(node.uri.replace("grpc://", "grpc+tcp://")) as stranger:
        with pytest.raises(flight.FlightUnauthenticatedError):
            stranger.get_flight_info(descriptor(stored))


def test_a_wrong_password_gives_no_token(node: Node):
    with flight.FlightClient(node.uri.replace("grpc://", "grpc+tcp://")) as stranger:
        with pytest.raises(flight.FlightUnauthenticatedError):
            stranger.authenticate_basic_token(ADMIN, PASSWORD + "!")


@pytest.mark.covers("ListActions", client="pyarrow.flight")
def test_actions_are_listed(client):
    client, options = client
    names = {action.type for action in client.list_actions(options)}
    assert {"CreatePreparedStatement", "ClosePreparedStatement"} <= names


@pytest.mark.covers("StatementIngest", client="pyarrow.flight")
def test_rows_are_pushed_and_acknowledged(client, table, count):
    client, options = client
    batches = data.every_type(5000).to_batches(max_chunksize=1000)
    assert flight_sql.ingest(client, options, flight_sql.statement_ingest(table, ADMIN), batches) == 5000
    assert count(table) == 5000


def test_the_catalog_may_be_named(client, table, count):
    client, options = client
    descriptor = flight_sql.statement_ingest(table, ADMIN, catalog="jetway")
    assert flight_sql.ingest(client, options, descriptor, data.small().to_batches()) == 3
    assert count(table) == 3
    elsewhere = flight_sql.statement_ingest(table, ADMIN, catalog="elsewhere")
    with pytest.raises(pa.ArrowException, match="elsewhere"):
        flight_sql.ingest(client, options, elsewhere, data.small().to_batches())
    assert count(table) == 3


@pytest.mark.covers("DoGet", client="pyarrow.flight", traps=[32, 33])
def test_a_reader_that_goes_away_harms_nobody(client, cursor):
    client, options = client
    big = "SELECT a.n FROM (SELECT unnest(range(100000)) AS n) a, (SELECT unnest(range(100000)) AS n) b"
    info = client.get_flight_info(descriptor(big), options)
    stream = client.do_get(info.endpoints[0].ticket, options)
    assert stream.read_chunk().data.num_rows > 0
    stream.cancel()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)


@pytest.mark.covers("DoPut", client="pyarrow.flight")
@pytest.mark.covers("StatementIngest", client="pyarrow.flight")
def test_batches_are_acknowledged_while_others_are_written(client, cursor, table: str, count):
    client, options = client
    asks = flight_sql.statement_ingest(table, ADMIN, options={"acknowledge": "batches"})
    batches = [pa.record_batch({"n": pa.array(range(start, start + 1000), pa.int64())}) for start in range(0, 5000, 1000)]
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(asks), batches[0].schema, options)
    with writer:
        for number, batch in enumerate(batches, 1):
            writer.write_batch(batch)
            told = json.loads(reader.read().to_pybytes())
            assert told == {"received": number * 1000, "batches": number}
        writer.done_writing()
        end = json.loads(reader.read().to_pybytes())
        assert reader.read() is None
    assert end.pop("dataset").startswith("did:odf:")
    block = end.pop("block")
    assert end == {"committed": True, "rows": 5000, "events": 5000, "created": True, "changed": True}
    assert count(table) == 5000
    # The next push is another block; a client that does not ask gets the one message of the specification.
    cursor.adbc_ingest(table, pa.Table.from_batches(batches), mode="append")
    plain = flight_sql.statement_ingest(table, ADMIN)
    assert flight_sql.ingest(client, options, plain, batches[:2]) == 2000
    again = flight_sql.statement_ingest(table, ADMIN, options={"acknowledge": "batches"})
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(again), batches[0].schema, options)
    with writer:
        writer.write_batch(batches[0])
        writer.done_writing()
        messages = []
        while (message := reader.read()) is not None:
            messages.append(json.loads(message.to_pybytes()))
    assert messages[-1]["block"] not in ("", block)
