//! Sessions: cookies with options, on every replica.

use std::collections::HashMap;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, Empty, FlightData};
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::fixture::{Node, cities, ingest_into, push};
use crate::raw;

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(sfixed64, optional, tag = "3")]
    number: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, Number>,
}

/// A message with one enumeration.
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(int32, tag = "1")]
    value: i32,
}

/// A client that keeps its cookie as clients do: as the text before the first semicolon.
struct Client {
    flight: FlightServiceClient<Channel>,
    user: &'static str,
    cookie: Option<String>,
    headers: Vec<(&'static str, &'static str)>,
}

impl Client {
    async fn new(node: &Node, user: &'static str) -> Self {
        Self {
            flight: node.raw().await,
            user,
            cookie: None,
            headers: Vec::new(),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut();
        headers.insert("authorization", format!("Bearer token-{}", self.user).parse().unwrap());
        if let Some(cookie) = &self.cookie {
            headers.insert("cookie", cookie.parse().unwrap());
        }
        for (name, value) in &self.headers {
            headers.insert(*name, value.parse().unwrap());
        }
        request
    }

    /// The body of the answer, and the header about cookies.
    async fn act(&mut self, name: &str, body: Vec<u8>) -> Result<(Vec<u8>, Option<String>), Status> {
        let request = self.request(Action {
            r#type: name.to_owned(),
            body: body.into(),
        });
        let response = self.flight.do_action(request).await?;
        let given = response
            .metadata()
            .get("set-cookie")
            .map(|value| value.to_str().unwrap().to_owned());
        if let Some(given) = &given {
            self.cookie = given.split(';').next().map(ToOwned::to_owned);
        }
        let results: Vec<_> = response.into_inner().try_collect().await?;
        Ok((results[0].body.to_vec(), given))
    }

    async fn set(&mut self, options: &[(&str, &str)]) -> Result<HashMap<String, i32>, Status> {
        let text = |value: &str| OptionValue {
            text: Some(value.to_owned()),
            number: None,
        };
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), text(value)))
            .collect();
        self.set_values(options).await
    }

    async fn set_values(&mut self, options: HashMap<String, OptionValue>) -> Result<HashMap<String, i32>, Status> {
        let (body, _) = self
            .act("SetSessionOptions", Options { options }.encode_to_vec())
            .await?;
        let errors = Errors::decode(body.as_slice()).unwrap().errors;
        Ok(errors.into_iter().map(|(name, error)| (name, error.value)).collect())
    }

    async fn get(&mut self) -> Result<HashMap<String, String>, Status> {
        let (body, given) = self.act("GetSessionOptions", Vec::new()).await?;
        assert_eq!(given, None, "asking makes no session");
        let options = Options::decode(body.as_slice()).unwrap().options.into_iter();
        Ok(options
            .map(|(name, value)| (name, value.text.unwrap_or_else(|| value.number.unwrap().to_string())))
            .collect())
    }

    /// The rows of a query as texts.
    async fn rows(&mut self, sql: &str) -> Result<Vec<String>, Status> {
        let info = self
            .flight
            .get_flight_info(self.request(raw::describe(sql)))
            .await?
            .into_inner();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let messages: Vec<FlightData> = self
            .flight
            .do_get(self.request(ticket))
            .await?
            .into_inner()
            .try_collect()
            .await?;
        Ok(raw::rows(messages).await)
    }
}

