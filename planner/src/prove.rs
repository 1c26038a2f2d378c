//! Answers that can be proved: the same question at the same blocks gives the same rows in the same order.
//!
//! ```text
//!  QueryInput ──► ask ──► Asked: statement, datasets at blocks ──► answer ──► text and hash
//!                                          │                  └──► watch ──► rows as they are, then a signed document
//!  Document ──► verify: hashes, signature, ask and answer again, hash compared
//! ```
//!
//! A statement whose answer is to be proved runs in one partition, so that its rows do not come in the order of whichever
//! thread was first.

use std::pin::pin;
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use jetway_odf::chain::walk_back;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::proof::{
    DataFormat, DatasetState, Document, Fault, Include, NodeIdentity, OutputHasher, QueryDialect, QueryInput,
    RowWriter, SchemaFormat, UNLIMITED, schema_json,
};
use serde_json::{Map, Value};

use crate::{
    Access, BatchStream, Error, ErrorKind, Pin, PinnedDataset, PlanRequest, Planner, Result, Statement, Subject,
    TableName,
};

/// Most text of columns that is held for an answer in columns, in bytes.
const MAX_COLUMNS: usize = 64 * 1024 * 1024;

/// A question that was planned: what it reads is known, and nothing has run.
#[derive(Debug, Clone)]
pub struct Asked {
    statement: Statement,
    input: QueryInput,
    schema: Option<(Value, SchemaFormat)>,
}

/// What names in a question mean, and at which blocks.
struct Fixed {
    names: Vec<(TableName, DatasetId)>,
    pins: Vec<Pin>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its rows as JSON in the format that was asked for; empty if it was not to be kept.
    pub data: Vec<u8>,
    /// Hash of rows, format and schema.
    pub hash: Multihash,
}

impl Planner {
    /// Plans a question, at the blocks that it names if it names some. If it names any dataset, it has to name all that it reads.
    ///
    /// # Errors
    /// Those of [`Self::plan`]; `Unsupported` when the answer is to be proved, but may be another one at the next run. The inner
    /// error says which dataset or block is not there.
    pub async fn ask(&self, subject: &Subject, input: QueryInput) -> Result<Result<Asked, Fault>> {
        ask(self.clone(), subject.clone(), input).await
    }

