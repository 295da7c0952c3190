//! A failure that can be had on purpose where rules stand in for a model, so that there is one to look at and to retry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pumasi_llm_parse::extract::{ExtractError, ExtractErrorKind, Extraction, Result};
use pumasi_llm_parse::task::{ExtractTasks, Post, Task};

/// The word by which a post asks for it.
pub(super) const WORD: &str = "#fail-first";
/// How many posts are remembered; to forget one has it fail again.
const MOST: usize = 1_000;

/// Fails the first attempts at a post that asks for it, in this process, as a model does whose answers do not fit the schema.
#[derive(Debug)]
pub(super) struct Rehearsed {
    inner: Arc<dyn ExtractTasks>,
    attempts: u32,
    made: Mutex<HashMap<String, u32>>,
}

impl Rehearsed {
    /// Fails as many attempts as are made before a post has failed.
    pub(super) fn new(inner: Arc<dyn ExtractTasks>, attempts: u32) -> Self {
        Self { inner, attempts, made: Mutex::default() }
    }

    fn shall_fail(&self, post: &Post) -> bool {
        if !post.text().contains(WORD) {
            return false;
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MOST && !made.contains_key(&post.id) {
            made.clear();
        }
        let made = made.entry(post.id.clone()).or_default();
        *made = made.saturating_add(1);
        *made <= self.attempts
    }
}

#[async_trait]
impl ExtractTasks for Rehearsed {
    fn version(&self) -> &str {
        self.inner.version()
    }

    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>> {
        if self.shall_fail(post) {
            return Err(ExtractError::new(ExtractErrorKind::OffSchema, "rehearsed, as the post asks"));
        }
        self.inner.extract_tasks(post).await
    }
}
