use super::{Buffer, Builder};

#[test]
fn equal_vtables_are_shared() {
    let mut builder = Builder::new(4);
    let tables: Vec<_> = (0..3_u32)
        .map(|number| {
            let mut table = builder.table();
            table.scalar(1, number);
            table.finish()
        })
        .collect();
    let vector = builder.offsets(&tables);
    let mut root = builder.table();
    root.offset(0, vector);
    let root = root.finish();
    let bytes = builder.finish(root);
    let vtable = [8, 0, 8, 0, 0, 0, 4, 0];
    assert_eq!(
        bytes.windows(vtable.len()).filter(|window| *window == vtable).count(),
        1
    );

    let buffer = Buffer::new(&bytes);
    let numbers = buffer
        .root()
        .unwrap()
        .tables(0, |table| table.scalar::<u32>(1))
        .unwrap()
        .unwrap();
    assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
}

#[test]
fn a_small_buffer_cannot_describe_a_huge_value() {
    let mut builder = Builder::new(4);
    let text = builder.string(&"x".repeat(10_000));
    let references = builder.offsets(&vec![text; 10_000]);
    let mut root = builder.table();
    root.offset(0, references);
    let root = root.finish();
    let bytes = builder.finish(root);
    let error = Buffer::new(&bytes).root().unwrap().strings(0).unwrap_err();
    assert_eq!(error.to_string(), "the same bytes are referred to too often");
}

#[test]
fn absent_slots_and_empty_buffers() {
    assert!(Buffer::new(&[]).root().is_err());
    assert!(Buffer::new(&[0; 4]).root().is_err());
    let mut builder = Builder::new(4);
    let root = builder.table().finish();
    let bytes = builder.finish(root);
    let buffer = Buffer::new(&bytes);
    let table = buffer.root().unwrap();
    assert!(table.scalar::<u64>(0).unwrap().is_none());
    assert!(table.string(70_000).unwrap().is_none());
    assert!(table.table(1).unwrap().is_none());
}
