//! Statements that change datasets: planned, typed and allowed, but not run.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream;

use crate::ddl::{CreateStatement, DropStatement};
use crate::ingest;
use crate::modify::Modification;
use crate::summary::DatasetSummary;
use crate::view::ViewStatement;
use crate::{
    BatchStream, Error, ErrorKind, IdempotencyKey, IngestOutcome, PinnedDataset, Planner, Result, Statement, Subject,
    TransactionId, View,
};

/// A planned statement that changes datasets. Cheap to clone.
#[derive(Clone)]
pub struct Update {
    planner: Planner,
    subject: Subject,
    transaction: Option<TransactionId>,
    planned: Arc<Planned>,
}

/// What a statement that changes datasets did.
#[derive(Debug, Clone)]
pub struct UpdateOutcome {
    /// How many rows were added or changed; none by statements about datasets as a whole.
    pub rows: u64,
    /// The commit, of statements that make one.
    pub ingest: Option<IngestOutcome>,
}

pub(crate) enum Planned {
    Insert {
        dataset: PinnedDataset,
        summary: Arc<DatasetSummary>,
        rows: Statement,
    },
    Modify(Arc<Modification>),
    Create {
        create: CreateStatement,
        rows: NewRows,
    },
    CreateView {
        create: ViewStatement,
        view: View,
    },
    Drop(DropStatement),
}

/// The rows that a dataset begins with.
pub(crate) enum NewRows {
    None(SchemaRef),
    Query(Statement),
}

impl NewRows {
    /// # Errors
    /// `InvalidArgument` for columns that a dataset cannot have.
    pub(crate) fn check(&self, create: &CreateStatement) -> Result<()> {
        let schema = match self {
            Self::None(schema) => Arc::clone(schema),
            Self::Query(query) => query.schema(),
        };
        ingest::check_new(&schema, &create.merge())
    }

    async fn open(&self) -> Result<BatchStream> {
        match self {
            Self::None(schema) => Ok(BatchStream::new(Arc::clone(schema), stream::empty())),
            Self::Query(query) => query.execute().await,
        }
    }
}

impl Update {
    pub(crate) fn new(
        planner: Planner,
        subject: Subject,
        transaction: Option<TransactionId>,
        planned: Planned,
    ) -> Self {
        Self {
            planner,
            subject,
            transaction,
            planned: Arc::new(planned),
        }
    }

    /// Changes what the statement says. When it returns, the change is durable in storage; when it fails, nothing of it was
    /// done, except that a DROP of several tables may have dropped some. With a key, adding rows again changes nothing.
    ///
    /// In a transaction, the rows of an INSERT wait for its end. Statements about datasets as a whole are no part of it: they
    /// take effect at once.
    ///
    /// # Errors
    /// Those of the query and of an ingest; `AlreadyExists`, `Conflict`; in a transaction those of [`Planner::stage`].
    pub async fn run(self, key: Option<IdempotencyKey>) -> Result<UpdateOutcome> {
        let (planner, subject) = (&self.planner, &self.subject);
        // An ingest is a large future, and callers hold this one in theirs.
        let ingest = match self.planned.as_ref() {
            Planned::Insert { dataset, summary, rows } => {
                let rows = rows.execute().await?;
                if let Some(transaction) = &self.transaction {
                    let staged = planner.stage_insert(subject, transaction, dataset, key, rows);
                    return Ok(UpdateOutcome {
                        rows: Box::pin(staged).await?,
                        ingest: None,
                    });
                }
                Some(Box::pin(planner.insert(subject, dataset.clone(), summary, key, rows)).await?)
            }
            Planned::Modify(modification) => {
                if self.transaction.is_some() {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "UPDATE and DELETE are not part of transactions: turn autocommit on in the client, or commit first",
                    ));
                }
                Some(Box::pin(planner.modify(modification, key)).await?)
            }
            Planned::Create { create, rows } => {
                let rows = rows.open().await?;
                Some(Box::pin(planner.make(subject, create, key, rows)).await?)
            }
            Planned::CreateView { create, view } => {
                planner.create_view(subject, create, view).await?;
                None
            }
            Planned::Drop(drop) if drop.views => {
                planner.drop_views(subject, drop).await?;
                None
            }
            Planned::Drop(drop) => {
                planner.drop_datasets(subject, drop).await?;
                None
            }
        };
        Ok(UpdateOutcome {
            rows: ingest.as_ref().map_or(0, |ingest| ingest.rows),
            ingest,
        })
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.planned.as_ref() {
            Planned::Insert { .. } => "insert",
            Planned::Modify(_) => "modify",
            Planned::Create { .. } => "create",
            Planned::CreateView { .. } => "create view",
            Planned::Drop(_) => "drop",
        };
        f.debug_struct("Update").field("kind", &kind).finish_non_exhaustive()
    }
}
