//! SHA3-256 of many streams of bytes at once.

use pulp::Arch;

use super::keccak::{LANES, States, permute};

/// Bytes that a permutation takes in, for SHA3-256.
const BLOCK: usize = 136;

/// The bits behind the message, see FIPS 202, sections 6.1 and B.2.
const DOMAIN: u8 = 0x06;
const LAST: u8 = 0x80;

/// A stream that has more bytes than this waiting is hashed at once, alone.
const MAX_PENDING: usize = 1024 * 1024;

/// One SHA3-256. Bytes are only collected by [`Self::push`]; [`absorb`] hashes those of several streams together.
#[derive(Debug, Clone)]
pub(super) struct Sponge {
    state: [u64; 25],
    pending: Vec<u8>,
}

impl Sponge {
    pub(super) fn new() -> Self {
        Self {
            state: [0; 25],
            pending: Vec::new(),
        }
    }

    /// Adds bytes.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.limit_pending();
    }

    /// Adds the length of some bytes, and them.
    #[inline]
    pub(super) fn push_with_length(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.push(bytes);
    }

    /// Adds one byte many times.
    pub(super) fn push_repeated(&mut self, byte: u8, count: usize) {
        self.pending.resize(self.pending.len() + count, byte);
        self.limit_pending();
    }

    #[inline]
    fn limit_pending(&mut self) {
        if self.pending.len() > MAX_PENDING {
            absorb([self]);
        }
    }

    /// The hash of all bytes.
    pub(super) fn finish(mut self) -> [u8; 32] {
        let padded = (self.pending.len() / BLOCK + 1) * BLOCK;
        self.pending.push(DOMAIN);
        self.pending.resize(padded, 0);
        if let Some(last) = self.pending.last_mut() {
            *last |= LAST;
        }
        absorb([&mut self]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(8).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    fn blocks(&self) -> usize {
        self.pending.len() / BLOCK
    }
}

/// A stream that is being hashed.
struct Lane<'a> {
    sponge: &'a mut Sponge,
    /// Where its next block starts.
    next: usize,
    blocks_left: usize,
}

/// Hashes all whole blocks that were pushed; what is left of each stream waits for more.
///
/// The longest streams start first, and whenever one ends the next takes its place beside the others.
pub(super) fn absorb<'a>(sponges: impl IntoIterator<Item = &'a mut Sponge>) {
    let arch = Arch::new();
    let mut waiting: Vec<&mut Sponge> = sponges.into_iter().filter(|sponge| sponge.blocks() > 0).collect();
    waiting.sort_by_key(|sponge| sponge.blocks());
    let mut states: States = [[0; LANES]; 25];
    let mut lanes: Vec<Lane<'_>> = Vec::with_capacity(LANES);
    loop {
        while lanes.len() < LANES
            && let Some(sponge) = waiting.pop()
        {
            load(&mut states, lanes.len(), &sponge.state);
            let blocks_left = sponge.blocks();
            lanes.push(Lane {
                sponge,
                next: 0,
                blocks_left,
            });
        }
        let Some(steps) = lanes.iter().map(|lane| lane.blocks_left).min() else {
            return;
        };
        for _ in 0..steps {
            for (index, lane) in lanes.iter_mut().enumerate() {
                let end = lane.next + BLOCK;
                xor(
                    &mut states,
                    index,
                    lane.sponge.pending.get(lane.next..end).unwrap_or_default(),
                );
                lane.next = end;
            }
            permute(arch, &mut states, lanes.len());
        }
        let mut index = 0;
        while let Some(lane) = lanes.get_mut(index) {
            lane.blocks_left -= steps;
            if lane.blocks_left > 0 {
                index += 1;
                continue;
            }
            lane.sponge.state = store(&states, index);
            lane.sponge.pending.drain(..lane.next);
            lanes.swap_remove(index);
            // The last lane has moved here, and has to be looked at as well.
            let moved = store(&states, lanes.len());
            load(&mut states, index, &moved);
        }
    }
}

#[inline]
fn xor(states: &mut States, lane: usize, block: &[u8]) {
    for (words, bytes) in states.iter_mut().zip(block.chunks_exact(8)) {
        if let (Some(word), Ok(bytes)) = (words.get_mut(lane), bytes.try_into()) {
            *word ^= u64::from_le_bytes(bytes);
        }
    }
}

fn load(states: &mut States, lane: usize, state: &[u64; 25]) {
    for (words, value) in states.iter_mut().zip(state) {
        if let Some(word) = words.get_mut(lane) {
            *word = *value;
        }
    }
}

fn store(states: &States, lane: usize) -> [u64; 25] {
    let mut state = [0; 25];
    for (value, words) in state.iter_mut().zip(states) {
        *value = words.get(lane).copied().unwrap_or_default();
    }
    state
}

#[cfg(test)]
mod tests;
