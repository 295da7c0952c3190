//! Tasks by asking a model.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::event::EventId;
use pumasi_core::model::ChatModel;

use super::draft::into_tasks;
use super::{ExtractTasks, Language, Post, PostKind, Task, TaskDraft, instructions};
use crate::extract::{
    AnswerLanguage, Builder, Extract, ExtractError, ExtractErrorKind, Extraction, Extractor, Grounding,
    PromptLanguage, Result,
};

type Drafts = Vec<TaskDraft>;

/// Finds tasks by asking a model: one prompt for stories and one for questions, each in Korean and in English.
///
/// Every task must quote the post ([`Grounding::Require`]): one that quotes what is not there is asked for again and then
/// left out, with its reason in [`Extraction::rejected`]. A task whose day, length of time, numbers or names its quote
/// contradicts is kept and marked: [`Task::support`] and [`Task::doubts`].
///
/// ```
/// use std::sync::Arc;
/// use pumasi_core::model::{Reply, ScriptedModel};
/// use pumasi_llm_parse::task::{ExtractTasks, Post, PostKind, TaskExtractor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // a scripted model, in place of `OpenAiCompatible`
/// let answer = r#"{"items": [{"title": "스페인어 배우기", "quote": "스페인어를 배우고 싶습니다"}]}"#;
/// let extractor = TaskExtractor::new(Arc::new(ScriptedModel::new([Reply::text(answer)])))?;
///
/// let post = Post::new("p1", PostKind::Question, "올해는 스페인어를 배우고 싶습니다.");
/// let found = extractor.extract_tasks(&post).await?;
/// assert_eq!(found.value[0].title, "스페인어 배우기");
/// assert_eq!(&post.text()[found.value[0].span.clone().unwrap()], "스페인어를 배우고 싶습니다");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TaskExtractor {
    story_ko: Extractor<Drafts>,
    story_en: Extractor<Drafts>,
    question_ko: Extractor<Drafts>,
    question_en: Extractor<Drafts>,
    version: String,
}

impl TaskExtractor {
    /// Makes an extractor that asks `model`.
    ///
    /// # Errors
    ///
    /// Those of [`configured`](Self::configured).
    pub fn new(model: Arc<dyn ChatModel>) -> Result<Self> {
        Self::configured(model, |builder| builder)
    }

    /// Makes an extractor whose four prompts go through `configure`: budget, price, cache, re-asks, chunks, and the like.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if what `configure` sets breaks a rule.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an extractor owns its model, as everywhere in this crate"
    )]
    pub fn configured(
        model: Arc<dyn ChatModel>,
        configure: impl Fn(Builder<Drafts>) -> Builder<Drafts>,
    ) -> Result<Self> {
        let make = |kind, language| prompt(Arc::clone(&model), kind, language, &configure);
        let mut extractor = Self {
            story_ko: make(PostKind::Story, Language::Korean)?,
            story_en: make(PostKind::Story, Language::English)?,
            question_ko: make(PostKind::Question, Language::Korean)?,
            question_en: make(PostKind::Question, Language::English)?,
            version: String::new(),
        };
        let parts =
            [&extractor.story_ko, &extractor.story_en, &extractor.question_ko, &extractor.question_en];
        let versions: Vec<&str> = parts.iter().map(super::super::extract::Extract::version).collect();
        let digest = EventId::named(model.name(), &versions.join(" ")).to_string();
        let short = digest.get(..8).unwrap_or_default();
        extractor.version = format!("{}-{short} ({})", instructions::VERSION, model.name());
        Ok(extractor)
    }

    fn for_post(&self, post: &Post) -> &Extractor<Drafts> {
        match (post.kind, post.language()) {
            (PostKind::Story, Language::Korean) => &self.story_ko,
            (PostKind::Story, Language::English) => &self.story_en,
            (PostKind::Question, Language::Korean) => &self.question_ko,
            (PostKind::Question, Language::English) => &self.question_en,
        }
    }
}

fn prompt(
    model: Arc<dyn ChatModel>,
    kind: PostKind,
    language: Language,
    configure: &impl Fn(Builder<Drafts>) -> Builder<Drafts>,
) -> Result<Extractor<Drafts>> {
    let (source, drafts) = instructions::example(kind, language);
    let (prompt_language, answer_language) = match language {
        Language::Korean => (PromptLanguage::Korean, AnswerLanguage::Korean),
        Language::English => (PromptLanguage::English, AnswerLanguage::English),
    };
    let name = match kind {
        PostKind::Story => "story_tasks",
        PostKind::Question => "question_tasks",
    };
    let builder = Extractor::<Drafts>::builder(model)
        .with_name(name)
        .with_instructions(instructions::text(kind, language))
        .with_prompt_language(prompt_language)
        .with_answer_language(answer_language)
        .with_example(source, &drafts)
        .with_grounding(Grounding::Require)
        .with_temperature(0.0);
    configure(builder).build()
}

