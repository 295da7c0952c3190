//! Korean and English text: normal forms with a way back, sentences, one analyzer, BM25 weights and fusion.
//!
//! | question | answer |
//! |---|---|
//! | which bytes of the source does this normalised text stand for? | [`normalize`], [`Normalized::source_span`] |
//! | where does a sentence begin and end? | [`sentences`] |
//! | which terms stand for a text, whatever engine holds it? | [`Analyzer`] |
//! | which morphemes is a Korean text made of, by a dictionary? | [`Dictionary`] |
//! | which number is written in words? | [`english_numeral`], [`native_numeral`], [`sino_numeral`] |
//! | how well does a text answer a query? | [`Bm25Index`] in memory; [`Bm25`] and [`SparseVector`] for other engines |
//! | how are two rankings made one? | [`fuse_rrf`], [`fuse_min_max`] |
//!
//! Everything here is a pure function of its input, takes time linear in it, and, but for [`Dictionary`], needs no data files.
//!
//! ```
//! use pumasi_core::text::{Analyzer, Bm25Index};
//!
//! let mut index = Bm25Index::new(Analyzer::default());
//! index.add("a", "매일 아침 10km를 달렸습니다");
//! index.add("b", "영어 단어를 하루에 스무 개 외웠습니다");
//! let hits = index.search("아침 달리기", 10);
//! assert_eq!(hits.first().map(|hit| hit.id), Some("a"));
//! ```

mod analyze;
mod bm25;
mod dictionary;
mod fusion;
mod normalize;
mod numeral;
mod sentence;
mod span;

pub use analyze::{Analyzer, Morpheme, Morphology, Particles, Role, Token, TokenKind, TokenRef};
pub use bm25::{Bm25, Bm25Index, Hit, SparseVector, term_id};
pub use dictionary::{Dictionary, Lexeme, Part};
pub use fusion::{Fused, Weighted, fuse_min_max, fuse_rrf};
pub use normalize::{Normalized, Normalizer, normalize};
pub use numeral::{KoreanNumeral, SINO_DIGITS, SINO_POWERS, english_numeral, native_numeral, sino_numeral};
pub use sentence::sentences;
pub use span::{CharOffsets, Span};
