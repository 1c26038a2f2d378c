// Asks a node for its tables and for the airports with the longest delays, as Arrow tables.
//
//     cd examples/javascript && npm ci
//     JETWAY_TOKEN=$(cat ../../jetway-data/admin-token) node flights.mjs grpc://127.0.0.1:50050

import { createFlightSqlClient } from "@lakehouse-rs/flight-sql-client";
import { tableFromIPC } from "apache-arrow";

const { hostname, port } = new URL(process.argv[2] ?? "grpc://127.0.0.1:50050");
const client = await createFlightSqlClient({
  host: hostname,
  port: Number(port),
  tls: false,
  token: process.env.JETWAY_TOKEN,
  headers: [],
});

const tables = tableFromIPC(await client.getTables({ dbSchemaFilterPattern: "admin", includeSchema: false }));
for (const { db_schema_name, table_name } of tables) {
  console.log(`${db_schema_name}.${table_name}`);
}

const delays = tableFromIPC(
  await client.query(`
    SELECT f.origin, max(f.time_hour) AS latest, count(*) AS flights, avg(f.dep_delay) AS delay
    FROM admin.flights f GROUP BY f.origin ORDER BY delay DESC`),
);
for (const { origin, latest, flights, delay } of delays) {
  // 64-bit integers are BigInt, timestamps are milliseconds.
  console.log(`${origin}: ${flights} flights until ${new Date(latest).toISOString()}, ${delay.toFixed(1)} minutes late`);
}
