//! Whether a task says what its quote says.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use serde::{Deserialize, Serialize};

use super::Task;
use super::rules::base_of_irregular;
use crate::extract::Support;
use crate::ground::time::{Length, iso_day};
use crate::ground::{self, Doubt, Known};

/// A part of a task that the post may contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskPart {
    /// [`Task::title`].
    Title,
    /// [`Task::detail`].
    Detail,
    /// [`Timing::due`](super::Timing::due).
    Due,
    /// [`Timing::duration_minutes`](super::Timing::duration_minutes).
    DurationMinutes,
    /// [`Timing::frequency`](super::Timing::frequency).
    Frequency,
}

impl TaskPart {
    /// Names the part as [`Task`]'s JSON does.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Detail => "detail",
            Self::Due => "due",
            Self::DurationMinutes => "duration_minutes",
            Self::Frequency => "frequency",
        }
    }
}

/// A post that its tasks are compared with, and how much more of it may be looked at: where hundreds of tasks of a long
/// post each need the whole of it, the last ones stay unchecked.
pub(super) struct Source<'a> {
    text: &'a str,
    left: Cell<usize>,
    known: OnceCell<Known>,
    spelled: OnceCell<Known>,
}

impl<'a> Source<'a> {
    /// Bytes in all; ordinary posts have a few thousand.
    const MOST: usize = 4 << 20;

    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            left: Cell::new(Self::MOST.max(text.len())),
            known: OnceCell::new(),
            spelled: OnceCell::new(),
        }
    }

    /// What stands in the post, with the base forms of its irregular verbs.
    fn known(&self) -> &Known {
        self.known.get_or_init(|| Known::new(&with_base_forms(self.text)))
    }

    /// The same with its frequencies spelled out.
    fn spelled(&self) -> &Known {
        self.spelled.get_or_init(|| Known::new(&with_base_forms(&spelled_out(self.text))))
    }

    fn look(&self) -> Option<&'a str> {
        self.left.set(self.left.get().checked_sub(self.text.len())?);
        Some(self.text)
    }
}

/// Compares the parts of `task` with its quote, and where that is silent with the whole `source`.
///
/// A part is in doubt if the quote says otherwise (another day, another length of time, another number or name, or that the
/// deed is not done), or if nothing of it stands anywhere in the post. What is only worded otherwise is not.
pub(super) fn check(task: &mut Task, source: &Source<'_>) {
    let quote = task.quote.as_str();
    let mut verdicts = Vec::new();
    let texts = [(TaskPart::Title, Some(&task.title)), (TaskPart::Detail, task.detail.as_ref())];
    for (part, text) in texts {
        verdicts.extend(text.map(|text| {
            (part, text_support(quote, text, || source.known(), || source.look().map(Cow::from)))
        }));
    }
    if let Some(frequency) = &task.timing.frequency {
        let post = || source.look().map(|source| spelled_out(source).into());
        let verdict = text_support(&spelled_out(quote), &spelled_out(frequency), || source.spelled(), post);
        verdicts.push((TaskPart::Frequency, verdict));
    }
    if let Some(due) = &task.timing.due {
        let day = iso_day(due);
        let said = |words: &str| day.map_or(ground::Support::Unknown, |day| ground::date_support(words, day));
        verdicts.push((TaskPart::Due, time_support(said, source, quote)));
    }
    if let Some(minutes) = task.timing.duration_minutes {
        let length = Length::of_minutes(minutes.into());
        let said = |words: &str| ground::length_support(words, length);
        verdicts.push((TaskPart::DurationMinutes, time_support(said, source, quote)));
    }
    task.doubts = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Support::Unsupported)
        .map(|(part, _)| *part)
        .collect();
    task.doubts.sort_unstable();
    task.support = if !task.doubts.is_empty() {
        Support::Unsupported
    } else if verdicts.iter().any(|(_, verdict)| *verdict == Support::Supported) {
        Support::Supported
    } else {
        Support::Unchecked
    };
}

