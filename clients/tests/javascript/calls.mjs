// The JavaScript client by remote control: each line of the input is a call as JSON, each line of the output what came of it.
//
// The tests are in Python (test_javascript.py). Of a table every column's type and values are given, 64-bit integers and bytes as texts.

import { createInterface } from "node:readline";

import { createFlightSqlClient } from "@lakehouse-rs/flight-sql-client";
import { tableFromIPC } from "apache-arrow";

const plain = (value) => {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value && typeof value[Symbol.iterator] === "function" && typeof value !== "string") return [...value].map(plain);
  return value;
};

const described = (bytes) => {
  const table = tableFromIPC(bytes);
  const columns = table.schema.fields.map((field, index) => {
    const column = table.getChildAt(index);
    return { name: field.name, type: String(field.type), nullable: field.nullable, values: [...column].map(plain) };
  });
  return { rows: table.numRows, columns };
};

let client;
for await (const line of createInterface({ input: process.stdin })) {
  const { call, argument } = JSON.parse(line);
  let answer;
  try {
    if (call === "connect") {
      client = await createFlightSqlClient(argument);
      answer = { value: null };
    } else {
      answer = { value: described(await (argument === null ? client[call]() : client[call](argument))) };
    }
  } catch (error) {
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
