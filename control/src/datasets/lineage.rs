//! What is computed from what.

use futures::{StreamExt, TryStreamExt};
use jetway_odf::chain::walk_back;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::{DatasetKind, MetadataEvent, SetTransform};
use jetway_planner::{DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject};

use crate::registry::StorageCatalog;

/// How many chains are read at the same time.
const CONCURRENT_READS: usize = 16;

/// A dataset that another one is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its identity. It need not be on this node.
    pub id: DatasetId,
    /// What the queries call it.
    pub alias: Option<String>,
}

impl StorageCatalog {
    /// The transform that a derivative dataset has at its pinned head; `None` for root datasets, and for derivative ones
    /// that do not have one yet.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn transform(&self, dataset: &PinnedDataset) -> Result<Option<SetTransform>> {
        if dataset.kind == DatasetKind::Root {
            return Ok(None);
        }
        let mut blocks = std::pin::pin!(walk_back(&dataset.storage, dataset.head, None));
        while let Some(block) = blocks.try_next().await? {
            if let MetadataEvent::SetTransform(transform) = block.block.event {
                return Ok(Some(transform));
            }
        }
        Ok(None)
    }

    /// What a dataset is computed from: nothing, if it is a root dataset.
    ///
    /// # Errors
    /// `Corrupt` when the transform names an input that is no identity; when the chain cannot be read.
    pub async fn inputs(&self, dataset: &PinnedDataset) -> Result<Vec<Input>> {
        let Some(transform) = self.transform(dataset).await? else {
            return Ok(Vec::new());
        };
        let inputs = transform.inputs.into_iter().map(|input| {
            let id = input.dataset_ref.parse().map_err(|error: jetway_odf::Error| {
                Error::new(
                    ErrorKind::Corrupt,
                    "an input of the transform is not named by its identity",
                )
                .with_context("dataset", dataset.alias.to_string())
                .with_source(error)
            })?;
            Ok(Input { id, alias: input.alias })
        });
        inputs.collect()
    }

    /// All derivative datasets, each with what it is computed from.
    ///
    /// # Errors
    /// When a chain cannot be read.
    pub async fn derivatives(&self, subject: &Subject) -> Result<Vec<(PinnedDataset, Vec<Input>)>> {
        self.list(subject)
            .try_filter(|dataset| std::future::ready(dataset.kind == DatasetKind::Derivative))
            .map_ok(async |dataset| {
                let inputs = self.inputs(&dataset).await?;
                Ok((dataset, inputs))
            })
            .try_buffered(CONCURRENT_READS)
            .boxed()
            .try_collect()
            .await
    }
}
