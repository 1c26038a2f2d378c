//! What a dataset's chain says: blocks, events and the types they are made of.

mod block;
mod event;
mod schema;
mod serde_bytes;
pub(crate) mod short_form;
mod source;
mod transform;

pub use block::MetadataBlock;
pub use event::*;
pub use schema::{DataField, DataSchema, DataType, ExtraAttributes, TimeUnit};
pub use source::*;
pub use transform::*;

#[cfg(test)]
mod tests;
