use super::*;

fn budget(memory: usize) -> Budget {
    let folder = SpillFolder::open(None, u64::MAX).unwrap();
    Budget {
        memory,
        spill: u64::MAX,
        folder,
    }
}

#[test]
fn a_small_memory_is_left_for_sorting() {
    const MIB: usize = 1024 * 1024;
    assert_eq!(budget(1024 * MIB).merge_reserve(2), 10 * MIB);
    assert_eq!(budget(16 * MIB).merge_reserve(2), MIB);
    assert_eq!(budget(1024 * MIB).batch_rows(8192), 8192);
    assert_eq!(budget(16 * MIB).batch_rows(8192), 2048);
    assert_eq!(budget(0).batch_rows(8192), 1024);
}
