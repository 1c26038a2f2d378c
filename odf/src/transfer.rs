//! Copies of datasets: between repositories, and over HTTP by ODF's simple transfer protocol.
//!
//! ```text
//!             source                                    target
//!  a dataset in a repository  ─┐                    ┌─ a dataset in a repository
//!  GET {base}/refs/head        ├──►    copy    ──►──┤
//!      {base}/blocks/{hash}    │                    └─ PUT {base}/data/{hash}, /checkpoints/{hash},
//!      {base}/data/{hash}     ─┘                           /blocks/{hash}, /refs/head
//!      {base}/checkpoints/{hash}
//!
//!  1  both chains are walked back to where they meet: that decides what may be done ([`Relation`])
//!  2  blocks that the target does not have are stored there under their hashes
//!  3  the rules of the chain are checked
//!  4  slices and checkpoints follow, several at a time
//!  5  refs/head is compared and swapped
//! ```
//!
//! Bytes are copied as they are and never encoded anew; whatever arrives is compared with the hash that it was asked for by.
//! A copy that is cut off, killed or dropped leaves the target's chain as it was. The next one skips what is there already
//! and goes on within an object where the last one stopped.
//!
//! Objects that rows link to (columns of type `ObjectLink`) are not named by blocks and are not copied.

mod check;
mod copy;
mod incoming;
mod options;
mod outcome;
mod place;
mod receive;
mod relate;
mod remote;
mod retry;

pub use check::{PushedChain, check_pushed};
pub use copy::copy;
pub use options::{CopyOptions, Progress};
pub use outcome::{CopyOutcome, CopyStats, Relation};
pub use place::Place;
pub use receive::store_object;
pub use remote::{DATASET_ID_HEADER, RemoteDataset, RemoteOptions};
pub use retry::RetryPolicy;
