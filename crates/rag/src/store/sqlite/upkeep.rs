//! What a write leaves to be done: segments are joined, and lists made where they are missing.

use std::sync::Arc;

use pumasi_core::database::{Writing, failed};

use super::lists::stored;
use super::lists::{Centres, LISTED, Part, assign, train};
use super::segment::Segment;
use super::shelf::{Held, Shelf};
use super::{SqliteStore, rows, wrong};
use crate::Result;

/// Lists are made anew when there are so many times as many chunks as they were made for.
const GROWTH: u64 = 4;

/// What is missing.
struct Missing {
    /// The generation of the centres, and themselves if they stay.
    generation: i64,
    centres: Option<Arc<Centres>>,
    segments: Vec<(i64, Arc<Segment>, Vec<bool>)>,
}

impl Missing {
    /// Finds the lists of the segments, and centres for all lists if there are none.
    fn find(self, dimensions: usize) -> (Arc<Centres>, Vec<(i64, Vec<u16>)>) {
        let numbers = self.segments.iter().map(|(number, ..)| *number);
        if let Some(centres) = self.centres {
            let of = |(_, segment, _): &(i64, Arc<Segment>, Vec<bool>)| {
                let (codes, scales) = segment.vectors();
                assign(&centres, codes, scales, dimensions)
            };
            let found = numbers.zip(self.segments.iter().map(of)).collect();
            return (centres, found);
        }
        let parts: Vec<Part<'_>> = self
            .segments
            .iter()
            .map(|(_, segment, alive)| {
                let (codes, scales) = segment.vectors();
                Part { codes, scales, there: segment.of_documents(alive) }
            })
            .collect();
        let (centres, found) = train(&parts, dimensions);
        let found = numbers.zip(found).filter(|(_, of)| of.len() >= LISTED).collect();
        (Arc::new(centres), found)
    }
}

impl Shelf {
    /// Tells which lists are missing.
    fn missing(&self) -> Option<Missing> {
        let chunks = self.len() as u64;
        if self.options.is_exact() || chunks < self.options.exact_below.max(1) {
            return None;
        }
        let of = |(number, held): (&i64, &Held)| (*number, Arc::clone(&held.segment), held.alive.clone());
        match &self.centres {
            Some((generation, centres)) if chunks < centres.found_among.saturating_mul(GROWTH) => {
                let listed =
                    |(_, held): &(&i64, &Held)| held.lists.is_none() && held.segment.chunks.len() >= LISTED;
                let segments: Vec<_> = self.segments.iter().filter(listed).map(of).collect();
                let centres = Some(Arc::clone(centres));
                (!segments.is_empty()).then_some(Missing { generation: *generation, centres, segments })
            }
            before => {
                let generation = before.as_ref().map_or(1, |(generation, _)| generation + 1);
                Some(Missing { generation, centres: None, segments: self.segments.iter().map(of).collect() })
            }
        }
    }
}

impl SqliteStore {
    /// Joins segments where it is time to, and tells whether it was. A search sees nothing of it.
    pub(super) async fn join(&self) -> Result<bool> {
        let failed = |error| failed("joining segments of the knowledge", error);
        let (tenant, generation, merge) = {
            let shelf = self.shelf.read().map_err(wrong)?;
            let shelf = shelf.as_ref().ok_or_else(|| wrong(()))?;
            let generation = shelf.centres.as_ref().map(|(generation, _)| *generation);
            (shelf.tenant, generation, shelf.mergeable(self.shared.space.dimensions)?)
        };
        let Some(merge) = merge else { return Ok(false) };
        let mut writing = Writing::begin(&self.shared.pool).await.map_err(failed)?;
        let mut free = rows::free(&mut writing).await.map_err(failed)?;
        rows::drop_segments(&mut writing, &merge.from).await.map_err(failed)?;
        rows::forget(&mut writing, tenant, &merge.forgotten).await.map_err(failed)?;
        if !merge.into.documents.is_empty() {
            let bytes = merge.into.to_bytes()?;
            rows::put_segment(&mut writing, tenant, free.segment, bytes).await.map_err(failed)?;
            if let (Some(of), Some(generation)) = (&merge.lists, generation) {
                stored::put_lists(&mut writing, tenant, generation, free.segment, of)
                    .await
                    .map_err(failed)?;
            }
        }
        let number = free.segment;
        free.segment += 1;
        rows::set_free(&mut writing, free).await.map_err(failed)?;
        writing.commit().await.map_err(failed)?;
        let mut shelf = self.shelf.write().map_err(wrong)?;
        shelf.as_mut().ok_or_else(|| wrong(()))?.replace(merge, number)?;
        Ok(true)
    }

    /// Makes the lists that are missing, if there are to be any; only who writes may do so. Searches go on meanwhile.
    pub(super) async fn list(&self) -> Result<()> {
        let failed = |error| failed("making lists of the knowledge", error);
        let (tenant, missing) = {
            let shelf = self.shelf.read().map_err(wrong)?;
            let shelf = shelf.as_ref().ok_or_else(|| wrong(()))?;
            (shelf.tenant, shelf.missing())
        };
        let Some(missing) = missing else { return Ok(()) };
        let (generation, anew) = (missing.generation, missing.centres.is_none());
        let dimensions = self.shared.space.dimensions;
        let find = move || missing.find(dimensions);
        let (centres, found) = tokio::task::spawn_blocking(find).await.map_err(wrong)?;
        let mut writing = Writing::begin(&self.shared.pool).await.map_err(failed)?;
        if anew {
            stored::put_centres(&mut writing, tenant, generation, &centres).await.map_err(failed)?;
        }
        for (segment, of) in &found {
            stored::put_lists(&mut writing, tenant, generation, *segment, of).await.map_err(failed)?;
        }
        writing.commit().await.map_err(failed)?;
        let mut shelf = self.shelf.write().map_err(wrong)?;
        let shelf = shelf.as_mut().ok_or_else(|| wrong(()))?;
        if anew {
            shelf.segments.values_mut().for_each(|held| held.lists = None);
            shelf.centres = Some((generation, centres));
        }
        found.into_iter().try_for_each(|(number, of)| shelf.list(number, of))
    }
}
