//! Posts in a batch.

use async_trait::async_trait;

use super::{ExtractTasks, Post, Task};
use crate::extract::{BatchItem, Extract, ExtractError, ExtractErrorKind, Extraction, Result};

/// Lets a [`Batch`](crate::extract::Batch) run over posts: bounded, with progress, a budget and a journal to resume from.
///
/// The source of an item is the whole post as JSON, so that an edit of any field makes it another source. Spans refer to
/// [`Post::text`], as everywhere in this module.
///
/// ```
/// use pumasi_llm_parse::extract::Batch;
/// use pumasi_llm_parse::task::{Post, PostBatch, PostKind, RuleTaskExtractor};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let posts = [Post::new("a", PostKind::Question, "영어를 배우고 싶습니다."), Post::new("b", PostKind::Question, "")];
/// let extractor = PostBatch::new(RuleTaskExtractor::new());
/// let report = Batch::new(&extractor).run(posts.iter().map(PostBatch::item)).await;
/// assert_eq!(report.outcomes[0].result.as_ref().map(|found| found.value.len()).ok(), Some(1));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct PostBatch<E> {
    inner: E,
}

impl PostBatch<()> {
    /// Makes the item of a post, under the post's identifier.
    pub fn item(post: &Post) -> BatchItem {
        BatchItem::new(post.id.clone(), serde_json::to_vec(post).unwrap_or_default())
    }
}

impl<E: ExtractTasks> PostBatch<E> {
    /// Runs `inner` over posts.
    pub const fn new(inner: E) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl<E: ExtractTasks> Extract<Vec<Task>> for PostBatch<E> {
    fn version(&self) -> &str {
        self.inner.version()
    }

    async fn extract(&self, source: &str) -> Result<Extraction<Vec<Task>>> {
        let post: Post = serde_json::from_str(source)
            .map_err(|_| ExtractError::new(ExtractErrorKind::NotText, "the item is not a post as JSON"))?;
        self.inner.extract_tasks(&post).await
    }
}
