//! Results as text.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::{ColumnType, Normalizer};

/// The kind of a column, one letter each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Boolean,
    Integer,
    Float,
    Decimal,
    Text,
    Bytes,
    Time,
    Interval,
    /// Lists, structs, maps and what else there is.
    Other,
}

/// Every kind with its letter.
const LETTERS: [(ColumnKind, char); 9] = [
    (ColumnKind::Boolean, 'B'),
    (ColumnKind::Integer, 'I'),
    (ColumnKind::Float, 'R'),
    (ColumnKind::Decimal, 'N'),
    (ColumnKind::Text, 'T'),
    (ColumnKind::Bytes, 'X'),
    (ColumnKind::Time, 'D'),
    (ColumnKind::Interval, 'V'),
    (ColumnKind::Other, '?'),
];

impl ColumnKind {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            other if other.is_integer() => Self::Integer,
            other if other.is_floating() => Self::Float,
            other if other.is_decimal() => Self::Decimal,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            other if other.is_temporal() => Self::Time,
            _ => Self::Other,
        }
    }
}

impl ColumnType for ColumnKind {
    fn from_char(letter: char) -> Option<Self> {
        LETTERS
            .iter()
            .find(|(_, known)| *known == letter)
            .map(|(kind, _)| *kind)
    }

    fn to_char(&self) -> char {
        LETTERS
            .iter()
            .find(|(kind, _)| kind == self)
            .map_or('?', |(_, letter)| *letter)
    }
}

/// One text for each value: `NULL`, `(empty)`, and what Arrow prints otherwise. A row with texts of several lines takes as
/// many rows.
pub(crate) fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, ArrowError> {
    let options = FormatOptions::default().with_null("NULL").with_display_error(false);
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options));
        let columns: Vec<ArrayFormatter<'_>> = columns.collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).try_to_string());
            let values: Vec<String> = values.collect::<Result<_, _>>()?;
            let height = values
                .iter()
                .map(|value| value.lines().count())
                .max()
                .unwrap_or(1)
                .max(1);
            rows.extend((0..height).map(|line| {
                let part = |value: &String| match value.lines().nth(line) {
                    Some("") => "(empty)".to_owned(),
                    Some(part) => part.trim_end().to_owned(),
                    None if value.is_empty() && line == 0 => "(empty)".to_owned(),
                    None => String::new(),
                };
                values.iter().map(part).collect()
            }));
        }
    }
    Ok(rows)
}

/// Space at the beginning of lines counts, since plans are indented.
#[expect(clippy::ptr_arg, reason = "the type of the library")]
pub(crate) fn trim_end(line: &String) -> String {
    line.trim_end().to_owned()
}

/// Whether each line is the expected one; `<slt:ignore>` stands for anything.
pub(crate) fn same_lines(normalize: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    let mut actual = actual.iter().map(|row| normalize(&row.join(" ")));
    let mut expected = expected.iter().map(normalize);
    loop {
        match (actual.next(), expected.next()) {
            (None, None) => return true,
            (Some(line), Some(pattern)) if matches(&line, &pattern) => {}
            _ => return false,
        }
    }
}

fn matches(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split("<slt:ignore>");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(start) => rest = rest.split_at(start + part.len()).1,
            None => return false,
        }
    }
    true
}
