//! Vectors for the chunks that have none.

use pumasi_core::model::Embedding;

use super::{Draft, Ingest, IngestReport};
use crate::store::Space;
use crate::{Error, ErrorKind, Result};

impl Ingest {
    /// Embeds what is missing in all drafts, a batch of texts at a time; drafts whose texts the embedder cannot do are rejected.
    pub(super) async fn embed(&self, drafts: &mut Vec<Draft>, report: &mut IngestReport) -> Result<()> {
        let wanted: Vec<(usize, usize)> = drafts
            .iter()
            .enumerate()
            .flat_map(|(at, draft)| draft.missing.iter().map(move |(chunk, _)| (at, *chunk)))
            .collect();
        let texts: Vec<String> =
            drafts.iter_mut().flat_map(|draft| draft.missing.drain(..)).map(|(_, text)| text).collect();
        let mut failed: Vec<Option<Error>> = drafts.iter().map(|_| None).collect();
        let size = self.texts_at_once.get();
        for (wanted, texts) in wanted.chunks(size).zip(texts.chunks(size)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            match self.vectors(&texts).await {
                Ok(vectors) => {
                    report.chunks_embedded += vectors.len() as u64;
                    for ((draft, chunk), vector) in wanted.iter().zip(vectors) {
                        place(drafts, *draft, *chunk, vector);
                    }
                }
                Err(error) if error.retry().is_retryable() => return Err(error),
                // one of the texts may be at fault: each by itself
                Err(_) => {
                    for ((draft, chunk), text) in wanted.iter().zip(texts) {
                        match self.vectors(&[text]).await {
                            Ok(vectors) => {
                                report.chunks_embedded += 1;
                                for vector in vectors {
                                    place(drafts, *draft, *chunk, vector);
                                }
                            }
                            Err(error) if error.retry().is_retryable() => return Err(error),
                            Err(error) => {
                                if let Some(failed) = failed.get_mut(*draft) {
                                    *failed = Some(error);
                                }
                            }
                        }
                    }
                }
            }
        }
        let all: u64 = drafts.iter().map(|draft| draft.entry.chunks.len() as u64).sum();
        let unreadable: u64 = drafts.iter().map(|draft| draft.unreadable).sum();
        report.chunks_unreadable += unreadable;
        report.chunks_reused += all.saturating_sub(wanted.len() as u64 + unreadable);
        let mut failures = failed.into_iter();
        drafts.retain(|draft| match failures.next().flatten() {
            Some(error) => {
                report.reject(&draft.entry.record.id, error);
                false
            }
            None => true,
        });
        Ok(())
    }

    /// Asks the embedder, and looks at what it answers.
    async fn vectors(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let mut vectors = self.embedder.embed(texts).await?;
        checked(self.store.space(), &mut vectors, texts.len())?;
        Ok(vectors)
    }
}

fn place(drafts: &mut [Draft], draft: usize, chunk: usize, vector: Embedding) {
    if let Some(chunk) = drafts.get_mut(draft).and_then(|draft| draft.entry.chunks.get_mut(chunk)) {
        chunk.embedding = vector;
    }
}

/// Checks that an embedder answered one vector of the space for each text, and brings each to length one.
///
/// # Errors
///
/// `Protocol`, saying what is wrong.
pub(crate) fn checked(space: &Space, vectors: &mut [Embedding], texts: usize) -> Result<()> {
    let embedder = &space.embedder;
    let protocol = |what: String| Err(Error::new(ErrorKind::Protocol, format!("{embedder} answered {what}")));
    if vectors.len() != texts {
        return protocol(format!("{} vectors for {texts} texts", vectors.len()));
    }
    for vector in vectors {
        if let Err(error) = space.check(vector) {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("{embedder} answered something else than vectors"),
            )
            .with_source(error));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_normal() {
            return protocol("a vector without a direction".to_owned());
        }
        if (length - 1.0).abs() > 1e-4 {
            for x in vector {
                *x /= length;
            }
        }
    }
    Ok(())
}
