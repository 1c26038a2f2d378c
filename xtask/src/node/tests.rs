use super::{Addresses, addresses, free_port};
use std::net::TcpListener;

#[test]
fn the_ready_line_says_where_the_node_listens() {
    let expected = Addresses {
        http: "http://127.0.0.1:8080".into(),
        flight: "grpc://127.0.0.1:50050".into(),
    };
    let line = "jetway ready http=http://127.0.0.1:8080 flight=grpc://127.0.0.1:50050";
    assert_eq!(addresses(line), Some(expected));
    assert_eq!(addresses("The password of `admin` is 1234"), None);
}

#[test]
fn a_port_that_is_taken_is_passed_over() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(free_port(port).unwrap() > port);
}
