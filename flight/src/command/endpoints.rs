//! Into how many endpoints an answer is divided.

use jetway_planner::{Part, Statement};

use crate::Result;
use crate::call::Call;
use crate::session::Endpoints;

/// Most endpoints of an answer unless the client says another number.
const USUAL: usize = 4;

/// The parts of a statement, one for each endpoint; nothing if it has one endpoint.
///
/// Clients that are known to read several endpoints at once get several for large answers. Others may read the first one only
/// (a script that takes `info.endpoints[0]`), so they have to ask.
pub(super) async fn divide(call: &Call, statement: &Statement) -> Result<Vec<Part>> {
    if call.proof {
        // What is proved is one answer.
        return Ok(Vec::new());
    }
    let count = match call.options.endpoints {
        Some(Endpoints::Count(count)) => usize::try_from(count).unwrap_or(1),
        Some(Endpoints::Auto) => usual(),
        None if reads_in_parallel(&call.client) => {
            let size = statement.parts_size().await?;
            if size.is_none_or(|size| size < call.shared.options.divided_from) {
                return Ok(Vec::new());
            }
            usual()
        }
        None => 1,
    };
    if count < 2 {
        return Ok(Vec::new());
    }
    let parts = statement.parts(count).await?.unwrap_or_default();
    Ok(if parts.len() < 2 { Vec::new() } else { parts })
}

fn usual() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    cores.clamp(2, USUAL)
}

/// Whether a client is known to read all endpoints, several at once, and to keep their order where it matters.
fn reads_in_parallel(client: &str) -> bool {
    let client = client.to_ascii_lowercase();
    ["adbc", "jdbc"].iter().any(|name| client.contains(name))
}
