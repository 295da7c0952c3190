//! The offline stand-in for a model: tasks by rules, for Korean and English lists, steps, goals and deeds.
//!
//! It knows list markers, ordinals, the endings of Korean verbs and the common English verb forms; it knows nothing of
//! the world. What it is worth is measured by [`eval`](crate::eval) on the committed posts, beside any model.

mod clause;
mod english;
mod item;
mod korean;
mod person;
mod timing;
mod verb;

pub(super) use english::base_of_irregular;

use std::ops::Range;

use pumasi_core::text::sentences;

use super::{Language, Post, PostKind, Task, doubt};

use clause::Clause;

/// Extracts tasks by rules: no model, no network, no state.
///
/// ```
/// use pumasi_llm_parse::task::{Post, PostKind, RuleTaskExtractor};
///
/// let post = Post::new("p", PostKind::Question, "토익 900점이 목표예요. 단어를 매일 외우려고 합니다.");
/// let tasks = RuleTaskExtractor::new().tasks(&post);
/// assert_eq!(tasks.len(), 2);
/// assert_eq!(tasks[1].title, "단어를 매일 외우기");
/// assert_eq!(tasks[1].timing.frequency.as_deref(), Some("매일"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RuleTaskExtractor {
    _private: (),
}

/// A task found, before it has its number.
struct Found {
    title: String,
    quote: Range<usize>,
    confidence: f32,
    follows_previous: bool,
}

impl RuleTaskExtractor {
    /// Names the rule set, where a model would be named.
    pub const NAME: &'static str = "rules-1";

    /// Makes the extractor.
    pub const fn new() -> Self {
        Self { _private: () }
    }

    /// Extracts the tasks of a post, in the order of the text. Never fails; a post without tasks gives none.
    pub fn tasks(self, post: &Post) -> Vec<Task> {
        let text = post.text();
        let body_start = text.len() - post.body.len();
        let language = post.language();
        let mut found = Vec::new();
        let mut tried = false;
        for block in item::blocks(&text, body_start) {
            if let Some(marker) = block.marker {
                // An open box is not done yet, a ticked one no longer needed.
                let open = post.kind == PostKind::Story;
                if tried || block.ticked.is_some_and(|ticked| ticked != open) {
                    continue;
                }
                if let Some(task) = from_item(&text, block.content, marker, language) {
                    found.push(task);
                }
            } else {
                tried = post.kind == PostKind::Question
                    && text.get(block.content.clone()).is_some_and(heads_what_was_tried);
                from_prose(&text, block.content, post.kind, language, &mut found);
            }
        }
        let source = doubt::Source::new(&text);
        let found = found.into_iter().enumerate();
        found.map(|(index, task)| finish(&text, &source, index, task, language)).collect()
    }
}

/// "Things I already tried:", "지금까지 해 본 것:" stands before a list of what is no longer needed.
fn heads_what_was_tried(prose: &str) -> bool {
    let Some(head) = prose.trim_end().strip_suffix([':', '：']) else { return false };
    let last = head.rsplit(['\n', '.', '!', '?']).next().unwrap_or(head).to_lowercase();
    ["tried", "already", "so far", "이미", "지금까지", "해 본 것", "해본 것", "시도한", "시도해"]
        .iter()
        .any(|mark| last.contains(mark))
}

fn from_item(text: &str, content: Range<usize>, marker: item::Marker, language: Language) -> Option<Found> {
    let content = without_pictographs(text, clause::trim(text, content, clause::SENTENCE_END));
    let words = text.get(content.clone())?;
    let language = language_of(words, language);
    if words.chars().filter(|c| c.is_alphanumeric()).count() < 2 || words.chars().count() > 200 {
        return None;
    }
    let title = match language {
        Language::Korean => korean::item_title(words),
        Language::English => english::item_title(words),
    };
    Some(Found { title, quote: content, confidence: 0.85, follows_previous: marker == item::Marker::Step })
}

/// Leaves out the emoji at either end.
fn without_pictographs(text: &str, range: Range<usize>) -> Range<usize> {
    let Some(words) = text.get(range.clone()) else { return range };
    let mark = |c: char| clause::is_pictograph(c) || c.is_whitespace();
    let start = range.start + (words.len() - words.trim_start_matches(mark).len());
    let end = range.start + words.trim_end_matches(mark).len();
    clause::trim(text, start..end.max(start), clause::SENTENCE_END)
}

