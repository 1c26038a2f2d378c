//! Attributes of a shapefile: a dBase table, whose values are texts of fixed lengths.

use std::fs::File;
use std::io::{BufReader, Read};

use arrow::datatypes::{DataType, Field};
use encoding_rs::{Encoding, WINDOWS_1252};

use super::bad;
use crate::Result;
use crate::read::text;

const HEADER: usize = 32;
const FIELDS_END: u8 = 0x0d;
const DELETED: u8 = b'*';

/// One record at a time, which stays until the next one is read.
pub(super) struct Attributes {
    input: BufReader<File>,
    columns: Vec<Column>,
    encoding: &'static Encoding,
    /// Records that are still to come.
    left: u32,
    read: u64,
    bytes: Vec<u8>,
}

struct Column {
    name: String,
    kind: u8,
    start: usize,
    length: usize,
    decimals: u8,
}

impl Attributes {
    /// Reads the head of a `.dbf` file. The code page is the text of the `.cpg` file; without one, that which the table
    /// itself names, or else Windows' Western one.
    pub(super) fn open(file: File, code_page: Option<&str>) -> Result<Self> {
        let mut input = BufReader::new(file);
        let header: [u8; HEADER] = read_array(&mut input)?;
        let [_, _, _, _, a, b, c, d, head_low, head_high, record_low, record_high, ..] = header;
        let head = usize::from(u16::from_le_bytes([head_low, head_high]));
        let record = usize::from(u16::from_le_bytes([record_low, record_high]));
        let encoding = match code_page {
            Some(name) => encoding_of(name)?,
            None => encoding_of_driver(header[29]),
        };
        let mut columns = Vec::new();
        // The first byte of a record says whether it is deleted.
        let (mut start, mut read) = (1, HEADER);
        loop {
            let [first] = read_array(&mut input)?;
            read += 1;
            if first == FIELDS_END {
                break;
            }
            let rest: [u8; HEADER - 1] = read_array(&mut input)?;
            read += rest.len();
            let name: Vec<u8> = [first]
                .into_iter()
                .chain(rest)
                .take(11)
                .take_while(|byte| *byte != 0)
                .collect();
            let length = usize::from(rest[15]);
            columns.push(Column {
                name: encoding.decode(&name).0.trim().to_owned(),
                kind: rest[10],
                start,
                length,
                decimals: rest[16],
            });
            start += length;
        }
        if start > record || read > head {
            return Err(bad(
                "the attributes are damaged: records are shorter than their columns",
            ));
        }
        let padding = (head - read) as u64;
        std::io::copy(&mut (&mut input).take(padding), &mut std::io::sink()).map_err(cut_off)?;
        Ok(Self {
            input,
            columns,
            encoding,
            left: u32::from_le_bytes([a, b, c, d]),
            read: 0,
            bytes: vec![0; record],
        })
    }

    /// The columns with types that hold all that they can hold.
    pub(super) fn fields(&self) -> Result<Vec<Field>> {
        self.columns
            .iter()
            .map(|column| Ok(Field::new(&column.name, column.data_type()?, true)))
            .collect()
    }

    pub(super) fn position(&self, name: &str) -> Result<Option<usize>> {
        let Some(position) = self.columns.iter().position(|column| column.name == name) else {
            return Ok(None);
        };
        if let Some(column) = self.columns.get(position) {
            column.data_type()?;
        }
        Ok(Some(position))
    }

