//! What is in an index, and where it is.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use jetway_odf::chain::Vocabulary;
use jetway_odf::identity::Multihash;

use crate::merge::index::FOLDER;

/// Goes up when files are written in another way.
const FORMAT: u32 = 1;

/// What an index keeps of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// That it was there at some time.
    Keys,
    /// Its newest row, if it is not retracted.
    Rows,
}

/// What is in an index: part of its name, so that an index for another key or schema is another one.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(super) content: Content,
    pub(super) vocabulary: Arc<Vocabulary>,
    /// Event time and data columns of the dataset.
    pub(super) values: Vec<FieldRef>,
    /// Key columns, counted among the values.
    pub(super) key: Vec<usize>,
    pub(super) entries: SchemaRef,
    pub(super) folder: String,
}

impl Layout {
    pub(crate) fn new(vocabulary: &Arc<Vocabulary>, values: &[FieldRef], key: &[usize], content: Content) -> Self {
        let kept = match content {
            Content::Keys => &[],
            Content::Rows => values,
        };
        let lead = [
            Field::new("key", DataType::Binary, false),
            Field::new("offset", DataType::Int64, false),
            Field::new("dead", DataType::Boolean, false),
        ];
        let kept_fields = kept.iter().map(|field| {
            let plain = Field::new(field.name(), field.data_type().clone(), true);
            Arc::new(plain)
        });
        let entries: Vec<FieldRef> = lead.into_iter().map(Arc::new).chain(kept_fields).collect();
        let named = |field: &FieldRef| format!("{:?}: {:?}", field.name(), field.data_type());
        let key_names: Vec<String> = key.iter().filter_map(|index| values.get(*index)).map(named).collect();
        let value_names: Vec<String> = kept.iter().map(named).collect();
        let text = format!(
            "{FORMAT} {content:?} {key_names:?} {value_names:?} {:?}",
            vocabulary.names()
        );
        let hash = Multihash::sha3_256(text.as_bytes());
        let hash: String = hash
            .digest()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            content,
            vocabulary: Arc::clone(vocabulary),
            values: values.to_vec(),
            key: key.to_vec(),
            entries: Arc::new(Schema::new(entries)),
            folder: format!("{FOLDER}/{hash}"),
        }
    }

    /// Where a file of the index is among the derived files of the dataset.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}