/// The language of a sentence, which may be another one than the post's; a mixture is the post's.
fn language_of(words: &str, post: Language) -> Language {
    let hangul = words.chars().filter(|c| matches!(c, '가'..='힣')).count();
    let latin = words.chars().filter(char::is_ascii_alphabetic).count();
    match (hangul, latin) {
        (0, 0) => post,
        (0, _) => Language::English,
        // "I cooked 김치"
        _ if ["I ", "I'", "I’", "We "].iter().any(|subject| words.starts_with(subject)) => {
            Language::English
        }
        (hangul, latin) if hangul > latin => Language::Korean,
        _ => post,
    }
}

fn from_prose(text: &str, content: Range<usize>, kind: PostKind, language: Language, found: &mut Vec<Found>) {
    let Some(prose) = text.get(content.clone()) else { return };
    for sentence in sentences(prose) {
        let range = content.start + sentence.start..content.start + sentence.end;
        for Clause { span, words } in clause::clauses(text, range, kind == PostKind::Story) {
            let hit = match (language_of(words, language), kind) {
                (Language::Korean, PostKind::Story) => korean::deed(words),
                (Language::Korean, PostKind::Question) => korean::need(words),
                (Language::English, PostKind::Story) => english::deed(words),
                (Language::English, PostKind::Question) => english::need(words),
            };
            if let Some(hit) = hit {
                let quote = clause::trim(text, span.start..span.start + hit.quote_end, clause::SPACE);
                found.push(Found {
                    title: hit.title,
                    quote,
                    confidence: hit.confidence,
                    follows_previous: hit.follows_previous,
                });
            }
        }
    }
}

fn finish(text: &str, source: &doubt::Source<'_>, index: usize, found: Found, language: Language) -> Task {
    let order = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let quote = text.get(found.quote.clone()).unwrap_or_default();
    let language = language_of(quote, language);
    let mut task = Task::new(found.title, quote).with_order(order).with_span(found.quote.clone());
    task.timing = timing::read(quote, language);
    task.difficulty = timing::difficulty(quote, language);
    task.confidence = found.confidence;
    if found.follows_previous && order > 1 {
        task.prerequisites = vec![order - 1];
    }
    doubt::check(&mut task, source);
    task
}

/// What a rule saw in a clause.
struct Hit {
    title: String,
    /// How much of the clause is the quote, in bytes from its start.
    quote_end: usize,
    confidence: f32,
    follows_previous: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(kind: PostKind, body: &str) -> Vec<String> {
        RuleTaskExtractor::new()
            .tasks(&Post::new("p", kind, body))
            .into_iter()
            .map(|task| task.title)
            .collect()
    }

    #[test]
    fn korean_deeds_become_nominal_titles() {
        assert_eq!(
            titles(
                PostKind::Story,
                "단어를 매일 50개씩 외웠어요. 날씨가 좋았어요. 모의고사를 한 회 풀었습니다."
            ),
            ["단어를 매일 50개씩 외우기", "모의고사를 한 회 풀기"]
        );
    }

    #[test]
    fn english_needs_lose_their_modal() {
        assert_eq!(
            titles(
                PostKind::Question,
                "I need to take practice exams but they are expensive. It rains. How do I cancel it?"
            ),
            ["Take practice exams", "Cancel it"]
        );
    }

    #[test]
    fn numbered_steps_depend_on_the_step_before() {
        let post = Post::new("p", PostKind::Story, "1. Read the docs\n2. Built a small app\n");
        let tasks = RuleTaskExtractor::new().tasks(&post);
        assert_eq!(tasks[1].title, "Build a small app");
        assert_eq!(tasks[1].prerequisites, [1]);
        assert_eq!(&post.text()[tasks[1].span.clone().unwrap()], "Built a small app");
    }

    #[test]
    fn deeds_that_share_a_sentence_are_told_apart() {
        assert_eq!(
            titles(PostKind::Story, "아침에는 신문을 읽고 저녁에는 일기를 썼어요ㅎㅎ 물도 매일 2리터씩 마심"),
            ["아침에는 신문을 읽기", "저녁에는 일기를 쓰기", "물도 매일 2리터씩 마시기"]
        );
        assert_eq!(
            titles(
                PostKind::Story,
                "I cut sugar, joined a gym, and slept eight hours. Sold the car. What helped was cooking at home."
            ),
            ["Cut sugar", "Join a gym", "Sleep eight hours", "Sell the car", "Cook at home"]
        );
        assert_eq!(
            titles(PostKind::Story, "매일 6시에 일어나기로 했어요. 지금은 영어를 공부하고 있어요."),
            ["매일 6시에 일어나기", "지금은 영어를 공부하기"]
        );
    }

