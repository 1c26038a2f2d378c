use std::time::Duration;

use bytes::Bytes;

use super::BoundParameters;

fn values(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 10])
}

#[test]
fn the_last_bind_counts_and_the_oldest_values_go_first() {
    let bound = BoundParameters::new(30, Duration::from_secs(60));
    bound.insert([1; 32], values(1));
    bound.insert([1; 32], values(2));
    assert_eq!(bound.get(&[1; 32]), Some(values(2)));
    for handle in 2..=4 {
        bound.insert([handle; 32], values(handle));
    }
    assert_eq!(bound.get(&[1; 32]), None);
    assert_eq!(bound.get(&[4; 32]), Some(values(4)));
    bound.remove(&[4; 32]);
    assert_eq!(bound.get(&[4; 32]), None);
    bound.insert([5; 32], vec![0; 31].into());
    assert_eq!(bound.get(&[5; 32]), None);
}

#[test]
fn values_are_forgotten_soon() {
    let bound = BoundParameters::new(30, Duration::ZERO);
    bound.insert([1; 32], values(1));
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(bound.get(&[1; 32]), None);
}
