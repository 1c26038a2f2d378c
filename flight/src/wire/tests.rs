use arrow::array::{ArrayRef, AsArray, TimestampSecondArray};
use arrow::datatypes::{DataType, Field, TimestampSecondType};
use proptest::prelude::*;

use super::*;
use crate::testing::{Random, rows_as_text};

/// Whether a client of the profile could not read the type.
fn is_foreign(profile: WireProfile, data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => !profile.keeps_views,
        DataType::Dictionary(_, _) => !profile.keeps_dictionaries,
        DataType::RunEndEncoded(_, _) | DataType::Float16 | DataType::Decimal32(_, _) | DataType::Decimal64(_, _) => {
            !profile.keeps_exotic
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => profile.widens_unsigned,
        DataType::Timestamp(_, Some(_)) => profile.drops_zones,
        DataType::ListView(_) | DataType::LargeListView(_) => true,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a plan streams, what was announced is sent, and the values are the same.
    #[test]
    fn batches_become_what_was_announced(seed: u64) {
        let mut random = Random(seed);
        let profile = random.profile();
        let schema = random.schema();
        let announced = profile.schema(&schema);
        let suits = |field: &Arc<Field>| !any_type(field.data_type(), &|inner| is_foreign(profile, inner));
        prop_assert!(announced.fields().iter().all(suits));
        prop_assert_eq!(announced.metadata(), schema.metadata());
        for (field, wire) in schema.fields().iter().zip(announced.fields()) {
            prop_assert_eq!(field.name(), wire.name());
            let kept = field.metadata().iter().all(|(key, value)| wire.metadata().get(key) == Some(value));
            prop_assert!(kept, "metadata of the user's columns stays: {wire:?}");
            prop_assert!(wire.metadata().contains_key("ARROW:FLIGHT:SQL:TYPE_NAME"));
        }
        // Announcing the wire schema again changes nothing.
        prop_assert_eq!(&profile.schema(&announced), &announced);
        let batch = random.batch(&schema, 40);
        let sent = cast_batch(&batch, &announced).unwrap();
        prop_assert_eq!(sent.schema(), announced);
        // The zone of the random times is UTC.
        let without_zone = |rows: Vec<String>| rows.iter().map(|row| row.replace('Z', "")).collect::<Vec<_>>();
        if profile.drops_zones {
            prop_assert_eq!(without_zone(rows_as_text(&sent)), without_zone(rows_as_text(&batch)));
        } else {
            prop_assert_eq!(rows_as_text(&sent), rows_as_text(&batch));
        }
    }

    #[test]
    fn schemas_survive_as_bytes(seed: u64) {
        let mut random = Random(seed);
        let schema = random.profile().schema(&random.schema());
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
    let columns: Vec<_> = wire.fields().iter().map(|f| (f.data_type(), f.is_nullable())).collect();
    assert_eq!(
        columns,
        [
            (&DataType::Utf8, false),
            (&DataType::Int64, false),
            (&DataType::Utf8, true)
        ]
    );
}

#[test]
fn profiles_survive_tickets() {
    for bits in 0..256 {
        let Some(profile) = WireProfile::from_bits(bits) else {
            assert_eq!(bits & 3, 3, "two ways to compress at once");
            continue;
        };
        assert_eq!(profile.to_bits(), bits);
        assert!(profile.ipc_options().is_ok());
    }
    assert_eq!(WireProfile::from_bits(256), None);
}

/// Names that clients give themselves.
#[test]
fn profiles_suit_clients() {
    let nothing = ProfileChoice::default();
    for client in [
        "ADBC Flight SQL Driver v1.13.0 grpc-go/1.80.0",
        "grpc-c++/1.75.0 grpc-c/50.0.0 (linux; chttp2)",
        "grpc-node-js/1.14.0",
        "grpc-dotnet/2.60.0",
        "tonic/0.14.9",
        "",
    ] {
        assert_eq!(
            WireProfile::for_client(client, &nothing),
            WireProfile::default(),
            "{client}"
        );
    }
    let jdbc = "JDBC Flight SQL Driver 19.0.0 grpc-java-netty/1.79.0";
    let guessed = WireProfile::for_client(jdbc, &nothing);
    assert!(guessed.widens_unsigned && guessed.drops_zones && guessed.binds_millis);
    // What is chosen wins over what is guessed, and one setting over a preset.
    let choice = ProfileChoice {
        preset: Some(Preset::Rich),
        string_views: Some(false),
        ..ProfileChoice::default()
    };
    let profile = WireProfile::for_client(jdbc, &choice);
    assert!(!profile.widens_unsigned && profile.keeps_dictionaries && !profile.keeps_views);
}

/// A driver that writes milliseconds into any time is told of milliseconds; an instant stays one, and its value moves nowhere.
#[test]
fn times_suit_java() {
    let jdbc = WireProfile::for_client("grpc-java-netty/1.79.0", &ProfileChoice::default());
    let zone = || Some("Europe/Berlin".into());
    let kinds = [
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Timestamp(TimeUnit::Second, zone()),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Date32,
    ];
    let fields = kinds
        .iter()
        .zip(1..)
        .map(|(kind, number)| Field::new(format!("${number}"), kind.clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let types =
        |schema: &Schema| -> Vec<DataType> { schema.fields().iter().map(|field| field.data_type().clone()).collect() };
    let millis = [
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Timestamp(TimeUnit::Millisecond, zone()),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Date32,
    ];
    assert_eq!(types(&jdbc.parameters(&schema)), millis);
    assert_eq!(types(&WireProfile::default().parameters(&schema)), kinds);
    let instants = TimestampSecondArray::from(vec![1_711_841_400]).with_timezone("Europe/Berlin");
    let sent = cast_array(
        &(Arc::new(instants) as ArrayRef),
        &DataType::Timestamp(TimeUnit::Second, None),
    )
    .unwrap();
    assert_eq!(sent.as_primitive::<TimestampSecondType>().value(0), 1_711_841_400);
}
