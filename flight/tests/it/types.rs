//! Every Arrow type under every profile: what is declared is what is streamed, and what is streamed is right.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, IpcMessage};
use futures::TryStreamExt;
use prost::Message;
use tonic::Request;

use crate::fixture::{Node, ticket};
use crate::raw::{describe, rows};

/// An expression of each type, and its value as text.
const VALUES: &[(&str, &str)] = &[
    ("true", "true"),
    ("arrow_cast(-8, 'Int8')", "-8"),
    ("arrow_cast(-16, 'Int16')", "-16"),
    ("arrow_cast(-32, 'Int32')", "-32"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("arrow_cast(255, 'UInt8')", "255"),
    ("arrow_cast(65535, 'UInt16')", "65535"),
    ("arrow_cast(4294967295, 'UInt32')", "4294967295"),
    ("arrow_cast('18446744073709551615', 'UInt64')", "18446744073709551615"),
    ("arrow_cast(1.5, 'Float16')", "1.5"),
    ("arrow_cast(1.5, 'Float32')", "1.5"),
    ("arrow_cast(1.5, 'Float64')", "1.5"),
    ("arrow_cast('1.25', 'Decimal32(9, 2)')", "1.25"),
    ("arrow_cast('1.25', 'Decimal64(18, 2)')", "1.25"),
    (
        "arrow_cast('99999999999999999999999999999999999.999', 'Decimal128(38, 3)')",
        "99999999999999999999999999999999999.999",
    ),
    ("arrow_cast(12300, 'Decimal128(5, -2)')", "12300"),
    ("arrow_cast('1.25', 'Decimal256(76, 2)')", "1.25"),
    ("arrow_cast('1969-12-31', 'Date32')", "1969-12-31"),
    ("arrow_cast(arrow_cast('2026-01-31', 'Date32'), 'Date64')", "2026-01-31"),
    ("arrow_cast('12:34:56', 'Time32(Second)')", "12:34:56"),
    ("arrow_cast('12:34:56.789', 'Time32(Millisecond)')", "12:34:56.789"),
    (
        "arrow_cast('12:34:56.789012', 'Time64(Microsecond)')",
        "12:34:56.789012",
    ),
    (
        "arrow_cast('12:34:56.789012345', 'Time64(Nanosecond)')",
        "12:34:56.789012345",
    ),
    (
        "arrow_cast('1969-12-31T23:59:59', 'Timestamp(Second, None)')",
        "1969-12-31T23:59:59",
    ),
    (
        "arrow_cast('2026-03-29T01:30:00Z', 'Timestamp(Millisecond, Some(\"Europe/Berlin\"))')",
        "2026-03-29T03:30:00+02:00",
    ),
    (
        "arrow_cast('2026-01-01T00:00:00.000001Z', 'Timestamp(Microsecond, Some(\"UTC\"))')",
        "2026-01-01T00:00:00.000001Z",
    ),
    (
        "arrow_cast('2026-01-01T00:00:00.000000001', 'Timestamp(Nanosecond, Some(\"+05:30\"))')",
        "2026-01-01T00:00:00.000000001+05:30",
    ),
    ("arrow_cast(90, 'Duration(Second)')", "PT90S"),
    ("arrow_cast('x', 'LargeUtf8')", "x"),
    (
        "arrow_cast('a text that is longer than a view', 'Utf8View')",
        "a text that is longer than a view",
    ),
    ("'x'", "x"),
    ("arrow_cast('x', 'Binary')", "78"),
    ("arrow_cast('x', 'LargeBinary')", "78"),
    (
        "arrow_cast('some bytes that are longer than a view', 'BinaryView')",
        "736f6d6520627974657320746861742061726520",
    ),
    ("arrow_cast(X'616263', 'FixedSizeBinary(3)')", "616263"),
    ("INTERVAL '14' MONTH", "14 mons"),
    ("NULL", "NULL"),
    ("arrow_cast('x', 'Dictionary(Int8, Utf8)')", "x"),
    ("arrow_cast('x', 'Dictionary(UInt32, Utf8View)')", "x"),
    ("[1, NULL]", "[1, NULL]"),
    ("arrow_cast([1], 'LargeList(Int64)')", "[1]"),
    ("arrow_cast([1, 2], 'FixedSizeList(2, Int64)')", "[1, 2]"),
    ("[arrow_cast('x', 'Utf8View')]", "[x]"),
    (
        "{'a': 1, 'b': arrow_cast('y', 'Dictionary(Int32, Utf8)')}",
        "{a: 1, b: y}",
    ),
    ("MAP {'k': arrow_cast(7, 'UInt8')}", "{k: 7}"),
    ("[{'u': arrow_cast(1, 'UInt16')}]", "[{u: 1}]"),
];

/// What times with a zone are where zones are left out.
const IN_UTC: &[(&str, &str)] = &[
    ("2026-03-29T03:30:00+02:00", "2026-03-29T01:30:00"),
    ("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000001"),
    ("2026-01-01T00:00:00.000000001+05:30", "2025-12-31T18:30:00.000000001"),
];

/// Headers that choose a profile.
const PROFILES: &[&[(&str, &str)]] = &[
    &[],
    &[("jetway-profile", "jdbc")],
    &[("jetway-profile", "rich")],
    &[("jetway-profile", "rich"), ("jetway-compression", "zstd")],
    &[("jetway-dictionaries", "keep"), ("jetway-compression", "lz4")],
    &[("jetway-string-views", "keep"), ("jetway-unsigned", "widen")],
];

fn with_headers<T>(message: T, headers: &[(&'static str, &'static str)]) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer token-alice".parse().unwrap());
    for (name, value) in headers {
        metadata.insert(*name, value.parse().unwrap());
    }
    request
}