/// Judges a text by its quote, and by the post where the quote does not tell.
fn text_support<'a>(
    quote: &str,
    text: &str,
    known: impl FnOnce() -> &'a Known,
    post: impl FnOnce() -> Option<Cow<'a, str>>,
) -> Support {
    let verdict = ground::support(quote, text);
    // a number of the quote's own is no other sentence's
    let contradicts = matches!(verdict, ground::Support::Unsupported(Doubt::Number | Doubt::Date))
        && ground::names_number(quote);
    if contradicts || ground::denies(quote, text) || ground::opposes(&with_base_forms(quote), text) {
        return Support::Unsupported;
    }
    match verdict {
        ground::Support::Supported => Support::Supported,
        ground::Support::Unsupported(doubt) => {
            // the title may name what an earlier sentence named, and may say it in other words
            let nowhere = if doubt == Doubt::Words {
                known().lacks(text)
            } else {
                let Some(source) = post() else { return Support::Unchecked };
                matches!(
                    ground::support(&source, text),
                    ground::Support::Unsupported(Doubt::Number | Doubt::Date | Doubt::Name)
                )
            };
            if nowhere { Support::Unsupported } else { Support::Unchecked }
        }
        ground::Support::Unknown => Support::Unchecked,
    }
}

/// Adds the base forms of the irregular verbs: "I ran" is told of by "run".
fn with_base_forms(source: &str) -> String {
    let lower = source.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words.filter_map(base_of_irregular).fold(source.to_owned(), |all, base| all + " " + base)
}

/// Says "daily" as "every day" does, and leaves out what all such words share.
fn spelled_out(frequency: &str) -> String {
    const FORMS: [(&str, &str); 10] = [
        ("daily", "every day"),
        ("nightly", "every night"),
        ("weekly", "every week"),
        ("monthly", "every month"),
        ("yearly", "every year"),
        ("날마다", "매일"),
        ("주마다", "매주"),
        ("달마다", "매달"),
        ("every ", " "),
        ("each ", " "),
    ];
    FORMS.iter().fold(frequency.to_lowercase(), |text, (short, long)| text.replace(short, long))
}

