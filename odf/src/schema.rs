//! ODF schemas in use: from and to Arrow, compared, and checked when they change.
//!
//! The types stand in [`crate::metadata`]. An ODF type says what values mean; how Arrow lays them out is an attribute of
//! the column (`arrow.apache.org/...`), and [`DataSchema::strip_encoding`] takes those away before a schema is committed.

mod encoding;
mod evolution;
mod from_arrow;
mod normal;
mod to_arrow;

pub use evolution::check_evolution;

#[cfg(doc)]
use crate::metadata::DataSchema;

#[cfg(test)]
mod tests;
