"""A real node, started as users start it, for as long as a test needs it."""

import dataclasses
import os
import pathlib
import queue
import signal
import subprocess
import threading

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow.flight as flight
from adbc_driver_flightsql import DatabaseOptions

ADMIN = "admin"
PASSWORD = "correct horse battery staple"
START_LIMIT = 60
STOP_LIMIT = 30


def binary() -> str:
    """The program under test."""
    path = os.environ.get("JETWAY_BIN")
    assert path, "set JETWAY_BIN to the `jetway` program, or run the tests with `cargo xtask test`"
    return path


def clean_environment() -> dict[str, str]:
    """Everything but the developer's own settings of Jetway, which must not reach the nodes under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JETWAY_")}


def run(*arguments: str, environment: dict[str, str], typed: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the program to its end."""
    return subprocess.run(
        [binary(), *arguments],
        env={**clean_environment(), **environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )


@dataclasses.dataclass
class Node:
    """A running `jetway serve` on free ports. Its folder outlives it, so that it can be started again."""

    data_dir: pathlib.Path
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    def start(self) -> "Node":
        self.spawn()
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self.process.stdout, lines), daemon=True).start()
        while (line := self._next(lines)) is not None:
            if line.startswith("jetway ready "):
                fields = dict(field.split("=", 1) for field in line.split()[2:])
                self.http, self.uri = fields["http"], fields["flight"]
                return self
        raise AssertionError(f"the node ended with {self.process.wait()}:\n{self.log.read_text()[-4000:]}")

    def spawn(self) -> None:
        """Starts the process and does not wait until it serves."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [
                    *(binary(), "serve", "--data-dir", str(self.data_dir)),
                    *("--http-address", "127.0.0.1:0", "--flight-address", "127.0.0.1:0"),
                ],
                env={**clean_environment(), "JETWAY_ADMIN_PASSWORD": PASSWORD, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    @property
    def log(self) -> pathlib.Path:
        return self.data_dir.parent / f"{self.data_dir.name}.log"

    def _next(self, lines: "queue.SimpleQueue[str | None]") -> str | None:
        try:
            return lines.get(timeout=START_LIMIT)
        except queue.Empty:
            self.kill()
            raise AssertionError(f"the node was not ready after {START_LIMIT} s") from None

    @staticmethod
    def _read(output, lines: "queue.SimpleQueue[str | None]") -> None:
        for line in output:
            lines.put(line.strip())
        lines.put(None)

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """The end without warning that every acknowledged write must survive."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """The polite end; returns the exit code."""
        if self.running():
            self.process.terminate()
        try:
            return self.process.wait(timeout=STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the node had not stopped {STOP_LIMIT} s after SIGTERM") from None

    def token(self, name: str, account: str = ADMIN) -> str:
        """A new access token."""
        return self.command("token", "create", "--account", account, "--name", name)

    def create_account(self, name: str, password: str) -> None:
        """Makes an account that is not an administrator's."""
        self.command("account", "create", name, typed=password + "\n")

    def command(self, *arguments: str, typed: str = "") -> str:
        """Runs a `jetway` command on the node's folder and returns what it printed."""
        done = run(*arguments, "--data-dir", str(self.data_dir), environment=self.environment, typed=typed)
        assert done.returncode == 0, f"jetway {' '.join(arguments)}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def client_command(self, *arguments: str, token: str) -> subprocess.CompletedProcess[str]:
        """Runs a `jetway` command that talks to the node as a user would."""
        return run(*arguments, environment={"JETWAY_URL": self.uri, "JETWAY_TOKEN": token})

    def connect(self, user: str = ADMIN, password: str = PASSWORD, **options: str) -> dbapi.Connection:
        """An ADBC connection with user name and password."""
        credentials = {"username": user, "password": password}
        return dbapi.connect(self.uri, db_kwargs={**credentials, **options}, autocommit=True)

    def connect_with_token(self, token: str) -> dbapi.Connection:
        """An ADBC connection with an access token."""
        header = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
        return dbapi.connect(self.uri, db_kwargs=header, autocommit=True)

    def flight(self, user: str = ADMIN, password: str = PASSWORD) -> tuple[flight.FlightClient, flight.FlightCallOptions]:
        """A bare Flight client, logged in, and the options that carry its token."""
        client = flight.FlightClient(self.uri.replace("grpc://", "grpc+tcp://"))
        token = client.authenticate_basic_token(user, password)
        return client, flight.FlightCallOptions(headers=[token], timeout=60)
