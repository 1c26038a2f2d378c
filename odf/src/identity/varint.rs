//! Unsigned LEB128 numbers, as multicodec uses them.

/// Appends `value` to `out`, seven bits per byte, lowest first.
pub(super) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes a number from the front of `bytes`; `None` if it is cut off, longer than needed, or above 63 bits.
pub(super) fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let has_padding = *byte == 0 && index > 0;
            return if has_padding {
                None
            } else {
                Some((value, bytes.get(index + 1..)?))
            };
        }
    }
    None
}