    async fn plan_question(&self, subject: &Subject, input: QueryInput) -> Result<Result<Asked, Fault>> {
        if input.query_dialect != QueryDialect::SqlDataFusion {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "queries in {} are not executed here; write SqlDataFusion",
                    input.query_dialect
                ),
            ));
        }
        let input = input.completed();
        let mut request = PlanRequest::sql(subject, input.query.clone());
        if let Some(datasets) = &input.datasets {
            match self.fix(subject, datasets).await? {
                Ok(Fixed { names, pins }) => (request.names, request.pins) = (names, Some(pins)),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        let is_fixed = request.pins.is_some();
        let statement = self.plan_request(request).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict if is_fixed => Error::new(
                ErrorKind::InvalidArgument,
                "the query reads a dataset that `datasets` does not list: list all of them, or none",
            )
            .with_source(error),
            _ => error,
        })?;
        self.specify(subject, input, statement).await.map(Ok)
    }

    /// A statement that was planned already, as a question for all of its rows.
    ///
    /// # Errors
    /// `Unsupported` when it may give another answer at the next run.
    pub async fn ask_for_all(&self, subject: &Subject, sql: &str, statement: Statement) -> Result<Asked> {
        let input = QueryInput {
            data_format: DataFormat::JsonAoA,
            include: [Include::Proof, Include::Schema].into(),
            limit: UNLIMITED,
            ..QueryInput::new(sql)
        };
        self.specify(subject, input.completed(), statement).await
    }

    async fn specify(&self, subject: &Subject, mut input: QueryInput, statement: Statement) -> Result<Asked> {
        if input.include.contains(&Include::Proof) && !statement.is_repeatable() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the answer cannot be proved, because it may be another one at the next run: the statement calls a function such \
                 as now() or random(), or reads what the node tells about itself; write the value in place of the call, or ask \
                 without a proof",
            ));
        }
        if input.include.contains(&Include::Proof) && statement.views().is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the answer cannot be proved, because the statement reads a view, whose text may be another one at the next run: \
                 write the query of the view in place of its name, or ask without a proof",
            ));
        }
        let schema = match input.schema_format {
            Some(format) if input.include.contains(&Include::Schema) => {
                Some((schema_json(&statement.schema(), format)?, format))
            }
            _ => None,
        };
        let mut datasets = Vec::new();
        for pin in statement.pins() {
            let block_hash = Some(pin.head);
            let given = input.datasets.iter().flatten().filter(|state| state.id == pin.dataset);
            let mut named: Vec<_> = given
                .map(|state| DatasetState {
                    block_hash,
                    ..state.clone()
                })
                .collect();
            if named.is_empty() {
                let dataset = self.catalog().resolve_id(subject, &pin.dataset, Access::Read).await?;
                let (id, alias) = (pin.dataset, dataset.alias.to_string());
                named.push(DatasetState { id, alias, block_hash });
            }
            datasets.append(&mut named);
        }
        input.datasets = Some(datasets);
        let limit = Some(input.limit).filter(|limit| *limit < UNLIMITED);
        let statement = statement.in_order().limited(input.skip, limit)?;
        Ok(Asked {
            statement,
            input,
            schema,
        })
    }

    /// What names in a question mean, and at which blocks.
    async fn fix(&self, subject: &Subject, datasets: &[DatasetState]) -> Result<Result<Fixed, Fault>> {
        let (mut names, mut pins) = (Vec::new(), Vec::<Pin>::new());
        for state in datasets {
            let found = self.catalog().resolve_id(subject, &state.id, Access::Read).await;
            let dataset = match found {
                Ok(dataset) => dataset,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                    return Ok(Err(Fault::DatasetNotFound(state.id)));
                }
                Err(error) => return Err(error),
            };
            let head = state.block_hash.unwrap_or(dataset.head);
            if !has_block(&dataset, head).await? {
                return Ok(Err(Fault::DatasetBlockNotFound {
                    dataset: state.id,
                    block: head,
                }));
            }
            if pins.iter().any(|pin| pin.dataset == state.id && pin.head != head) {
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    "a dataset is named twice with different blocks; a statement reads each dataset at one",
                )
                .with_context("dataset", state.id.to_string()));
            }
            names.push((TableName::parse(None, None, &state.alias)?, state.id));
            pins.push(Pin {
                dataset: state.id,
                head,
            });
        }
        Ok(Ok(Fixed { names, pins }))
    }

    /// Checks a proof: its hashes and its signature, and that the question still has the same answer at the blocks that it
    /// names. Who signed is for the caller to judge.
    ///
    /// # Errors
    /// Those of [`Self::ask`] and of running; `InvalidArgument` when the input is none, `Unsupported` for answers of several
    /// nodes. The inner error says what is wrong with the proof.
    pub async fn verify(&self, subject: &Subject, document: &Document) -> Result<Result<(), Fault>> {
        if let Err(fault) = document.check(&[]) {
            return Ok(Err(fault));
        }
        let input: QueryInput = serde_json::from_value(document.input.clone()).map_err(|error| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("the input of the proof is no query: {error}"),
            )
        })?;
        let datasets = input.datasets.iter().flatten();
        if input.datasets.is_none() || datasets.into_iter().any(|state| state.block_hash.is_none()) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the input of the proof does not say at which blocks datasets were read, so it cannot be run again",
            ));
        }
        if document
            .sub_queries
            .as_array()
            .is_none_or(|queries| !queries.is_empty())
        {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the answer was made by several nodes, which cannot be run again here: verify each of its sub-queries at its node",
            ));
        }
        let asked = match self.ask(subject, input).await? {
            Ok(asked) => asked,
            Err(fault) => return Ok(Err(fault)),
        };
        let expected = document.commitment.output_hash;
        let actual = asked.answer(None).await?.hash;
        Ok(if actual == expected {
            Ok(())
        } else {
            Err(Fault::OutputMismatch { expected, actual })
        })
    }
}

// A free function with a boxed future: callers do not compile the whole planning again.
fn ask(planner: Planner, subject: Subject, input: QueryInput) -> BoxFuture<'static, Result<Result<Asked, Fault>>> {
    async move { planner.plan_question(&subject, input).await }.boxed()
}

