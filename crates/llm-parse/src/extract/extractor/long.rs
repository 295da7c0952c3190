//! Sources that are longer than one question: parts at once, joined in the order of the source.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;

use super::{Inner, Long};
use crate::extract::engine::Job;
use crate::extract::ledger::Ledger;
use crate::extract::merge::{Part, shift};
use crate::extract::sighting::Tell;
use crate::extract::{Chunking, ExtractError, ExtractErrorKind, Result};

/// How often a part whose answer did not fit is cut in two.
const MAX_SPLITS: u32 = 4;

impl<T: DeserializeOwned + Send + Sync> Inner<T> {
    /// Extracts from the source as a whole, or from its parts.
    ///
    /// A part that fails fails the extraction: a value that silently lacks a part of its source would be wrong. Calls about
    /// other parts that are under way are hung up, and stand in the books with what they are estimated to have used.
    pub(super) async fn part_or_parts(&self, session: &Session<'_>, source: &str) -> Result<Part<T>> {
        let Some(long) = &self.long else {
            return self.one(session, source, None, 0).await;
        };
        let parts = long.chunking.cut(source, &self.engine.meter);
        if let [_] = parts.as_slice() {
            return self.whole_or_halves(session, long, source).await;
        }
        let count = parts.len();
        let waiting = AtomicU64::new(u64::try_from(count).unwrap_or(u64::MAX));
        let jobs: Vec<_> = parts.into_iter().enumerate().collect();
        let found: Vec<Part<T>> = stream::iter(jobs)
            .map(|(index, range)| {
                let waiting = &waiting;
                async move {
                    let waiting = waiting.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
                    let range = Piece { range, part: Some((index, count)), waiting, splits: 0 };
                    self.piece(session, long, source, range).await
                }
            })
            .buffered(long.concurrency.get())
            .try_collect()
            .await?;
        (long.merge)(found).ok_or_else(nothing)
    }

    async fn whole_or_halves(&self, session: &Session<'_>, long: &Long<T>, source: &str) -> Result<Part<T>> {
        let whole = Piece { range: 0..source.len(), part: None, waiting: 0, splits: 0 };
        self.piece(session, long, source, whole).await
    }

    /// Extracts from a piece; if its answer, or its prompt, is too long, from its halves.
    fn piece<'a>(
        &'a self,
        session: &'a Session<'a>,
        long: &'a Long<T>,
        source: &'a str,
        piece: Piece,
    ) -> BoxFuture<'a, Result<Part<T>>> {
        Box::pin(async move {
            let text = source.get(piece.range.clone()).unwrap_or_default();
            let error = match self.one(session, text, piece.part, piece.waiting).await {
                Ok(mut part) => {
                    shift(&mut part.grounding, source, &piece.range);
                    return Ok(part);
                }
                Err(error) => error,
            };
            let smaller =
                matches!(error.kind(), ExtractErrorKind::Truncated | ExtractErrorKind::ContextTooLong);
            let tokens = self.engine.meter.count(text);
            if !smaller || piece.splits >= MAX_SPLITS || tokens < 2 {
                return Err(error);
            }
            let halves =
                Chunking::new(tokens / 2 + 1).with_overlap(tokens / 16).cut(text, &self.engine.meter);
            if halves.len() < 2 {
                return Err(error);
            }
            let mut found = Vec::with_capacity(halves.len());
            for half in halves {
                let range = piece.range.start + half.start..piece.range.start + half.end;
                let half = Piece { range, splits: piece.splits + 1, ..piece.clone() };
                found.push(self.piece(session, long, source, half).await?);
            }
            (long.merge)(found).ok_or_else(nothing)
        })
    }

    async fn one(
        &self,
        session: &Session<'_>,
        text: &str,
        part: Option<(usize, usize)>,
        waiting: u64,
    ) -> Result<Part<T>> {
        let splittable = self.long.is_some();
        Job {
            engine: &self.engine,
            ledger: session.ledger,
            source: text,
            part,
            waiting,
            splittable,
            observer: session.observer,
        }
        .run()
        .await
    }
}

/// What all pieces share.
pub(super) struct Session<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) observer: Option<&'a dyn Tell>,
}

/// A piece of a long source.
#[derive(Clone)]
struct Piece {
    range: Range<usize>,
    part: Option<(usize, usize)>,
    waiting: u64,
    splits: u32,
}

fn nothing() -> ExtractError {
    ExtractError::new(ExtractErrorKind::Other, "a long source was cut into no parts")
}
