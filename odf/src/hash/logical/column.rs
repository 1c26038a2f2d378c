//! One column of a schema, which has one leaf, or several if it is a struct.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field};

use super::leaf::LeafHasher;
use super::types::leaf_types_of_field;
use crate::error::{Error, Result};
use crate::hash::sponge::{Sponge, absorb};

/// How many rows of a struct column are hashed at once; part of the algorithm as other implementations run it.
pub const STRUCT_BATCH_ROWS: usize = 10_000;

/// Rows whose bytes are collected before they are hashed, few enough to stay in the cache.
const PIECE_ROWS: usize = 4096;

/// Hashes the values of one column.
#[derive(Debug, Clone)]
pub struct ColumnHasher {
    index: usize,
    name: String,
    leaves: Vec<LeafHasher>,
    /// Rows of a struct column that wait for a full batch.
    pending: Option<Pending>,
}

#[derive(Debug, Clone, Default)]
struct Pending {
    arrays: Vec<ArrayRef>,
    rows: usize,
}

/// The digests of one column's leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDigest {
    index: usize,
    leaves: Vec<[u8; 32]>,
}

impl ColumnDigest {
    /// Position of the column in the schema.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.leaves.iter()
    }
}

impl ColumnHasher {
    pub(super) fn new(index: usize, field: &Field) -> Result<Self> {
        let mut types = Vec::new();
        leaf_types_of_field(field, &mut types)?;
        let leaves = types.into_iter().map(LeafHasher::new).collect();
        let pending = matches!(field.data_type(), DataType::Struct(_)).then(Pending::default);
        Ok(Self {
            index,
            name: field.name().clone(),
            leaves,
            pending,
        })
    }

    /// Position of the column in the schema.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Feeds the next rows of the column.
    ///
    /// # Errors
    /// `Unsupported` if the array is not of the column's type.
    pub fn update(&mut self, array: &ArrayRef) -> Result<()> {
        Self::update_all(std::slice::from_mut(self), std::slice::from_ref(array))
    }

    /// Feeds the next rows of several columns, each its array. Eight columns together take about as long as one alone.
    ///
    /// # Errors
    /// `Unsupported` if an array is not of its column's type, is missing or is longer than another one.
    pub fn update_all(columns: &mut [Self], arrays: &[ArrayRef]) -> Result<()> {
        let rows = arrays.first().map_or(0, |array| array.len());
        if columns.len() != arrays.len() || arrays.iter().any(|array| array.len() != rows) {
            return Err(Error::unsupported("a batch does not have the columns of the schema")
                .with_context("expected", columns.len())
                .with_context("actual", arrays.len()));
        }
        let mut start = 0;
        while start < rows {
            let length = (rows - start).min(PIECE_ROWS);
            for (column, array) in columns.iter_mut().zip(arrays) {
                column.push(&array.slice(start, length))?;
            }
            absorb(columns.iter_mut().flat_map(Self::sponges));
            start += length;
        }
        Ok(())
    }

    fn sponges(&mut self) -> impl Iterator<Item = &mut Sponge> {
        self.leaves.iter_mut().map(LeafHasher::sponge)
    }

    fn push(&mut self, array: &ArrayRef) -> Result<()> {
        let Some(mut pending) = self.pending.take() else {
            return self.push_leaves(array);
        };
        let mut start = 0;
        while start < array.len() {
            let taken = (array.len() - start).min(STRUCT_BATCH_ROWS - pending.rows);
            pending.arrays.push(array.slice(start, taken));
            pending.rows += taken;
            start += taken;
            if pending.rows == STRUCT_BATCH_ROWS {
                self.push_pending(&std::mem::take(&mut pending))?;
            }
        }
        self.pending = Some(pending);
        Ok(())
    }

    /// The digests over all rows.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn finish(mut self) -> Result<ColumnDigest> {
        if let Some(pending) = self.pending.take() {
            self.push_pending(&pending)?;
        }
        Ok(ColumnDigest {
            index: self.index,
            leaves: self.leaves.into_iter().map(LeafHasher::finish).collect(),
        })
    }

    fn push_pending(&mut self, pending: &Pending) -> Result<()> {
        match pending.arrays.as_slice() {
            [] => Ok(()),
            [array] => self.push_leaves(array),
            several => {
                let arrays: Vec<&dyn Array> = several.iter().map(AsRef::as_ref).collect();
                let array = concat(&arrays).map_err(|error| {
                    Error::unsupported("batches of a column do not have the same type")
                        .with_context("column", &self.name)
                        .with_source(error)
                })?;
                self.push_leaves(&array)
            }
        }
    }

    fn push_leaves(&mut self, array: &ArrayRef) -> Result<()> {
        let mut leaves = self.leaves.iter_mut();
        let result = each_leaf(array, None, &mut leaves);
        let result = match (result, leaves.next()) {
            (Ok(()), Some(_)) => Err(Error::unsupported("a batch has fewer nested columns than the schema")),
            (result, _) => result,
        };
        result.map_err(|error| error.with_context("column", &self.name))
    }
}

/// Feeds the leaves under an array, depth first. `parent` holds the combined nulls of the structs around it.
fn each_leaf<'a>(
    array: &ArrayRef,
    parent: Option<&NullBuffer>,
    leaves: &mut impl Iterator<Item = &'a mut LeafHasher>,
) -> Result<()> {
    // Two masks combine to what is valid in either, even if that is everything; such a full mask then hides the nulls of
    // the next level. It is how the algorithm has always worked.
    let own = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let nulls = match (parent, own) {
        (None, own) => own.cloned(),
        (Some(parent), _) if parent.null_count() == 0 => None,
        (Some(parent), None) => Some(parent.clone()),
        (Some(parent), Some(own)) => Some(NullBuffer::new(parent.inner() | own.inner())),
    };
    match array.as_struct_opt() {
        Some(parent) => parent
            .columns()
            .iter()
            .try_for_each(|child| each_leaf(child, nulls.as_ref(), leaves)),
        None => {
            let leaf = leaves
                .next()
                .ok_or_else(|| Error::unsupported("a batch has more nested columns than the schema"))?;
            leaf.push(array, nulls)
        }
    }
}
