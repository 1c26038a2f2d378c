"""DuckDB for the benches: reads one statement a line as JSON, runs it, and prints seconds and rows of the answer."""

import json
import sys
import time

import duckdb

connection = duckdb.connect()
for line in sys.stdin:
    sql = json.loads(line)
    start = time.perf_counter()
    answer = connection.sql(sql)
    rows = answer.to_arrow_table().num_rows if answer is not None else 0
    print(json.dumps({"seconds": time.perf_counter() - start, "rows": rows}), flush=True)
