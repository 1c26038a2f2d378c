//! What tools ask before anything else, of a node with many datasets.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, CommandStatementIngest, TableDefinitionOptions};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::{DatasetAlias, DatasetId};
use jetway_odf::metadata::{DatasetKind, MetadataEvent, Seed};
use jetway_odf::storage::{Repository, RepositoryOptions};
use jetway_planner::Clock;
use tonic::transport::{Channel, Endpoint};

use crate::environment::Environment;
use crate::node::Node;
use crate::report::Report;

const DATASETS: usize = 10_000;
const ACCOUNTS: usize = 20;

type Client = FlightSqlServiceClient<Channel>;

pub(crate) async fn run(environment: &Environment, divide: usize, repeat: usize, report: &mut Report) -> Result<()> {
    let datasets = (DATASETS / divide.max(1)).max(ACCOUNTS);
    let node = Node::start(environment)?;
    let mut client = connect(&node).await?;
    push(&mut client).await?;
    copies(&node, datasets - 1).await?;

    let tables = |schema: Option<&str>, include_schema| CommandGetTables {
        db_schema_filter_pattern: schema.map(str::to_owned),
        table_types: vec!["TABLE".to_owned()],
        include_schema,
        ..CommandGetTables::default()
    };
    let mut figures = Vec::new();
    let mut measure = async |what: &str, command: Command, rows: usize| -> Result<()> {
        let start = Instant::now();
        command.run(&mut client, rows).await?;
        let cold = start.elapsed();
        let mut times = Vec::with_capacity(repeat);
        for _ in 0..repeat.max(1) {
            let start = Instant::now();
            command.run(&mut client, rows).await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let warm = *times.get(times.len() / 2).context("nothing was measured")?;
        figures.push((what.to_owned(), warm.as_secs_f64() * 1e3, cold.as_secs_f64() * 1e3));
        Ok(())
    };
    measure("GetTables", Command::Tables(tables(None, false)), datasets).await?;
    measure(
        "GetTables of one account",
        Command::Tables(tables(Some("account-7"), false)),
        datasets / ACCOUNTS,
    )
    .await?;
    measure("GetDbSchemas", Command::Schemas, ACCOUNTS + 2).await?;
    measure(
        "GetTables with include_schema",
        Command::Tables(tables(None, true)),
        datasets,
    )
    .await?;
    for (what, warm, cold) in figures {
        report.add(
            format!("{what} over {datasets} datasets"),
            format!("{warm:.0} ms warm"),
            format!("{cold:.0} ms the first time"),
            if what == "GetTables" { "below 50 ms warm" } else { "" },
        );
    }
    Ok(())
}

enum Command {
    Tables(CommandGetTables),
    Schemas,
}

impl Command {
    /// Runs it to its last row.
    async fn run(&self, client: &mut Client, at_least: usize) -> Result<()> {
        let info = match self {
            Self::Tables(command) => client.get_tables(command.clone()).await?,
            Self::Schemas => client.get_db_schemas(CommandGetDbSchemas::default()).await?,
        };
        let rows = rows(client, info).await?;
        ensure!(rows + 1 >= at_least, "{rows} rows instead of {at_least}");
        Ok(())
    }
}

async fn rows(client: &mut Client, info: FlightInfo) -> Result<usize> {
    let mut rows = 0;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.context("an endpoint without a ticket")?;
        let batches: Vec<RecordBatch> = client.do_get(ticket).await?.try_collect().await?;
        rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    Ok(rows)
}

async fn connect(node: &Node) -> Result<Client> {
    let address = node.uri.replace("grpc://", "http://");
    let mut client = FlightSqlServiceClient::new(Endpoint::from_shared(address)?.connect().await?);
    client.set_token(node.token.clone());
    Ok(client)
}

/// One dataset as the node makes it.
async fn push(client: &mut Client) -> Result<()> {
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: 1,
            if_exists: 2,
        }),
        table: "first".to_owned(),
        ..CommandStatementIngest::default()
    };
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef),
        (
            "name",
            Arc::new(StringArray::from_iter_values((0..10).map(|n| n.to_string()))),
        ),
    ])?;
    client
        .execute_ingest(command, stream::iter([Ok::<_, FlightError>(batch)]))
        .await?;
    Ok(())
}

/// Datasets with the metadata of the first one, and without its rows: written to storage directly, since pushes would take
/// much longer than what is measured.
async fn copies(node: &Node, count: usize) -> Result<()> {
    let first = node.dataset("first")?;
    let root = first.parent().context("a dataset is in a folder")?;
    let repository = Repository::open(
        root.to_str().context("the folder has an odd name")?,
        &RepositoryOptions::default(),
    )
    .await?;
    let id: DatasetId = format!(
        "did:odf:{}",
        first.file_name().and_then(|name| name.to_str()).context("no name")?
    )
    .parse()?;
    let storage = repository.dataset(id);
    let head = storage.head().await?.context("the dataset has no head")?;
    let mut events = Vec::new();
    jetway_odf::chain::load(&storage, head, |block| match &block.block.event {
        MetadataEvent::Seed(_) | MetadataEvent::AddData(_) => {}
        event => events.push(event.clone()),
    })
    .await?;
    let made = stream::iter(0..count).map(|number| {
        let (repository, events) = (&repository, events.clone());
        async move {
            let alias: DatasetAlias = format!("account-{}/net.example.dataset-{number}", number % ACCOUNTS).parse()?;
            let seed = Seed {
                dataset_id: DatasetId::generate().0,
                dataset_kind: DatasetKind::Root,
            };
            let id = seed.dataset_id;
            let now = Clock::system().now();
            let (blocks, _) = ChainState::create(seed, events, now, ManifestVersion::default())?;
            repository.create(id, Some(&alias), &blocks).await?;
            anyhow::Ok(())
        }
    });
    made.buffer_unordered(64).try_collect::<()>().await
}
