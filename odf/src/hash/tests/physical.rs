use std::io::{self, Write};

use crate::hash::HashingWriter;
use crate::identity::Multihash;

/// Takes three bytes at a time.
struct Slow(Vec<u8>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(3);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn hashes_what_was_taken() {
    let mut writer = HashingWriter::new(Slow(Vec::new()));
    writer.write_all(b"multi").unwrap();
    writer.write_all(b"hash").unwrap();
    assert_eq!(writer.size(), 9);
    let (inner, file) = writer.finish();
    assert_eq!(inner.0, b"multihash");
    assert_eq!((file.hash, file.size), (Multihash::sha3_256(b"multihash"), 9));
}