    /// Goes to the next record, if there is one.
    pub(super) fn next(&mut self) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.input.read_exact(&mut self.bytes).map_err(cut_off)?;
        self.left -= 1;
        self.read += 1;
        Ok(true)
    }

    /// Number of the present record, from 1.
    pub(super) fn record(&self) -> u64 {
        self.read
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.bytes.first() == Some(&DELETED)
    }

    /// The value of a column, as other formats would write it.
    pub(super) fn text(&self, position: usize) -> Result<Option<String>> {
        let Some(column) = self.columns.get(position) else {
            return Ok(None);
        };
        let bytes = self
            .bytes
            .get(column.start..column.start + column.length)
            .unwrap_or_default();
        let text = self
            .encoding
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| {
                bad("an attribute has bytes that its code page does not have; add the right .cpg file")
                    .with_context("column", &column.name)
                    .with_context("code page", self.encoding.name())
                    .with_context("record", self.read)
            })?;
        let text = text.trim_end_matches(['\0', ' ']);
        let number = text.trim_start();
        Ok(match column.kind {
            b'C' => Some(text).filter(|text| !text.is_empty()).map(str::to_owned),
            b'D' => match (number.get(..4), number.get(4..6), number.get(6..)) {
                (Some("0000"), ..) => None,
                (Some(year), Some(month), Some(day)) => Some(format!("{year}-{month}-{day}")),
                _ => Some(number.to_owned()).filter(|number| !number.is_empty()),
            },
            b'L' => match number {
                "T" | "t" | "Y" | "y" => Some("true".to_owned()),
                "F" | "f" | "N" | "n" => Some("false".to_owned()),
                "" | "?" => None,
                other => Some(other.to_owned()),
            },
            // Asterisks are written for numbers that did not fit, and for missing ones.
            _ if number.bytes().all(|byte| byte == b'*') => None,
            _ => Some(number.to_owned()),
        })
    }
}

impl Column {
    fn data_type(&self) -> Result<DataType> {
        let length = u8::try_from(self.length).unwrap_or(u8::MAX).clamp(1, 38);
        Ok(match (self.kind, self.decimals) {
            (b'C', _) => DataType::Utf8,
            (b'D', _) => DataType::Date32,
            (b'L', _) => DataType::Boolean,
            (b'F', 1..) => DataType::Float64,
            (b'N' | b'F', 0) if length <= 18 => DataType::Int64,
            (b'N' | b'F', decimals) => DataType::Decimal128(length, i8::try_from(decimals.min(length)).unwrap_or(0)),
            (kind, _) => {
                return Err(
                    bad("an attribute has a type that cannot be read; leave it out of the schema")
                        .with_context("column", &self.name)
                        .with_context("type", char::from(kind).escape_default()),
                );
            }
        })
    }
}

fn read_array<const LENGTH: usize>(input: &mut impl Read) -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    input.read_exact(&mut bytes).map_err(cut_off)?;
    Ok(bytes)
}

fn cut_off(error: std::io::Error) -> crate::Error {
    bad("the attributes are cut off").with_source(error)
}

/// The encoding of a `.cpg` file, which has many spellings: `UTF-8`, `65001`, `1252`, `ANSI 1251`, `ISO 88591`.
fn encoding_of(code_page: &str) -> Result<&'static Encoding> {
    let name = code_page.trim_matches(['\u{feff}', '\0']).trim();
    if let Ok(encoding) = text::encoding(Some(name)) {
        return Ok(encoding);
    }
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let label = match digits.as_str() {
        "65001" => "utf-8".to_owned(),
        "932" => "shift_jis".to_owned(),
        "936" => "gbk".to_owned(),
        "949" => "euc-kr".to_owned(),
        "950" => "big5".to_owned(),
        "866" => "ibm866".to_owned(),
        digits => match digits.strip_prefix("8859") {
            Some(part) => format!("iso-8859-{part}"),
            None => format!("windows-{digits}"),
        },
    };
    text::encoding(Some(&label))
        .map_err(|_| bad("the code page in the .cpg file is not known").with_context("code page", name))
}

/// The encoding of the language driver in the table's head.
fn encoding_of_driver(driver: u8) -> &'static Encoding {
    match driver {
        0x13 | 0x7b => encoding_rs::SHIFT_JIS,
        0x26 | 0x65 => encoding_rs::IBM866,
        0x4d | 0x7a => encoding_rs::GBK,
        0x4e | 0x79 => encoding_rs::EUC_KR,
        0x4f | 0x78 => encoding_rs::BIG5,
        0xc8 => encoding_rs::WINDOWS_1250,
        0xc9 => encoding_rs::WINDOWS_1251,
        0xca => encoding_rs::WINDOWS_1254,
        0xcb => encoding_rs::WINDOWS_1253,
        _ => WINDOWS_1252,
    }
}
