use std::path::Path;

use secrecy::ExposeSecret;

use super::*;

fn environment(variables: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Loads a file with the given text.
fn load(yaml: &str, variables: &[(&str, &str)], flags: Layer) -> Result<Config> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("jetway.yaml");
    std::fs::write(&path, yaml)?;
    Config::load(Some(&path), environment(variables), flags)
}

fn failure(yaml: &str, variables: &[(&str, &str)]) -> String {
    format!("{:#}", load(yaml, variables, Layer::flags()).unwrap_err())
}

#[test]
fn each_source_goes_over_the_one_before() {
    let yaml = "http:\n  address: 127.0.0.1:1001\nflight:\n  address: 127.0.0.1:1002\nshutdown:\n  grace_period: 1m\ntelemetry:\n";
    let variables = [
        ("JETWAY_FLIGHT__ADDRESS", "127.0.0.1:2002"),
        ("JETWAY_SHUTDOWN__GRACE_PERIOD", "2m"),
    ];
    let flags = Layer::flags()
        .with(&["shutdown", "grace_period"], Some("3m"))
        .with(&["data_dir"], None::<String>);
    let config = load(yaml, &variables, flags).unwrap();
    assert_eq!(config.http.address, "127.0.0.1:1001");
    assert_eq!(config.flight.address, "127.0.0.1:2002");
    assert_eq!(config.shutdown.grace_period, Period::from_seconds(180));
    assert_eq!(config.data_dir, Path::new("jetway-data"));
    assert_eq!(config.telemetry.log, "info");
}

#[test]
fn unknown_keys_are_named_with_their_source() {
    let message = failure("http:\n  adress: x\n", &[]);
    assert!(
        message.contains("`http.adress`") && message.contains("jetway.yaml") && message.contains("address"),
        "{message}"
    );
    let message = failure("htp: {}\n", &[]);
    assert!(message.contains("`htp`") && message.contains("http"), "{message}");
    let message = failure("", &[("JETWAY_HTTP__ADRESS", "x")]);
    assert!(
        message.contains("`http.adress`") && message.contains("environment"),
        "{message}"
    );
}

#[test]
fn values_that_do_not_fit_are_named_but_not_repeated_if_secret() {
    let message = failure("shutdown:\n  grace_period: soon\n", &[]);
    assert!(
        message.contains("`shutdown.grace_period`") && message.contains("90s"),
        "{message}"
    );
    let message = failure("", &[("JETWAY_QUERY__PARALLELISM", "0")]);
    assert!(message.contains("`query.parallelism`"), "{message}");
    let message = failure("accounts:\n  admin_password: [hunter2hunter2]\n", &[]);
    assert!(
        message.contains("`accounts.admin_password`") && !message.contains("hunter2"),
        "{message}"
    );
    assert!(failure("- a list\n", &[]).contains("keys and values"));
    assert!(failure("a: [\n", &[]).contains("not valid YAML"));
}

#[test]
fn environment_values_are_taken_as_they_are_written() {
    let variables = [
        ("JETWAY_ADMIN_PASSWORD", "0012345678"),
        ("JETWAY_QUERY__MEMORY_LIMIT", "4GiB"),
        ("JETWAY_QUERY__PARALLELISM", "3"),
        ("JETWAY_S3__ALLOW_HTTP", "true"),
        ("JETWAY_DATA_DIR", "/somewhere"),
        ("JETWAY_LOG", "debug"),
        // What Kubernetes adds for a service, and what the client side of the command line reads.
        ("JETWAY_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("JETWAY_SERVICE_HOST", "10.0.0.1"),
        ("JETWAY_URL", "grpc://elsewhere:50050"),
    ];
    let config = load("", &variables, Layer::flags()).unwrap();
    assert_eq!(
        config.accounts.admin_password.as_ref().unwrap().get().expose_secret(),
        "0012345678"
    );
    assert_eq!(config.query.memory_limit.unwrap().bytes(), 4 << 30);
    assert_eq!(config.query.parallelism.unwrap().get(), 3);
    assert_eq!(config.s3.allow_http, Some(Flag(true)));
    assert_eq!(config.data_dir, Path::new("/somewhere"));
    assert_eq!(config.telemetry.log, "debug");
    assert_eq!(config.repository(), "/somewhere/datasets");
}

#[test]
fn secrets_are_masked_wherever_a_configuration_is_shown() {
    let config = load("accounts:\n  admin_password: hunter2hunter2\n", &[], Layer::flags()).unwrap();
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2") && shown.contains("********"), "{shown}");
}

#[test]
fn the_reference_is_complete_and_is_itself_a_configuration_of_defaults() {
    let text = reference().unwrap();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let loaded = serde_json::to_value(load(&text, &[], Layer::flags()).unwrap()).unwrap();
    assert_eq!(loaded, defaults);
    for (area, value) in defaults.as_object().unwrap() {
        assert!(text.contains(&format!("\n{area}:")), "{area} is missing");
        for field in value.as_object().into_iter().flatten().map(|(field, _)| field) {
            assert!(text.contains(&format!("\n  {field}:")), "{area}.{field} is missing");
        }
    }
}

#[test]
fn units_are_read_and_written() {
    for (text, seconds, shown) in [
        ("90s", 90, "90s"),
        ("30m", 1800, "30m"),
        ("24h", 86_400, "24h"),
        ("30d", 2_592_000, "30d"),
        ("45", 45, "45s"),
        ("0s", 0, "0s"),
    ] {
        let period: Period = text.parse().unwrap();
        assert_eq!(
            (period, period.to_string().as_str()),
            (Period::from_seconds(seconds), shown)
        );
    }
    for text in ["", "s", "-1s", "1w", "1.5h", "99999999999999999999d"] {
        assert!(text.parse::<Period>().is_err(), "{text}");
    }
    for (text, bytes) in [
        ("512MiB", 512 << 20),
        ("2GB", 2_000_000_000),
        ("17", 17),
        ("1 KiB", 1024),
    ] {
        assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes);
    }
    assert_eq!("3072KiB".parse::<ByteSize>().unwrap().to_string(), "3MiB");
    assert!("1XB".parse::<ByteSize>().is_err() && "-1B".parse::<ByteSize>().is_err());
}
