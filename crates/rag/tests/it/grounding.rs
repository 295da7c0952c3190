//! The project's own labelled set: recorded answers with planted sentences that their sources do not bear out, and questions that the
//! knowledge does not answer. Every third line is held out: rules were never changed for it. (`more.jsonl` is none of it: freer
//! paraphrases, all seen.) `-- --nocapture` prints the figures and
//! what was judged wrongly among the others.

use std::collections::HashMap;

use pumasi_rag::answer::{Ask, Assistant, Grounding, Outcome, Source, Verdict};
use pumasi_rag::document::Document;
use serde_json::Value;

use crate::knowledge::{documents, lines, retriever, text};

/// How many there are, and how many of them were flagged or refused.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    all: u32,
    hit: u32,
}

impl Share {
    fn count(&mut self, is_hit: bool) {
        self.all += 1;
        self.hit += u32::from(is_hit);
    }

    fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, hit: self.hit + other.hit }
    }

    fn of_all(self) -> f64 {
        f64::from(self.hit) / f64::from(self.all)
    }
}

const fn is_held_out(line: usize) -> bool {
    line % 3 == 2
}

#[expect(clippy::print_stdout, reason = "figures for a person")]
fn print(what: &str, [seen, held_out]: [Share; 2]) {
    let show = |share: Share| format!("{}/{} = {:.1} %", share.hit, share.all, 100.0 * share.of_all());
    println!("{what}: all {}, held out {}", show(seen.plus(held_out)), show(held_out));
}

#[test]
#[expect(clippy::print_stdout, reason = "what was judged wrongly, for a person")]
fn planted_sentences_are_flagged_and_good_ones_are_not() {
    let known: HashMap<String, Document> =
        documents().into_iter().map(|document| (document.id.clone(), document)).collect();
    let (mut good, mut planted, mut prose) =
        ([Share::default(); 2], [Share::default(); 2], [Share::default(); 2]);
    let more = lines("tests/grounding/more.jsonl").into_iter().map(|answer| (false, answer));
    let recorded = lines("tests/grounding/answers.jsonl").into_iter().enumerate();
    for (held_out, answer) in recorded.map(|(at, answer)| (is_held_out(at), answer)).chain(more) {
        for sentence in answer["a"].as_array().unwrap() {
            let part = |at: usize| sentence[at].as_str().unwrap();
            let (label, document, said) = (part(0), part(1), part(2));
            let sources: Vec<Source> = known
                .get(document)
                .map(|document| {
                    Source::new(1, document.id.as_str(), document.title.as_str(), document.text.as_str())
                })
                .into_iter()
                .collect();
            let cited: &[u32] = if sources.is_empty() { &[] } else { &[1] };
            let verdict = Grounding::new(text(&answer, "q"), &sources).check(said, cited);
            let is_flagged = verdict.as_ref().is_some_and(|(verdict, _)| verdict.is_unsupported());
            let share = match label {
                "good" => &mut good,
                "planted" => &mut planted,
                _ => &mut prose,
            };
            share[usize::from(held_out)].count(is_flagged);
            if !held_out && is_flagged != (label == "planted") {
                println!("{label} {document}: {said} {:?}", verdict.map(|(verdict, _)| verdict));
            }
        }
    }
    print("planted, flagged", planted);
    print("good, flagged", good);
    print("prose, flagged", prose);
    assert!(planted[0].of_all() >= 0.95 && good[0].of_all() <= 0.05);
    // on the whole set the bars hold; what was never looked at does worse, and must not get worse yet
    assert!(planted[0].plus(planted[1]).of_all() >= 0.95 && good[0].plus(good[1]).of_all() <= 0.05);
    assert!(planted[1].of_all() >= 0.85 && good[1].of_all() <= 0.08);
    assert_eq!(prose[0].plus(prose[1]).hit, 0);
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was judged wrongly, for a person")]
async fn unanswerable_questions_are_refused_and_answerable_ones_are_not() {
    let assistant = Assistant::builder(retriever(documents()).await).build().unwrap();
    let (mut refused, mut wrongly, mut right) =
        ([Share::default(); 2], [Share::default(); 2], [Share::default(); 2]);
    let recorded = lines("tests/grounding/answers.jsonl");
    let first = |answer: &Value| {
        let documents: Vec<&str> =
            answer["a"].as_array().unwrap().iter().filter_map(|part| part[1].as_str()).collect();
        documents.into_iter().find(|document| !document.is_empty()).unwrap_or_default().to_owned()
    };
    let mut questions: Vec<(usize, String, String)> = Vec::new();
    for (at, answer) in recorded.iter().enumerate() {
        questions.push((at, text(answer, "q").to_owned(), first(answer)));
    }
    for (at, question) in lines("tests/grounding/questions.jsonl").iter().enumerate() {
        questions.push((at, text(question, "q").to_owned(), text(question, "doc").to_owned()));
    }
    for (at, question, document) in questions {
        let held_out = is_held_out(at);
        let answer = assistant.answer(Ask::new(question.as_str())).await.unwrap();
        let is_refused = answer.summary.outcome == Outcome::NotFound;
        let share = if document.is_empty() { &mut refused } else { &mut wrongly };
        share[usize::from(held_out)].count(is_refused);
        if !document.is_empty() {
            right[usize::from(held_out)]
                .count(answer.sources.iter().any(|source| source.document == document));
        }
        if !held_out && is_refused != document.is_empty() {
            let found: Vec<&str> = answer.sources.iter().map(|source| source.document.as_str()).collect();
            println!("{} {question}: {found:?}", if document.is_empty() { "answered" } else { "refused" });
        }
    }
    print("unanswerable, refused", refused);
    print("answerable, refused", wrongly);
    print("answerable, with the right source", right);
    assert!(refused[0].of_all() >= 0.95 && wrongly[0].of_all() <= 0.06);
    assert!(refused[0].plus(refused[1]).of_all() >= 0.95 && wrongly[0].plus(wrongly[1]).of_all() <= 0.07);
    assert!(refused[1].of_all() >= 0.9 && wrongly[1].of_all() <= 0.08);
    assert!(right[0].plus(right[1]).of_all() >= 0.9 && right[1].of_all() >= 0.9);
}

/// A document of another field than the coach's, of `fields.jsonl`.
fn document_of(line: &Value) -> Document {
    Document::markdown(text(line, "id"), text(line, "text")).with_title(text(line, "title"))
}

fn strings<'a>(line: &'a Value, field: &str) -> Vec<&'a str> {
    line[field].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// Sets of sentences and questions of fields that the rules were not written with; every second line is held out.
