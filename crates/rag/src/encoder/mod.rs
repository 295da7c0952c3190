//! Transformers of the BERT family in this process: what sentence encoders and cross-encoders share.

#[cfg(feature = "local")]
mod head;
#[cfg(feature = "local")]
mod kernels;
#[cfg(feature = "local")]
mod model;
mod reader;
mod settings;
mod tokens;
#[cfg(feature = "local")]
mod weights;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "local")]
use rayon::prelude::*;
#[cfg(feature = "local")]
use rayon::{ThreadPool, ThreadPoolBuilder};

#[cfg(feature = "local")]
pub(crate) use head::Head;
#[cfg(feature = "local")]
pub(crate) use model::Model;
pub(crate) use reader::Reader;
#[cfg(feature = "ort")]
pub(crate) use settings::Pooling;
pub(crate) use settings::{Settings, damaged, read};
pub use tokens::EncoderTokens;
pub(crate) use tokens::{Text, Tokens};
#[cfg(feature = "local")]
pub(crate) use weights::Weights;

use crate::{Error, ErrorKind, Result};

/// Orders texts by length, the longest first, and parts them into batches that have at most `most` tokens when all of a batch are as
/// long as its first; a longer text is alone.
pub(crate) fn batches(texts: &[Text], most: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> = texts.iter().map(|text| text.ids.len()).enumerate().collect();
    order.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some((_, longest)) = rest.first() {
        let fitting = (most / (*longest).max(1)).clamp(1, rest.len());
        let (batch, later) = rest.split_at(fitting);
        batches.push(batch.iter().map(|(at, _)| *at).collect());
        rest = later;
    }
    batches
}

/// Puts what was computed of batches into the order of the texts.
pub(crate) fn in_order<T>(batches: Vec<Vec<usize>>, computed: Vec<Vec<T>>) -> Vec<T> {
    let mut placed: Vec<(usize, T)> =
        batches.into_iter().flatten().zip(computed.into_iter().flatten()).collect();
    placed.sort_unstable_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, value)| value).collect()
}

/// Computes something of each text on the pool's threads, about `most` tokens at once and thread.
#[cfg(feature = "local")]
pub(crate) fn compute<T: Send>(
    pool: &ThreadPool,
    texts: &[Text],
    most: usize,
    of: impl Fn(&[&Text]) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let batches = batches(texts, most);
    let of = |batch: &Vec<usize>| of(&batch.iter().filter_map(|at| texts.get(*at)).collect::<Vec<&Text>>());
    let computed = || batches.par_iter().map(of).collect::<Result<Vec<Vec<T>>>>();
    let computed = pool.install(computed)?;
    Ok(in_order(batches, computed))
}

#[cfg(feature = "local")]
pub(crate) fn threads(count: usize) -> Result<Arc<ThreadPool>> {
    let pool =
        ThreadPoolBuilder::new().num_threads(count).thread_name(|at| format!("pumasi-encoder-{at}")).build();
    let none = |error| Error::new(ErrorKind::Unavailable, "no threads for the encoder").with_source(error);
    pool.map(Arc::new).map_err(none)
}

/// Whether whoever asked is still there.
#[derive(Clone)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// Something that is wanted whatever happens.
    pub(crate) fn always() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// # Errors
    ///
    /// `Cancelled` where nobody waits any more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Cancelled, "what is computed was no longer wanted"))
    }
}

/// Says so when whoever asked is gone.
struct Asked(Wanted);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// Computes apart from the runtime's threads, and tells the computation when the future is dropped.
pub(crate) async fn apart<T: Send + 'static>(
    compute: impl FnOnce(&Wanted) -> Result<T> + Send + 'static,
) -> Result<T> {
    let asked = Asked(Wanted::always());
    let wanted = asked.0.clone();
    let wrong = |error| Error::new(ErrorKind::Other, "the encoder broke off").with_source(error);
    tokio::task::spawn_blocking(move || compute(&wanted)).await.map_err(wrong)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_texts_of_like_lengths_and_results_come_back_in_order() {
        let text = |length| Text { ids: vec![1; length], types: vec![0; length] };
        let texts: Vec<Text> = [3, 10, 2, 900, 10, 0].map(text).into();
        let parted = batches(&texts, 20);
        assert_eq!(parted, [vec![3], vec![1, 4], vec![0, 2, 5]]);
        let lengths =
            parted.iter().map(|batch| batch.iter().map(|at| texts[*at].ids.len()).collect()).collect();
        assert_eq!(in_order(parted, lengths), [3, 10, 2, 900, 10, 0]);
        assert!(batches(&[], 20).is_empty());
    }
}
