use super::*;
use crate::ErrorKind;

#[derive(Debug)]
struct OneUser;

#[async_trait]
impl Authenticator for OneUser {
    async fn basic(&self, user: &str, password: &str) -> Result<Login> {
        if (user, password) != ("alice", "se:cret") {
            return Err(Error::unauthenticated("wrong user name or password"));
        }
        Ok(Login {
            subject: alice(),
            token: "token-1".to_owned(),
        })
    }

    async fn bearer(&self, token: &str) -> Result<Subject> {
        if token != "token-1" {
            return Err(Error::unauthenticated("unknown token"));
        }
        Ok(alice())
    }
}

fn alice() -> Subject {
    Subject::account("alice".parse().unwrap())
}

fn headers(values: &[&str]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for value in values {
        metadata.append(AUTHORIZATION, value.parse().unwrap());
    }
    metadata
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn calls_with_password_or_token() {
    let caller = authenticate(&OneUser, &headers(&[&basic("alice", "se:cret")]))
        .await
        .unwrap();
    assert_eq!(caller.subject, alice());
    assert_eq!(caller.bearer.unwrap().to_str().unwrap(), "Bearer token-1");

    let caller = authenticate(&OneUser, &headers(&["bearer token-1"])).await.unwrap();
    assert!(caller.bearer.is_none());

    // A token wins over a password, whichever comes first.
    let caller = authenticate(&OneUser, &headers(&[&basic("alice", "old"), "Bearer token-1"]))
        .await
        .unwrap();
    assert_eq!(caller.subject, alice());

    let mut legacy = MetadataMap::new();
    legacy.insert_bin(LEGACY_TOKEN, MetadataValue::from_bytes(b"token-1"));
    assert_eq!(authenticate(&OneUser, &legacy).await.unwrap().subject, alice());
}

#[tokio::test]
async fn bad_credentials_tell_what_to_do() {
    for metadata in [
        headers(&[]),
        headers(&["Digest abc"]),
        headers(&["Basic ???"]),
        headers(&[&format!("Basic {}", STANDARD.encode("no colon"))]),
    ] {
        let error = authenticate(&OneUser, &metadata).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.message().contains("log in first"), "{error}");
    }
    let error = authenticate(&OneUser, &headers(&["Bearer nope"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn both_kinds_of_handshake() {
    let welcome = handshake(
        &OneUser,
        &headers(&[&basic("alice", "se:cret")]),
        stream::empty().boxed(),
    )
    .await
    .unwrap();
    assert_eq!(welcome.response.payload, "token-1");
    assert_eq!(welcome.bearer.to_str().unwrap(), "Bearer token-1");
    assert!(welcome.bearer.is_sensitive());

    let auth = BasicAuth {
        username: "alice".to_owned(),
        password: "se:cret".to_owned(),
    };
    let request = HandshakeRequest {
        protocol_version: 3,
        payload: auth.encode_to_vec().into(),
    };
    let requests = stream::iter([Ok(request)]).boxed();
    let welcome = handshake(&OneUser, &headers(&[]), requests).await.unwrap();
    assert_eq!(
        (welcome.response.protocol_version, &welcome.response.payload[..]),
        (3, &b"token-1"[..])
    );

    let error = handshake(&OneUser, &headers(&[]), stream::empty().boxed())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

/// Lets in those without credentials, and alice.
#[derive(Debug)]
struct Open;

#[async_trait]
impl Authenticator for Open {
    async fn basic(&self, user: &str, password: &str) -> Result<Login> {
        OneUser.basic(user, password).await
    }

    async fn bearer(&self, token: &str) -> Result<Subject> {
        OneUser.bearer(token).await
    }

    fn anonymous(&self) -> Option<Subject> {
        Some(Subject::anonymous("anonymous".parse().unwrap()))
    }
}

#[tokio::test]
async fn those_without_credentials_are_let_in_only_where_that_is_wanted() {
    let cases = [
        (vec![], true),
        (vec![basic("", "")], true),
        (vec!["Bearer anonymous".to_owned()], true),
        (vec![basic("", "password")], false),
        (vec![basic("alice", "")], false),
        (vec![basic("anonymous", "")], false),
        (vec!["Bearer ".to_owned()], false),
        (vec!["Bearer token-2".to_owned()], false),
    ];
    for (values, expected) in cases {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let caller = authenticate(&Open, &headers(&values)).await;
        let anonymous = caller.is_ok_and(|caller| caller.subject.is_anonymous());
        assert_eq!(anonymous, expected, "{values:?}");
        assert!(authenticate(&OneUser, &headers(&values)).await.is_err(), "{values:?}");
    }
    let caller = authenticate(&Open, &headers(&["Bearer token-1"])).await.unwrap();
    assert!(!caller.subject.is_anonymous());
}

#[tokio::test]
async fn a_handshake_without_credentials_gives_a_token_that_is_none() {
    let nothing = || stream::empty().boxed();
    let welcome = handshake(&Open, &MetadataMap::new(), nothing()).await.unwrap();
    let bearer = welcome.bearer.to_str().unwrap();
    let caller = authenticate(&Open, &headers(&[bearer])).await.unwrap();
    assert!(caller.subject.is_anonymous());
    assert!(handshake(&OneUser, &MetadataMap::new(), nothing()).await.is_err());
}
