use super::{minutes, package_name, weight};
use std::time::Duration;

#[test]
fn a_package_id_names_its_package() {
    assert_eq!(
        package_name("registry+https://host/index#serde_json@1.0.140"),
        "serde_json"
    );
    assert_eq!(package_name("path+file:///checkout/odf#jetway-odf@0.1.0"), "jetway-odf");
    assert_eq!(package_name("path+file:///checkout/xtask#0.1.0"), "xtask");
}

#[test]
fn heavy_crates_weigh_more_than_others() {
    assert!(weight("datafusion") > 50 * weight("itoa"));
}

#[test]
fn time_is_rounded_to_what_can_be_promised() {
    assert_eq!(minutes(Duration::from_secs(5)), "a minute");
    assert_eq!(minutes(Duration::from_secs(300)), "5 minutes");
    assert_eq!(minutes(Duration::from_secs(301)), "6 minutes");
}
