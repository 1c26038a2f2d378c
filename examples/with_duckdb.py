"""A result of the node joined in DuckDB with data that the node does not have; neither is held whole.

    JETWAY_TOKEN=... python examples/with_duckdb.py --uri grpc://127.0.0.1:50050
"""

import argparse
import os

import adbc_driver_flightsql.dbapi as flightsql
import duckdb


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--uri", default="grpc://127.0.0.1:50050")
    token = {"adbc.flight.sql.authorization_header": f"Bearer {os.environ['JETWAY_TOKEN']}"}
    duck = duckdb.connect()
    duck.sql("CREATE TABLE goals AS SELECT * FROM (VALUES ('EWR', 12.0), ('JFK', 14.0), ('LGA', 9.0)) AS t (origin, goal)")
    with (
        flightsql.connect(arguments.parse_args().uri, db_kwargs=token, autocommit=True) as node,
        node.cursor() as cursor,
    ):
        cursor.execute("SELECT origin, dep_delay FROM admin.flights WHERE dep_delay IS NOT NULL")
        # DuckDB finds the stream by the name of the variable and reads batch by batch as they arrive.
        flights = cursor.fetch_record_batch()
        missed = duck.sql("""
            SELECT origin, count(*) AS flights, round(avg(dep_delay), 2) AS delay, any_value(goal) AS goal
            FROM flights JOIN goals USING (origin)
            GROUP BY origin HAVING avg(dep_delay) > any_value(goal) ORDER BY origin
        """)
        print("airports that miss their goal")
        for origin, count, delay, goal in missed.fetchall():
            print(f"{origin}: {count} flights, {delay} minutes late, the goal is {goal}")


if __name__ == "__main__":
    main()
