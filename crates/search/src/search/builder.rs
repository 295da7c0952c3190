//! A search is put together.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::Cache;

use super::seen::Newest;
use super::watched::{EngineBackend, Kept, Watched};
use super::{Engine, Search};
use crate::engine::SearchEngine;
use crate::fallback::{AnswerCache, CacheKey, Fallback, FallbackBuilder, Scope};
use crate::page::Page;
use crate::query::Query;
use crate::schema::TextField;
use crate::{Error, ErrorKind, Result};

/// Which pages are kept, where and for how long; the defaults and the promises are those of [`AnswerCache`].
#[derive(Clone, Debug)]
pub struct PageCache(AnswerCache<Query, Arc<Page>>);

impl PageCache {
    /// Keeps up to `pages` in the process's memory.
    pub fn memory(pages: usize) -> Self {
        Self(AnswerCache::memory(pages, key))
    }

    /// Keeps pages in a [`Cache`] that processes share, under keys that begin with `namespace`; those of searches with another
    /// name, or another index or schema, are kept apart. A write makes old the pages of searches with the same name and index alone,
    /// of whatever schema, as processes may be of two releases.
    pub fn shared(cache: Arc<dyn Cache>, namespace: &str) -> Self {
        Self(AnswerCache::shared(cache, namespace, key))
    }

    /// Sets the age past which no page is called cached (default 30 s).
    #[must_use]
    pub fn with_max_age(self, age: Duration) -> Self {
        Self(self.0.with_max_age(age))
    }

    /// Sets for how long beyond that an old page is served at once, as stale, while a new one is fetched (default: not).
    #[must_use]
    pub fn with_stale_while_revalidate(self, window: Duration) -> Self {
        Self(self.0.with_stale_while_revalidate(window))
    }

    /// Sets for how long beyond the max age an old page is served, as stale, when no engine answers (default 10 minutes).
    #[must_use]
    pub fn with_stale_if_error(self, window: Duration) -> Self {
        Self(self.0.with_stale_if_error(window))
    }

    /// Says what a query's page depends on, so that [`invalidate`](Search::invalidate) can name it: the crew that is searched
    /// in, say. Every page depends on the index's generation besides.
    #[must_use]
    pub fn with_tags(self, tags: impl Fn(&Query) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(self.0.with_key(move |query| tags(query).into_iter().fold(key(query), CacheKey::with_tag)))
    }
}

fn key(query: &Query) -> CacheKey {
    CacheKey::of(query.fingerprint())
}

/// Puts a [`Search`] together. Nothing is asked and nothing fails before [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchBuilder {
    name: Arc<str>,
    primary: Option<Engine>,
    fallbacks: Vec<Engine>,
    last_resort: Option<Engine>,
    wiped_below: f64,
    fallback: FallbackBuilder<Query, Arc<Page>>,
}