/// The scenario `session_options` of Arrow's integration suite, in our words.
#[tokio::test]
async fn options_are_set_got_and_closed() {
    let node = Node::start().await;
    let mut client = Client::new(&node, "alice").await;
    let before = client.get().await.unwrap();
    assert_eq!(
        (before["catalog"].as_str(), before["schema"].as_str()),
        ("jetway", "alice")
    );
    assert_eq!(before["time_zone"], "UTC");

    let errors = client
        .set(&[
            ("schema", "bob"),
            ("compression", "lz4"),
            ("no such option", "1"),
            ("time_zone", "Mars/Olympus"),
            ("catalog", "other"),
        ])
        .await
        .unwrap();
    let expected = [("no such option", 1), ("time_zone", 2), ("catalog", 2)];
    assert_eq!(errors, expected.map(|(name, error)| (name.to_owned(), error)).into());
    let now = client.get().await.unwrap();
    assert_eq!((now["schema"].as_str(), now["compression"].as_str()), ("bob", "lz4"));

    // Numbers are taken as such, and an option without a value is unset. The others stay.
    let number = OptionValue {
        text: None,
        number: Some(4),
    };
    let nothing = OptionValue {
        text: None,
        number: None,
    };
    let options = [("endpoints".to_owned(), number), ("schema".to_owned(), nothing)];
    assert!(client.set_values(options.into()).await.unwrap().is_empty());
    let now = client.get().await.unwrap();
    assert_eq!(
        (
            now["endpoints"].as_str(),
            now["schema"].as_str(),
            now["compression"].as_str()
        ),
        ("4", "alice", "lz4")
    );

    let session = client.cookie.clone();
    let (body, given) = client.act("CloseSession", Vec::new()).await.unwrap();
    assert_eq!(Number::decode(body.as_slice()).unwrap().value, 1);
    assert!(given.unwrap().contains("Max-Age=0"));
    assert_eq!(client.get().await.unwrap()["compression"], "none");
    client.cookie = session;
    assert_eq!(client.get().await.unwrap_err().code(), Code::NotFound);
    client.cookie = None;
    let (body, given) = client.act("CloseSession", Vec::new()).await.unwrap();
    assert_eq!(
        Number::decode(body.as_slice()).unwrap().value,
        3,
        "there is nothing to close"
    );
    assert_eq!(given, None);
}

/// Trap 30: sessions are good on every replica, and cookies are optional.
#[tokio::test]
async fn every_replica_knows_a_session() {
    let node = Node::start().await;
    let mut one = Client::new(&node, "alice").await;
    one.set(&[("schema", "public")]).await.unwrap();
    let mut other = Client::new(&node, "alice").await;
    other.flight = FlightServiceClient::new(node.channel(node.other_replica).await);
    assert_eq!(other.get().await.unwrap()["schema"], "alice");
    other.cookie = one.cookie.clone();
    assert_eq!(other.get().await.unwrap()["schema"], "public");
    // The same without cookies.
    let cookie = one.cookie.take().unwrap();
    let value = cookie.strip_prefix("jetway_session=").unwrap().to_owned();
    other.cookie = None;
    other.headers = vec![("jetway-session", value.leak())];
    assert_eq!(other.get().await.unwrap()["schema"], "public");
}

#[tokio::test]
async fn foreign_and_old_sessions() {
    let node = Node::start().await;
    let mut alice = Client::new(&node, "alice").await;
    alice.set(&[("schema", "bob")]).await.unwrap();
    let cookie = alice.cookie.clone().unwrap();

    let mut bob = Client::new(&node, "bob").await;
    bob.cookie = Some(cookie.clone());
    let refused = bob.rows("SELECT 1").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    bob.cookie = Some(format!("{cookie}x"));
    let refused = bob.rows("SELECT 1").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("drop it"), "{}", refused.message());
    bob.cookie = Some("theirs=1; another=2".to_owned());
    assert_eq!(bob.rows("SELECT 1").await.unwrap(), ["1"]);

    // One that is used goes on: after half of its time there is a new cookie.
    node.wait(Duration::from_secs(13 * 60 * 60));
    let request = alice.request(Empty {});
    let renewed = alice.flight.list_actions(request).await.unwrap();
    let renewed = renewed
        .metadata()
        .get("set-cookie")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    node.wait(Duration::from_secs(12 * 60 * 60));
    assert_eq!(alice.get().await.unwrap()["schema"], "alice", "the old one is over");
    alice.cookie = renewed.split(';').next().map(ToOwned::to_owned);
    let request = alice.request(Empty {});
    alice.flight.list_actions(request).await.unwrap();
}