/// Whether a block is part of a dataset's history. Blocks that lie beside it are of histories that were rewritten.
async fn has_block(dataset: &PinnedDataset, block: Multihash) -> Result<bool> {
    let is_missing = |error: &jetway_odf::Error| error.kind() == jetway_odf::ErrorKind::NotFound;
    if block == dataset.head {
        return Ok(true);
    }
    match dataset.storage.block(&block).await {
        Err(error) if is_missing(&error) => return Ok(false),
        found => found?,
    };
    let mut newer = pin!(walk_back(&dataset.storage, dataset.head, Some(block)));
    loop {
        match newer.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Asked {
    /// The question with everything that its answer depends on.
    #[must_use]
    pub fn input(&self) -> &QueryInput {
        &self.input
    }

    /// The statement.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The schema of the answer, if it was asked for.
    #[must_use]
    pub fn schema(&self) -> Option<(&Value, SchemaFormat)> {
        self.schema.as_ref().map(|(schema, format)| (schema, *format))
    }

    /// Runs, hashes the rows as they come, and keeps up to `keep` bytes of their text, or nothing.
    ///
    /// # Errors
    /// Those of [`Statement::execute`]; `ResourceExhausted` when there is more than is to be kept; `Unsupported` when a value has
    /// no JSON form.
    pub async fn answer(&self, keep: Option<usize>) -> Result<Answer> {
        let (mut writer, mut hasher) = (self.writer()?, OutputHasher::default());
        let rest = self.output();
        let mut rows = self.statement.execute().await?;
        let work = async move {
            let (mut data, mut piece) = (Vec::new(), Vec::new());
            while let Some(batch) = rows.next().await {
                writer.write(&batch?, &mut piece)?;
                hasher.update(&piece);
                keep_piece(&mut data, &mut piece, keep)?;
            }
            writer.finish(&mut piece);
            hasher.update(&piece);
            keep_piece(&mut data, &mut piece, keep)?;
            let hash = hasher.finish(&rest);
            Ok(Answer { data, hash })
        };
        self.statement.compute().spawn(work).join().await?
    }

    /// Hashes rows of the answer while they pass, and signs when the last one has.
    ///
    /// # Errors
    /// `Unsupported` when a column has no JSON form; in the stream, when a value has none.
    pub fn watch(self, rows: BatchStream, identity: Arc<NodeIdentity>) -> Result<(BatchStream, Seal)> {
        let writer = self.writer()?;
        let (schema, compute) = (rows.schema(), self.statement.compute().clone());
        let seal = Seal::default();
        let watch = Watch {
            rows,
            writer,
            hasher: OutputHasher::default(),
            piece: Vec::new(),
            seal: seal.clone(),
            asked: self,
            identity,
        };
        let watched = stream::try_unfold(Some(watch), |watch| async move {
            let Some(mut watch) = watch else { return Ok(None) };
            match watch.rows.try_next().await? {
                Some(batch) => {
                    watch.writer.write(&batch, &mut watch.piece)?;
                    watch.hasher.update(&watch.piece);
                    watch.piece.clear();
                    Ok(Some((batch, Some(watch))))
                }
                None => {
                    watch.sign()?;
                    Ok(None)
                }
            }
        });
        Ok((BatchStream::new(schema, compute.run_ahead(watched)), seal))
    }

    fn writer(&self) -> Result<RowWriter> {
        Ok(RowWriter::new(
            self.input.data_format,
            self.statement.schema(),
            MAX_COLUMNS,
        )?)
    }

    /// Signs an answer with this hash.
    ///
    /// # Errors
    /// `Internal` if the question cannot be written.
    pub fn sign(&self, output_hash: Multihash, identity: &NodeIdentity) -> Result<Document> {
        let input = serde_json::to_value(&self.input)
            .map_err(|error| Error::new(ErrorKind::Internal, "the question cannot be written").with_source(error))?;
        Ok(Document::sign(input, output_hash, identity))
    }

    /// The answer without its rows.
    fn output(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("dataFormat".to_owned(), self.input.data_format.name().into());
        if let Some((schema, format)) = self.schema() {
            members.insert("schema".to_owned(), schema.clone());
            members.insert("schemaFormat".to_owned(), format.name().into());
        }
        members
    }
}

fn keep_piece(data: &mut Vec<u8>, piece: &mut Vec<u8>, keep: Option<usize>) -> Result<()> {
    let Some(limit) = keep else {
        piece.clear();
        return Ok(());
    };
    if data.len() + piece.len() > limit {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("the answer has more than {limit} bytes of text: ask for fewer rows, or use Arrow Flight SQL"),
        ));
    }
    data.append(piece);
    Ok(())
}

/// Where the proof of an answer is, once its rows have passed. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Seal(Arc<OnceLock<Document>>);

impl Seal {
    /// The proof, in which the answer has everything but its rows. None before the last row, and if the rows ended with an error.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.0.get()
    }
}

struct Watch {
    rows: BatchStream,
    writer: RowWriter,
    hasher: OutputHasher,
    piece: Vec<u8>,
    seal: Seal,
    asked: Asked,
    identity: Arc<NodeIdentity>,
}

impl Watch {
    fn sign(mut self) -> Result<()> {
        self.writer.finish(&mut self.piece);
        self.hasher.update(&self.piece);
        let rest = self.asked.output();
        let document = self.asked.sign(self.hasher.finish(&rest), &self.identity)?;
        // There is one end of the rows.
        let _ = self.seal.0.set(Document {
            output: Some(Value::Object(rest)),
            ..document
        });
        Ok(())
    }
}