/// The metadata in an encapsulated message.
fn inner(schema: &[u8]) -> &[u8] {
    let (marker, rest) = schema.split_at(4);
    assert_eq!(marker, [0xFF; 4]);
    let length = i32::from_le_bytes(rest[..4].try_into().unwrap());
    &rest[4..4 + usize::try_from(length).unwrap()]
}

struct Client {
    flight: arrow_flight::flight_service_client::FlightServiceClient<tonic::transport::Channel>,
    headers: &'static [(&'static str, &'static str)],
}

impl Client {
    /// Runs a query; asserts that its schema is the same byte for byte wherever it is told.
    async fn run(&mut self, sql: &str) -> (Schema, Vec<String>) {
        let request = with_headers(describe(sql), self.headers);
        let info = self
            .flight
            .get_flight_info(request)
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status}"));
        let info = info.into_inner();
        let asked = self
            .flight
            .get_schema(with_headers(describe(sql), self.headers))
            .await
            .unwrap();
        assert_eq!(asked.into_inner().schema, info.schema, "GetSchema of {sql}");
        let prepare = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let action = Action {
            r#type: "CreatePreparedStatement".to_owned(),
            body: prepare.as_any().encode_to_vec().into(),
        };
        let answers = self
            .flight
            .do_action(with_headers(action, self.headers))
            .await
            .unwrap()
            .into_inner();
        let answers: Vec<_> = answers.try_collect().await.unwrap();
        let answer: ActionCreatePreparedStatementResult =
            Any::decode(answers[0].body.clone()).unwrap().unpack().unwrap().unwrap();
        assert_eq!(answer.dataset_schema, info.schema, "Prepare of {sql}");
        let request = with_headers(ticket(&info), self.headers);
        let stream = self.flight.do_get(request).await.unwrap().into_inner();
        let messages: Vec<FlightData> = stream
            .try_collect()
            .await
            .unwrap_or_else(|status| panic!("{sql}: {status}"));
        // In front of a body the metadata is filled up with zeros.
        let (streamed, declared) = (&messages[0].data_header, inner(&info.schema));
        assert!(declared.starts_with(streamed), "first message of {sql}");
        assert!(
            declared[streamed.len()..].iter().all(|byte| *byte == 0),
            "first message of {sql}"
        );
        let declared = Schema::try_from(IpcMessage(info.schema)).unwrap();
        (declared, rows(messages).await)
    }
}

/// Trap 1, trap 6, trap 9, trap 10: the right value or a documented cast, under each profile.
#[tokio::test]
async fn every_type_under_every_profile() {
    let node = Node::start().await;
    let mut client = Client {
        flight: node.raw().await,
        headers: &[],
    };
    for headers in PROFILES {
        client.headers = headers;
        let columns: Vec<String> = VALUES
            .iter()
            .enumerate()
            .map(|(index, (sql, _))| format!("{sql} AS c{index}"))
            .collect();
        let (schema, rows) = client.run(&format!("SELECT {}", columns.join(", "))).await;
        assert_eq!(schema.fields().len(), VALUES.len());
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        let without_zones = headers.contains(&("jetway-profile", "jdbc"));
        for (value, (sql, expected)) in row.split('|').zip(VALUES) {
            let in_utc = IN_UTC.iter().find(|(zoned, _)| without_zones && zoned == expected);
            let expected = in_utc.map_or(*expected, |(_, utc)| *utc);
            assert!(value.starts_with(expected), "{sql} is {value} with {headers:?}");
        }
    }
}

/// Trap 1, trap 11: any query, also without rows, without columns and with very many columns.
#[tokio::test]
async fn random_queries_under_every_profile() {
    let node = Node::start().await;
    let mut client = Client {
        flight: node.raw().await,
        headers: &[],
    };
    let mut state = 42_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut seen = BTreeMap::new();
    for round in 0..40 {
        client.headers = PROFILES[round % PROFILES.len()];
        let columns: Vec<String> = (0..1 + below(6))
            .map(|index| {
                let value = VALUES[below(VALUES.len())].0;
                let value = match below(5) {
                    0 => format!("[{value}]"),
                    1 => format!("{{'f': {value}}}"),
                    2 => format!("CASE WHEN n > 1 THEN {value} END"),
                    _ => value.to_owned(),
                };
                format!("{value} AS \"c {index}\"")
            })
            .collect();
        let source = [
            "generate_series(1, 3) AS t(n)",
            "(SELECT 1 AS n WHERE false)",
            "generate_series(1, 9000) AS t(n)",
        ];
        let (source, count) = [(source[0], 3), (source[1], 0), (source[2], 9000)][below(3)];
        let (_, rows) = client
            .run(&format!("SELECT {} FROM {source}", columns.join(", ")))
            .await;
        assert_eq!(rows.len(), count);
        *seen.entry(count).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 3);
    let many: Vec<String> = (0..2000).map(|index| format!("{index} AS c{index}")).collect();
    let (schema, rows) = client.run(&format!("SELECT {}", many.join(", "))).await;
    assert_eq!((schema.fields().len(), rows.len()), (2000, 1));
}
