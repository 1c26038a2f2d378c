"""Says what to do when a node cannot be reached; the driver's own words name gRPC's inner parts."""

from __future__ import annotations

import adbc_driver_manager

from .address import DEFAULT_PORT, Address

# What the driver says (in small letters) when something is wrong, and the advice. The first that fits is taken.
_ADVICE = (
    (
        ("does not look like a tls handshake",),
        "the node at {at} does not encrypt its connections: use tls=false, or grpc:// instead of grpc+tls:// or https://",
    ),
    (
        (
            "certificate signed by unknown authority",
            "failed to verify certificate",
            "certificate is not trusted",
        ),
        "the certificate of {at} is not trusted: give the file of its authority with ca=..., and server_name=... when "
        "the certificate is made for another name",
    ),
    (
        ("certificate required", "bad certificate", "handshake failure"),
        "the node at {at} wants a client certificate that it trusts: give cert=... and key=...",
    ),
    (
        ("http/1", "unexpected http status", "malformed http", "frame too large"),
        "what answers at {at} is an HTTP server and no Flight endpoint: use the node's Flight port (usually {port})",
    ),
    (
        ("error reading server preface", "connection closed", "unexpected eof", "connection reset"),
        "{at} answers, but not as a Flight endpoint: is it the Flight port (usually {port}, not the HTTP one), and does "
        "it want TLS (tls=true)?",
    ),
    (
        ("connection refused",),
        "nothing listens at {at}: is the node running, and is the port that of Flight (usually {port})?",
    ),
    (
        ("no such host", "name resolution", "produced zero addresses", "lookup "),
        "there is no host called {host}: check the address",
    ),
)


def explained(error: adbc_driver_manager.Error, address: Address) -> adbc_driver_manager.Error:
    """The same kind of error, with advice when there is some; the driver's words stay behind it."""
    said = str(error).lower()
    at = f"{address.host}:{address.port}"
    for signs, advice in _ADVICE:
        if any(sign in said for sign in signs):
            text = advice.format(at=at, host=address.host, port=DEFAULT_PORT)
            return adbc_driver_manager.OperationalError(
                f"{text} ({error})",
                status_code=error.status_code or adbc_driver_manager.AdbcStatusCode.IO,
                vendor_code=error.vendor_code,
                sqlstate=error.sqlstate,
            )
    return error