impl SearchBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            primary: None,
            fallbacks: Vec::new(),
            last_resort: None,
            wiped_below: 0.5,
            fallback: Fallback::builder(Arc::clone(&name)),
            name,
        }
    }

    /// Sets the engine whose page is [`Fresh`](crate::fallback::Served::Fresh).
    pub fn primary(mut self, engine: impl SearchEngine + 'static) -> Self {
        self.primary = Some(Arc::new(engine));
        self
    }

    /// Adds an engine that is asked when the one before it fails, is spared or takes long.
    pub fn fallback(mut self, engine: impl SearchEngine + 'static) -> Self {
        self.fallbacks.push(Arc::new(engine));
        self
    }

    /// Sets the engine that is asked last, whatever its health.
    pub fn last_resort(mut self, engine: impl SearchEngine + 'static) -> Self {
        self.last_resort = Some(Arc::new(engine));
        self
    }

    /// Keeps fresh pages.
    pub fn cache(mut self, cache: PageCache) -> Self {
        self.fallback = self.fallback.cache(cache.0);
        self
    }

    /// Sets within what time a query is answered, or has failed (default 1 s).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.fallback = self.fallback.deadline(deadline);
        self
    }

    /// Sets the share of the documents that are expected beneath which an index counts as wiped (default 0.5); 0 never does.
    pub fn wiped_below(mut self, share: f64) -> Self {
        self.wiped_below = share;
        self
    }

    /// Sets how far the primary may be known to lag behind the newest change that any engine applied, or that is
    /// [noted](Search::note_newest), while its pages are still [`Fresh`](crate::fallback::Served::Fresh) and cached (default 30 s). Beyond
    /// that, if two looks in a row showed it, they are [`Degraded`](crate::fallback::Served::Degraded), with the lag. So they are where
    /// the primary is [compared](crate::indexer::Sweep) with its source, and was not for that long.
    pub fn fresh_within(mut self, lag: Duration) -> Self {
        self.fallback = self.fallback.fresh_within(lag);
        self
    }

    /// Changes how the fallback works: when calls are slow, how often is probed and so on.
    pub fn tune(
        mut self,
        change: impl FnOnce(FallbackBuilder<Query, Arc<Page>>) -> FallbackBuilder<Query, Arc<Page>>,
    ) -> Self {
        self.fallback = change(self.fallback);
        self
    }

    /// Puts it together. No engine is asked, so that a service starts while any of them is down.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no primary, two engines have one name, or their schemas, the names of these or analyzers
    /// differ.
    pub fn build(self) -> Result<Search> {
        let invalid = |what: String| Error::new(ErrorKind::InvalidInput, what);
        let primary = self.primary.ok_or_else(|| invalid("a search needs a primary engine".to_owned()))?;
        let schema = Arc::new(primary.schema().clone());
        schema.validate()?;
        let fingerprint = schema.fingerprint();
        let newest = Arc::<Newest>::default();
        let mut engines: Vec<Arc<Watched>> = Vec::new();
        for engine in std::iter::once(primary).chain(self.fallbacks).chain(self.last_resort) {
            let name = engine.name();
            if engines.iter().any(|other| other.name() == name) {
                return Err(invalid(format!("two engines are called {name}")));
            }
            let other = engine.schema();
            if other.name() != schema.name() {
                // cursors are bound to it
                return Err(invalid(format!("{name} has a schema of another name than the primary")));
            }
            if other.texts() != schema.texts() || other.fingerprint() != fingerprint {
                return Err(invalid(format!("{name} has another schema or analyzer than the primary")));
            }
            let (primary, fresh_within) = (engines.is_empty(), self.fallback.allowed_lag());
            engines.push(Arc::new(Watched::new(engine, &newest, primary, self.wiped_below, fresh_within)));
        }
        Watched::introduce(&engines);
        // A cache that is shared may hold pages of other indexes, and of this one as it was: to those the same writes happen.
        let boosts: Vec<f32> = schema.texts().iter().map(TextField::boost).collect();
        let pages = serde_json::json!([&*self.name, schema.name(), fingerprint, boosts]).to_string();
        let writes = serde_json::json!([&*self.name, schema.name()]).to_string();
        let mut fallback = self.fallback.cache_within(Scope::new(&pages, &writes));
        if let Some(primary) = engines.first() {
            primary.keeps(Kept::new(fallback.kept_in()));
        }
        for (number, watched) in engines.iter().enumerate() {
            let backend = EngineBackend(Arc::clone(watched));
            fallback = if number == 0 { fallback.primary(backend) } else { fallback.fallback(backend) };
        }
        Ok(Search {
            fallback: fallback.build()?,
            engines: engines.into(),
            schema,
            generation: Arc::default(),
            newest,
        })
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::cache::MemoryCache;
    use serde_json::json;

    use super::*;
    use crate::{Change, Document, MemoryEngine, Schema, TextField};

    #[tokio::test]
    async fn a_write_makes_old_the_pages_of_its_own_index_alone_whatever_the_release() {
        let shared: Arc<dyn Cache> = Arc::new(MemoryCache::new(1 << 20));
        let tagged = |cache: PageCache| cache.with_tags(|_| vec!["crew".to_owned()]);
        for pages in [tagged(PageCache::shared(shared, "search")), tagged(PageCache::memory(100))] {
            let search = |name: &str, index: &str, boost: f32| {
                let schema = Schema::new(index).with_text(TextField::new("title").boosted(boost));
                let search = Search::builder(name).primary(MemoryEngine::new(schema));
                search.cache(pages.clone()).build().unwrap()
            };
            let searches = [
                search("posts", "posts", 1.0),
                search("posts", "posts", 2.0),
                search("crews", "posts", 1.0),
                search("posts", "crews", 1.0),
            ];
            let served = async || {
                let mut served = Vec::new();
                for search in &searches {
                    served.push(search.search(Query::everything()).await.unwrap().as_str());
                }
                served
            };
            assert_eq!(served().await, ["fresh"; 4]);
            assert_eq!(served().await, ["cached"; 4]);
            searches[0].invalidate(["crew"]).await.unwrap();
            assert_eq!(served().await, ["fresh", "fresh", "cached", "cached"]);
            searches[0].invalidate_all().await.unwrap();
            assert_eq!(served().await, ["fresh", "fresh", "cached", "cached"]);
        }
    }

    #[tokio::test]
    async fn a_shared_cache_keeps_the_pages_of_each_index_and_schema_apart() {
        let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(1 << 20));
        let title = || TextField::new("title");
        for (name, schema) in [
            ("posts", Schema::new("posts").with_text(title())),
            ("crews", Schema::new("posts").with_text(title())),
            ("posts", Schema::new("crews").with_text(title())),
            ("posts", Schema::new("posts").with_text(title().with_prefixes())),
        ] {
            let engine = MemoryEngine::new(schema);
            let document = Document::new(name, json!({"title": "한강 러닝"}));
            engine.apply(&[Change::upsert(document, 1)]).await.unwrap();
            let pages =
                PageCache::shared(Arc::clone(&cache), "search").with_tags(|_| vec!["crew".to_owned()]);
            let search = Search::builder(name).primary(engine).cache(pages).build().unwrap();
            for expected in ["fresh", "cached"] {
                let served = search.search(Query::new("러닝")).await.unwrap();
                assert_eq!(served.as_str(), expected, "{name}");
                assert_eq!(served.split().1.ids(), [name]);
            }
        }
    }
}
