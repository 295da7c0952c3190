//! An engine whose pages are of two moments does not pass for one whose pages are of one.

use std::time::Duration;

use pumasi_search::engine::conformance::law_13_one_snapshot_while_writes_go_on as law;
use pumasi_search::{Applied, Change, Page, Query, Schema, Stamp, Status};

use super::*;

/// What of a page is of another moment.
#[derive(Clone, Copy, Debug)]
enum Part {
    Highlights,
    Facets,
    Total,
}

#[derive(Debug)]
struct Torn(MemoryEngine, Part);

#[async_trait]
impl SearchEngine for Torn {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema(&self) -> &Schema {
        self.0.schema()
    }

    async fn search(&self, query: &Query, left: Duration) -> pumasi_search::Result<Page> {
        let before = self.0.search(query, left).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let mut page = self.0.search(query, left).await?;
        match self.1 {
            Part::Facets => page.facets = before.facets,
            Part::Total => page.total = before.total,
            Part::Highlights => {
                for hit in &mut page.hits {
                    let same = before.hits.iter().find(|before| before.id == hit.id);
                    hit.highlights = same.map(|before| before.highlights.clone()).unwrap_or_default();
                }
            }
        }
        Ok(page)
    }

    async fn apply(&self, changes: &[Change]) -> pumasi_search::Result<Vec<pumasi_search::Result<Applied>>> {
        self.0.apply(changes).await
    }

    async fn status(&self) -> pumasi_search::Result<Status> {
        self.0.status().await
    }

    async fn stamps(&self, after: Option<&str>, limit: usize) -> pumasi_search::Result<Vec<Stamp>> {
        self.0.stamps(after, limit).await
    }
}

struct Tearing(Part);

#[async_trait]
impl EngineHarness for Tearing {
    async fn open(&self) -> Arc<dyn SearchEngine> {
        Arc::new(Torn(MemoryEngine::new(schema()), self.0))
    }

    async fn reopen(&self, engine: Arc<dyn SearchEngine>) -> Reopened {
        Err(engine)
    }
}

#[tokio::test]
async fn pages_of_two_moments_break_the_law() {
    for (part, word) in [(Part::Highlights, "highlights"), (Part::Facets, "facet"), (Part::Total, "total")] {
        let broken = law(&Tearing(part)).await.expect_err("the pages were of two moments").to_string();
        assert!(broken.contains(word), "{part:?}: {broken}");
    }
}
