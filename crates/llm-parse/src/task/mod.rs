//! Posts become tasks: what a story accomplished, what a question needs, and which of them match.

mod batch;
mod data;
mod doubt;
mod draft;
mod extractor;
mod fields;
mod instructions;
mod matcher;
mod pipeline;
mod post;
mod rules;
mod seam;

pub use batch::PostBatch;
pub use data::{Difficulty, Task, Timing};
pub use doubt::TaskPart;
pub use draft::TaskDraft;
pub use extractor::TaskExtractor;
pub use fields::check_filter;
pub use matcher::{Match, TaskMatcher};
#[cfg(feature = "postgres")]
pub use pipeline::PostgresTaskStore;
#[cfg(feature = "sqlite")]
pub use pipeline::SqliteTaskStore;
pub use pipeline::{
    MemoryTaskStore, TaskEvent, TaskFailure, TaskOrder, TaskPipeline, TaskPlace, TaskQuery, TaskRecord,
    TaskState, TaskStore,
};
pub use post::{Language, Post, PostKind};
pub use rules::RuleTaskExtractor;
pub use seam::ExtractTasks;
