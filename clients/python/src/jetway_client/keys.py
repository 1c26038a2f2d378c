"""Primary keys of tables. The ADBC driver has no call for them, so the Flight SQL command is sent as it is."""

from __future__ import annotations

import pyarrow.flight as flight
from adbc_driver_flightsql import DatabaseOptions

from .address import Address

_COMMAND = "type.googleapis.com/arrow.flight.protocol.sql.CommandGetPrimaryKeys"
_HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value


def primary_key(address: Address, catalog: str, schema: str | None, table: str) -> list[str]:
    """The columns of the key, in their order; none for a table without a key."""
    command = _field(1, catalog) + (_field(2, schema) if schema else b"") + _field(3, table)
    descriptor = flight.FlightDescriptor.for_command(_field(1, _COMMAND) + _field(2, command))
    settings = address.database_options()
    with flight.FlightClient(address.uri, **_transport(settings)) as client:
        headers = [
            (name.removeprefix(_HEADER).encode(), value.encode())
            for name, value in settings.items()
            if name.startswith(_HEADER)
        ]
        if address.token is not None:
            headers.append((b"authorization", f"Bearer {address.token}".encode()))
        elif address.user is not None:
            headers.append(client.authenticate_basic_token(address.user, address.password or ""))
        options = flight.FlightCallOptions(headers=headers, timeout=60)
        info = client.get_flight_info(descriptor, options)
        keys = client.do_get(info.endpoints[0].ticket, options).read_all().to_pylist()
    return [key["column_name"] for key in sorted(keys, key=lambda key: key["key_sequence"])]


def _transport(settings: dict[str, str]) -> dict[str, object]:
    named = {
        "tls_root_certs": DatabaseOptions.TLS_ROOT_CERTS,
        "cert_chain": DatabaseOptions.MTLS_CERT_CHAIN,
        "private_key": DatabaseOptions.MTLS_PRIVATE_KEY,
        "override_hostname": DatabaseOptions.TLS_OVERRIDE_HOSTNAME,
    }
    transport: dict[str, object] = {
        name: settings[option.value] for name, option in named.items() if option.value in settings
    }
    transport["disable_server_verification"] = settings.get(DatabaseOptions.TLS_SKIP_VERIFY.value) == "true"
    return transport


def _field(number: int, value: str | bytes) -> bytes:
    """A field of a protobuf message: text or bytes."""
    value = value.encode() if isinstance(value, str) else value
    length, size = len(value), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + value
