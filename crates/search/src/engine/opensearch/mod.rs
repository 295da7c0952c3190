//! OpenSearch and Elasticsearch as an engine, over HTTP.

mod examine;
mod filter;
mod find;
mod layout;
mod newest;
mod nodes;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value as Json, json};

use super::{Applied, Change, SearchEngine, Stamp, Status};
use crate::page::Page;
use crate::query::Query;
use crate::schema::Schema;
use crate::search::Finding;
use crate::{Error, ErrorKind, Result};
use find::Search;
use layout::Layout;
use newest::Newest;
use nodes::{Body, Nodes};

/// The largest body of one `_bulk`, in bytes.
const BULK: usize = 8 << 20;

/// What a query may look up at most: a little less than `indices.query.bool.max_clause_count`, 1,024 unless it is set. A cluster that is
/// asked for more answers 400 or 500, as if it were ill.
const MOST_CLAUSES: usize = 1_000;

/// How long calls may take that are not searches.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps documents in OpenSearch or Elasticsearch.
///
/// - The terms are ours: fields are analysed by `whitespace` only, so that the cluster needs no plugin, and finds what every other
///   engine finds.
/// - Several nodes are asked in turn; one that cannot be reached, answers 500, 502, 503 or 504, or had not answered when its share
///   of the time was over or the call was given up, is left alone for a while, and the call goes to the next one while there is
///   time. Every call has a limit of time.
/// - Writes go by `_bulk` with external versions; each document has its own result. They are found when they are acknowledged:
///   each batch refreshes what it wrote, so hand changes over in batches.
/// - Shards that fail and searches that run out of time are [gaps](crate::Gap), no silently smaller answers.
/// - A query of more than about a thousand look-ups, or one that the cluster refuses, is `Unsupported`, so that the next engine is
///   asked.
/// - Deleted documents leave a small one with their version, which nothing finds.
#[derive(Clone, Debug)]
pub struct OpenSearchEngine {
    schema: Schema,
    layout: Layout,
    nodes: Arc<Nodes>,
    name: String,
    prefix: String,
    shards: u32,
    replicas: u32,
    /// The index that is written and read, where it is not the one in use.
    aside: Option<u64>,
    /// The index in use, as far as is known.
    generation: Arc<AtomicU64>,
    newest: Arc<Newest>,
}

impl OpenSearchEngine {
    /// Makes an engine of a cluster's nodes, `http://host:port`; called `opensearch`. Nothing is asked yet, so it can be made while
    /// the cluster is down; [`prepare`](SearchEngine::prepare) makes the index where there is none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a schema or an address that is none.
    pub fn new(schema: Schema, nodes: &[String]) -> Result<Self> {
        let client = Client::builder()
            .user_agent(concat!("pumasi-search/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(2))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Other, "the HTTP client could not be made")
                    .with_source(error.without_url())
            })?;
        Self::with_client(schema, nodes, client)
    }

    /// Makes an engine that asks with a client of yours: with certificates, or a header that lets it in.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a schema or an address that is none.
    pub fn with_client(schema: Schema, nodes: &[String], client: Client) -> Result<Self> {
        schema.validate()?;
        Ok(Self {
            layout: Layout::new(&schema),
            prefix: format!("pumasi_{}", schema.name()),
            schema,
            nodes: Arc::new(Nodes::new(client, nodes)?),
            name: "opensearch".to_owned(),
            shards: 1,
            replicas: 0,
            aside: None,
            generation: Arc::new(AtomicU64::new(1)),
            newest: Arc::default(),
        })
    }

    /// Gives the engine another name, where there are several.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what the indexes' names begin with; `pumasi_` and the schema's name by default.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how many shards a new index has, 1 by default, and how many copies of each, none by default.
    ///
    /// Facets of several shards are exact as long as a field has no more than a thousand values.
    #[must_use]
    pub const fn with_shards(mut self, shards: u32, replicas: u32) -> Self {
        self.shards = shards;
        self.replicas = replicas;
        self
    }

