//! One file by URL.

use jetway_odf::metadata::{EventTimeSource, RequestHeader, SourceState};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::{FetchOptions, Fetched, files, http};
use crate::template::{render, render_hidden};
use crate::{Error, ErrorKind, Result};

pub(super) async fn fetch(
    template: &str,
    event_time: Option<&EventTimeSource>,
    headers: &[RequestHeader],
    state: Option<&SourceState>,
    options: &FetchOptions,
) -> Result<Fetched> {
    let url = render(template, &options.variables)?;
    let shown = shown(&render_hidden(template, &options.variables)?);
    let invalid = |message| Error::new(ErrorKind::InvalidSource, message).with_context("url", &shown);
    let url = Url::parse(&url).map_err(|error| invalid("this is not a URL").with_source(error))?;
    match url.scheme() {
        "file" => {
            let path = url
                .to_file_path()
                .map_err(|()| invalid("a file URL must hold an absolute path of this machine"))?;
            files::fetch_one(path, event_time, state, options).await
        }
        "http" | "https" => {
            let headers = rendered(headers, options)?;
            http::fetch(http::Target { url, shown, headers }, event_time, state, options).await
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "only http, https and file URLs can be fetched; publish the file by one of them",
        )
        .with_context("url", &shown)),
    }
}

fn rendered(headers: &[RequestHeader], options: &FetchOptions) -> Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for RequestHeader { name, value } in headers {
        let invalid = || {
            Error::new(
                ErrorKind::InvalidSource,
                "a header of the source is not a header of HTTP",
            )
            .with_context("header", name)
        };
        let mut value = HeaderValue::from_str(&render(value, &options.variables)?).map_err(|_| invalid())?;
        value.set_sensitive(true);
        map.append(HeaderName::try_from(name.as_str()).map_err(|_| invalid())?, value);
    }
    Ok(map)
}

/// A URL for messages: no user info, no values of the query.
fn shown(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "(not a URL)".to_owned();
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}=***")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}://{host}{port}{}{mark}{}", url.scheme(), url.path(), query.join("&"))
}
