"""A `pyarrow.flight` client with a token, for those who speak Flight SQL without a driver."""

import pyarrow as pa
import pyarrow.flight as flight
from flight_sql import statement_query
from jetway_node import ADMIN, PASSWORD, Node


class Client:
    """A Flight client with a token, whose calls may have headers."""

    def __init__(self, node: Node) -> None:
        self.client = flight.FlightClient(node.uri.replace("grpc://", "grpc+tcp://"))
        self.token = self.client.authenticate_basic_token(ADMIN, PASSWORD)

    def options(self, **headers: str) -> flight.FlightCallOptions:
        more = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return flight.FlightCallOptions(headers=[self.token, *more], timeout=60)

    def info(self, sql: str, **headers: str) -> flight.FlightInfo:
        return self.client.get_flight_info(describe(sql), self.options(**headers))

    def read(self, endpoint: flight.FlightEndpoint) -> pa.Table:
        return self.client.do_get(endpoint.ticket, self.options()).read_all()

    def act(self, name: str, body: bytes = b"") -> bytes:
        (answer,) = self.client.do_action(flight.Action(name, body), self.options())
        return answer.body.to_pybytes()


def describe(sql: str) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(statement_query(sql))
