//! Repositories: one suite for every kind of store, and what only one kind can show.

mod blocks;
mod conformance;
mod crash;
mod local;
mod lossy;
mod lost_answers;
mod s3;
mod weed;
