//! The rules of a chain by name.

use std::fmt;

use crate::error::Error;

/// A rule that every block of a chain keeps. `G`, `D` and `T` are about all blocks, data blocks and transforms; `K` is
/// about kinds, `S` about schemas and sources.
///
/// That a block has the hash under which it is stored (G5) is not here: [`crate::chain::read`] reports it as
/// [`crate::ErrorKind::Corrupt`]. That the head is swapped atomically (G6) and that objects exist (D8) is up to the
/// storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The first block, and no other, is a Seed and has no block before it.
    G1,
    /// Sequence numbers start at 0 and grow by one.
    G2,
    /// A block names the one before it by its hash.
    G3,
    /// System time never goes back.
    G4,
    /// Sources cannot be disabled: other implementations fail on such a chain.
    G7,
    /// Ingest belongs to root datasets and transforms to derivative ones. Only for what is written here.
    K1,
    /// A slice starts right after the last offset and is not empty.
    D1,
    /// The previous offset is that of the last data block.
    D2,
    /// The watermark is carried on and never goes back.
    D3,
    /// A data block has data, a checkpoint, a watermark or a source state.
    D4,
    /// Data needs a schema before it.
    D5,
    /// The previous checkpoint is that of the last block of the same kind.
    D6,
    /// AddData changes something.
    D7,
    /// ExecuteTransform needs a transform before it.
    T1,
    /// ExecuteTransform has the inputs of the transform, in its order.
    T2,
    /// Each input continues where the previous run stopped.
    T3,
    /// ExecuteTransform changes something.
    T4,
    /// A transform has at least one input, each a DID with an alias and none twice, and does not change them once it
    /// ran.
    T5,
    /// SQL is a list of steps, all named but the last.
    T6,
    /// A schema is given in exactly one form, and what is written here in ODF types.
    S1,
    /// A schema differs from the previous one.
    S2,
    /// A schema adds optional columns to the previous one, re-orders columns or changes attributes, and nothing else.
    S3,
    /// A schema has the system columns. Only for what is written here.
    S4,
    /// The columns of a source are given in one form at most.
    S5,
    /// A source differs from the one that it replaces.
    S6,
    /// A dataset has push sources or a polling source, not both.
    S7,
    /// A source of Ethereum logs says which chain or node it reads.
    S8,
    /// A dataset is defined by sources, a transform, schema, vocabulary and descriptions alone.
    S9,
}

impl Rule {
    /// All rules, in the order of their ids.
    pub const ALL: [Self; 28] = [
        Self::G1,
        Self::G2,
        Self::G3,
        Self::G4,
        Self::G7,
        Self::K1,
        Self::D1,
        Self::D2,
        Self::D3,
        Self::D4,
        Self::D5,
        Self::D6,
        Self::D7,
        Self::T1,
        Self::T2,
        Self::T3,
        Self::T4,
        Self::T5,
        Self::T6,
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
    ];

    /// Its id, as in [`Error::rule`].
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::G1 => "G1",
            Self::G2 => "G2",
            Self::G3 => "G3",
            Self::G4 => "G4",
            Self::G7 => "G7",
            Self::K1 => "K1",
            Self::D1 => "D1",
            Self::D2 => "D2",
            Self::D3 => "D3",
            Self::D4 => "D4",
            Self::D5 => "D5",
            Self::D6 => "D6",
            Self::D7 => "D7",
            Self::T1 => "T1",
            Self::T2 => "T2",
            Self::T3 => "T3",
            Self::T4 => "T4",
            Self::T5 => "T5",
            Self::T6 => "T6",
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::S4 => "S4",
            Self::S5 => "S5",
            Self::S6 => "S6",
            Self::S7 => "S7",
            Self::S8 => "S8",
            Self::S9 => "S9",
        }
    }

    /// The rule that an error says was broken.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let id = error.rule()?;
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// Whether breaking it only means that the event would change nothing, which a writer may take for success.
    #[must_use]
    pub const fn is_no_op(self) -> bool {
        matches!(self, Self::D7 | Self::T4 | Self::S2 | Self::S6)
    }

    /// The error that says how the rule was broken.
    pub(super) fn broken(self, message: impl Into<String>) -> Error {
        Error::invalid_event(self.id(), message)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
