use std::time::{Duration, UNIX_EPOCH};

use super::protocol::{OptionValue, SetRequest, StringList, Value, decode};
use super::*;
use crate::{TicketKey, WireProfile};

fn key() -> TicketKey {
    TicketKey::new(&[7; 32]).unwrap()
}

fn subject(name: &str) -> Subject {
    Subject::account(name.parse().unwrap())
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn metadata(pairs: &[(&'static str, &str)]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in pairs {
        metadata.append(*name, value.parse().unwrap());
    }
    metadata
}

#[test]
fn options_take_what_they_document_and_print_what_they_take() {
    let taken = [
        ("catalog", "jetway"),
        ("schema", "alice"),
        ("schema", "my_company"),
        ("schema", "information_schema"),
        ("time_zone", "Europe/Berlin"),
        ("time_zone", "+02:00"),
        ("time_zone", "UTC"),
        ("profile", "rich"),
        ("string_views", "keep"),
        ("dictionaries", "hydrate"),
        ("compression", " lz4 "),
        ("compression", "none"),
        ("unsigned", "widen"),
        ("exotic", "keep"),
        ("endpoints", "4"),
        ("endpoints", "auto"),
        ("spool", "on"),
        ("statement_timeout", "90"),
        ("statement_timeout", "1500ms"),
    ];
    for (name, value) in taken {
        let mut options = Options::default();
        assert_eq!(options.set(name, Some(value)), Ok(()), "{name}={value}");
        let mut again = Options::default();
        for (name, value) in options.entries() {
            assert_eq!(again.set(name, Some(&value)), Ok(()), "{name}={value}");
        }
        assert_eq!(again, options, "{name}={value}");
        assert_eq!(options.set(name, None), Ok(()));
        assert_eq!(options, Options::default(), "{name} can be unset");
    }
    let refused = [
        ("catalog", "other"),
        ("schema", "no such/name"),
        ("time_zone", "Mars/Olympus"),
        ("profile", "fancy"),
        ("string_views", "yes"),
        ("compression", "gzip"),
        ("endpoints", "0"),
        ("endpoints", "-1"),
        ("spool", "maybe"),
        ("statement_timeout", "soon"),
        ("statement_timeout", "99999999999999999999h"),
        ("statement_timeout", "9999999999999999h"),
    ];
    for (name, value) in refused {
        let mut options = Options::default();
        let outcome = options.set(name, Some(value));
        assert!(matches!(outcome, Err(Refusal::Value(_))), "{name}={value}: {outcome:?}");
        assert_eq!(options, Options::default());
    }
    assert_eq!(Options::default().set("fast", Some("true")), Err(Refusal::Name));
    let long = "x".repeat(100_000);
    assert!(Options::default().set("schema", Some(&long)).is_err());
}

/// Trap 28, trap 30.
#[test]
fn cookies_carry_everything_and_stay_small() {
    let mut session = Session::new(at(1000));
    let longest = "a-long-name-of-an-account".to_owned();
    for (name, value) in [
        ("schema", longest.as_str()),
        ("time_zone", "America/Argentina/ComodRivadavia"),
        ("profile", "rich"),
        ("compression", "zstd"),
        ("statement_timeout", "18446744073709551s"),
        ("endpoints", "16"),
    ] {
        session.options.set(name, Some(value)).unwrap();
    }
    let header = session.set_cookie(&key(), &subject("alice"), at(100)).unwrap();
    let header = header.to_str().unwrap();
    assert!(header.len() < 1024, "{}", header.len());
    assert!(header.ends_with("; Path=/; Max-Age=900; HttpOnly"), "{header}");
    let pair = header.split(';').next().unwrap();
    let value = pair.strip_prefix("jetway_session=").unwrap();

    for found in [
        cookie::brought(&metadata(&[("cookie", pair)])),
        cookie::brought(&metadata(&[("cookie", &format!("a=b; {pair}; c=d"))])),
        cookie::brought(&metadata(&[("cookie", "a=b"), ("cookie", pair)])),
        cookie::brought(&metadata(&[("cookie", &format!("jetway_session=\"{value}\""))])),
        cookie::brought(&metadata(&[("jetway-session", value)])),
    ] {
        assert_eq!(found.as_deref(), Some(value));
    }
    for nothing in [
        &[][..],
        &[("cookie", "a=b; other_jetway_session=x")],
        &[("cookie", "jetway_session=")],
        &[("cookie", ";;;=;")],
    ] {
        assert_eq!(cookie::brought(&metadata(nothing)), None, "{nothing:?}");
    }

    let open = |value: &str, who: &str, now| Session::open(value, &key(), &subject(who), now);
    assert_eq!(open(value, "alice", at(999)).unwrap(), Some(session.clone()));
    assert_eq!(open(value, "ALICE", at(999)).unwrap(), Some(session));
    assert_eq!(open(value, "alice", at(1000)).unwrap(), None, "an old one is none");
    assert_eq!(
        open(value, "bob", at(1)).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

#[test]
fn forged_cookies_are_refused() {
    let value = Session::new(at(1000)).seal(&key(), &subject("alice"));
    let open = |value: &str| Session::open(value, &key(), &subject("alice"), at(1));
    for index in 0..value.len() {
        let mut forged = value.clone().into_bytes();
        forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let error = open(&forged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().contains("drop it"));
    }
    let other = TicketKey::new(&[8; 32]).unwrap();
    let foreign = Session::new(at(1000)).seal(&other, &subject("alice"));
    for bad in [foreign.as_str(), "", "?", "AAAA", &"A".repeat(10_000)] {
        assert!(open(bad).is_err(), "{bad}");
    }
}

/// Trap 15: nothing unknown in headers may fail.
#[test]
fn headers_win_over_the_session() {
    let mut session = Session::new(at(1000));
    session.options.set("schema", Some("alice")).unwrap();
    session.options.set("compression", Some("lz4")).unwrap();
    let read = |pairs: &[(&'static str, &str)]| options(Some(&session), &metadata(pairs));

    let found = read(&[("jetway-compression", "none"), ("jetway-time-zone", "Asia/Tokyo")]).unwrap();
    assert_eq!(found.planning().schema.as_deref(), Some("alice"));
    assert_eq!(found.planning().time_zone.as_deref(), Some("Asia/Tokyo"));
    assert_eq!(WireProfile::for_client("", &found.profile), WireProfile::default());
    // What JDBC makes of properties of its URL.
    let found = read(&[
        ("schema", "bob"),
        ("database", "x"),
        ("jetway-nonsense", "1"),
        ("usetls", "true"),
    ])
    .unwrap();
    assert_eq!(found.schema.as_deref(), Some("bob"));
    assert_eq!(read(&[("schema", "not one/name")]).unwrap(), session.options);
    let error = read(&[("jetway-compression", "gzip")]).unwrap_err();
    assert!(error.to_string().contains("none, lz4 or zstd"), "{error}");
}

#[test]
fn the_registry_is_bounded_and_refuses_what_was_closed() {
    let sessions = Sessions::default();
    let client: Arc<str> = "test".into();
    let mut first = Session::new(at(1_000_000));
    assert!(sessions.saw(&first, &subject("alice"), &client, at(1)));
    first.options.set("schema", Some("bob")).unwrap();
    assert!(sessions.saw(&first, &subject("alice"), &client, at(2)));
    let list = sessions.snapshot(at(3));
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].first_seen, list[0].last_seen), (at(1), at(2)));
    assert_eq!((list[0].account.as_str(), list[0].client.as_str()), ("alice", "test"));
    assert_eq!(list[0].options, [("schema".to_owned(), "bob".to_owned())]);
    assert!(
        sessions.snapshot(at(1_000_000)).is_empty(),
        "what expired is not listed"
    );

    sessions.close(&first, at(3));
    assert!(!sessions.saw(&first, &subject("alice"), &client, at(4)));
    assert!(sessions.snapshot(at(4)).is_empty());

    for time in 0..30_000 {
        let session = Session::new(at(1_000_000));
        assert!(sessions.saw(&session, &subject("alice"), &client, at(time)));
        sessions.close(&Session::new(at(1_000_000)), at(time));
    }
    let list = sessions.snapshot(at(1));
    assert!(list.len() <= 10_000, "{}", list.len());
    assert_eq!(list[0].last_seen, at(29_999), "the latest is there");
}

#[test]
fn bodies_come_bare_or_wrapped() {
    use prost::Message;

    let value = |value| OptionValue { value: Some(value) };
    let request = SetRequest {
        options: [
            ("a".to_owned(), value(Value::String("x".to_owned()))),
            ("b".to_owned(), value(Value::Int64(-1))),
            (
                "c".to_owned(),
                value(Value::StringList(StringList {
                    values: vec!["y".to_owned()],
                })),
            ),
            ("d".to_owned(), OptionValue { value: None }),
        ]
        .into(),
    };
    let bare = bytes::Bytes::from(request.encode_to_vec());
    assert_eq!(
        decode::<SetRequest>(&bare, "SetSessionOptionsRequest").unwrap(),
        request
    );
    let wrapped = arrow_flight::sql::Any {
        type_url: "type.googleapis.com/arrow.flight.protocol.SetSessionOptionsRequest".to_owned(),
        value: bare,
    };
    let wrapped = wrapped.encode_to_vec().into();
    assert_eq!(
        decode::<SetRequest>(&wrapped, "SetSessionOptionsRequest").unwrap(),
        request
    );
    assert!(decode::<SetRequest>(&b"\xff\xff"[..].into(), "SetSessionOptionsRequest").is_err());
}
