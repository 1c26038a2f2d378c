"""Where a node is and how to talk to it: URLs and options become what the ADBC driver asks for."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from adbc_driver_flightsql import DatabaseOptions


DEFAULT_PORT = 50050
"""Where a node listens for Flight when its configuration says nothing else."""

# What people write in front of `://`, and whether it says that the connection is encrypted (None: it does not say).
_SCHEMES: dict[str, bool | None] = {
    "jetway": None,
    "jetway+adbc": None,
    "jetway+tls": True,
    "grpc": False,
    "grpc+tcp": False,
    "grpc+tls": True,
    "grpcs": True,
    "http": False,
    "https": True,
}

OPTIONS: Mapping[str, str] = {
    "tls": "encrypt the connection (true or false)",
    "ca": "file with the certificates to trust instead of the system's",
    "cert": "file with the client's certificate (mutual TLS)",
    "key": "file with the client's private key (mutual TLS)",
    "server_name": "name that the server's certificate must have, when it is not that of the address",
    "insecure_skip_verify": "accept any certificate (true or false); for tests only",
    "token": "access token",
    "user": "user name",
    "password": "password",
    "schema": "the account that names without a schema belong to",
    "catalog": "the catalog that names without a catalog belong to",
    "time_zone": "time zone of the session, such as Europe/Berlin",
    "compression": "compression of results: none, lz4 or zstd",
    "timeout": "seconds that each call may take",
    "connect_timeout": "seconds that connecting may take",
    "max_message_size": "bytes of the largest message that is accepted",
}
"""Every option of an address, with its meaning. They stand behind `?` in a URL or in `options`."""

# Sessions are set up by headers of every call, so that they are the same on every replica.
_SESSION_HEADERS = {
    "schema": "jetway-schema",
    "catalog": "jetway-catalog",
    "time_zone": "jetway-time_zone",
    "compression": "jetway-compression",
}

_CONNECT_TIMEOUT = "adbc.flight.sql.rpc.timeout_seconds.connect"
# The driver's own limit is 16 MiB, and a single large value can be more.
_MAX_MESSAGE_SIZE = 64 * 1024 * 1024


class AddressError(ValueError):
    """An address or an option that cannot be used; the message says what to write instead."""


@dataclasses.dataclass(frozen=True)
class Address:
    """A node's address, with credentials and options."""

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False
    user: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, url: str | None = None, **given: object) -> Address:
        """Reads a URL; what is given by name comes before what stands in the URL, and that before the environment.

        Raises `AddressError` for what is no address or not known.
        """
        url = url or os.environ.get("JETWAY_URL") or f"jetway://localhost:{DEFAULT_PORT}"
        parts = urlsplit(url if "://" in url else f"jetway://{url}")
        if parts.scheme not in _SCHEMES:
            raise AddressError(
                f"{parts.scheme}:// is no address of a node: write jetway://host:{DEFAULT_PORT}, or grpc://, "
                "grpc+tls://, http:// or https://"
            )
        try:
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise AddressError(f"the port in the address is no number from 0 to 65535: {error}") from None
        if not host:
            raise AddressError(f"the address names no host: write jetway://host:{DEFAULT_PORT}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if schema := unquote(parts.path.strip("/")):
            options.setdefault("schema", schema)
        options.update({name: _text(value) for name, value in given.items() if value is not None})
        for name in options:
            if name not in OPTIONS:
                raise AddressError(_unknown(name))
        user = options.pop("user", None) or (unquote(parts.username) if parts.username else None)
        password = options.pop("password", None)
        if password is None and parts.password is not None:
            password = unquote(parts.password)
        token = options.pop("token", None)
        if token is None and user is None:
            token = os.environ.get("JETWAY_TOKEN") or None
        tls = _SCHEMES[parts.scheme]
        asked = _boolean("tls", options.pop("tls")) if "tls" in options else None
        if tls is None or asked is None:
            certificates = any(name in options for name in ("ca", "cert", "key", "insecure_skip_verify"))
            tls = asked if asked is not None else tls if tls is not None else certificates
        elif tls != asked:
            raise AddressError(
                f"{parts.scheme}:// and tls={str(asked).lower()} contradict each other: leave one out"
            )
        return cls(host, port or DEFAULT_PORT, tls, user, password, token, options)

    @property
    def uri(self) -> str:
        """The address as the ADBC driver wants it, without secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"grpc+{'tls' if self.tls else 'tcp'}://{host}:{self.port}"

    def database_options(self) -> dict[str, str]:
        """What the ADBC driver is to be told besides the URI."""
        if self.token is not None and self.password is not None:
            raise AddressError("both a token and a password are given: leave one out")
        if self.user is None and self.password is not None:
            raise AddressError("a password is given without a user name")
        options = {
            # A session may live in a cookie.
            DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true",
            DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(
                self._integer("max_message_size", _MAX_MESSAGE_SIZE)
            ),
        }
        if self.token is not None:
            options[DatabaseOptions.AUTHORIZATION_HEADER.value] = f"Bearer {self.token}"
        elif self.user is not None:
            options["username"] = self.user
            options["password"] = self.password or ""
        options.update(self._transport())
        if "timeout" in self.options:
            seconds = self._seconds("timeout")
            for kind in (
                DatabaseOptions.TIMEOUT_FETCH,
                DatabaseOptions.TIMEOUT_QUERY,
                DatabaseOptions.TIMEOUT_UPDATE,
            ):
                options[kind.value] = seconds
        if "connect_timeout" in self.options:
            options[_CONNECT_TIMEOUT] = self._seconds("connect_timeout")
        for name, header in _SESSION_HEADERS.items():
            if name in self.options:
                options[f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}{header}"] = self.options[name]
        return options

    def _transport(self) -> dict[str, str]:
        options = {}
        if "ca" in self.options:
            options[DatabaseOptions.TLS_ROOT_CERTS.value] = self._file("ca")
        if ("cert" in self.options) != ("key" in self.options):
            raise AddressError("a client certificate needs both cert and key")
        if "cert" in self.options:
            options[DatabaseOptions.MTLS_CERT_CHAIN.value] = self._file("cert")
            options[DatabaseOptions.MTLS_PRIVATE_KEY.value] = self._file("key")
        if "server_name" in self.options:
            options[DatabaseOptions.TLS_OVERRIDE_HOSTNAME.value] = self.options["server_name"]
        if "insecure_skip_verify" in self.options:
            skip = _boolean("insecure_skip_verify", self.options["insecure_skip_verify"])
            options[DatabaseOptions.TLS_SKIP_VERIFY.value] = str(skip).lower()
        if options and not self.tls:
            raise AddressError(
                "options about certificates are given, but the connection is not encrypted: add tls=true"
            )
        return options

    def _file(self, name: str) -> str:
        path = pathlib.Path(self.options[name]).expanduser()
        try:
            return path.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise AddressError(
                f"the file of the option {name} cannot be read as PEM: {path}: {error}"
            ) from None

    def _integer(self, name: str, default: int) -> int:
        text = self.options.get(name, str(default))
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**31:
            raise AddressError(f"the option {name} must be a whole number of bytes below 2 GiB, not {text!r}")
        return int(text)

    def _seconds(self, name: str) -> str:
        text = self.options[name]
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 < seconds < 1e9:
            raise AddressError(f"the option {name} must be a number of seconds above 0, not {text!r}")
        return str(seconds)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(name: str, text: str) -> bool:
    match text.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise AddressError(f"the option {name} must be true or false, not {text!r}")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, OPTIONS, n=1)
    return f"the option {name!r} is not known" + (
        f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(OPTIONS))}"
    )
