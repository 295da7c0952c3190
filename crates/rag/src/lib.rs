//! Knowledge in, grounded answers out.
//!
//! [`Document`]s are cut into chunks that know where they came from, put into a [`Store`] by [`Ingest`], and found again by a
//! [`Retriever`] that joins meaning (vectors) and words (BM25), in Korean and in English.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use pumasi_core::model::HashingEmbedder;
//! use pumasi_rag::{Document, Ingest, MemoryStore, Question, Retriever, Space, Tenant};
//! use std::sync::Arc;
//!
//! let embedder = Arc::new(HashingEmbedder::new());
//! let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::new("running-club")?));
//!
//! let guide = Document::markdown("knee", "# 무릎 통증\n\n통증이 있으면 달리기를 쉽니다. 사흘 뒤 천천히 걷습니다.")
//!     .with_title("부상 안내");
//! let shoes = Document::new("shoes", "Replace running shoes after 700 km.");
//! let report = Ingest::new(store.clone(), embedder.clone()).run([guide, shoes]).await?;
//! assert_eq!((report.added, report.chunks_embedded), (2, 2));
//!
//! let retriever = Retriever::new(store, embedder);
//! let found = retriever.retrieve(&Question::new("무릎이 아픈데 달려도 되나요?")).await?;
//! let hit = &found.hits[0];
//! assert_eq!(hit.passage.place(), "부상 안내 > 무릎 통증");
//! assert!(hit.passage.text.starts_with("통증이 있으면"));
//! println!("{}", found.explain());
//! # Ok::<(), pumasi_rag::Error>(())
//! # }).unwrap();
//! ```
//!
//! | module | what it answers |
//! |---|---|
//! | [`document`] | what is known, and whose knowledge is it? |
//! | [`chunk`] | how are documents cut, and how does each piece know where it came from? |
//! | [`store`] | who keeps chunks with their vectors and terms, and finds them? |
//! | [`embed`] | who makes vectors, beside the embedders of `pumasi-core`? |
//! | [`ingest`] | how does a store come to hold what the documents say now, and embed nothing twice? |
//! | [`retrieve`] | which passages speak of a question, and why each? |
//! | [`answer`] | what is answered from which passages, and do they say so? |
//! | [`memory`] | what was said before? |
//! | [`sse`] | how does an answer reach a browser, and go on where its connection broke? |
//!
//! | store | feature | for |
//! |---|---|---|
//! | [`MemoryStore`] | – | tests, small sets, and the reference |
//! | `SqliteStore` | `embedded` (default) | one process, with nothing to install |
//! | `PostgresStore` | `postgres` | any number of processes, and a database that is there anyway |
//! | `QdrantStore` | `qdrant` | any number of processes, and vectors by the million on machines of their own |
//!
//! | feature | what it adds |
//! |---|---|
//! | `embedded` (default) | `SqliteStore`: knowledge in one crash-safe file |
//! | `postgres` | `PostgresStore`: knowledge in PostgreSQL with pgvector |
//! | `qdrant` | `QdrantStore`: knowledge in Qdrant |
//! | `local` | sentence encoders and cross-encoders in this process, from a folder of weights |
//! | `ort` | sentence encoders by ONNX Runtime, whose library is loaded at run time |
//! | `html`, `pdf`, `text` | documents from HTML, PDF, and text in any encoding |
//! | `tokens` | chunks and budgets measured with the tokenizers of OpenAI's models |
//! | `axum` | answers as responses of `axum` |

pub mod answer;
pub mod chunk;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod document;
pub mod embed;
#[cfg(any(feature = "local", feature = "ort"))]
mod encoder;
pub mod ingest;
pub mod memory;
pub mod retrieve;
pub mod sse;
pub mod store;

pub use answer::{AnswerEvent, Ask, Assistant};
pub use chunk::{ChunkId, Chunker, StructureChunker};
pub use document::{Document, DocumentRecord, Format, Tenant};
pub use ingest::{Ingest, IngestReport};
pub use pumasi_core::{Error, ErrorKind, Result, Retry};
pub use retrieve::{Explanation, Fusion, Hit, Question, Retrieved, Retriever};
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "qdrant")]
pub use store::QdrantStore;
#[cfg(feature = "embedded")]
pub use store::SqliteStore;
pub use store::{MemoryStore, Passage, Space, Store};

#[cfg(all(doctest, feature = "embedded"))]
#[doc = include_str!("../README.md")]
struct Readme;
