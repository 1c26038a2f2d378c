"""Weather and delays joined in polars, and the answer pushed back as a table of its own.

    JETWAY_TOKEN=... python examples/with_polars.py --uri grpc://127.0.0.1:50050
"""

import argparse
import os

import adbc_driver_flightsql.dbapi as flightsql
import polars as pl


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--uri", default="grpc://127.0.0.1:50050")
    token = {"adbc.flight.sql.authorization_header": f"Bearer {os.environ['JETWAY_TOKEN']}"}
    with flightsql.connect(arguments.parse_args().uri, db_kwargs=token, autocommit=True) as node:
        # Columns arrive as Arrow and become polars' own without a copy.
        flights = pl.read_database("SELECT origin, time_hour, dep_delay FROM admin.flights", node)
        weather = pl.read_database("SELECT origin, time_hour, wind_speed FROM admin.weather", node)

        delays = (
            flights.join(weather, on=["origin", "time_hour"])
            .with_columns(wind=pl.col("wind_speed").floordiv(10).cast(pl.Int32) * 10)
            .group_by("wind")
            .agg(flights=pl.len().cast(pl.Int64), delay=pl.col("dep_delay").mean().round(2))
            .drop_nulls("wind")
            .sort("wind")
        )
        with node.cursor() as cursor:
            cursor.adbc_ingest("delay_by_wind", delays.to_arrow(), mode="create_append")
        print(pl.read_database('SELECT wind, flights, delay FROM admin.delay_by_wind ORDER BY "offset" DESC LIMIT 5', node))


if __name__ == "__main__":
    main()
