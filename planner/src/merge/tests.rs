//! What strategies make of rows, compared with the cases of the reference and with a model of a few lines.

mod chunks;
pub(super) mod counting;
pub(super) mod dataset;
mod examples;
mod history;
mod refusals;
mod vectors;
