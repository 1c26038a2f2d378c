use super::{major, parse};

const HASH: &str = "3f418b46c880e263558c5de669bdbede2c5d4375527ced116fb29f795b03704c";

#[test]
fn a_lock_file_names_jars_by_coordinates_and_hash() {
    let artifacts = parse(&format!("# what it is for\n\norg.example.deep:driver:1.2 {HASH}\n")).unwrap();
    assert_eq!(artifacts.len(), 1);
    assert_eq!(
        artifacts[0].url("https://mirror.example/maven/"),
        "https://mirror.example/maven/org/example/deep/driver/1.2/driver-1.2.jar"
    );
    assert_eq!(artifacts[0].sha256, HASH);
}

#[test]
fn a_jar_without_a_whole_hash_is_refused() {
    for line in [
        "org.example:driver:1.2",
        "org.example:driver:1.2 abc",
        &format!("driver:1.2 {HASH}"),
    ] {
        let refused = parse(line).unwrap_err().to_string();
        assert!(refused.contains(line), "{refused}");
    }
}

#[test]
fn versions_of_java_are_read() {
    assert_eq!(major("javac 17.0.15"), Some(17));
    assert_eq!(major("javac 25-ea"), Some(25));
    assert_eq!(major("openjdk 17"), None);
}
