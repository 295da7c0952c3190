//! The corpus, and the engines that hold it: one that speaks HTTP as Elasticsearch and OpenSearch do, and PostgreSQL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use pumasi_core::filter::Field;
use pumasi_core::{Error, ErrorKind, Result, Retry};
use pumasi_search::{
    Applied, Change, Document, Gap, Hit, MemoryEngine, Page, Query, Rank, Schema, SearchEngine, Sort, Stamp,
    Status, TextField, Total,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::proxy;

pub(crate) const DOCUMENTS: u64 = 2_000;
pub(crate) const TAGS: u64 = 200;
/// How many hits a page has.
const LIMIT: usize = 10;

const TAG: Field<String> = Field::new("tag");
const LIKES: Field<i64> = Field::new("likes");

pub(crate) fn schema() -> Schema {
    Schema::new("search_faults").with_text(TextField::new("title")).with_field(&TAG).with_field(&LIKES)
}

fn document(id: u64) -> (String, String, i64) {
    let likes = i64::try_from(id.wrapping_mul(2_654_435_761) % 10_007).unwrap_or(0);
    (format!("{id:05}"), format!("t{}", id % TAGS), likes)
}

/// The query for a tag. The engines of this program read the tag from its text; the reference evaluates the filter.
pub(crate) fn query(tag: u64) -> Query {
    Query::new(format!("t{tag}")).with_rank(Rank::sorted([Sort::descending(&LIKES)])).with_limit(LIMIT)
}

/// What the reference evaluator finds for each tag.
pub(crate) async fn expected() -> Vec<Vec<String>> {
    let reference = MemoryEngine::new(schema());
    let posts: Vec<Change> = (0..DOCUMENTS)
        .map(|id| {
            let (id, tag, likes) = document(id);
            Change::upsert(Document::new(id, json!({ "title": "", "tag": tag, "likes": likes })), 1)
        })
        .collect();
    reference.apply(&posts).await.expect("applied");
    let mut all = Vec::new();
    for tag in 0..TAGS {
        let mut query = query(tag).with_filter(TAG.eq(format!("t{tag}")));
        query.text.clear();
        let page = reference.search(&query, Duration::from_secs(1)).await.expect("a page");
        all.push(page.ids().into_iter().map(str::to_owned).collect());
    }
    all
}

/// A stand-in for Elasticsearch, clearly not one: it answers the two requests of this program from memory after 2 ms.
pub(crate) async fn stand_in(port: u16) {
    let expected = Arc::new(expected().await);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
    while let Ok((mut client, _)) = listener.accept().await {
        let _ = client.set_nodelay(true);
        let expected = Arc::clone(&expected);
        tokio::spawn(async move {
            while let Some((head, body)) = proxy::message(&mut client).await {
                let answer = if String::from_utf8_lossy(&head).contains("/_count") {
                    json!({ "count": DOCUMENTS })
                } else {
                    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let tag = asked["query"]["term"]["tag"]
                        .as_str()
                        .and_then(|tag| tag.get(1..)?.parse::<usize>().ok());
                    let ids = tag.and_then(|tag| expected.get(tag)).cloned().unwrap_or_default();
                    let hits: Vec<Value> = ids.iter().map(|id| json!({ "_id": id })).collect();
                    json!({
                        "timed_out": false, "_shards": { "total": 1, "successful": 1, "skipped": 0, "failed": 0 },
                        "hits": { "total": { "value": hits.len() }, "hits": hits },
                    })
                };
                tokio::time::sleep(Duration::from_millis(2)).await;
                let answer = proxy::canned("200 OK", "", answer.to_string().as_bytes());
                if client.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Names are resolved as they are told: at once, never, or late.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<AtomicU8>);

impl Names {
    pub(crate) fn set(&self, mode: u8) {
        self.0.store(mode, SeqCst);
    }
}

impl Resolve for Names {
    fn resolve(&self, _name: Name) -> Resolving {
        let mode = self.0.load(SeqCst);
        Box::pin(async move {
            match mode {
                1 => return Err("the name is not known".into()),
                2 => tokio::time::sleep(Duration::from_secs(5)).await,
                _ => {}
            }
            let addresses: Addrs = Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0))));
            Ok(addresses)
        })
    }
}

/// An engine that is asked over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    schema: Schema,
    client: reqwest::Client,
    index: String,
}

impl Wire {
    pub(crate) fn new(port: u16, names: &Names) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .dns_resolver(Arc::new(names.clone()))
            .build()
            .expect("a client");
        Self { schema: schema(), client, index: format!("http://engine.test:{port}/pumasi_search_faults") }
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{}/{path}", self.index);
        let request = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        let away = |_| Error::new(ErrorKind::Unavailable, "the engine cannot be reached");
        let response = request.send().await.map_err(away)?;
        let status = response.status().as_u16();
        match status {
            200..300 => {
                let bytes = response.bytes().await.map_err(away)?;
                serde_json::from_slice(&bytes).map_err(|_| {
                    Error::new(ErrorKind::Protocol, "the engine answers something else than JSON")
                })
            }
            429 => Err(Error::new(ErrorKind::RateLimited, "the engine asks for patience")
                .with_retry(Retry::After(Duration::from_secs(1)))),
            _ => Err(Error::new(ErrorKind::Unavailable, format!("the engine answers with {status}"))),
        }
    }

    /// Fills a real server; the stand-in is full.
    pub(crate) async fn fill(&self) -> Result<()> {
        let _ = self.client.delete(&self.index).send().await;
        let mapping = json!({
            "settings": { "number_of_shards": 1, "number_of_replicas": 0 },
            "mappings": { "properties": {
                "id": { "type": "keyword" }, "tag": { "type": "keyword" }, "likes": { "type": "long" }
            } },
        });
        let away = |_| Error::new(ErrorKind::Unavailable, "the engine cannot be reached");
        self.client.put(&self.index).json(&mapping).send().await.map_err(away)?;
        let mut lines = String::new();
        for id in 0..DOCUMENTS {
            let (id, tag, likes) = document(id);
            lines.push_str(&format!(
                "{}\n{}\n",
                json!({ "index": { "_id": id } }),
                json!({ "id": id, "tag": tag, "likes": likes })
            ));
        }
        let url = format!("{}/_bulk?refresh=true", self.index);
        let bulk = self.client.post(url).header("content-type", "application/x-ndjson").body(lines);
        let answer: Value = bulk.send().await.map_err(away)?.json().await.map_err(away)?;
        if answer["errors"] == json!(false) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Storage, "the engine did not take the documents"))
    }
}

