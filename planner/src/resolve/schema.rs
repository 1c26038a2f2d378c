//! A schema of the SQL catalog, as one statement sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::TableType;
use jetway_odf::identity::DatasetId;

use super::view::ListedView;
use crate::describe::Descriptions;
use crate::summary::SummaryCache;
use crate::system::SystemProvider;
use crate::{Access, DatasetCatalog, ErrorKind, Subject};

/// The datasets of an account that a statement reads and, if it reads `information_schema`, the names of all; or system tables.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) opened: BTreeMap<String, Arc<dyn TableProvider>>,
    pub(super) listed: BTreeMap<String, ListedTable>,
    pub(super) system: BTreeMap<String, Arc<SystemProvider>>,
    pub(super) views: BTreeMap<String, ListedView>,
}

/// A dataset that a statement does not read.
#[derive(Debug)]
pub(super) struct ListedTable {
    pub(super) id: DatasetId,
    pub(super) subject: Subject,
    pub(super) catalog: Arc<dyn DatasetCatalog>,
    pub(super) summaries: Arc<SummaryCache>,
    pub(super) descriptions: Arc<Descriptions>,
}

impl ListedTable {
    /// Its columns; none when it is gone meanwhile, or damaged, which must not hide the others.
    async fn describe(&self) -> crate::Result<Option<Arc<dyn TableProvider>>> {
        let described = async {
            let dataset = self.catalog.resolve_id(&self.subject, &self.id, Access::Read).await?;
            self.descriptions.get(&self.summaries, &dataset).await
        };
        match described.await {
            Ok(description) => Ok(Some(Arc::new(EmptyTable::new(Arc::clone(&description.schema))))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                tracing::warn!(dataset.id = %self.id, %error, "a dataset that cannot be read is left out of a listing");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self
            .opened
            .keys()
            .chain(self.listed.keys())
            .chain(self.system.keys())
            .chain(self.views.keys())
            .collect();
        names.into_iter().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if let Some(table) = self.opened.get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        if let Some(table) = self.system.get(name) {
            return Ok(Some(Arc::clone(table) as Arc<dyn TableProvider>));
        }
        if let Some(view) = self.views.get(name) {
            return Ok(view.describe().await);
        }
        match self.listed.get(name) {
            Some(listed) => listed
                .describe()
                .await
                .map_err(|error| DataFusionError::External(Box::new(error))),
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        if self.system.contains_key(name) || self.views.contains_key(name) {
            return Ok(Some(TableType::View));
        }
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.opened.contains_key(name)
            || self.listed.contains_key(name)
            || self.system.contains_key(name)
            || self.views.contains_key(name)
    }
}
