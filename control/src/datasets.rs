//! What owners do with whole datasets: make them from manifests, give them other names, move their heads back, set
//! their watermarks, delete them, and see what is computed from what.
//!
//! Each is a method of [`StorageCatalog`](crate::StorageCatalog) that checks what the subject may do. Nothing is locked:
//! heads move by compare-and-swap, so that nodes and commands may work on the same datasets at the same time.

mod create;
mod delete;
mod lineage;
mod rename;
mod reset;
mod watermark;

#[cfg(test)]
mod tests;

pub use create::{CheckedDataset, NewDataset, Refusal};
pub use lineage::Input;
pub use reset::{Reset, ResetTarget};
pub use watermark::Watermark;
