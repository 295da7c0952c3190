//! Vectors for the chunks that have none.

use futures_util::{FutureExt as _, StreamExt as _, stream};
use pumasi_core::model::Embedding;

use super::{Draft, Ingest, IngestReport};
use crate::chunk::{CountTokens as _, EstimatedTokens};
use crate::store::Space;
use crate::{Error, ErrorKind, Result};

/// A chunk that needs a vector: its draft, its place there, what the embedder reads, and about how long that is.
struct Wanted {
    draft: usize,
    chunk: usize,
    text: String,
    tokens: usize,
}

impl Ingest {
    /// Embeds what is missing in all drafts; drafts whose texts the embedder cannot do are rejected.
    pub(super) async fn embed(&self, drafts: &mut Vec<Draft>, report: &mut IngestReport) -> Result<()> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for (at, draft) in drafts.iter_mut().enumerate() {
            wanted.extend(draft.missing.drain(..).map(|(chunk, text)| {
                let tokens = EstimatedTokens.count(&text);
                Wanted { draft: at, chunk, text, tokens }
            }));
        }
        let all: u64 = drafts.iter().map(|draft| draft.entry.chunks.len() as u64).sum();
        let unreadable: u64 = drafts.iter().map(|draft| draft.unreadable).sum();
        report.chunks_unreadable += unreadable;
        report.chunks_reused += all.saturating_sub(wanted.len() as u64 + unreadable);
        // texts of about the same length in one batch: an encoder that fills up to the longest wastes least
        wanted.sort_by_key(|wanted| wanted.tokens);
        let batches: Vec<&[Wanted]> = self.batches(&wanted);
        let calls: Vec<_> = batches.iter().map(|batch| self.embed_batch(batch).boxed()).collect();
        let mut answers = stream::iter(calls).buffered(self.calls_at_once.get());
        let mut failed: Vec<Option<Error>> = drafts.iter().map(|_| None).collect();
        let mut batches = batches.iter();
        while let (Some(answer), Some(batch)) = (answers.next().await, batches.next()) {
            for (wanted, vector) in batch.iter().zip(answer?) {
                match vector {
                    Ok(vector) => {
                        report.chunks_embedded += 1;
                        let draft = drafts.get_mut(wanted.draft);
                        if let Some(chunk) = draft.and_then(|draft| draft.entry.chunks.get_mut(wanted.chunk))
                        {
                            chunk.embedding = vector;
                        }
                    }
                    Err(error) => {
                        if let Some(failed) = failed.get_mut(wanted.draft) {
                            *failed = Some(error);
                        }
                    }
                }
            }
        }
        let mut failures = failed.into_iter();
        let mut rejected = Vec::new();
        drafts.retain(|draft| match failures.next().flatten() {
            Some(error) => {
                rejected.push((draft.entry.record.id.clone(), error));
                false
            }
            None => true,
        });
        for (id, error) in rejected {
            self.reject(report, &id, error);
        }
        Ok(())
    }

    /// Parts texts so that no part has more texts or tokens than the embedder is given at once; one text is always a part.
    fn batches<'a>(&self, wanted: &'a [Wanted]) -> Vec<&'a [Wanted]> {
        let mut parts = Vec::new();
        let mut rest = wanted;
        while !rest.is_empty() {
            let mut tokens = 0;
            let fitting = rest.iter().take(self.texts_at_once.get()).take_while(|wanted| {
                tokens += wanted.tokens;
                tokens <= self.tokens_at_once.get()
            });
            let (part, later) = rest.split_at(fitting.count().max(1));
            parts.push(part);
            rest = later;
        }
        parts
    }

    /// Embeds a batch; where one of the texts may be at fault, each by itself.
    async fn embed_batch(&self, batch: &[Wanted]) -> Result<Vec<Result<Embedding>>> {
        match self.vectors(batch).await? {
            Ok(vectors) => return Ok(vectors.into_iter().map(Ok).collect()),
            Err(error) if batch.len() == 1 => return Ok(vec![Err(error)]),
            Err(_) => {}
        }
        let mut vectors = Vec::with_capacity(batch.len());
        let missing = || Error::new(ErrorKind::Protocol, "no vector was answered");
        for wanted in batch {
            let one = self.vectors(std::slice::from_ref(wanted)).await?;
            vectors.push(one.and_then(|mut one| one.pop().ok_or_else(missing)));
        }
        Ok(vectors)
    }

    /// Asks the embedder, through the limits and the pipeline, and looks at what it answers. The error inside may be one of the texts';
    /// the other one would be that of any text.
    async fn vectors(&self, batch: &[Wanted]) -> Result<Result<Vec<Embedding>>> {
        let texts: Vec<&str> = batch.iter().map(|wanted| wanted.text.as_str()).collect();
        let tokens: usize = batch.iter().map(|wanted| wanted.tokens).sum();
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        let call = |_| async {
            match &self.rate {
                Some(rate) => {
                    rate.run(tokens, async { Ok((self.embedder.embed(&texts).await?, tokens)) }).await
                }
                None => self.embedder.embed(&texts).await,
            }
        };
        // what a pipeline keeps of a call is large, and there is one for each batch
        let mut vectors = match Box::pin(self.pipeline.run(call)).await {
            Ok(vectors) => vectors,
            Err(error) if fails_all(&error) => return Err(error),
            Err(error) => return Ok(Err(error)),
        };
        let space = self.store.space();
        let is_other = |vector: &Embedding| !vector.is_empty() && vector.len() != space.dimensions;
        let of_all = !vectors.is_empty() && vectors.iter().all(is_other);
        match checked(space, &mut vectors, texts.len()) {
            Err(error) if of_all => Err(error),
            checked => Ok(checked.map(|()| vectors)),
        }
    }
}

/// Tells whether an embedder's error is not about the texts that it was given.
fn fails_all(error: &Error) -> bool {
    let of_all = matches!(
        error.kind(),
        ErrorKind::Unauthorized
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::BudgetExhausted
            | ErrorKind::Cancelled
    );
    of_all || error.retry().is_retryable()
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