    #[test]
    fn plans_are_needs_and_refusals_and_past_attempts_are_not() {
        assert_eq!(
            titles(
                PostKind::Question,
                "내일부터 담배를 끊을 거예요. 운동도 시작하겠습니다. 살 빼는 방법 알려 주세요. 학원은 다니고 싶지 않아요. 외우려고 했는데 실패했어요. 어떻게 해야 하나요?"
            ),
            ["내일부터 담배를 끊기", "운동도 시작하기", "살 빼기"]
        );
        assert_eq!(
            titles(
                PostKind::Question,
                "I'm gonna sell my car. I don't want to move. I was going to quit. Wondering if I should hire a coach.\n\nThings I already tried:\n- Keto\n- Fasting"
            ),
            ["Sell my car", "Hire a coach"]
        );
    }

    #[test]
    fn emoji_end_a_sentence_and_stand_for_words() {
        assert_eq!(
            titles(
                PostKind::Story,
                "단어를 매일 외웠어요😊 모의고사를 한 회 풀었습니다!! 👍👍 일기도 매일 썼어요 ❤️"
            ),
            ["단어를 매일 외우기", "모의고사를 한 회 풀기", "일기도 매일 쓰기"]
        );
        assert_eq!(
            titles(PostKind::Story, "I joined a gym 💪 I cut sugar 🍬🚫\n- 🏃 Ran every day 🎉"),
            ["Join a gym", "Cut sugar", "Run every day"]
        );
        assert_eq!(titles(PostKind::Question, "단어를 매일 외우려고 합니다 🙏"), ["단어를 매일 외우기"]);
        assert_eq!(
            titles(PostKind::Question, "I want to learn Rust 🦀 by spring."),
            ["Learn Rust 🦀 by spring"]
        );
    }

    #[test]
    fn an_open_box_is_not_done_and_a_ticked_one_no_longer_needed() {
        let list = "- [ ] Read the docs\n- [x] Built a small app\n- Wrote a test\n";
        assert_eq!(titles(PostKind::Story, list), ["Build a small app", "Write a test"]);
        let list = "- [ ] Read the docs\n- [x] Build a small app\n- Write a test\n";
        assert_eq!(titles(PostKind::Question, list), ["Read the docs", "Write a test"]);
        assert_eq!(titles(PostKind::Story, "☐ 단어 외우기\n☑ 모의고사 풀기"), ["모의고사 풀기"]);
    }

    #[test]
    fn an_item_that_is_struck_out_or_called_done_is_done() {
        let list = "1. Buy milk\n2. (done) Call mom\n3. ~~Clean room~~\n4. Write to Ann (done)\n5. [완료] 책 읽기\n6. 운동하기 (완료)\n7. ~~Old~~ Sell the car\n8. Get it done\n";
        assert_eq!(titles(PostKind::Question, list), ["Buy milk", "~~Old~~ Sell the car", "Get it done"]);
        let list = "- (done) Called mom\n- ~~Cleaned the room~~\n- (todo) Sell the car\n- 책 읽기 (완료)\n- 운동하기 (예정)\n";
        assert_eq!(titles(PostKind::Story, list), ["Call mom", "Clean the room", "책 읽기"]);
    }

    #[test]
    fn a_sentence_in_the_other_language_is_read_by_its_own_rules() {
        let post = Post::new(
            "p",
            PostKind::Story,
            "I joined a gym and I cut sugar. 단어를 매일 30분씩 외웠어요. I cooked 김치.",
        );
        let tasks = RuleTaskExtractor::new().tasks(&post);
        let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
        assert_eq!(titles, ["Join a gym", "Cut sugar", "단어를 매일 30분씩 외우기", "Cook 김치"]);
        assert_eq!(tasks[2].timing.duration_minutes, Some(30));
        let post = Post::new(
            "p",
            PostKind::Story,
            "단어를 매일 외웠어요. 모의고사도 한 회 풀었습니다. I ran every day.",
        );
        assert_eq!(RuleTaskExtractor::new().tasks(&post)[2].title, "Run every day");
    }

    #[test]
    fn a_post_without_tasks_gives_none() {
        assert!(titles(PostKind::Story, "오늘 날씨가 참 좋네요.").is_empty());
        assert!(titles(PostKind::Question, "").is_empty());
    }
}
