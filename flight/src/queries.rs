//! The queries of this node.

mod id;

pub use id::QueryId;