/// Judges a day or a length of time by what the quote says of it, and by the whole post where the quote is silent.
fn time_support(said: impl Fn(&str) -> ground::Support, source: &Source<'_>, quote: &str) -> Support {
    match said(quote) {
        ground::Support::Supported => return Support::Supported,
        ground::Support::Unsupported(_) => return Support::Unsupported,
        ground::Support::Unknown => {}
    }
    let Some(source) = source.look() else { return Support::Unchecked };
    match said(source) {
        // another sentence may say it; a post that says another one, or none at all, does not
        ground::Support::Unsupported(_) => Support::Unsupported,
        ground::Support::Unknown if !ground::names_time(source) && !ground::names_time(quote) => {
            Support::Unsupported
        }
        _ => Support::Unchecked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Post, PostKind, RuleTaskExtractor, Timing};

    fn doubts(post: &str, quote: &str, change: impl FnOnce(&mut Task)) -> Vec<TaskPart> {
        let mut task = Task::new(quote, quote);
        change(&mut task);
        check(&mut task, &Source::new(post));
        task.doubts
    }

    fn due(day: &str) -> impl FnOnce(&mut Task) {
        move |task| task.timing.due = Some(day.to_owned())
    }

    fn lasts(minutes: u32) -> impl FnOnce(&mut Task) {
        move |task| task.timing.duration_minutes = Some(minutes)
    }

    #[test]
    fn a_due_day_other_than_the_quotes_is_in_doubt() {
        let english = "I want to learn Rust by 2027-04-04";
        assert_eq!(doubts(english, english, due("2027-03-04")), [TaskPart::Due]);
        assert_eq!(doubts(english, english, due("2027-04-04")), []);
        let korean = "2027년 4월 4일까지 러스트를 배우고 싶습니다";
        assert_eq!(doubts(korean, korean, due("2027-04-05")), [TaskPart::Due]);
        assert_eq!(doubts(korean, korean, due("2027-04-04")), []);
        // another sentence says it
        let post = "마감은 2027년 4월 4일입니다. 러스트를 배우고 싶습니다.";
        assert_eq!(doubts(post, "러스트를 배우고 싶습니다", due("2027-04-04")), []);
        assert_eq!(doubts(post, "러스트를 배우고 싶습니다", due("2027-05-04")), [TaskPart::Due]);
        // nobody said it
        assert_eq!(
            doubts("러스트를 배우고 싶습니다", "러스트를 배우고 싶습니다", due("2027-05-04")),
            [TaskPart::Due]
        );
        // a day that needs the day of writing cannot be told
        assert_eq!(
            doubts("다음 주까지 끝내고 싶습니다", "다음 주까지 끝내고 싶습니다", due("2027-05-04")),
            []
        );
    }

    #[test]
    fn a_length_of_time_or_a_number_other_than_the_quotes_is_in_doubt() {
        let quote = "매일 30분씩 주 3회 공부했습니다";
        assert_eq!(doubts(quote, quote, lasts(30)), []);
        assert_eq!(doubts(quote, quote, lasts(90)), []);
        assert_eq!(doubts(quote, quote, lasts(45)), [TaskPart::DurationMinutes]);
        let english = "I ran 5 km for half an hour twice a week";
        assert_eq!(doubts(english, english, lasts(60)), [], "half an hour, twice");
        assert_eq!(doubts(english, english, lasts(20)), [TaskPart::DurationMinutes]);
        let often = |task: &mut Task| task.timing.frequency = Some("three times a week".to_owned());
        assert_eq!(doubts(english, english, often), [TaskPart::Frequency]);
        let far = |task: &mut Task| task.title = "Run 10 km".to_owned();
        assert_eq!(doubts(english, english, far), [TaskPart::Title]);
        // the goal of another sentence
        let post = "토익 900점이 목표예요. 단어를 외웠어요.";
        let goal = |task: &mut Task| task.title = "토익 900점 단어 외우기".to_owned();
        assert_eq!(doubts(post, "단어를 외웠어요", goal), []);
    }

    #[test]
    fn a_deed_that_the_quote_denies_or_the_post_never_names_is_in_doubt() {
        let titled = |title: &'static str| move |task: &mut Task| task.title = title.to_owned();
        let post = "I want to learn Rust by spring. I do not want to buy a car.";
        assert_eq!(doubts(post, "I do not want to buy a car", titled("Buy a car")), [TaskPart::Title]);
        assert_eq!(
            doubts(post, "I want to learn Rust by spring", titled("Sell the house")),
            [TaskPart::Title]
        );
        assert_eq!(doubts(post, "I want to learn Rust by spring", titled("Learn Rust")), []);
        assert_eq!(doubts(post, "I want to learn Rust by spring", titled("러스트 배우기")), []);
        let post = "담배를 끊지 못했어요.";
        assert_eq!(doubts(post, "담배를 끊지 못했어요", titled("담배 끊기")), [TaskPart::Title]);
        assert_eq!(doubts("담배를 끊었어요.", "담배를 끊었어요", titled("담배 끊기")), []);
        assert_eq!(doubts("I gained 5 kg.", "I gained 5 kg", titled("Lose 5 kg")), [TaskPart::Title]);
        assert_eq!(doubts("I lost 5 kg.", "I lost 5 kg", titled("Lose 5 kg")), []);
        assert_eq!(doubts("I ran weekly.", "I ran weekly", titled("Run daily")), [TaskPart::Title]);
        assert_eq!(doubts("I ran daily.", "I ran daily", titled("Run daily")), []);
        assert_eq!(doubts("I ran a lot.", "I ran a lot", titled("Run regularly")), []);
        assert_eq!(doubts("매일 아침 달렸습니다.", "매일 아침 달렸습니다", titled("달리기")), []);
        let often = |frequency: &'static str| {
            move |task: &mut Task| task.timing.frequency = Some(frequency.to_owned())
        };
        assert_eq!(doubts("I read every day.", "I read every day", often("daily")), []);
        assert_eq!(doubts("I read every day.", "I read every day", often("weekly")), [TaskPart::Frequency]);
        assert_eq!(doubts("매일 읽었어요.", "매일 읽었어요", often("날마다")), []);
    }

    #[test]
    fn what_rules_read_from_a_quote_is_never_in_doubt() {
        for (kind, body) in [
            (
                PostKind::Question,
                "필기 문제집은 2026년 9월 1일까지 다 풀어야 해요. 매일 30분씩 두 달 동안 걸으려고 합니다.",
            ),
            (
                PostKind::Story,
                "I ran four times a week for six weeks. I studied for half an hour every evening.",
            ),
        ] {
            for task in RuleTaskExtractor::new().tasks(&Post::new("p", kind, body)) {
                assert_eq!(task.doubts, [], "{}", task.title);
                assert!(
                    task.timing == Timing::default() || task.support == Support::Supported,
                    "{}",
                    task.title
                );
            }
        }
    }
}
