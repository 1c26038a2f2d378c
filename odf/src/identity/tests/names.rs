//! Names, aliases, references and patterns.

use std::collections::{BTreeSet, HashSet};

use crate::error::ErrorKind;
use crate::identity::{
    AccountName, DatasetAlias, DatasetAliasPattern, DatasetName, DatasetNamePattern, DatasetRef, RemoteDatasetRef,
};

#[test]
fn names_follow_the_grammar() {
    for valid in ["a", "net.example.trades", "my-data", "A-1.b-2", "0"] {
        assert_eq!(DatasetName::new(valid).unwrap().as_str(), valid);
    }
    let long = "a".repeat(101);
    for invalid in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a--b",
        "a_b",
        "a/b",
        "ä",
        "a b",
        "a.-b",
        long.as_str(),
    ] {
        let error = DatasetName::new(invalid).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidIdentity, "{invalid}");
    }
    assert!(DatasetName::new(&long[..100]).is_ok());
}

#[test]
fn names_compare_without_case_and_keep_it() {
    let (lower, upper) = (
        DatasetName::new("net.trades").unwrap(),
        DatasetName::new("Net.Trades").unwrap(),
    );
    assert_eq!(lower, upper);
    assert_eq!(upper.to_string(), "Net.Trades");
    assert_eq!(HashSet::from([lower.clone(), upper.clone()]).len(), 1);
    assert_eq!(BTreeSet::from([lower, upper]).len(), 1);
    let sorted = BTreeSet::from(["b", "A", "c"].map(|name| AccountName::new(name).unwrap()));
    assert_eq!(
        sorted.iter().map(AccountName::as_str).collect::<Vec<_>>(),
        ["A", "b", "c"]
    );
}

#[test]
fn aliases() {
    let alias: DatasetAlias = "Alice/net.trades".parse().unwrap();
    assert_eq!(alias.account.as_ref().unwrap().as_str(), "Alice");
    assert_eq!(alias, "alice/NET.trades".parse().unwrap());
    assert_ne!(alias, "net.trades".parse().unwrap());
    assert_eq!(serde_json::to_string(&alias).unwrap(), "\"Alice/net.trades\"");
    assert_eq!(
        serde_json::from_str::<DatasetAlias>("\"alice/net.trades\"").unwrap(),
        alias
    );
    for invalid in ["/a", "a/", "a/b/c", "/", ""] {
        assert!(invalid.parse::<DatasetAlias>().is_err(), "{invalid}");
    }
}

#[test]
fn references() {
    let did = "did:odf:fed01816ef0a9abe93aba816ef0a9abe93aba90e6065747170300c0d3d30c2cd8d7a4";
    assert!(matches!(did.parse().unwrap(), DatasetRef::Id(_)));
    assert!(matches!(
        "alice/trades".parse().unwrap(),
        DatasetRef::Alias(DatasetAlias { account: Some(_), .. })
    ));
    for text in [did, "alice/trades", "trades"] {
        assert_eq!(text.parse::<DatasetRef>().unwrap().to_string(), text);
    }
    let with_repository = format!("hub/{did}");
    for text in [
        did,
        &with_repository,
        "hub/trades",
        "hub/alice/trades",
        "https://example.net/a",
        "s3://bucket/a",
    ] {
        assert_eq!(text.parse::<RemoteDatasetRef>().unwrap().to_string(), text);
    }
    assert!("trades".parse::<RemoteDatasetRef>().is_err());
}

#[test]
fn patterns_match_like_ilike() {
    let cases = [
        ("net.example.%", "Net.Example.trades", true),
        ("net.example.%", "net.example", false),
        ("%", "anything", true),
        ("%b%c", "abbc", true),
        ("%b%c", "abcb", false),
        ("%a%%", "a", true),
        ("trades", "TRADES", true),
        ("trades", "trades2", false),
        ("a%b%c%d", "a-b.bb.c-c-d", true),
    ];
    for (pattern, name, fits) in cases {
        let parsed: DatasetNamePattern = pattern.parse().unwrap();
        assert_eq!(
            parsed.matches(&DatasetName::new(name).unwrap()),
            fits,
            "{pattern} {name}"
        );
    }
    let pattern: DatasetAliasPattern = "alice/net.%".parse().unwrap();
    assert!(pattern.matches(&"Alice/net.a".parse().unwrap()));
    assert!(!pattern.matches(&"bob/net.a".parse().unwrap()));
    assert!(!pattern.matches(&"net.a".parse().unwrap()));
    assert!(
        "net.%"
            .parse::<DatasetAliasPattern>()
            .unwrap()
            .matches(&"bob/net.a".parse().unwrap())
    );
}
