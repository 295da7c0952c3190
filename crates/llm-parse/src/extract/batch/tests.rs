use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use pumasi_core::model::Usage;

use super::*;
use crate::extract::{AskMode, Attempt, AttemptKind, ExtractErrorKind as Kind};

/// Counts words, and behaves as its source says.
#[derive(Default)]
struct Words {
    calls: AtomicUsize,
    open: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Extract<usize> for Words {
    fn version(&self) -> &'static str {
        "words-1"
    }

    async fn extract(&self, source: &str) -> Result<Extraction<usize>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.open.fetch_sub(1, Ordering::SeqCst);
        let mut attempt = Attempt::new(AttemptKind::Ask, AskMode::Text, "m");
        attempt.usage = Usage::new(10, 1);
        match source {
            "hang" => std::future::pending().await,
            "panic" => panic!("a validator's bug"),
            "refuse" => {
                Err(ExtractError::new(ExtractErrorKind::Refused, "declined").with_attempts(vec![attempt]))
            }
            "cut short" => Ok(Extraction::new(1, "words-1")
                .with_incomplete(ExtractErrorKind::BudgetExhausted)
                .with_attempts(vec![attempt])),
            "busy" => {
                Err(ExtractError::new(ExtractErrorKind::Unavailable, "down").with_attempts(vec![attempt]))
            }
            text => {
                Ok(Extraction::new(text.split_whitespace().count(), "words-1").with_attempts(vec![attempt]))
            }
        }
    }
}

fn item(id: &str, source: &str) -> BatchItem {
    BatchItem::new(id, source)
}

fn journal_at(path: &std::path::Path) -> Journal<usize> {
    Journal::open(path).unwrap()
}

#[tokio::test]
async fn one_bad_item_harms_no_other_and_order_is_kept() {
    let words = Words::default();
    let mut items: Vec<_> = (0..20).map(|n| item(&n.to_string(), "하나 둘 셋")).collect();
    items[3] = item("3", "panic");
    items[5] = BatchItem::new("5", vec![0xff, b'a']);
    items[7] = item("7", "refuse");
    items[9] = item("8", "same id as another");
    items[11] = item("11", " \n ");
    let report = Batch::new(&words).with_concurrency(NonZeroUsize::new(3).unwrap()).run(items).await;
    assert!(report.stopped.is_none());
    assert_eq!((report.succeeded(), report.failed()), (15, 5));
    assert!(words.most.load(Ordering::SeqCst) <= 3);
    let kinds: Vec<_> =
        report.outcomes.iter().filter_map(|o| Some((o.index, o.result.as_ref().err()?.kind()))).collect();
    assert_eq!(
        kinds,
        [
            (3, Kind::Other),
            (5, Kind::NotText),
            (7, Kind::Refused),
            (9, Kind::InvalidConfig),
            (11, Kind::EmptySource)
        ]
    );
    assert_eq!(report.progress.usage.total_tokens(), 16 * 11, "15 went well, and the refusal was paid for");
    assert!(report.outcomes.iter().enumerate().all(|(at, outcome)| at == outcome.index));
}

#[tokio::test]
async fn a_resumed_batch_asks_only_for_what_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let items = || vec![item("a", "one"), item("b", "refuse"), item("c", "busy"), item("d", "one two")];
    let first = Words::default();
    Batch::new(&first).with_journal(journal_at(&path)).run(items()).await;
    assert_eq!(first.calls.load(Ordering::SeqCst), 4);

    let second = Words::default();
    let mut changed = items();
    changed[3] = item("d", "one two three");
    let report = Batch::new(&second).with_journal(journal_at(&path)).run(changed).await;
    // "busy" may go better now, and "d" has another text; "refuse" would be refused again
    assert_eq!(second.calls.load(Ordering::SeqCst), 2);
    assert_eq!(report.progress.resumed, 2);
    assert_eq!(report.outcomes[0].result.as_ref().unwrap().value, 1);
    let refused = report.outcomes[1].result.as_ref().unwrap_err();
    assert_eq!((refused.kind(), refused.usage().total_tokens()), (ExtractErrorKind::Refused, 11));
    assert_eq!(report.outcomes[3].result.as_ref().unwrap().value, 3);
    assert_eq!(report.progress.usage.total_tokens(), 22);

    let third = Words::default();
    let report = Batch::new(&third).with_journal(journal_at(&path)).with_retry_failed().run(items()).await;
    assert_eq!(third.calls.load(Ordering::SeqCst), 3, "b, c, and d with its first text");
    assert_eq!(report.progress.resumed, 1);
}

#[tokio::test]
async fn an_incomplete_value_is_handed_out_and_asked_for_again_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    for _ in 0..2 {
        let words = Words::default();
        let report = Batch::new(&words)
            .with_journal(journal_at(&path))
            .run([item("a", "cut short"), item("b", "x")])
            .await;
        let first = report.outcomes[0].result.as_ref().unwrap();
        assert_eq!((first.value, first.incomplete), (1, Some(Kind::BudgetExhausted)));
        assert_eq!(words.calls.load(Ordering::SeqCst) + report.progress.resumed, 2);
        assert!(!report.outcomes[0].resumed);
    }
}