#[async_trait]
impl SearchEngine for Wire {
    fn name(&self) -> &str {
        "engine"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn search(&self, query: &Query, _left: Duration) -> Result<Page> {
        let body = json!({
            "query": { "term": { "tag": query.text } }, "size": query.limit,
            "sort": [{ "likes": "desc" }, { "id": "asc" }], "_source": false, "track_total_hits": true,
        });
        let answer = self.ask("_search", Some(body)).await?;
        let hits = answer["hits"]["hits"]
            .as_array()
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the engine's answer has no hits"))?;
        let mut page = Page::new(self.name(), 1);
        page.hits =
            hits.iter().filter_map(|hit| Some(Hit::new(hit["_id"].as_str()?, 1, Value::Null))).collect();
        page.total = answer["hits"]["total"]["value"].as_u64().map_or(Total::Unknown, Total::Exact);
        if answer["timed_out"] == json!(true) {
            page.gaps.push(Gap::TimedOut);
        }
        if let Some(failed) = answer["_shards"]["failed"].as_u64().filter(|failed| *failed > 0) {
            let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
            let total = number(answer["_shards"]["total"].as_u64().unwrap_or(failed));
            page.gaps.push(Gap::Shards { failed: number(failed), total });
        }
        Ok(page)
    }

    async fn apply(&self, _changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        Err(Error::new(ErrorKind::Unsupported, "this program does not write"))
    }

    async fn status(&self) -> Result<Status> {
        let answer = self.ask("_count", None).await?;
        let documents = answer["count"].as_u64();
        let documents =
            documents.ok_or_else(|| Error::new(ErrorKind::Protocol, "the engine does not count"))?;
        Ok(Status::new(documents, 1, None))
    }

    async fn stamps(&self, _after: Option<&str>, _limit: usize) -> Result<Vec<Stamp>> {
        Ok(Vec::new())
    }
}

/// PostgreSQL with the same documents, behind a proxy of its own.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    schema: Schema,
    pool: PgPool,
}

impl Rows {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { schema: schema(), pool }
    }

    pub(crate) async fn fill(&self) -> Result<()> {
        let failed = |error: sqlx::Error| Error::new(ErrorKind::Storage, error.to_string());
        for statement in [
            "CREATE SCHEMA IF NOT EXISTS search_faults",
            "DROP TABLE IF EXISTS search_faults.post",
            "CREATE TABLE search_faults.post (id text COLLATE \"C\" PRIMARY KEY, tag text NOT NULL, likes bigint NOT NULL)",
            "CREATE INDEX ON search_faults.post (tag, likes DESC, id)",
        ] {
            sqlx::query(statement).execute(&self.pool).await.map_err(failed)?;
        }
        let posts: Vec<_> = (0..DOCUMENTS).map(document).collect();
        let ids: Vec<String> = posts.iter().map(|(id, ..)| id.clone()).collect();
        let tags: Vec<String> = posts.iter().map(|(_, tag, _)| tag.clone()).collect();
        let likes: Vec<i64> = posts.iter().map(|(.., likes)| *likes).collect();
        sqlx::query("INSERT INTO search_faults.post SELECT * FROM unnest($1, $2, $3)")
            .bind(ids)
            .bind(tags)
            .bind(likes)
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        Ok(())
    }
}

#[async_trait]
impl SearchEngine for Rows {
    fn name(&self) -> &str {
        "postgres"
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn search(&self, query: &Query, _left: Duration) -> Result<Page> {
        let sql = "SELECT id FROM search_faults.post WHERE tag = $1 ORDER BY likes DESC, id LIMIT 10";
        let ids: Vec<String> = sqlx::query_scalar(sql)
            .bind(&query.text)
            .fetch_all(&self.pool)
            .await
            .map_err(|_| Error::new(ErrorKind::Unavailable, "the database does not answer"))?;
        let mut page = Page::new(self.name(), 1);
        page.total = Total::Exact(ids.len() as u64);
        page.hits = ids.into_iter().map(|id| Hit::new(id, 1, Value::Null)).collect();
        Ok(page)
    }

    async fn apply(&self, _changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        Err(Error::new(ErrorKind::Unsupported, "this program does not write"))
    }

    async fn status(&self) -> Result<Status> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM search_faults.post")
            .fetch_one(&self.pool)
            .await
            .map_err(|_| Error::new(ErrorKind::Unavailable, "the database does not answer"))?;
        Ok(Status::new(u64::try_from(count).unwrap_or(0), 1, None))
    }

    async fn stamps(&self, _after: Option<&str>, _limit: usize) -> Result<Vec<Stamp>> {
        Ok(Vec::new())
    }
}