    /// Makes an empty index beside the one in use, for building it anew; the one in use goes on answering.
    ///
    /// Fill it, apply changes that come meanwhile to both, and [`switch`](Self::switch) to it. What was begun before and not
    /// switched to is dropped.
    ///
    /// # Errors
    ///
    /// `Unavailable` where no node can be reached.
    pub async fn rebuild(&self) -> Result<Self> {
        let generation = self.in_use().await?.unwrap_or_default().saturating_add(1);
        self.drop_index(generation).await?;
        self.create(generation).await?;
        let known = Arc::new(AtomicU64::new(generation));
        Ok(Self { aside: Some(generation), generation: known, newest: Arc::default(), ..self.clone() })
    }

    /// Answers from an index that was [built anew](Self::rebuild), from now on and in every process, and drops the old one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an engine that was not built anew, `Unavailable` where no node can be reached.
    pub async fn switch(&self, rebuilt: &Self) -> Result<()> {
        let Some(generation) = rebuilt.aside else {
            return Err(Error::new(ErrorKind::InvalidInput, "this is not an index that was built anew"));
        };
        let old = self.in_use().await?;
        self.alias(generation, old).await?;
        self.generation.store(generation, Ordering::Relaxed);
        match old {
            Some(old) => self.drop_index(old).await,
            None => Ok(()),
        }
    }

    fn index(&self, generation: u64) -> String {
        format!("{}_g{generation}", self.prefix)
    }

    /// What is asked: the alias of the index in use, or an index beside it.
    fn target(&self) -> String {
        self.aside.map_or_else(|| self.prefix.clone(), |generation| self.index(generation))
    }

    async fn call(&self, method: Method, path: &str, body: &Body, time_left: Duration) -> Result<Json> {
        let (status, json) = self.nodes.call(method, path, body, time_left).await?;
        if status.is_success() { Ok(json) } else { Err(refused(status, &json)) }
    }

    /// Looks up which index is in use.
    async fn in_use(&self) -> Result<Option<u64>> {
        let path = format!("_alias/{}", self.prefix);
        let (status, json) = self.nodes.call(Method::GET, &path, &Body::None, PATIENCE).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(refused(status, &json));
        }
        let start = format!("{}_g", self.prefix);
        let names = json.as_object().into_iter().flatten();
        let generation = names.filter_map(|(name, _)| name.strip_prefix(&start)?.parse().ok()).max();
        if let Some(generation) = generation {
            self.generation.store(generation, Ordering::Relaxed);
        }
        Ok(generation)
    }

    async fn create(&self, generation: u64) -> Result<()> {
        let body = Body::Json(self.layout.index(&self.schema, self.shards, self.replicas));
        match self.call(Method::PUT, &self.index(generation), &body, PATIENCE).await {
            // another process made it at the same time
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other.map(drop),
        }
    }

    async fn drop_index(&self, generation: u64) -> Result<()> {
        let path = format!("{}?ignore_unavailable=true", self.index(generation));
        self.call(Method::DELETE, &path, &Body::None, PATIENCE).await.map(drop)
    }

    async fn alias(&self, generation: u64, old: Option<u64>) -> Result<()> {
        let mut actions = vec![json!({"add": {"index": self.index(generation), "alias": self.prefix}})];
        if let Some(old) = old.filter(|old| *old != generation) {
            actions.push(json!({"remove": {"index": self.index(old), "alias": self.prefix}}));
        }
        self.call(Method::POST, "_aliases", &Body::Json(json!({"actions": actions})), PATIENCE)
            .await
            .map(drop)
    }

    async fn bulk(&self, lines: String, places: &[usize], results: &mut [Result<Applied>]) -> Result<()> {
        let alias = if self.aside.is_some() { "" } else { "&require_alias=true" };
        let path = format!("{}/_bulk?refresh=true{alias}", self.target());
        let answer = self.call(Method::POST, &path, &Body::Lines(lines), PATIENCE).await?;
        let items = answer.get("items").and_then(Json::as_array).filter(|items| items.len() == places.len());
        let Some(items) = items else {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the search cluster did not answer for each document",
            ));
        };
        for (item, place) in items.iter().zip(places) {
            let item = item.get("index").unwrap_or(&Json::Null);
            let status =
                item.get("status").and_then(Json::as_u64).and_then(|status| u16::try_from(status).ok());
            let status = status
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::BAD_GATEWAY);
            let result = match status {
                StatusCode::CONFLICT => Ok(Applied::Stale),
                status if status.is_success() => Ok(Applied::Done),
                status => Err(refused(status, item)),
            };
            if let Some(slot) = results.get_mut(*place) {
                *slot = result;
            }
        }
        Ok(())
    }
}