#[tokio::test]
async fn a_crash_at_any_byte_of_the_journal_loses_at_most_the_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let items = || (0..4).map(|n| item(&n.to_string(), "a b")).collect::<Vec<_>>();
    Batch::new(&Words::default()).with_journal(journal_at(&path)).run(items()).await;
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for cut in (0..=whole.len()).step_by(37).chain(ends.iter().copied()) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let words = Words::default();
        let report = Batch::new(&words).with_journal(journal_at(&path)).run(items()).await;
        assert_eq!(words.calls.load(Ordering::SeqCst), 4 - kept, "cut at {cut}");
        assert_eq!((report.succeeded(), report.damaged_lines), (4, 0));
        assert_eq!(journal_at(&path).len(), 4);
    }
}

#[test]
fn a_file_that_is_no_journal_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["one line without an end", "a line\nand half", "{\"a\": 1}\n", "[]", "{\"id\": 7}\n"] {
        std::fs::write(&path, text).unwrap();
        let error = Journal::<usize>::open(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidConfig, "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    // the very first line of a journal may have been cut off
    for text in ["", "{\"i", "{\"id\":\"a\",\"key\":\"k\",\"ok\":"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(Journal::<usize>::open(&path).unwrap().len(), 0, "{text}");
    }
}

#[tokio::test]
async fn a_damaged_line_is_counted_and_its_item_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let items = || vec![item("a", "x"), item("b", "x y")];
    Batch::new(&Words::default()).with_journal(journal_at(&path)).run(items()).await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("{\"id\"", "{\"?id", 1)).unwrap();
    let words = Words::default();
    let report = Batch::new(&words).with_journal(journal_at(&path)).run(items()).await;
    assert_eq!((report.damaged_lines, words.calls.load(Ordering::SeqCst), report.succeeded()), (1, 1, 2));
}

#[tokio::test]
async fn a_journal_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let held = journal_at(&path);
    let error = Journal::<usize>::open(&path).unwrap_err();
    assert_eq!(error.kind(), ExtractErrorKind::Storage);
    assert!(error.message().contains("in use"));
    drop(held);
    assert!(Journal::<usize>::open(&path).is_ok());
}

#[tokio::test]
async fn an_outcome_that_the_journal_could_not_take_is_not_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let words = Words::default();
    let items =
        |count: usize| (0..count).map(|number| item(&number.to_string(), "one two")).collect::<Vec<_>>();
    Batch::new(&words).with_journal(journal_at(&path)).run(items(3)).await;
    let mut journal = journal_at(&path);
    journal.lock_out();
    let report = Batch::new(&words).with_journal(journal).run(items(9)).await;
    assert_eq!(report.stopped.as_ref().map(ExtractError::kind), Some(ExtractErrorKind::Storage));
    let known: Vec<usize> = report.outcomes.iter().map(|outcome| outcome.index).collect();
    assert_eq!(known, [0, 1, 2], "what was durable before");
    assert_eq!((report.progress.done, report.progress.resumed), (3, 3));
    assert!(report.progress.usage.total_tokens() >= 11, "what was asked was paid for");
}

#[tokio::test]
async fn a_cancelled_batch_keeps_what_was_finished_and_begins_nothing_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let (cancel, cancelled) = tokio::sync::oneshot::channel::<()>();
    let cancel = Arc::new(Mutex::new(Some(cancel)));
    let words = Words::default();
    let report = Batch::new(&words)
        .with_concurrency(NonZeroUsize::new(2).unwrap())
        .with_journal(journal_at(&path))
        .with_progress(move |progress| {
            if progress.done == 2 {
                drop(cancel.lock().unwrap().take());
            }
        })
        .with_cancellation(async { drop(cancelled.await) })
        .run(vec![
            item("a", "x"),
            item("hang", "hang"),
            item("b", "x"),
            item("hang 2", "hang"),
            item("c", "x"),
        ])
        .await;
    assert_eq!(report.stopped.map(|error| error.kind()), Some(ExtractErrorKind::Cancelled));
    assert_eq!((report.progress.done, report.outcomes.len()), (2, 2));
    assert_eq!(journal_at(&path).len(), 2);
}

#[tokio::test]
async fn a_batch_stops_spending_at_its_budget() {
    let words = Words::default();
    let items: Vec<_> = (0..6).map(|n| item(&n.to_string(), "x")).collect();
    let report = Batch::new(&words)
        .with_concurrency(NonZeroUsize::new(1).unwrap())
        .with_budget(Budget::unlimited().with_tokens(30))
        .run(items)
        .await;
    assert_eq!((words.calls.load(Ordering::SeqCst), report.failed()), (3, 3));
    let last = report.outcomes[5].result.as_ref().unwrap_err();
    assert_eq!(last.kind(), ExtractErrorKind::BudgetExhausted);
}

#[tokio::test]
async fn a_journal_of_another_type_or_version_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    let key = journal::key("words-1", b"x");
    writeln!(file, "{{\"id\":\"a\",\"key\":\"{key}\",\"ok\":{{\"value\":\"not a number\"}}}}").unwrap();
    writeln!(file, "{{\"id\":\"b\",\"key\":\"{}\",\"ok\":{{}}}}", journal::key("words-0", b"x")).unwrap();
    drop(file);
    let words = Words::default();
    Batch::new(&words).with_journal(journal_at(&path)).run([item("a", "x"), item("b", "x")]).await;
    assert_eq!(words.calls.load(Ordering::SeqCst), 2);
}
