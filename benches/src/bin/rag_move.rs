//! Moves knowledge from one store to another, and compares the two.
//!
//! ```sh
//! cargo run --release -p benches --features rag --bin rag_move -- FROM TO [--tenant NAME]… [--embedder NAME --dimensions N]
//!     [--at-once DOCUMENTS] [--compare-one-in N]
//! ```
//!
//! FROM and TO are `sqlite:PATH`, `postgres://…` or `qdrant:URL` (`qdrant:http://localhost:6334`, the collection `pumasi_rag`; a key in
//! `PUMASI_QDRANT_KEY`). Without a tenant it is the one of a service that has one only. The embedder is the one that the source was made
//! for (the hashing embedder unless said otherwise); a wrong one is told with the right one's name. What is in the target already, by
//! its fingerprint, is passed by: a run that was ended is taken up by the next. Progress goes to standard error, a line of JSON for each
//! tenant to standard output; the exit code is not 0 where something differs.

use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use pumasi_core::model::HashingEmbedder;
use pumasi_rag::store::{QdrantOptions, Transfer};
use pumasi_rag::{PostgresStore, QdrantStore, Space, SqliteStore, Store, Tenant};
use serde_json::json;

const USAGE: &str = "usage: rag_move FROM TO [--tenant NAME]... [--embedder NAME --dimensions N] [--at-once DOCUMENTS] \
                     [--compare-one-in N], where FROM and TO are sqlite:PATH, postgres://... or qdrant:URL";

struct Arguments {
    from: String,
    to: String,
    tenants: Vec<Tenant>,
    space: Space,
    at_once: NonZeroUsize,
    one_in: NonZeroUsize,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut places = Vec::new();
    let mut tenants = Vec::new();
    let mut space = Space::of(&HashingEmbedder::new());
    let (mut at_once, mut one_in) = (NonZeroUsize::MIN.saturating_add(63), NonZeroUsize::MIN);
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(USAGE);
        match argument.as_str() {
            "--tenant" => tenants.push(Tenant::new(value()?)?),
            "--embedder" => space.embedder = value()?,
            "--dimensions" => space.dimensions = value()?.parse()?,
            "--at-once" => at_once = value()?.parse()?,
            "--compare-one-in" => one_in = value()?.parse()?,
            other if !other.starts_with('-') => places.push(argument),
            _ => return Err(USAGE.into()),
        }
    }
    let [from, to] = <[String; 2]>::try_from(places).map_err(|_| USAGE)?;
    if tenants.is_empty() {
        tenants.push(Tenant::single());
    }
    Ok(Arguments { from, to, tenants, space, at_once, one_in })
}

async fn open(place: &str, space: Space, tenant: Tenant) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    if let Some(path) = place.strip_prefix("sqlite:") {
        return Ok(Arc::new(SqliteStore::open(path, space, tenant).await?));
    }
    if place.starts_with("postgres") {
        let pool = sqlx::PgPool::connect(place).await?;
        return Ok(Arc::new(PostgresStore::open(pool, space, tenant).await?));
    }
    if let Some(url) = place.strip_prefix("qdrant:") {
        let mut options = QdrantOptions::new();
        if let Ok(key) = std::env::var("PUMASI_QDRANT_KEY") {
            options = options.with_api_key(key);
        }
        return Ok(Arc::new(QdrantStore::open_with(url, space, tenant, options).await?));
    }
    Err(USAGE.into())
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let first = arguments.tenants.first().ok_or(USAGE)?;
    if arguments.from.strip_prefix("sqlite:").is_some_and(|path| !std::path::Path::new(path).exists()) {
        return Err(format!("there is no {}", arguments.from).into());
    }
    let from = open(&arguments.from, arguments.space.clone(), first.clone()).await?;
    let to = open(&arguments.to, arguments.space.clone(), first.clone()).await?;
    for tenant in &arguments.tenants {
        let transfer = Transfer::new(from.for_tenant(tenant.clone()), to.for_tenant(tenant.clone()))
            .with_documents_at_once(arguments.at_once)
            .with_comparison(arguments.one_in)
            .with_progress(|progress| {
                let _ = write!(std::io::stderr(), "\r{progress}   ");
            });
        let report = transfer.run().await;
        let _ = writeln!(std::io::stderr());
        let report = report?;
        let line = json!({
            "tenant": tenant.as_str(),
            "copied": report.copied,
            "unchanged": report.unchanged,
            "chunks": report.chunks,
            "verified": report.verified,
            "compared": report.compared,
            "only_in_target": report.others,
        });
        writeln!(std::io::stdout().lock(), "{line}")?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run(arguments))
}
