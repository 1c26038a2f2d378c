//! Slices as bytes, little-endian.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::DateTime;
use jetway_odf::identity::Multihash;

use super::{Described, damaged};
use crate::Result;
use crate::statistics::{FileStatistics, Layout};
use crate::summary::SliceEntry;

/// How many different lists of columns a file may have.
const MAX_LAYOUTS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes behind their length.
    pub(super) fn block(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// The lists of columns, then the slices.
    pub(super) fn slices(&mut self, slices: &[SliceEntry], statistics: &[Option<FileStatistics>]) {
        let mut layouts: Vec<&Arc<Layout>> = Vec::new();
        let mut places: HashMap<&Layout, u64> = HashMap::new();
        for found in statistics.iter().flatten() {
            let layout = found.layout();
            places.entry(layout).or_insert_with(|| {
                layouts.push(layout);
                layouts.len() as u64
            });
        }
        self.number(layouts.len() as u64);
        for layout in layouts {
            // A list of names and kinds has a JSON form.
            self.block(&serde_json::to_vec(layout.as_ref()).unwrap_or_default());
        }
        self.number(slices.len() as u64);
        for (index, slice) in slices.iter().enumerate() {
            self.block(&slice.physical_hash.to_bytes());
            self.number(slice.size);
            self.number(slice.first_offset);
            self.number(slice.last_offset);
            self.number(slice.system_time.timestamp().cast_unsigned());
            self.number(u64::from(slice.system_time.timestamp_subsec_nanos()));
            match statistics.get(index).and_then(Option::as_ref) {
                Some(found) => {
                    self.number(places.get(found.layout().as_ref()).copied().unwrap_or_default());
                    self.block(found.bytes());
                }
                None => self.number(0),
            }
        }
    }

    fn number(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn block(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (block, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| damaged("a file of a summary is cut off"))?;
        self.0 = rest;
        Ok(block)
    }

    /// At most `limit` slices.
    pub(super) fn slices(&mut self, limit: usize) -> Result<Vec<Described>> {
        let mut layouts = Vec::new();
        for _ in 0..self.count(MAX_LAYOUTS)? {
            let layout: Layout = serde_json::from_slice(self.block()?)
                .map_err(|error| damaged("a list of columns cannot be understood").with_source(error))?;
            layouts.push(Arc::new(layout));
        }
        let count = self.count(limit)?;
        let mut slices = Vec::with_capacity(count);
        for _ in 0..count {
            let physical_hash = Multihash::from_bytes(self.block()?)
                .map_err(|error| damaged("the hash of a slice cannot be understood").with_source(error))?;
            let (size, first_offset, last_offset) = (self.number()?, self.number()?, self.number()?);
            let (seconds, nanos) = (self.number()?.cast_signed(), self.number()?);
            let system_time = u32::try_from(nanos)
                .ok()
                .and_then(|nanos| DateTime::from_timestamp(seconds, nanos))
                .ok_or_else(|| damaged("the time of a slice cannot be understood"))?;
            let statistics = match self.number()? {
                0 => None,
                place => {
                    let layout = usize::try_from(place - 1).ok().and_then(|place| layouts.get(place));
                    let layout = layout.ok_or_else(|| damaged("a slice has columns that are not listed"))?;
                    Some(FileStatistics::from_parts(Arc::clone(layout), self.block()?))
                }
            };
            let slice = SliceEntry {
                physical_hash,
                size,
                first_offset,
                last_offset,
                system_time,
            };
            slices.push((slice, statistics));
        }
        Ok(slices)
    }

    fn count(&mut self, limit: usize) -> Result<usize> {
        let count = usize::try_from(self.number()?).ok();
        count
            .filter(|count| *count <= limit)
            .ok_or_else(|| damaged("a file of a summary has more than it may have"))
    }

    fn number(&mut self) -> Result<u64> {
        let (bytes, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| damaged("a file of a summary is cut off"))?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }
}
