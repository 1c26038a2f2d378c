//! A statement that was planned, for all who ask it again.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::execution::session_state::SessionState;
use jetway_odf::identity::DatasetId;

use crate::compute::Compute;
use crate::parameters::{Early, Unbound};
use crate::resolve::Lookup;
use crate::{Access, DatasetCatalog, Pin, PlanRequest, Result, Statement, TableName};

/// About what a plan takes besides what is counted, in bytes.
const PLAN_BYTES: usize = 16 * 1024;

/// About what a state of its own takes, in bytes.
const SESSION_BYTES: usize = 64 * 1024;

/// A plan for any values of its parameters, and what it depends on.
pub(crate) struct Template {
    session: Arc<SessionState>,
    owns_session: bool,
    unbound: Unbound,
    lookups: Vec<Lookup>,
    pins: Vec<Pin>,
    compute: Compute,
    /// For a statement without parameters.
    statement: OnceLock<Statement>,
    /// The plan optimized for all values, made when it is used for the second time; none if that is not possible.
    early: OnceLock<Option<Early>>,
}

impl Template {
    /// A template of a statement that gives the same rows whenever it runs at the same heads.
    pub(crate) fn new(
        (session, owns_session): (Arc<SessionState>, bool),
        unbound: Unbound,
        (lookups, pins): (Vec<Lookup>, Vec<Pin>),
        compute: Compute,
    ) -> Self {
        Self {
            session,
            owns_session,
            unbound,
            lookups,
            pins,
            compute,
            statement: OnceLock::new(),
            early: OnceLock::new(),
        }
    }

    pub(super) fn size(&self) -> usize {
        PLAN_BYTES + if self.owns_session { SESSION_BYTES } else { 0 }
    }

    /// Whether the statement still means what it meant, for the subject who asks, at the current heads or at those that it asks for.
    pub(crate) async fn is_current(&self, catalog: &Arc<dyn DatasetCatalog>, request: &PlanRequest) -> bool {
        for lookup in &self.lookups {
            let found = match &lookup.name {
                TableName::Id(id) => catalog.resolve_id(&request.subject, id, Access::Read).await,
                name @ TableName::Alias(_) => catalog.resolve(&request.subject, name, Access::Read).await,
            };
            // Why it is not there any more is told by whoever plans anew.
            let Ok(dataset) = found else { return false };
            let wanted = match &request.pins {
                Some(pins) => head(pins, &dataset.id),
                None => Some(dataset.head),
            };
            if dataset.id != lookup.id || wanted.is_none() || head(&self.pins, &dataset.id) != wanted {
                return false;
            }
        }
        true
    }

    /// The statement for values of its parameters.
    ///
    /// # Errors
    /// Those of [`Unbound::bind`].
    pub(crate) async fn bind(&self, values: Option<&RecordBatch>) -> Result<Statement> {
        if self.unbound.count() == 0 && values.is_none() {
            if let Some(statement) = self.statement.get() {
                return Ok(statement.clone());
            }
            let statement = self.plan(None).await?;
            return Ok(self.statement.get_or_init(|| statement).clone());
        }
        if let Some(values) = values
            && let Some(early) = self.early()
            && let Some(plan) = early.bind(values)?
        {
            let (session, pins) = (Arc::clone(&self.session), self.pins.clone());
            let statement = Statement::new(session, plan, pins, self.compute.clone());
            return Ok(statement.declared(early.schema()).repeatable(true));
        }
        self.plan(values).await
    }

    /// See [`Unbound::takes`].
    pub(crate) fn takes(&self, values: &RecordBatch, fits: fn(&DataType, &DataType) -> bool) -> bool {
        self.unbound.takes(values, fits)
    }

    async fn plan(&self, values: Option<&RecordBatch>) -> Result<Statement> {
        let bound = self.unbound.bind(&self.session, values).await?;
        let (session, pins) = (Arc::clone(&self.session), self.pins.clone());
        let statement = Statement::repeated(session, bound, pins, self.compute.clone())?;
        Ok(statement.repeatable(true))
    }

    fn early(&self) -> Option<&Early> {
        let made = self
            .early
            .get_or_init(|| match Early::new(&self.session, &self.unbound) {
                Ok(early) => early,
                Err(error) => {
                    tracing::debug!(%error, "a plan is optimized for each value");
                    None
                }
            });
        made.as_ref()
    }
}

fn head(pins: &[Pin], dataset: &DatasetId) -> Option<jetway_odf::identity::Multihash> {
    pins.iter().find(|pin| pin.dataset == *dataset).map(|pin| pin.head)
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("pins", &self.pins)
            .finish_non_exhaustive()
    }
}
