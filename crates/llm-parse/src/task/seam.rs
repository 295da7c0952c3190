//! The seam between posts and whoever finds the tasks in them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Post, RuleTaskExtractor, Task};
use crate::extract::{
    AskMode, Attempt, AttemptKind, Extraction, Grounded, Quote, QuoteFit, Result, SourceSpan,
};

/// Finds the tasks of a post: what a story accomplished, or what a question needs.
///
/// [`TaskExtractor`](super::TaskExtractor) asks a model; [`RuleTaskExtractor`] is the offline stand-in.
///
/// What every implementation guarantees, beside what [`Extract`](crate::extract::Extract) does:
///
/// 1. **Order.** Tasks are numbered from 1 in [`Task::order`], without gaps; a prerequisite is the number of an earlier task.
/// 2. **Spans.** [`Task::span`] is a place in [`Post::text`] on character boundaries, and [`Task::quote`] is what stands there.
#[async_trait]
pub trait ExtractTasks: fmt::Debug + Send + Sync {
    /// Names the prompt or the rule set, and its version.
    fn version(&self) -> &str;

    /// Extracts the tasks of `post`; a post without tasks gives an empty list.
    ///
    /// # Errors
    ///
    /// Those of [`ExtractErrorKind`](crate::extract::ExtractErrorKind), each with what was tried and used by then.
    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>>;
}

#[async_trait]
impl<E: ExtractTasks + ?Sized> ExtractTasks for Arc<E> {
    fn version(&self) -> &str {
        (**self).version()
    }

    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>> {
        (**self).extract_tasks(post).await
    }
}

#[async_trait]
impl ExtractTasks for RuleTaskExtractor {
    fn version(&self) -> &str {
        Self::NAME
    }

    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>> {
        let tasks = self.tasks(post);
        let grounding = grounded(&post.text(), &tasks);
        let confidence = tasks.iter().map(|task| task.confidence).fold(1.0, f32::min);
        let attempt = Attempt::new(AttemptKind::Rules, AskMode::Text, Self::NAME);
        Ok(Extraction::new(tasks, Self::NAME)
            .with_grounding(grounding)
            .with_attempts(vec![attempt])
            .with_confidence(confidence))
    }
}

fn grounded(text: &str, tasks: &[Task]) -> Grounded {
    let quotes = tasks.iter().enumerate().filter_map(|(index, task)| {
        let span = SourceSpan::of(text, task.span.clone()?)?;
        Some(Quote::new(format!("/{index}/quote"), span, QuoteFit::Exact, 1.0))
    });
    Grounded::new(quotes.collect(), Vec::new())
}
