use super::*;

#[test]
fn the_last_part_may_be_a_dataset() {
    let id = DatasetId::seeded(b"somewhere");
    let folder = id.to_multibase();
    let cases = [
        (format!("s3://bucket/prefix/{folder}"), "s3://bucket/prefix", true),
        (format!("s3://bucket/{folder}/"), "s3://bucket", true),
        (format!("file:///data/{folder}"), "file:///data", true),
        (format!("data/{folder}"), "data", true),
        (format!("/{folder}"), "/", true),
        (folder.clone(), ".", true),
        ("s3://bucket/prefix".to_owned(), "s3://bucket/prefix", false),
        ("data/".to_owned(), "data", false),
        ("/".to_owned(), "/", false),
    ];
    for (text, location, is_dataset) in cases {
        assert_eq!(split(&text), (location, is_dataset.then_some(id)), "{text}");
    }
}
