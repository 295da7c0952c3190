//! Search that never goes down, and rankings that are right.
//!
//! A [`Schema`] says what documents hold, a [`Query`] what is looked for, and a [`SearchEngine`] answers with a [`Page`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use pumasi_core::filter::Field;
//! use pumasi_search::{Change, Document, MemoryEngine, Query, Schema, SearchEngine, TextField};
//! use serde_json::json;
//!
//! const TITLE: TextField = TextField::new("title");
//! const LIKES: Field<i64> = Field::new("likes");
//!
//! let engine = MemoryEngine::new(Schema::new("posts").with_text(TITLE.boosted(2.0)).with_field(&LIKES));
//! let run = Document::new("1", json!({"title": "한강 러닝크루 모집", "likes": 12}));
//! engine.apply(&[Change::upsert(run, 1)]).await?;
//!
//! let page = engine.search(&Query::new("러닝").with_filter(LIKES.at_least(10)), Duration::from_secs(1)).await?;
//! assert_eq!(page.hits.len(), 1);
//! # Ok::<(), pumasi_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! | module | what it answers |
//! |---|---|
//! | [`schema`] | which fields do documents have, and what may be asked of each? |
//! | [`query`] | what is looked for, in which order, and how much of it? |
//! | [`page`] | what was found, why, and where does the next page begin? |
//! | [`engine`] | who keeps the documents and finds them? |
//! | [`indexer`] | how does an index stay in step with its source? |
//! | [`search`] | how is a query answered from several engines, whatever becomes of them? |
//! | [`fallback`] | who answers when the engine is not there, and how is that told? |
//! | [`geo`] | which places lie within a circle, without looking at all of them? |
//! | [`leaderboard`] | who stands where by what they did, and how has that moved? |
//! | [`reactions`] | how many like it, one vote a person, however many vote at the same time? |
//! | [`views`] | how often was it seen, once a person and hour? |
//! | [`trending`] | what is popular now, and why? |

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod engine;
pub mod fallback;
#[cfg(feature = "sqlite")]
mod gather;
pub mod geo;
pub mod indexer;
pub mod leaderboard;
pub mod page;
pub mod query;
pub mod reactions;
pub mod schema;
pub mod search;
mod terms;
pub mod trending;
pub mod views;

#[cfg(feature = "opensearch")]
pub use engine::OpenSearchEngine;
#[cfg(feature = "postgres")]
pub use engine::PostgresEngine;
pub use engine::{Applied, Change, ChangeKind, MemoryEngine, SearchEngine, Stamp, Status};
#[cfg(feature = "embedded")]
pub use engine::{TantivyEngine, TantivyOptions};
pub use page::{Cursor, CursorKey, Explanation, Facet, FacetCount, Gap, Highlight, Hit, Page, Piece, Total};
pub use pumasi_core::{Error, ErrorKind, Result, Retry};
pub use query::{Boost, Count, Decay, FacetRequest, Fusion, Matching, Popularity, Query, Rank, Sort};
pub use schema::{Document, FieldKind, Schema, TextField};
pub use search::{EngineState, PageCache, Search, SearchBuilder};

#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../README.md")]
struct Readme;
