use super::*;

#[test]
fn the_list_says_what_each_dataset_holds() {
    let list = json(&mut on(&fixtures().join("datasets"), &["list"]));
    let list = list.as_array().unwrap();
    let column = |name: &str| list.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!(
        column("name"),
        [
            "bank.transactions",
            "cities.population",
            "files.polled",
            "registry.changes",
            "sensors.readings",
            "shop.inventory",
            "weather.vocab"
        ]
    );
    assert_eq!(column("records"), [90, 13, 5, 9, 200, 64, 5]);
    assert_eq!(column("blocks"), [7, 7, 5, 5, 11, 7, 6]);
    assert!(
        list.iter()
            .all(|entry| entry["account"] == "admin" && entry["kind"] == "Root")
    );
    assert_eq!(list[4]["watermark"], "2024-02-01T00:00:00Z");

    let table = succeed(&mut on(&fixtures().join("datasets"), &["list", "s*"]));
    assert!(
        table.contains("sensors.readings") && table.contains("shop.inventory"),
        "{table}"
    );
    assert!(
        !table.contains("bank.transactions") && !table.contains('\u{1b}'),
        "{table}"
    );
}

#[test]
fn names_that_mean_nothing_are_told() {
    let datasets = fixtures().join("datasets");
    let missing = fail(&mut on(&datasets, &["list", "nothing"]));
    assert!(missing.contains("admin/nothing"), "{missing}");
    let other = fail(&mut on(&datasets, &["list", "sensors.readings", "--account", "bob"]));
    assert!(other.contains("bob/sensors.readings"), "{other}");
    let pattern = fail(&mut on(&datasets, &["list", "nothing.*"]));
    assert!(pattern.contains("nothing.*"), "{pattern}");

    let nowhere = datasets.join("nowhere");
    let message = fail(&mut on(&nowhere, &["list"]));
    assert!(message.contains("there are no datasets at"), "{message}");
    assert!(!nowhere.exists());
}