/// Trap 15.
#[tokio::test]
async fn the_schema_is_where_names_without_one_are() {
    let node = Node::start().await;
    let mut public = node.client("public").await;
    push(&mut public, "cities", vec![cities(&["Bern"])]).await;
    let mut client = Client::new(&node, "alice").await;
    assert_eq!(
        client.rows("SELECT city FROM cities").await.unwrap_err().code(),
        Code::NotFound
    );
    client
        .set(&[("schema", "public"), ("catalog", "jetway")])
        .await
        .unwrap();
    assert_eq!(client.rows("SELECT city FROM cities").await.unwrap(), ["Bern"]);
    assert_eq!(
        client
            .rows("SELECT c.city FROM cities c, public.cities d")
            .await
            .unwrap(),
        ["Bern"]
    );
    assert_eq!(
        client.rows("SELECT city FROM to_table('cities')").await.unwrap(),
        ["Bern"]
    );
    let schema = "SELECT count(*) FROM tables WHERE table_schema = 'public'";
    client.set(&[("schema", "information_schema")]).await.unwrap();
    assert_eq!(client.rows(schema).await.unwrap(), ["1"]);
    // A header counts for one call, and wins. JDBC sends a property of its URL as a header of the same name.
    for header in ["jetway-schema", "schema"] {
        client.headers = vec![(header, "public"), ("database", "whatever"), ("jetway-unheard-of", "1")];
        assert_eq!(client.rows("SELECT city FROM cities").await.unwrap(), ["Bern"]);
    }
    client.headers = vec![("jetway-schema", "not a/name")];
    assert_eq!(client.rows("SELECT 1").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_ingest_goes_to_the_schema() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    alice.set_header("jetway-schema", "public");
    push(&mut alice, "towns", vec![cities(&["Thun"])]).await;
    let mut client = Client::new(&node, "bob").await;
    assert_eq!(client.rows("SELECT city FROM public.towns").await.unwrap(), ["Thun"]);
    // What the command says wins.
    let mut command = ingest_into("villages");
    command.schema = Some("alice".to_owned());
    let rows = futures::stream::iter([Ok(cities(&["Wald"]))]);
    alice.execute_ingest(command, rows).await.unwrap();
    let mut client = Client::new(&node, "alice").await;
    assert_eq!(client.rows("SELECT city FROM alice.villages").await.unwrap(), ["Wald"]);
}

/// Trap 8: instants stay instants, whatever the zone; texts and the day depend on it.
#[tokio::test]
async fn the_time_zone_changes_what_texts_mean() {
    let node = Node::start().await;
    let mut client = Client::new(&node, "alice").await;
    let zoned = "SELECT arrow_cast('2026-07-01T12:00:00', 'Timestamp(Second, Some(\"Europe/Berlin\"))')::timestamptz";
    let parsed = "SELECT to_timestamp('2026-07-01T12:00:00')";
    let of = |zone: &'static str| vec![("jetway-time-zone", zone)];

    client.headers = of("Europe/Berlin");
    assert_eq!(
        client.rows("SELECT arrow_typeof(now())").await.unwrap(),
        ["Timestamp(ns, \"Europe/Berlin\")"]
    );
    assert_eq!(client.rows(parsed).await.unwrap(), ["2026-07-01T12:00:00+02:00"]);
    assert_eq!(
        client.rows("SELECT TIMESTAMPTZ '2026-07-01T12:00:00'").await.unwrap(),
        ["2026-07-01T12:00:00+02:00"]
    );
    // An instant with a zone of its own is the same in any session.
    let here = client
        .rows(&format!("SELECT ({zoned}) = TIMESTAMPTZ '2026-07-01T10:00:00Z'"))
        .await
        .unwrap();
    assert_eq!(here, ["true"]);

    client.headers = of("-11:00");
    assert_eq!(client.rows(parsed).await.unwrap(), ["2026-07-01T12:00:00-11:00"]);
    let west = client.rows("SELECT current_date").await.unwrap();
    client.headers = of("+14:00");
    let east = client.rows("SELECT current_date").await.unwrap();
    assert_ne!(west, east, "25 hours apart, it is never the same day");
    client.headers.clear();
    assert_eq!(
        client.rows("SELECT arrow_typeof(now())").await.unwrap(),
        ["Timestamp(ns)"]
    );
}

#[tokio::test]
async fn a_statement_ends_at_its_timeout() {
    let node = Node::start().await;
    let mut client = Client::new(&node, "alice").await;
    client.set(&[("statement_timeout", "200ms")]).await.unwrap();
    assert_eq!(client.rows("SELECT 1").await.unwrap(), ["1"]);
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value % 7 = b.value % 5";
    let stopped = client.rows(endless).await.unwrap_err();
    assert_eq!(stopped.code(), Code::DeadlineExceeded, "{}", stopped.message());
}