/// Makes the error of an answer that is none of success; the cluster's own words may quote documents and are left out.
fn refused(status: StatusCode, json: &Json) -> Error {
    let class =
        json.get("error").and_then(|error| error.get("type")).and_then(Json::as_str).unwrap_or("no reason");
    let class: String = class.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
    let kind = match (status.as_u16(), class.as_str()) {
        (_, "resource_already_exists_exception") | (409, _) => ErrorKind::Conflict,
        (_, "index_not_found_exception") => ErrorKind::Unavailable,
        (401 | 403, _) => ErrorKind::Unauthorized,
        (404, _) => ErrorKind::Unavailable,
        (408, _) => ErrorKind::Timeout,
        (429, _) => ErrorKind::Overloaded,
        (400..=499, _) => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the search cluster answered {}: {class}", status.as_u16()))
}

#[async_trait]
impl SearchEngine for OpenSearchEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn prepare(&self) -> Result<()> {
        let Some(generation) = self.in_use().await? else {
            self.create(1).await?;
            return self.alias(1, None).await;
        };
        let path = format!("{}/_mapping", self.index(generation));
        let mapping = self.call(Method::GET, &path, &Body::None, PATIENCE).await?;
        let index = mapping.as_object().and_then(|all| all.values().next());
        let known = index.and_then(|index| index.get("mappings")?.get("_meta")?.get("fingerprint")?.as_str());
        if known == Some(self.schema.fingerprint().as_str()) {
            return Ok(());
        }
        let what = "the index of the search cluster was built for another schema or analyzer";
        Err(Error::new(ErrorKind::Conflict, what))
    }

    async fn search(&self, query: &Query, time_left: Duration) -> Result<Page> {
        query.check(&self.schema)?;
        if time_left.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "a search of the cluster had no time left"));
        }
        let started = Instant::now();
        let search = Search::new(&self.schema, &self.layout, &self.name, query);
        let request = search.request(time_left.as_millis().max(1));
        if request.get("query").is_some_and(|query| find::clauses(query) > MOST_CLAUSES) {
            let what = "the query looks up more than a search cluster does at once, a thousand terms";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        let body = Body::Json(request);
        let path = format!("{}/_search", self.target());
        let left = time_left.saturating_sub(started.elapsed());
        let answer = tokio::time::timeout(left, self.call(Method::POST, &path, &body, left)).await;
        let timeout = || Error::new(ErrorKind::Timeout, "a search of the cluster ran out of time");
        let answer = answer.unwrap_or_else(|_| Err(timeout())).map_err(|error| match error.kind() {
            // what the schema allows and this cluster refuses, by a limit of its own, may be answered by another engine
            ErrorKind::InvalidInput => {
                Error::new(ErrorKind::Unsupported, "the search cluster refused the query").with_source(error)
            }
            _ => error,
        })?;
        search.page(&answer, self.generation.load(Ordering::Relaxed))
    }

    async fn apply(&self, changes: &[Change]) -> Result<Vec<Result<Applied>>> {
        // what replaces the document that bears the newest moment bears it from then on
        let oldest = changes.iter().map(Change::reached).min().flatten();
        let newest = match self.newest.known_for(oldest) {
            Some(newest) => newest,
            None => self.status().await?.applied,
        };
        let mut results: Vec<Result<Applied>> = Vec::with_capacity(changes.len());
        let mut open: Vec<(usize, String)> = Vec::new();
        for (place, change) in changes.iter().enumerate() {
            results.push(change.check(&self.schema).map(|()| Applied::Done));
            if matches!(results.last(), Some(Ok(_))) {
                let head = json!({"index": {"_id": change.id(), "version": change.version(), "version_type": "external"}});
                let mut lines = String::new();
                let at = newest.max(change.reached());
                let _ = writeln!(lines, "{head}\n{}", self.layout.document(&self.schema, change, at));
                open.push((place, lines));
            }
        }
        let (mut lines, mut places) = (String::new(), Vec::new());
        for (place, line) in open {
            if !lines.is_empty() && lines.len() + line.len() > BULK {
                self.bulk(std::mem::take(&mut lines), &std::mem::take(&mut places), &mut results).await?;
            }
            lines.push_str(&line);
            places.push(place);
        }
        if !places.is_empty() {
            self.bulk(lines, &places, &mut results).await?;
        }
        let done = changes.iter().zip(&results).filter(|(_, result)| matches!(result, Ok(Applied::Done)));
        self.newest.came_to(done.filter_map(|(change, _)| change.reached()).max());
        Ok(results)
    }

    async fn status(&self) -> Result<Status> {
        let generation = match self.aside {
            Some(generation) => generation,
            None => self.in_use().await?.ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, "the search cluster has no index of ours")
            })?,
        };
        let asking = self.newest.ask();
        let aggregations = json!({"at": {"max": {"field": "at"}}, "live": {"filter": {"term": {"gone": false}}}, "gone": {"filter": {"term": {"gone": true}}}});
        let body = Body::Json(json!({"size": 0, "track_total_hits": false, "aggs": aggregations}));
        let answer = self.call(Method::POST, &format!("{}/_search", self.target()), &body, PATIENCE).await?;
        let count =
            |name: &str| answer.get("aggregations").and_then(|all| all.get(name)?.get("doc_count")?.as_u64());
        let applied = find::applied(&answer);
        asking.learn(applied);
        let status = Status::new(count("live").unwrap_or_default(), generation, applied);
        Ok(Status { deleted: count("gone"), ..status })
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> Result<Vec<Stamp>> {
        let mut stamps: Vec<Stamp> = Vec::new();
        let mut from = after.map(str::to_owned);
        while stamps.len() < limit {
            let size = (limit - stamps.len()).min(10_000);
            let mut body = json!({
                "size": size, "_source": ["id", "version"], "track_total_hits": false,
                "query": {"bool": {"filter": [{"term": {"gone": false}}]}}, "sort": [{"id": "asc"}],
            });
            if let (Some(from), Some(body)) = (&from, body.as_object_mut()) {
                body.insert("search_after".to_owned(), json!([from]));
            }
            let path = format!("{}/_search", self.target());
            let answer = self.call(Method::POST, &path, &Body::Json(body), PATIENCE).await?;
            let rows = answer.get("hits").and_then(|hits| hits.get("hits")?.as_array());
            let next: Vec<Stamp> = rows
                .into_iter()
                .flatten()
                .filter_map(|row| {
                    let stored = row.get("_source")?;
                    Some(Stamp::new(stored.get("id")?.as_str()?, stored.get("version")?.as_u64()?))
                })
                .collect();
            let count = next.len();
            stamps.extend(next);
            from = stamps.last().map(|stamp| stamp.id.clone());
            if count < size {
                break;
            }
        }
        Ok(stamps)
    }

    async fn examine(&self) -> Vec<Finding> {
        self.look().await
    }
}
