//! Requests in the parameters of a URL.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use jetway_odf::proof::{DataFormat, DidKey, QueryDialect, QueryInput, SchemaFormat};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Failure;

/// The parameters of `GET /query`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Parameters {
    query: String,
    #[serde(default)]
    query_dialect: QueryDialect,
    #[serde(default, alias = "format")]
    data_format: DataFormat,
    schema_format: Option<SchemaFormat>,
    /// Names with commas between them.
    #[serde(default)]
    include: String,
    #[serde(default)]
    skip: u64,
    limit: Option<u64>,
}

impl Parameters {
    pub(super) fn read(query: Option<&str>) -> Result<QueryInput, Failure> {
        let parameters: Self = read(query)?;
        let include = parameters
            .include
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let include = include.map(str::parse).collect::<Result<_, _>>();
        let usual = QueryInput::new(parameters.query);
        Ok(QueryInput {
            query_dialect: parameters.query_dialect,
            data_format: parameters.data_format,
            include: include.map_err(|error: jetway_odf::Error| bad(&error))?,
            schema_format: parameters.schema_format,
            skip: parameters.skip,
            limit: parameters.limit.unwrap_or(usual.limit),
            ..usual
        })
    }
}

/// The parameters of `POST /verify`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyParameters {
    /// Whose signature is accepted; anybody's unless given.
    signer: Option<DidKey>,
}

impl VerifyParameters {
    pub(super) fn read(query: Option<&str>) -> Result<Vec<DidKey>, Failure> {
        let parameters: Self = read(query)?;
        Ok(parameters.signer.into_iter().collect())
    }
}

fn read<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Failure> {
    let uri: Uri = format!("/?{}", query.unwrap_or_default())
        .parse()
        .map_err(|error| bad(&error))?;
    Query::try_from_uri(&uri)
        .map(|Query(read)| read)
        .map_err(|rejection| bad(&rejection))
}

fn bad(error: &dyn std::error::Error) -> Failure {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(StatusCode::BAD_REQUEST, format!("{error}{cause}"))
}
