//! What came of a copy.

use crate::identity::Multihash;

/// How the source's chain relates to the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// There is no target yet.
    New,
    /// Both have the same head.
    Equal,
    /// The source has the target's chain and more.
    Ahead {
        /// How many blocks more.
        blocks: u64,
    },
    /// The target has the source's chain and more.
    Behind {
        /// How many blocks more.
        blocks: u64,
    },
    /// Both go on differently after a common block.
    Diverged {
        /// That block.
        common: Multihash,
        /// How many blocks follow it in the source.
        source_blocks: u64,
        /// How many blocks follow it in the target.
        target_blocks: u64,
    },
    /// Not even their first blocks are the same: they are different datasets.
    Unrelated,
}

/// What a copy moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyStats {
    /// Blocks that are new in the target's chain.
    pub blocks: u64,
    /// Objects that were copied.
    pub objects: u64,
    /// Objects that were in the target already when the chains were last compared.
    pub objects_skipped: u64,
    /// Bytes of objects that were read from the source, repetitions included.
    pub bytes: u64,
    /// Bytes of objects that an earlier, unfinished copy had left.
    pub bytes_resumed: u64,
}

/// What came of a copy.
#[must_use = "the target may be what it was"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyOutcome {
    /// The target was at the source's head already.
    UpToDate {
        /// That head.
        head: Multihash,
    },
    /// The target is at the source's head now, with all that the chain names.
    Copied {
        /// How the chains related before.
        relation: Relation,
        /// The target's head before.
        from: Option<Multihash>,
        /// Its head now.
        head: Multihash,
        /// What was moved.
        stats: CopyStats,
    },
    /// The target's chain is what it was, because blocks of it would be lost ([`Relation::Behind`],
    /// [`Relation::Diverged`]; see [`CopyOptions::force`](super::CopyOptions::force)) or it is another dataset
    /// ([`Relation::Unrelated`]).
    Refused {
        /// How the chains relate.
        relation: Relation,
    },
}
