//! What the protocol knows and this gateway does not: each refused with what to use instead.

use arrow_flight::sql::Command;

use crate::Error;

/// A command that has no place where it was sent, or none at all.
pub(super) fn command(command: &Command) -> Error {
    let advice = match command {
        Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
            "statements that change data are sent with DoPut"
        }
        Command::CommandStatementSubstraitPlan(_) => {
            "Substrait plans only read here: send it to GetFlightInfo, and change data with SQL (CommandStatementUpdate)"
        }
        Command::CommandStatementIngest(_) => "rows are ingested with DoPut",
        Command::CommandStatementQuery(_)
        | Command::CommandGetCatalogs(_)
        | Command::CommandGetDbSchemas(_)
        | Command::CommandGetTables(_)
        | Command::CommandGetTableTypes(_)
        | Command::CommandGetSqlInfo(_)
        | Command::CommandGetXdbcTypeInfo(_)
        | Command::CommandGetPrimaryKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => "this command is a question: send it to GetFlightInfo, not to DoPut",
        Command::CommandPreparedStatementQuery(_) => "execute a prepared statement with GetFlightInfo",
        Command::TicketStatementQuery(_) => "this is a ticket: send it to DoGet",
        Command::Unknown(_) => "no such command is known here; CommandStatementQuery runs SQL",
        _ => "this message belongs to an action or to an answer",
    };
    Error::unimplemented(format!("{}: {advice}", short_name(command.type_url())))
}

/// An action that is not there.
pub(super) fn action(name: &str) -> Error {
    let advice = match name {
        "BeginSavepoint" | "EndSavepoint" => {
            "a transaction has no savepoints: commit what is to stay, and begin another transaction"
        }
        _ => "ListActions tells which actions there are",
    };
    Error::unimplemented(format!("the action {} is not offered: {advice}", shown(name)))
}

/// A method of Flight that is not there.
pub(super) fn method(name: &str) -> Error {
    let advice = match name {
        "DoExchange" => "it is reserved for engines; read with DoGet and write with DoPut",
        _ => "use the commands of Flight SQL",
    };
    Error::unimplemented(format!("{name} is not offered: {advice}"))
}

fn short_name(type_url: &str) -> String {
    shown(
        type_url
            .strip_prefix("type.googleapis.com/arrow.flight.protocol.sql.")
            .unwrap_or(type_url),
    )
}

/// A foreign name, fit for a message.
fn shown(name: &str) -> String {
    name.chars().take(200).flat_map(char::escape_debug).collect()
}
