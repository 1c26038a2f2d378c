"""A Java virtual machine with Arrow's JDBC driver, told call by call what to do (see jdbc/Driver.java)."""

import dataclasses
import json
import os
import pathlib
import subprocess
from typing import Any

HERE = pathlib.Path(__file__).parent
# java.sql.Types
INTEGER, BIGINT, DOUBLE, VARCHAR, DECIMAL, BOOLEAN, DATE, TIMESTAMP = 4, -5, 8, 12, 3, 16, 91, 93


class JdbcError(Exception):
    """An exception of the driver: its class, the messages of the whole chain and the SQLSTATE."""

    def __init__(self, type: str, message: str, state: str | None):
        super().__init__(f"{type}: {message}")
        self.type, self.message, self.state = type, message, state


def jar() -> str:
    """The driver."""
    path = os.environ.get("JETWAY_TEST_JDBC")
    assert path, "set JETWAY_TEST_JDBC to the jar of the driver, or run the tests with `cargo xtask test`"
    return path


def java(*arguments: str, zone: str = "UTC") -> list[str]:
    """The command line of a Java program beside the driver."""
    # The C1 compiler alone, and few collector threads: what runs here is short.
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Duser.timezone={zone}"]
    return ["java", *quick, "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", jar(), *arguments]


@dataclasses.dataclass
class Rows:
    """A result set: what the driver says of its columns, and every value as a text."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]]

    @property
    def names(self) -> list[str]:
        return [column["label"] for column in self.columns]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row)) for row in self.rows]

    def column(self, name: str) -> list[Any]:
        return [row[self.names.index(name)] for row in self.rows]


class Jdbc:
    """The virtual machine. Its errors go to a file, and what it answers is JSON."""

    def __init__(self, log: pathlib.Path, zone: str = "UTC"):
        self.log = log
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                java(str(HERE / "jdbc" / "Driver.java"), zone=zone),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )

    def call(self, name: str, **arguments: Any) -> Any:
        self.process.stdin.write(json.dumps({"call": name, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the Java program ended: {self.log.read_text()[-4000:]}"
        answer = json.loads(line)
        if "error" in answer:
            raise JdbcError(**answer["error"])
        value = answer["value"]
        return Rows(**value) if isinstance(value, dict) and value.keys() == {"columns", "rows"} else value

    def connect(self, uri: str, suffix: str = "", **properties: str) -> "JdbcConnection":
        """`suffix` follows the address in the URL, such as `/?token=...`."""
        url = uri.replace("grpc://", "jdbc:arrow-flight-sql://") + suffix
        number = self.call("connect", url=url, properties={"useEncryption": "false", **properties})
        return JdbcConnection(self, number)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)


@dataclasses.dataclass
class JdbcConnection:
    """A connection of the virtual machine."""

    jdbc: Jdbc
    number: int

    def call(self, name: str, **arguments: Any) -> Any:
        return self.jdbc.call(name, connection=self.number, **arguments)

    def metadata(self, method: str, *arguments: Any) -> Any:
        """A method of DatabaseMetaData."""
        return self.call("metadata", method=method, arguments=arguments)

    def query(self, sql: str, *parameters: tuple[str, Any]) -> Rows:
        """`Statement.executeQuery`, or `PreparedStatement.executeQuery` with parameters: (setter, value)."""
        return self.call("query", sql=sql, parameters=parameters)

    def close(self) -> None:
        self.call("close")
