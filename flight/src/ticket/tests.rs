use proptest::prelude::*;

use super::*;

fn subject(name: &str) -> Subject {
    Subject::account(name.parse().unwrap())
}

fn key() -> TicketKey {
    TicketKey::new(&[7; 32]).unwrap()
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn ticket(sql: &str) -> Ticket {
    Ticket {
        query: Query::Sql(sql.to_owned()),
        part: Some(TicketPart::Rows(Part {
            first: 3,
            last: u64::MAX,
        })),
        parameters: Some(Bytes::from_static(b"values")),
        session: SessionOptions {
            schema: Some("bob".to_owned()),
            time_zone: None,
            as_of: Some("2026-01-31T12:00:00Z".to_owned()),
        },
        id: QueryId::from_bytes(&[7; 16]).unwrap(),
        transaction: None,
        pins: vec![Pin {
            dataset: DatasetId::seeded(b"one"),
            head: Multihash::sha3_256(b"head"),
        }],
        views: Some(Multihash::sha3_256(b"views")),
        profile: WireProfile {
            compression: Some(crate::Compression::Zstd),
            ..WireProfile::default()
        },
        account: "alice".to_owned(),
        expires: noon() + Duration::from_secs(60),
    }
}

fn open(bytes: &[u8], who: &str, now: SystemTime) -> Result<Ticket> {
    Ticket::open(bytes, &key(), Purpose::Fetch, &subject(who), now).map(|(ticket, _)| ticket)
}

#[test]
fn comes_back_as_it_was() {
    let sealed = ticket("SELECT 1").seal(&key(), Purpose::Fetch);
    let (opened, tag) = Ticket::open(&sealed.0, &key(), Purpose::Fetch, &subject("Alice"), noon()).unwrap();
    assert_eq!(opened, ticket("SELECT 1"));
    assert_eq!(tag, sealed.1);
}

#[test]
fn is_bound_to_subject_time_purpose_and_key() {
    let (bytes, _) = ticket("SELECT 1").seal(&key(), Purpose::Fetch);
    assert_eq!(
        open(&bytes, "bob", noon()).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        open(&bytes, "alice", noon() + Duration::from_secs(60))
            .unwrap_err()
            .kind(),
        ErrorKind::Expired
    );
    let error = Ticket::open(&bytes, &key(), Purpose::Prepared, &subject("alice"), noon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let other = TicketKey::new(&[8; 32]).unwrap();
    let error = Ticket::open(&bytes, &other, Purpose::Fetch, &subject("alice"), noon()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn keys_must_be_long_and_are_not_printed() {
    assert!(TicketKey::new(&[1; 31]).is_err());
    assert!(!format!("{:?}", TicketKey::new(&[0xAB; 32]).unwrap()).contains("171"));
    let (bytes, _) = ticket("SELECT 1").seal(&TicketKey::generate().unwrap(), Purpose::Fetch);
    assert!(open(&bytes, "alice", noon()).is_err());
}

/// Even a signature of ours on nonsense does not bring the decoder down.
#[test]
fn signed_nonsense_is_refused() {
    for body in [
        &b""[..],
        &[VERSION],
        &[VERSION, 1, 0xFF, 0xFF],
        &[9, 1],
        &[VERSION, 1, 0x10, 3],
    ] {
        let mut bytes = body.to_vec();
        bytes.extend(hmac::sign(&key().0, body).as_ref());
        assert!(open(&bytes, "alice", noon()).is_err());
    }
}

proptest! {
    #[test]
    fn any_change_is_noticed(sql in ".{0,60}", at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (bytes, _) = ticket(&sql).seal(&key(), Purpose::Fetch);
        let mut forged = bytes.to_vec();
        let at = at.index(forged.len());
        forged[at] ^= flip;
        prop_assert_eq!(open(&forged, "alice", noon()).unwrap_err().kind(), ErrorKind::InvalidArgument);
        prop_assert!(open(&bytes[..at], "alice", noon()).is_err());
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes, "alice", noon()).is_err());
        let mut signed = bytes;
        let tag = hmac::sign(&key().0, &signed);
        signed.extend(tag.as_ref());
        let _ = open(&signed, "alice", noon());
    }
}