#[async_trait]
impl ExtractTasks for TaskExtractor {
    fn version(&self) -> &str {
        &self.version
    }

    async fn extract_tasks(&self, post: &Post) -> Result<Extraction<Vec<Task>>> {
        if post.body.trim().is_empty() {
            return Err(ExtractError::new(
                ExtractErrorKind::EmptySource,
                format!("post {} has no text", post.id),
            ));
        }
        let source = post.text();
        let mut found = self.for_post(post).extract(&source).await?;
        let drafts = std::mem::take(&mut found.value);
        let tasks = into_tasks(drafts, &mut found.grounding, &mut found.origins, &source, found.confidence);
        let mut found = found.map(|_| tasks);
        found.version.clone_from(&self.version);
        Ok(found)
    }
}

impl fmt::Debug for TaskExtractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskExtractor").field("version", &self.version).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use pumasi_core::model::{Reply, ScriptedModel};

    use super::*;
    use crate::extract::Support;
    use crate::task::TaskPart;

    fn extractor(answers: &[&str]) -> TaskExtractor {
        let replies: Vec<Reply> = answers.iter().map(|answer| Reply::text(*answer)).collect();
        TaskExtractor::new(Arc::new(ScriptedModel::new(replies))).unwrap()
    }

    #[tokio::test]
    async fn a_messy_answer_becomes_grounded_tasks() {
        let answer = "네, 찾았습니다!\n```json\n[{title: '단어 외우기', quote: \"단어를 매일 50개씩 외웠어요\", frequency: '매일', \
                      prerequisites: None,}, {title: '모의고사 풀기', quote: '모의고사를 풀었습니다', prerequisites: [1]}\n```";
        let post =
            Post::new("p", PostKind::Story, "단어를 매일 50개씩 외웠어요. 주말엔 모의고사를 풀었습니다.");
        let found = extractor(&[answer, "[]", "[]"]).extract_tasks(&post).await.unwrap();
        assert_eq!(found.value.len(), 2);
        assert_eq!(found.value[0].timing.frequency.as_deref(), Some("매일"));
        assert_eq!(found.value[1].prerequisites, [1]);
        for task in &found.value {
            assert_eq!(post.text()[task.span.clone().unwrap()], task.quote);
        }
    }

    #[tokio::test]
    async fn a_task_that_quotes_what_is_not_there_is_left_out_with_its_reason() {
        let answer = r#"[{"title": "단어 외우기", "quote": "단어를 외웠어요"}, {"title": "면접 준비하기", "quote": "면접을 준비했어요"}]"#;
        let post = Post::new("p", PostKind::Story, "단어를 외웠어요. 그게 다예요.");
        let found = extractor(&[answer, "[]", "[]", "[]"]).extract_tasks(&post).await.unwrap();
        assert_eq!(found.value.len(), 1);
        assert_eq!(found.rejected.len(), 1);
    }

    #[tokio::test]
    async fn prerequisites_name_the_same_tasks_when_others_are_left_out() {
        let task = |title: &str, quote: &str, before: &str| {
            format!(r#"{{"title": "{title}", "quote": "{quote}", "prerequisites": [{before}]}}"#)
        };
        let items = [
            task("학원 등록하기", "학원에 등록했어요", ""),
            task("단어 외우기", "단어를 외웠어요", "1"),
            task("문법 배우기", "문법을 배웠어요", ""),
            task("시험 보기", "시험을 봤어요", "2"),
        ];
        let answer = format!(r#"{{"items": [{}]}}"#, items.join(", "));
        let post = Post::new("p", PostKind::Story, "단어를 외웠어요. 문법을 배웠어요. 시험을 봤어요.");
        // nobody enrolled: the model takes that back, or insists
        for again in [r#"{"1": null}"#, r#"{"1": "학원에 등록했어요"}"#] {
            let found = extractor(&[&answer, again, again, again]).extract_tasks(&post).await.unwrap();
            let before: Vec<_> =
                found.value.iter().map(|task| (task.title.as_str(), task.prerequisites.clone())).collect();
            assert_eq!(before, [("단어 외우기", vec![]), ("문법 배우기", vec![]), ("시험 보기", vec![1])]);
        }
    }

    #[tokio::test]
    async fn prerequisites_stay_within_their_part_of_a_long_post() {
        let words = "단어를 외웠어요.";
        let text = format!("{words}{} 이력서를 썼어요. 면접을 봤어요.", " 그냥 쉬었어요.".repeat(60));
        let first = r#"{"items": [{"title": "단어 외우기", "quote": "단어를 외웠어요"}]}"#;
        let second = r#"{"items": [{"title": "이력서 쓰기", "quote": "이력서를 썼어요"},
            {"title": "면접 보기", "quote": "면접을 봤어요", "prerequisites": [1]}]}"#;
        let parts = crate::extract::Chunking::new(200);
        let model = ScriptedModel::answering(move |request| {
            let asked: String = request.messages.iter().map(|message| message.content.as_str()).collect();
            let found = [("단어를 외웠어요", first), ("이력서를 썼어요", second)];
            let of_part = found.iter().find(|(words, _)| asked.contains(words));
            Reply::text(of_part.map_or(r#"{"items": []}"#, |(_, answer)| answer))
        });
        let extractor = TaskExtractor::configured(Arc::new(model), |prompt| {
            prompt.with_chunks(parts, |draft: &TaskDraft| draft.title.clone())
        })
        .unwrap();
        let found = extractor.extract_tasks(&Post::new("p", PostKind::Story, text)).await.unwrap();
        let before: Vec<_> =
            found.value.iter().map(|task| (task.title.as_str(), task.prerequisites.clone())).collect();
        assert_eq!(before, [("단어 외우기", vec![]), ("이력서 쓰기", vec![]), ("면접 보기", vec![2])]);
    }

    #[tokio::test]
    async fn an_answer_in_another_language_alone_is_an_error() {
        let answer = r#"{"items": [{"title": "매일 아침 일찍 일어나서 공원까지 달리기", "detail": "비가 와도 빠지지 않고 꾸준히 뛰었다고 한다", "quote": "I ran every day"}]}"#;
        let post = Post::new("p", PostKind::Story, "I ran every day. It was fun and I will go on with it.");
        let error = extractor(&[answer, answer, answer]).extract_tasks(&post).await.unwrap_err();
        assert_eq!(error.kind(), ExtractErrorKind::WrongLanguage);
        let taken_back = extractor(&[answer, r#"{"1": null, "2": null}"#]).extract_tasks(&post).await;
        assert!(taken_back.is_ok_and(|found| found.value.is_empty()), "nothing to find is an answer");
    }

    #[tokio::test]
    async fn a_task_that_its_quote_contradicts_is_marked() {
        let answer = r#"{"items": [{"title": "Learn Rust", "quote": "I want to learn Rust by 2027-04-04", "due": "2027-03-04"},
            {"title": "Build a game", "quote": "build a game in 2 hours", "duration_minutes": 120}]}"#;
        let post = Post::new(
            "p",
            PostKind::Question,
            "I want to learn Rust by 2027-04-04 and build a game in 2 hours.",
        );
        let found = extractor(&[answer, answer]).extract_tasks(&post).await.unwrap();
        assert_eq!(
            (found.value[0].support, found.value[1].support),
            (Support::Unsupported, Support::Supported)
        );
        assert_eq!(found.value[0].doubts, [TaskPart::Due]);
        assert!(found.value[0].confidence <= 0.5 * found.value[1].confidence);
        assert_eq!(found.grounding.quotes[0].support, Support::Unsupported);
    }

    #[tokio::test]
    async fn a_title_of_the_prompts_example_is_turned_down_though_its_quote_stands_in_the_post() {
        let leaked = r#"{"title": "필기 문제집 다 풀기", "quote": "스페인어를 배우고 싶습니다"}"#;
        let answer = format!(
            r#"{{"items": [{leaked}, {{"title": "발음 고치기", "quote": "발음도 고치고 싶어요"}}]}}"#
        );
        let post =
            Post::new("p", PostKind::Question, "올해는 스페인어를 배우고 싶습니다. 발음도 고치고 싶어요.");
        let found = extractor(&[&answer, "{}", "{}", "{}"]).extract_tasks(&post).await.unwrap();
        assert_eq!(found.value.iter().map(|task| task.title.as_str()).collect::<Vec<_>>(), ["발음 고치기"]);
        assert!(found.rejected.iter().any(|failure| failure.kind == ExtractErrorKind::Leaked));
        // who wants the same as the example's author says so
        let own = r#"{"items": [{"title": "운전면허 따기", "quote": "운전면허를 올해 꼭 따려고요"}]}"#;
        let post = Post::new("p", PostKind::Question, "운전면허를 올해 꼭 따려고요. 도와주세요.");
        assert_eq!(extractor(&[own, own]).extract_tasks(&post).await.unwrap().value.len(), 1);
    }

    #[tokio::test]
    async fn a_post_without_text_costs_no_call() {
        let error = extractor(&[]).extract_tasks(&Post::new("p", PostKind::Story, " ")).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (ExtractErrorKind::EmptySource, 0));
    }
}
