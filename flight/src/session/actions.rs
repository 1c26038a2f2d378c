//! SetSessionOptions, GetSessionOptions, CloseSession.

use std::collections::HashMap;

use bytes::Bytes;
use jetway_planner::CATALOG;
use prost::Message;

use super::protocol::{
    CloseResult, CloseStatus, ErrorValue, GetResult, OptionError, OptionValue, SetRequest, SetResult, Value, decode,
};
use super::{Endpoints, Options, Refusal, Session, clear_cookie};
use crate::call::Call;
use crate::wire::Preset;
use crate::{Error, Result};

pub(crate) const SET: &str = "SetSessionOptions";
pub(crate) const GET: &str = "GetSessionOptions";
pub(crate) const CLOSE: &str = "CloseSession";

/// Most options of one request; there are far fewer.
const MAX_OPTIONS: usize = 1000;

/// Sets what can be set, and names the rest. The answer carries the session; the first option that is set makes it.
pub(crate) fn set(call: &Call, body: &Bytes) -> Result<Bytes> {
    let request: SetRequest = decode(body, "SetSessionOptionsRequest").map_err(|error| {
        Error::invalid_argument("the body of SetSessionOptions cannot be decoded").with_source(error)
    })?;
    if request.options.len() > MAX_OPTIONS {
        return Err(Error::invalid_argument(format!(
            "SetSessionOptions has {} options; the node knows: {}",
            request.options.len(),
            super::NAMES.join(", ")
        )));
    }
    let now = call.now();
    let expires = now + call.shared.options.session_ttl;
    let mut session = call.brought.clone().unwrap_or_else(|| Session::new(expires));
    session.expires = expires;
    let count = request.options.len();
    let mut errors = HashMap::new();
    for (name, value) in request.options {
        if let Err(error) = set_one(&mut session.options, &name, value) {
            tracing::debug!(option = %name.escape_debug(), ?error, "An option of a session was refused");
            errors.insert(name, OptionError { value: error.into() });
        }
    }
    if errors.len() < count {
        if !call.shared.sessions.saw(&session, &call.subject, &call.client, now) {
            return Err(super::closed());
        }
        call.give_cookie(session.set_cookie(&call.shared.options.ticket_key, &call.subject, now)?);
    }
    Ok(SetResult { errors }.encode_to_vec().into())
}

fn set_one(options: &mut Options, name: &str, value: OptionValue) -> std::result::Result<(), ErrorValue> {
    let text = match value.value {
        None => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Bool(flag)) => Some(flag.to_string()),
        Some(Value::Int64(number)) => Some(number.to_string()),
        // A whole number prints without a fraction.
        Some(Value::Double(number)) => Some(number.to_string()),
        Some(Value::StringList(_)) if super::NAMES.contains(&name) => return Err(ErrorValue::InvalidValue),
        Some(Value::StringList(_)) => return Err(ErrorValue::InvalidName),
    };
    options.set(name, text.as_deref()).map_err(|refusal| match refusal {
        Refusal::Name => ErrorValue::InvalidName,
        Refusal::Value(_) => ErrorValue::InvalidValue,
    })
}

/// The options as they apply to this call, also where the client chose nothing. Makes no session.
pub(crate) fn get(call: &Call) -> Bytes {
    let mut options: HashMap<String, OptionValue> = HashMap::new();
    let mut put = |name: &str, value: String| {
        let value = Some(Value::String(value));
        options.insert(name.to_owned(), OptionValue { value });
    };
    put("catalog", CATALOG.to_owned());
    put("schema", call.subject.name().to_string());
    put("time_zone", "UTC".to_owned());
    put("profile", Preset::of_client(&call.client).name().to_owned());
    for (name, value) in call.profile.entries() {
        put(name, value.to_owned());
    }
    for (name, value) in call.options.entries() {
        put(name, value);
    }
    if let Some(Endpoints::Count(number)) = call.options.endpoints {
        let value = Some(Value::Int64(i64::from(number)));
        options.insert("endpoints".to_owned(), OptionValue { value });
    }
    GetResult { options }.encode_to_vec().into()
}

/// Ends the session: the client is told to forget it, and this node refuses it from now on.
pub(crate) fn close(call: &Call) -> Result<Bytes> {
    let status = match &call.brought {
        Some(session) => {
            call.shared.sessions.close(session, call.now());
            call.give_cookie(clear_cookie()?);
            CloseStatus::Closed
        }
        None => CloseStatus::NotCloseable,
    };
    Ok(CloseResult { status: status.into() }.encode_to_vec().into())
}