#[test]
#[expect(clippy::print_stdout, reason = "what was judged wrongly, for a person")]
fn sentences_of_other_fields_are_judged_as_well() {
    let (mut good, mut planted) = ([Share::default(); 2], [Share::default(); 2]);
    for (at, line) in lines("tests/grounding/fields.jsonl").iter().enumerate() {
        let held_out = at % 2;
        let source = Source::new(1, text(line, "id"), text(line, "title"), text(line, "text"));
        let asked = strings(line, "ask").join(" ");
        let grounding = Grounding::new(&asked, &[source]);
        for sentence in line["a"].as_array().unwrap() {
            let (label, said) = (sentence[0].as_str().unwrap(), sentence[1].as_str().unwrap());
            let verdict = grounding.check(said, &[1]).map(|(verdict, _)| verdict);
            let is_flagged = verdict.is_some_and(Verdict::is_unsupported);
            let share = if label == "good" { &mut good } else { &mut planted };
            share[held_out].count(is_flagged);
            if held_out == 0 && is_flagged == (label == "good") {
                println!("{label} {}: {said} {verdict:?}", text(line, "id"));
            }
        }
    }
    print("other fields, planted, flagged", planted);
    print("other fields, good, flagged", good);
    // the bars are missed here, and must not get worse
    assert!(planted[0].plus(planted[1]).of_all() >= 0.85 && good[0].plus(good[1]).of_all() <= 0.2);
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "what was judged wrongly, for a person")]
async fn questions_of_other_fields_are_judged_as_well() {
    let lines = lines("tests/grounding/fields.jsonl");
    let assistant =
        Assistant::builder(retriever(lines.iter().map(document_of).collect()).await).build().unwrap();
    let (mut refused, mut wrongly, mut right) =
        ([Share::default(); 2], [Share::default(); 2], [Share::default(); 2]);
    for (at, line) in lines.iter().enumerate() {
        let asked = strings(line, "ask").into_iter().map(|question| (question, text(line, "id")));
        let foreign = strings(line, "not").into_iter().map(|question| (question, ""));
        for (question, document) in asked.chain(foreign) {
            let answer = assistant.answer(Ask::new(question)).await.unwrap();
            let is_refused = answer.summary.outcome == Outcome::NotFound;
            let share = if document.is_empty() { &mut refused } else { &mut wrongly };
            share[at % 2].count(is_refused);
            if !document.is_empty() {
                right[at % 2].count(answer.sources.iter().any(|source| source.document == document));
            }
            if at % 2 == 0 && is_refused != document.is_empty() {
                let found: Vec<&str> = answer.sources.iter().map(|source| source.document.as_str()).collect();
                println!(
                    "{} {question}: {found:?}",
                    if document.is_empty() { "answered" } else { "refused" }
                );
            }
        }
    }
    print("other fields, unanswerable, refused", refused);
    print("other fields, answerable, refused", wrongly);
    print("other fields, answerable, with the right source", right);
    assert!(refused[0].plus(refused[1]).of_all() >= 0.85 && wrongly[0].plus(wrongly[1]).of_all() <= 0.05);
    assert!(right[0].plus(right[1]).of_all() >= 0.93 && right[1].of_all() >= 0.9);
}
