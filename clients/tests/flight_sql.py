"""Flight SQL by hand: its protobuf messages as bytes, and calls that a well-behaved client would not make."""

import base64
import struct
from collections.abc import Iterable

import grpc
import pyarrow as pa
import pyarrow.flight as flight

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."
SERVICE = "/arrow.flight.protocol.FlightService/"

# Values of TableDefinitionOptions.
CREATE, FAIL_IF_MISSING = 1, 2
FAIL_IF_THERE, APPEND, REPLACE = 1, 2, 3


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: "bytes | str | int") -> bytes:
    """One protobuf field; what is zero or empty is left out."""
    if not value:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def all_fields(message: bytes) -> list[tuple[int, "bytes | int | float"]]:
    """The fields of a protobuf message in their order, with their numbers; fixed ones are doubles."""
    found, position = [], 0

    def read_varint() -> int:
        nonlocal position
        number = shift = 0
        while True:
            byte = message[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while position < len(message):
        key = read_varint()
        if key & 7 == 0:
            found.append((key >> 3, read_varint()))
        elif key & 7 == 1:
            found.append((key >> 3, struct.unpack_from("<d", message, position)[0]))
            position += 8
        else:
            assert key & 7 == 2, f"unexpected wire type in {message!r}"
            length = read_varint()
            found.append((key >> 3, message[position : position + length]))
            position += length
    return found


def fields(message: bytes) -> dict[int, "bytes | int | float"]:
    """The fields of a protobuf message that has each once; of one that is repeated, the last."""
    return dict(all_fields(message))


def entries(message: bytes, number: int = 1) -> dict[str, bytes]:
    """The `map<string, message>` in a field."""
    pairs = [fields(value) for found, value in all_fields(message) if found == number]
    return {pair[1].decode(): pair.get(2, b"") for pair in pairs}


def command(name: str, content: bytes) -> bytes:
    """A command as it stands in a descriptor: wrapped in `google.protobuf.Any`."""
    return field(1, PREFIX + name) + field(2, content)


def content(name: str, message: bytes) -> dict[int, "bytes | int | float"]:
    """The fields of a message of Flight SQL that is wrapped in `google.protobuf.Any`."""
    wrapped = fields(message)
    assert wrapped[1] == (PREFIX + name).encode(), wrapped
    return fields(wrapped.get(2, b""))


def statement_query(sql: str, transaction: bytes = b"") -> bytes:
    return command("CommandStatementQuery", field(1, sql) + field(2, transaction))


def statement_ingest(
    table: str,
    schema: str = "",
    if_missing: int = CREATE,
    if_there: int = APPEND,
    catalog: str = "",
    transaction: bytes = b"",
    options: "dict[str, str] | None" = None,
) -> bytes:
    modes = field(1, if_missing) + field(2, if_there)
    target = field(1, modes) + field(2, table) + field(3, schema) + field(4, catalog)
    more = b"".join(field(1000, field(1, name) + field(2, value)) for name, value in (options or {}).items())
    return command("CommandStatementIngest", target + field(6, transaction) + more)


def statement_update(sql: str, transaction: bytes = b"") -> bytes:
    return command("CommandStatementUpdate", field(1, sql) + field(2, transaction))


def ingest(
    client: flight.FlightClient,
    options: flight.FlightCallOptions,
    descriptor: bytes,
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema | None = None,
) -> int:
    """Pushes batches through `do_put` and returns the number of rows that was acknowledged. The schema is that of the first
    batch of a list unless it is given."""
    schema = schema or batches[0].schema
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(descriptor), schema, options)
    with writer:
        for batch in batches:
            writer.write_batch(batch)
        writer.done_writing()
        acknowledged = reader.read()
    assert acknowledged is not None, "the stream ended without an acknowledgement"
    return fields(acknowledged.to_pybytes()).get(1, 0)


def messages(item: "pa.Schema | pa.RecordBatch") -> tuple[bytes, bytes]:
    """Header and body of the IPC message of a schema or a batch."""
    encapsulated = item.serialize().to_pybytes()
    marker, length = struct.unpack_from("<Ii", encapsulated)
    assert marker == 0xFFFFFFFF
    return encapsulated[8 : 8 + length], encapsulated[8 + length :]


def flight_data(header: bytes, body: bytes, descriptor: bytes = b"") -> bytes:
    """A FlightData message; `descriptor` is a command and stands in the first one only."""
    first = field(1, field(1, 2) + field(2, descriptor)) if descriptor else b""
    return first + field(2, header) + field(1000, body)


class RawFlight:
    """A Flight client that sends the bytes it is given and reports gRPC's own status codes."""

    def __init__(self, uri: str, user: str, password: str):
        # Requests of any size leave this client: it is the node that sets the limit.
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(uri.removeprefix("grpc://"), options=unlimited)
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.metadata = [("authorization", f"Basic {basic}")]

    def __enter__(self) -> "RawFlight":
        return self

    def __exit__(self, *_exception) -> None:
        self.channel.close()

    def put(self, requests: "list[bytes]", timeout: float = 60) -> tuple[grpc.StatusCode, str, list[bytes]]:
        """Sends a DoPut stream; returns code, message, and the answers before it ended."""
        return self._stream(self.channel.stream_stream(SERVICE + "DoPut"), iter(requests), timeout)

    def get(self, ticket: bytes, timeout: float = 60) -> tuple[grpc.StatusCode, str, list[bytes]]:
        """DoGet with any bytes as the ticket."""
        return self._stream(self.channel.unary_stream(SERVICE + "DoGet"), field(1, ticket), timeout)

    def get_flight_info(self, cmd: bytes, timeout: float = 60) -> tuple[grpc.StatusCode, str]:
        call = self.channel.unary_unary(SERVICE + "GetFlightInfo")
        try:
            call(field(1, 2) + field(2, cmd), metadata=self.metadata, timeout=timeout)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return grpc.StatusCode.OK, ""

    def call(self, method: str, request: bytes, timeout: float = 60) -> bytes:
        """A method with one answer; raises `grpc.RpcError`."""
        return self.channel.unary_unary(SERVICE + method)(request, metadata=self.metadata, timeout=timeout)

    def action(self, name: str, body: bytes = b"", timeout: float = 60) -> list[bytes]:
        """The bodies that an action answers with; raises `grpc.RpcError`."""
        method = self.channel.unary_stream(SERVICE + "DoAction")
        answers = method(field(1, name) + field(2, body), metadata=self.metadata, timeout=timeout)
        return [fields(answer).get(1, b"") for answer in answers]

    def update(self, descriptor: bytes, rows: "pa.RecordBatch | None" = None) -> dict[int, "bytes | int | float"]:
        """DoPut that must succeed, with a schema and maybe rows; the fields of the metadata that it answers with."""
        schema = pa.schema([]) if rows is None else rows.schema
        requests = [flight_data(*messages(schema), descriptor)]
        if rows is not None:
            requests.append(flight_data(*messages(rows)))
        code, message, answers = self.put(requests)
        assert code == grpc.StatusCode.OK, message
        return fields(fields(answers[-1]).get(1, b"")) if answers else {}

    def _stream(self, method, request, timeout: float) -> tuple[grpc.StatusCode, str, list[bytes]]:
        answers = []
        try:
            for answer in method(request, metadata=self.metadata, timeout=timeout):
                answers.append(answer)
        except grpc.RpcError as error:
            return error.code(), error.details() or "", answers
        return grpc.StatusCode.OK, "", answers
