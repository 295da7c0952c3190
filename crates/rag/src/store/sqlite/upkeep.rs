//! What a write leaves to be done: segments are joined, and put into the lists that there are.

use pumasi_core::database::{Writing, failed};

use super::lists::{Work, assign, stored};
use super::{SqliteStore, rows, wrong};
use crate::Result;

/// The most chunks that a write puts into lists itself: what is left is done beside it.
pub(super) const FEW: usize = 8_192;

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

    /// Puts what has just been written into the lists that there are; only who writes may do so. Searches go on meanwhile.
    pub(super) async fn list(&self) -> Result<()> {
        let failed = |error| failed("making lists of the knowledge", error);
        let (tenant, generation, centres, unlisted) = {
            let shelf = self.shelf.read().map_err(wrong)?;
            let shelf = shelf.as_ref().ok_or_else(|| wrong(()))?;
            let (Some((generation, centres)), None) = (shelf.centres.clone(), &shelf.coming) else {
                return Ok(());
            };
            (shelf.tenant, generation, centres, shelf.unlisted())
        };
        let chunks: usize = unlisted.iter().map(|(_, segment)| segment.chunks.len()).sum();
        if self.shared.options.is_exact() || chunks == 0 || chunks > FEW {
            return Ok(());
        }
        let dimensions = self.shared.space.dimensions;
        let find = move || {
            let work = Work::default();
            let of = unlisted.iter().filter_map(|(number, segment)| {
                let (codes, scales) = segment.vectors();
                Some((*number, assign(&centres, codes, scales, dimensions, &work)?))
            });
            of.collect::<Vec<_>>()
        };
        let found = tokio::task::spawn_blocking(find).await.map_err(wrong)?;
        let mut writing = Writing::begin(&self.shared.pool).await.map_err(failed)?;
        for (segment, of) in &found {
            stored::put_lists(&mut writing, tenant, generation, *segment, of).await.map_err(failed)?;
        }
        writing.commit().await.map_err(failed)?;
        let mut shelf = self.shelf.write().map_err(wrong)?;
        let shelf = shelf.as_mut().ok_or_else(|| wrong(()))?;
        found.into_iter().try_for_each(|(number, of)| shelf.list(number, of))
    }
}
