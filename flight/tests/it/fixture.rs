//! A gateway on a port of its own, and clients for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightInfo, Ticket};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jetway_flight::{
    Authenticator, Error as FlightError, FlightGateway, FlightOptions, Login, Result as FlightResult, TicketKey, tune,
};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetAlias, DatasetId, Multihash};
use jetway_odf::metadata::{DatasetKind, MetadataEvent};
use jetway_odf::proof::NodeIdentity;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, PendingObject, Repository, RepositoryOptions, ScratchStore};
use jetway_planner::{
    Access, Clock, DatasetCatalog, Error, ErrorKind, PinnedDataset, Planner, PlannerOptions, Result, Subject,
    TableName, TransactionOptions,
};
use tonic::transport::{Channel, Server};

/// Datasets by alias. Each account sees its own and those of `public`.
#[derive(Debug)]
pub(crate) struct Catalog {
    repository: Repository,
    datasets: Mutex<BTreeMap<String, (DatasetAlias, DatasetId)>>,
    /// Accounts that may read nothing any more.
    denied: Mutex<BTreeSet<String>>,
}

impl Catalog {
    /// Takes the permission to read from an account, or gives it back.
    pub(crate) fn deny(&self, account: &str, denied: bool) {
        let mut accounts = self.denied.lock().unwrap();
        match denied {
            true => accounts.insert(account.to_owned()),
            false => accounts.remove(account),
        };
    }

    async fn pin(&self, subject: &Subject, key: &str) -> Result<PinnedDataset> {
        if self.denied.lock().unwrap().contains(subject.name().as_str()) {
            return Err(Error::new(ErrorKind::PermissionDenied, "you may not read this dataset"));
        }
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no dataset {key}"));
        let (alias, id) = self.datasets.lock().unwrap().get(key).cloned().ok_or_else(missing)?;
        let owner = alias.account.as_ref().unwrap();
        if owner != subject.name() && owner.as_str() != "public" {
            return Err(missing());
        }
        let storage = self.repository.dataset(id);
        let head = storage.head().await?.ok_or_else(missing)?;
        Ok(PinnedDataset {
            id,
            alias,
            kind: DatasetKind::Root,
            storage,
            head,
        })
    }

