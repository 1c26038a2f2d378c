use super::major;

#[test]
fn versions_of_node_are_read() {
    assert_eq!(major("v20.20.2"), Some(20));
    assert_eq!(major("v4.9"), Some(4));
    assert_eq!(major("20.1"), None);
}
