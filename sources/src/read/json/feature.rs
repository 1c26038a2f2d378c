//! GeoJSON features as rows.

use super::bad;
use super::scan::Scanner;
use crate::Result;

/// The column of the geometry.
const GEOMETRY: &str = "geometry";

/// Appends the feature's properties as an object, with its geometry as one more member whose value is text.
pub(super) fn append_row(feature: &[u8], row: &mut Vec<u8>) -> Result<()> {
    let (mut properties, mut geometry, mut kind) = (None, None, None);
    let mut scanner = Scanner::new(feature, feature.len());
    members(&mut scanner, |name, value| match name {
        "properties" => properties = Some(value),
        "geometry" => geometry = Some(value),
        "type" => kind = Some(value),
        _ => {}
    })?;
    if kind.as_deref() != Some(b"\"Feature\"") {
        return Err(bad("an object is not a GeoJSON feature"));
    }
    let properties = properties
        .filter(|value| value != b"null")
        .unwrap_or_else(|| b"{}".to_vec());
    if properties.first() != Some(&b'{') {
        return Err(bad("the properties of a feature are not an object"));
    }
    let mut count = 0;
    let mut clash = false;
    let mut scanner = Scanner::new(properties.as_slice(), properties.len());
    members(&mut scanner, |name, _| {
        count += 1;
        clash |= name == GEOMETRY;
    })?;
    if clash {
        return Err(bad(
            "a feature has a property that is called geometry, which is the column of the geometry",
        ));
    }
    row.extend_from_slice(properties.trim_ascii_end().strip_suffix(b"}").unwrap_or_default());
    if count > 0 {
        row.push(b',');
    }
    row.extend_from_slice(b"\"geometry\":");
    match geometry.filter(|value| value != b"null") {
        None => row.extend_from_slice(b"null"),
        Some(geometry) => {
            let text = String::from_utf8(geometry).map_err(|_| bad("a geometry is not text"))?;
            let quoted = serde_json::to_vec(&text).map_err(|_| bad("a geometry is not text"))?;
            row.extend_from_slice(&quoted);
        }
    }
    row.push(b'}');
    Ok(())
}

/// Calls with name and value of every member of an object.
fn members(scanner: &mut Scanner<&[u8]>, mut call: impl FnMut(&str, Vec<u8>)) -> Result<()> {
    scanner.expect(b'{', "an object")?;
    let mut first = true;
    while scanner.more(b'}', &mut first)? {
        let name = scanner.name()?;
        let mut value = Vec::new();
        scanner.value(&mut value)?;
        call(&name, value);
    }
    Ok(())
}