    fn keys(&self, subject: &Subject) -> Vec<String> {
        let datasets = self.datasets.lock().unwrap();
        let seen = |alias: &DatasetAlias| {
            alias
                .account
                .as_ref()
                .is_some_and(|owner| owner == subject.name() || owner.as_str() == "public")
        };
        datasets
            .iter()
            .filter(|(_, (alias, _))| seen(alias))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

#[async_trait]
impl DatasetCatalog for Catalog {
    async fn resolve(&self, subject: &Subject, name: &TableName, access: Access) -> Result<PinnedDataset> {
        match name {
            TableName::Alias(alias) => {
                let account = alias.account.as_ref().unwrap_or_else(|| subject.name());
                self.pin(subject, &format!("{account}/{}", alias.name).to_lowercase())
                    .await
            }
            TableName::Id(id) => self.resolve_id(subject, id, access).await,
        }
    }

    async fn resolve_id(&self, subject: &Subject, id: &DatasetId, _: Access) -> Result<PinnedDataset> {
        let key = {
            let datasets = self.datasets.lock().unwrap();
            datasets
                .iter()
                .find(|(_, (_, found))| found == id)
                .map(|(key, _)| key.clone())
        };
        self.pin(subject, &key.unwrap_or_default()).await
    }

    fn list<'a>(&'a self, subject: &'a Subject) -> BoxStream<'a, Result<PinnedDataset>> {
        stream::iter(self.keys(subject))
            .then(move |key| async move { self.pin(subject, &key).await })
            .boxed()
    }

    async fn accounts(&self, subject: &Subject) -> Result<Vec<String>> {
        Ok(vec![subject.name().to_string(), "public".to_owned()])
    }

    fn storage(&self, id: &DatasetId) -> DatasetStorage {
        self.repository.dataset(*id)
    }

    async fn create(
        &self,
        subject: &Subject,
        alias: &DatasetAlias,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<PinnedDataset> {
        let MetadataEvent::Seed(seed) = &blocks[0].block.event else {
            panic!("no seed")
        };
        let id = seed.dataset_id;
        let outcome = self.repository.dataset(id).commit(None, &blocks, objects).await?;
        assert!(matches!(outcome, CommitOutcome::Committed { .. }));
        let key = alias.to_string().to_lowercase();
        self.datasets.lock().unwrap().insert(key.clone(), (alias.clone(), id));
        self.pin(subject, &key).await
    }

    async fn delete(&self, _: &Subject, dataset: &PinnedDataset) -> Result<()> {
        self.repository.delete(dataset.id).await?;
        self.datasets.lock().unwrap().retain(|_, (_, id)| *id != dataset.id);
        Ok(())
    }

    async fn commit(
        &self,
        _: &Subject,
        dataset: &PinnedDataset,
        expected_head: Multihash,
        blocks: Vec<EncodedBlock>,
        objects: Vec<PendingObject>,
    ) -> Result<CommitOutcome> {
        Ok(dataset.storage.commit(Some(expected_head), &blocks, objects).await?)
    }
}

/// Everybody's password is `secret`, and the token tells the name.
#[derive(Debug)]
struct Door;

#[async_trait]
impl Authenticator for Door {
    async fn basic(&self, user: &str, password: &str) -> FlightResult<Login> {
        if password != "secret" {
            return Err(FlightError::unauthenticated("wrong user name or password"));
        }
        Ok(Login {
            subject: Subject::account(user.parse().unwrap()),
            token: format!("token-{user}"),
        })
    }

    async fn bearer(&self, token: &str) -> FlightResult<Subject> {
        let user = token.strip_prefix("token-").and_then(|user| user.parse().ok());
        user.map(Subject::account)
            .ok_or_else(|| FlightError::unauthenticated("unknown token"))
    }
}

/// Two replicas over one repository, with a clock that the test moves.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) other_replica: SocketAddr,
    /// What of transactions waits.
    pub(crate) staging: ScratchStore,
    /// The first replica's.
    pub(crate) planner: Planner,
    /// Of the first replica.
    pub(crate) spool: jetway_flight::Spool,
    /// Who signs answers.
    pub(crate) identity: Arc<NodeIdentity>,
    pub(crate) catalog: Arc<Catalog>,
    late: Arc<Mutex<Duration>>,
}

/// Most ingests and statements of a transaction.
pub(crate) const MAX_PARTS: usize = 40;

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// A node with other options than the usual ones.
    pub(crate) async fn start_with(change: impl Fn(&mut FlightOptions)) -> Self {
        let repository = Repository::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap();
        let catalog = Arc::new(Catalog {
            repository,
            datasets: Mutex::default(),
            denied: Mutex::default(),
        });
        let late = Arc::new(Mutex::new(Duration::ZERO));
        let mut addresses = Vec::new();
        let mut planners = Vec::new();
        let staging = ScratchStore::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap();
        let mut spools = Vec::new();
        let identity = Arc::new(NodeIdentity::from_private_key(&[5; 32]));
        for _ in 0..2 {
            let late = Arc::clone(&late);
            let clock = Clock::from_fn(move || chrono::Utc::now() + *late.lock().unwrap());
            let planner_options = PlannerOptions {
                clock: clock.clone(),
                transactions: Some(TransactionOptions {
                    max_parts: MAX_PARTS,
                    ..TransactionOptions::new(staging.clone())
                }),
                ..PlannerOptions::default()
            };
            let planner = Planner::new(Arc::clone(&catalog) as Arc<dyn DatasetCatalog>, planner_options).unwrap();
            planners.push(planner.clone());
            let mut options = FlightOptions::new(TicketKey::new(&[3; 32]).unwrap());
            options.clock = clock;
            options.identity = Some(Arc::clone(&identity));
            change(&mut options);
            spools.push(options.spool.clone());
            let gateway = FlightGateway::new(planner, Arc::new(Door), options);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tokio::spawn(
                tune(Server::builder())
                    .add_service(gateway.into_service())
                    .serve_with_incoming(incoming),
            );
        }
        Self {
            address: addresses[0],
            other_replica: addresses[1],
            staging,
            planner: planners.swap_remove(0),
            spool: spools.remove(0),
            identity,
            late,
            catalog,
        }
    }

    /// Takes a dataset, such as `alice/cities`, away from everybody.
    pub(crate) fn take_away(&self, dataset: &str) {
        assert!(self.catalog.datasets.lock().unwrap().remove(dataset).is_some());
    }

    pub(crate) fn wait(&self, time: Duration) {
        *self.late.lock().unwrap() += time;
    }

    pub(crate) async fn channel(&self, address: SocketAddr) -> Channel {
        Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn raw(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel(self.address).await).max_decoding_message_size(16 << 20)
    }

    /// A client that is logged in.
    pub(crate) async fn client(&self, user: &str) -> FlightSqlServiceClient<Channel> {
        self.client_of(user, self.address).await
    }

    pub(crate) async fn client_of(&self, user: &str, address: SocketAddr) -> FlightSqlServiceClient<Channel> {
        let mut client = FlightSqlServiceClient::new(self.channel(address).await);
        client.handshake(user, "secret").await.unwrap();
        client
    }
}

pub(crate) fn ingest_into(table: &str) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Create.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}

pub(crate) fn cities(names: &[&str]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("city", Arc::new(StringArray::from_iter_values(names)) as ArrayRef),
        (
            "people",
            Arc::new(Int64Array::from_iter_values((0..).zip(names).map(|(n, _)| n * 1000))),
        ),
    ])
    .unwrap()
}

pub(crate) async fn push(client: &mut FlightSqlServiceClient<Channel>, table: &str, batches: Vec<RecordBatch>) -> i64 {
    client
        .execute_ingest(ingest_into(table), stream::iter(batches.into_iter().map(Ok)))
        .await
        .unwrap()
}

pub(crate) fn ticket(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    info.endpoint[0].ticket.clone().unwrap()
}

pub(crate) async fn fetch(
    client: &mut FlightSqlServiceClient<Channel>,
    info: &FlightInfo,
) -> arrow_flight::error::Result<Vec<RecordBatch>> {
    client.do_get(ticket(info)).await?.try_collect().await
}

pub(crate) async fn count(client: &mut FlightSqlServiceClient<Channel>, table: &str) -> i64 {
    use arrow::array::AsArray;
    let info = client
        .execute(format!("SELECT count(*) FROM {table}"), None)
        .await
        .unwrap();
    let batches = fetch(client, &info).await.unwrap();
    batches
        .iter()
        .find(|batch| batch.num_rows() == 1)
        .unwrap()
        .column(0)
        .as_primitive::<arrow::datatypes::Int64Type>()
        .value(0)
}
