//! The files of a shapefile.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::bad;
use crate::read::ReadOptions;
use crate::read::bytes::{Local, cannot_read, open, spool};
use crate::{Error, ErrorKind, Result};

/// First bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";

/// Most bytes of a `.cpg` file.
const MAX_CODE_PAGE: u64 = 1024;

/// The parts that are read. The index is not needed, because all shapes are.
pub(super) struct Parts {
    pub(super) shapes: File,
    pub(super) attributes: File,
    pub(super) code_page: Option<String>,
}

impl Parts {
    /// Finds the parts in an archive, in a folder, or beside the `.shp` file.
    pub(super) fn find(input: &Local, sub_path: Option<&str>, options: &ReadOptions) -> Result<Self> {
        if input.path().is_dir() {
            let names = names_in(input.path())?;
            let name = choose(&names, sub_path)?;
            return Self::beside(&input.path().join(name));
        }
        let mut first = Vec::new();
        let mut head = input.open()?.take(ZIP.len() as u64);
        head.read_to_end(&mut first).map_err(cannot_read)?;
        if first == ZIP {
            return Self::unpack(input.open()?, sub_path, options);
        }
        if is(input.path(), "shp") {
            return Self::beside(input.path());
        }
        Err(bad(
            "a shapefile is expected as a zip archive, as a folder, or as a .shp file beside its other parts",
        ))
    }

    fn beside(shapes: &Path) -> Result<Self> {
        let part = |extension: &str| {
            [extension.to_owned(), extension.to_uppercase()]
                .into_iter()
                .map(|extension| shapes.with_extension(extension))
                .find(|path| path.exists())
        };
        let attributes = part("dbf").ok_or_else(|| missing("dbf"))?;
        let code_page = match part("cpg") {
            Some(path) => Some(short_text(open(&path)?)?),
            None => None,
        };
        Ok(Self {
            shapes: open(shapes)?,
            attributes: open(&attributes)?,
            code_page,
        })
    }

    fn unpack(archive: File, sub_path: Option<&str>, options: &ReadOptions) -> Result<Self> {
        let mut archive = ZipArchive::new(archive).map_err(not_zip)?;
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.map(Cow::into_owned))
            .collect::<Result<_, _>>()
            .map_err(not_zip)?;
        let shapes = choose(&names, sub_path)?;
        let stem = shapes.get(..shapes.len() - "shp".len()).unwrap_or_default();
        let part = |extension: &str| {
            let name = format!("{stem}{extension}");
            names.iter().find(|known| known.eq_ignore_ascii_case(&name))
        };
        let attributes = part("dbf").ok_or_else(|| missing("dbf"))?;
        let code_page = match part("cpg") {
            Some(name) => Some(short_text(archive.by_name(name).map_err(not_zip)?)?),
            None => None,
        };
        let mut unpack = |name: &str| spool(archive.by_name(name).map_err(not_zip)?, options);
        Ok(Self {
            shapes: unpack(shapes)?,
            attributes: unpack(attributes)?,
            code_page,
        })
    }
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(cannot_read)?;
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry.map_err(cannot_read)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The name of the shapefile: the only one, or that of the sub path.
fn choose<'a>(names: &'a [String], sub_path: Option<&str>) -> Result<&'a str> {
    let shapefiles = names
        .iter()
        .map(String::as_str)
        .filter(|name| is(Path::new(name), "shp"));
    let wanted = sub_path.map(PathBuf::from);
    let matching = shapefiles.clone().filter(|name| match &wanted {
        // A path without the extension, or the name without its folder, says it as well.
        Some(wanted) => {
            let path = Path::new(name);
            path == wanted || path.with_extension("") == *wanted || path.file_name() == Some(wanted.as_os_str())
        }
        None => true,
    });
    let matching: Vec<&str> = matching.collect();
    match matching.as_slice() {
        [only] => Ok(only),
        [] => Err(bad("there is no such shapefile in the input")
            .with_context("sub path", sub_path.unwrap_or_default())
            .with_context("shapefiles", shapefiles.collect::<Vec<_>>().join(", "))),
        several => Err(Error::new(
            ErrorKind::InvalidSource,
            "the input has several shapefiles; say with subPath which one is meant",
        )
        .with_context("shapefiles", several.join(", "))),
    }
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn short_text(input: impl Read) -> Result<String> {
    let mut text = String::new();
    input
        .take(MAX_CODE_PAGE)
        .read_to_string(&mut text)
        .map_err(|error| bad("the .cpg file of the shapefile is not text").with_source(error))?;
    Ok(text)
}

fn missing(extension: &str) -> Error {
    bad("a part of the shapefile is missing").with_context("extension", extension)
}

fn not_zip(error: zip::result::ZipError) -> Error {
    bad("the archive is damaged").with_source(error)
}
