"""The client of the benches: measures calls as a user's program makes them, and prints the figures as JSON."""

import argparse
import json
import pathlib
import sys
import threading
import time

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients" / "tests"))
import flight_sql


def connect(arguments) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
    client = flight.FlightClient(arguments.uri.replace("grpc://", "grpc+tcp://"))
    headers = [(b"authorization", b"Bearer " + arguments.token.encode())] if arguments.token else []
    if arguments.streams > 1 and arguments.what == "fetch":
        headers.append((b"jetway-endpoints", str(arguments.streams).encode()))
    if arguments.spool:
        headers.append((b"jetway-spool", arguments.spool.encode()))
    return client, flight.FlightCallOptions(headers=headers)


def drain(reader) -> tuple[int, int, int]:
    """Reads a stream to its end without keeping it; rows, bytes and messages."""
    rows = size = messages = 0
    for chunk in reader:
        rows += chunk.data.num_rows
        size += chunk.data.nbytes
        messages += 1
    return rows, size, messages


def drain_all(client, options, tickets) -> tuple[int, int, int]:
    """Reads several streams at once, each to its end."""
    if len(tickets) == 1:
        return drain(client.do_get(tickets[0], options))
    counts = [(0, 0, 0)] * len(tickets)

    def read(number: int) -> None:
        counts[number] = drain(client.do_get(tickets[number], options))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(tickets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(map(sum, zip(*counts)))


def fetch(arguments) -> dict:
    """Runs a statement over Flight SQL and reads all of its result."""
    client, options = connect(arguments)
    seconds = []
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query(arguments.sql))
        info = client.get_flight_info(descriptor, options)
        assert len(info.endpoints) == arguments.streams, f"{len(info.endpoints)} endpoints"
        rows, size, messages = drain_all(client, options, [endpoint.ticket for endpoint in info.endpoints])
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "rows": rows, "bytes": size, "messages": messages}


def fetch_plain(arguments) -> dict:
    """Reads everything that a plain Flight server holds."""
    client, options = connect(arguments)
    seconds = []
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        tickets = [flight.Ticket(f"{part}/{arguments.streams}".encode()) for part in range(arguments.streams)]
        rows, size, messages = drain_all(client, options, tickets)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "rows": rows, "bytes": size, "messages": messages}


def ingest(arguments) -> dict:
    """Pushes a Parquet file's rows, which are in memory before the clock starts, the way `adbc_ingest` does."""
    import adbc_driver_flightsql.dbapi as dbapi
    from adbc_driver_flightsql import DatabaseOptions

    table = pq.read_table(arguments.file)
    header = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {arguments.token}"}
    seconds = []
    with dbapi.connect(arguments.uri, db_kwargs=header, autocommit=True) as connection, connection.cursor() as cursor:
        for number in range(arguments.repeat):
            reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=arguments.batch_rows))
            start = time.perf_counter()
            cursor.adbc_ingest(f"{arguments.table}-{number}", reader, mode="create")
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "rows": table.num_rows, "bytes": table.nbytes}


def put(arguments) -> dict:
    """Pushes the same rows through a bare Flight client, whose own work is small."""
    table = pq.read_table(arguments.file)
    client, options = connect(arguments)
    seconds = []
    for number in range(arguments.repeat):
        batches = table.to_batches(max_chunksize=arguments.batch_rows)
        descriptor = flight_sql.statement_ingest(f"{arguments.table}-{number}")
        start = time.perf_counter()
        flight_sql.ingest(client, options, descriptor, batches)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "rows": table.num_rows, "bytes": table.nbytes}


def load(arguments) -> dict:
    """Pushes the Parquet files of a folder under their names; the clock is about all of them."""
    client, options = connect(arguments)
    start = time.perf_counter()
    rows = 0
    for path in sorted(pathlib.Path(arguments.file).glob("*.parquet")):
        file = pq.ParquetFile(path)
        descriptor = flight_sql.statement_ingest(path.stem)
        batches = file.iter_batches(arguments.batch_rows)
        rows += flight_sql.ingest(client, options, descriptor, batches, file.schema_arrow)
    return {"seconds": [time.perf_counter() - start], "rows": rows}


def ping(arguments) -> dict:
    """Round trips of a small statement: one of GetFlightInfo and DoGet each."""
    client, options = connect(arguments)
    descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query(arguments.sql))
    seconds = []
    for _ in range(arguments.repeat):
        start = time.perf_counter()
        info = client.get_flight_info(descriptor, options)
        client.do_get(info.endpoints[0].ticket, options).read_all()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds}


def serve(arguments) -> dict:
    """The peer: a server that holds the result of a statement in memory, as the node sent it, and does nothing else."""
    client, options = connect(arguments)
    descriptor = flight.FlightDescriptor.for_command(flight_sql.statement_query(arguments.sql))
    info = client.get_flight_info(descriptor, options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    batches = [chunk.data for chunk in reader]
    schema = reader.schema

    class Memory(flight.FlightServerBase):
        def do_get(self, _context, ticket):
            part, parts = map(int, ticket.ticket.decode().split("/"))
            share = batches[len(batches) * part // parts : len(batches) * (part + 1) // parts]
            return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, share))

        def list_actions(self, _context):
            return []

    server = Memory("grpc+tcp://127.0.0.1:0")
    print(json.dumps({"uri": f"grpc://127.0.0.1:{server.port}", "messages": len(batches)}), flush=True)
    sys.stdin.read()
    server.shutdown()
    return {}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["fetch", "fetch-plain", "ingest", "put", "load", "ping", "serve"])
    parser.add_argument("--uri", required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--sql", default="SELECT 1")
    parser.add_argument("--file")
    parser.add_argument("--table")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--spool", default="")
    parser.add_argument("--batch-rows", type=int, default=64 * 1024)
    arguments = parser.parse_args()
    functions = {
        "fetch": fetch,
        "fetch-plain": fetch_plain,
        "ingest": ingest,
        "put": put,
        "load": load,
        "ping": ping,
        "serve": serve,
    }
    print(json.dumps(functions[arguments.what](arguments)), flush=True)


main()
