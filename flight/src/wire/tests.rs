use arrow::datatypes::{DataType, Field};
use proptest::prelude::*;

use super::*;
use crate::testing::{Random, rows_as_text};

fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View
        | DataType::BinaryView
        | DataType::Dictionary(_, _)
        | DataType::RunEndEncoded(_, _)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => false,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_plain(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_plain(field.data_type())),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a plan streams, what was announced is sent, and the values are the same.
    #[test]
    fn batches_become_what_was_announced(seed: u64) {
        let mut random = Random(seed);
        let schema = random.schema();
        let announced = WireProfile::default().schema(&schema);
        prop_assert!(announced.fields().iter().all(|field| is_plain(field.data_type())));
        prop_assert_eq!(announced.metadata(), schema.metadata());
        for (field, wire) in schema.fields().iter().zip(announced.fields()) {
            prop_assert_eq!((field.name(), field.metadata()), (wire.name(), wire.metadata()));
        }
        // Announcing the wire schema again changes nothing.
        prop_assert_eq!(&WireProfile::default().schema(&announced), &announced);
        let batch = random.batch(&schema, 40);
        let sent = cast_batch(&batch, &announced).unwrap();
        prop_assert_eq!(sent.schema(), announced);
        prop_assert_eq!(rows_as_text(&sent), rows_as_text(&batch));
    }

    #[test]
    fn schemas_survive_as_bytes(seed: u64) {
        let schema = WireProfile::default().schema(&Random(seed).schema());
        let bytes = schema_bytes(&schema).unwrap();
        prop_assert_eq!(&arrow_ipc::convert::try_schema_from_ipc_buffer(&bytes).unwrap(), schema.as_ref());
    }
}

#[test]
fn nullability_stays_and_run_ends_keep_their_nulls() {
    let runs = DataType::RunEndEncoded(
        Arc::new(Field::new("run_ends", DataType::Int32, false)),
        Arc::new(Field::new("values", DataType::Utf8View, true)),
    );
    let schema = Schema::new(vec![
        Field::new("a", DataType::Utf8View, false),
        Field::new("b", DataType::Int64, false),
        Field::new("c", runs, false),
    ]);
    let wire = WireProfile::default().schema(&schema);
    assert_eq!(
        wire.as_ref(),
        &Schema::new(vec![
            Field::new("a", DataType::Utf8, false),
            Field::new("b", DataType::Int64, false),
            Field::new("c", DataType::Utf8, true),
        ])
    );
}

#[test]
fn profiles_come_from_headers_and_survive_tickets() {
    for (header, compression) in [
        (None, None),
        (Some("none"), None),
        (Some(" lz4 "), Some(Compression::Lz4)),
        (Some("zstd"), Some(Compression::Zstd)),
    ] {
        let profile = WireProfile::from_header(header).unwrap();
        assert_eq!(profile.compression, compression);
        assert_eq!(WireProfile::from_bits(profile.to_bits()), Some(profile));
        assert!(profile.ipc_options().is_ok());
    }
    assert!(WireProfile::from_header(Some("gzip")).is_err());
    assert_eq!(WireProfile::from_bits(77), None);
}
