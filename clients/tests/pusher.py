"""A client that pushes small batches and remembers which of them were acknowledged."""

import dataclasses

import flight_sql
import pyarrow as pa
import pyarrow.flight as flight

SCHEMA = pa.schema([("batch", pa.int64()), ("row", pa.int32())])


def batch(number: int, rows: int) -> pa.RecordBatch:
    """Rows that say which batch they belong to and which one in it they are."""
    columns = [pa.array([number] * rows, pa.int64()), pa.array(range(rows), pa.int32())]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


@dataclasses.dataclass
class Pusher:
    """One connection, as one producer has it."""

    uri: str
    token: str
    table: str
    timeout: float = 60

    def __enter__(self) -> "Pusher":
        self.client = flight.FlightClient(self.uri.replace("grpc://", "grpc+tcp://"))
        header = (b"authorization", b"Bearer " + self.token.encode())
        self.options = flight.FlightCallOptions(headers=[header], timeout=self.timeout)
        self.descriptor = flight_sql.statement_ingest(self.table)
        return self

    def __exit__(self, *_exception) -> None:
        self.client.close()

    def push(self, number: int, rows: int) -> None:
        """Returns when the batch is acknowledged; anything else is an exception."""
        acknowledged = flight_sql.ingest(self.client, self.options, self.descriptor, [batch(number, rows)])
        assert acknowledged == rows
