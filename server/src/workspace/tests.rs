use jetway_odf::identity::DatasetAlias;
use jetway_planner::Subject;

use super::DatasetArgument;

fn fits(pattern: &str, alias: &str) -> bool {
    let DatasetArgument::Pattern(_, pattern) = pattern.parse().unwrap() else {
        panic!("{pattern} is no pattern")
    };
    let subject = Subject::admin("alice".parse().unwrap());
    pattern.fits(&alias.parse::<DatasetAlias>().unwrap(), &subject)
}

#[test]
fn patterns_mean_the_own_account_unless_they_name_one() {
    assert!(fits("*", "alice/trades"));
    assert!(!fits("*", "bob/trades"));
    assert!(fits("net.*", "alice/net.example"));
    assert!(!fits("net.*", "alice/internet.example"));
    assert!(fits("bob/*", "bob/trades"));
    assert!(!fits("bob/*", "alice/trades"));
    assert!(fits("*/tr%s", "bob/trades"));
    assert!(fits("my_*", "alice/my-trades"));
}

#[test]
fn what_has_no_wildcard_is_a_name() {
    for text in ["trades", "bob/trades", "my_trades"] {
        assert!(matches!(text.parse(), Ok(DatasetArgument::Name(_))), "{text}");
    }
    assert!("no such name".parse::<DatasetArgument>().is_err());
    assert!("a b*".parse::<DatasetArgument>().is_err());
}
