//! Formats of files that arrive without a definition.

use std::path::Path;

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Separated text with a header.
    Csv,
    /// An array of objects.
    Json,
    /// One object per line.
    NdJson,
    /// A `FeatureCollection`.
    GeoJson,
    /// One `Feature` per line.
    NdGeoJson,
    /// A zip archive or a folder with a shapefile and its attributes, or its `.shp` file.
    Shapefile,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, as a stream or as a file.
    ArrowIpc,
    /// Avro object container file.
    Avro,
}

impl Format {
    /// The format that a file's extension stands for, if it stands for one.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::NdJson,
            "geojson" => Self::GeoJson,
            "ndgeojson" | "geojsonl" => Self::NdGeoJson,
            "shp" => Self::Shapefile,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "arrows" | "feather" | "ipc" => Self::ArrowIpc,
            "avro" => Self::Avro,
            _ => return None,
        })
    }

    /// The format that a content type stands for, whatever its parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "text/csv" | "application/csv" => Self::Csv,
            "application/json" => Self::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::NdJson,
            "application/geo+json" => Self::GeoJson,
            "application/x-ndgeojson" | "application/geo+json-seq" => Self::NdGeoJson,
            "application/vnd.shp" | "application/x-shapefile" => Self::Shapefile,
            "application/vnd.apache.parquet" | "application/parquet" => Self::Parquet,
            "application/vnd.apache.arrow.stream" | "application/vnd.apache.arrow.file" => Self::ArrowIpc,
            "application/avro" | "avro/binary" | "application/vnd.apache.avro" => Self::Avro,
            _ => return None,
        })
    }
}
