//! Recovery per kind of damage: good answers, damaged by the mutator, come back whole.

use std::collections::BTreeMap;

use pumasi_llm_parse::Policy;
use pumasi_llm_parse::eval::{Damage, Mutator};
use serde_json::{Value, json};

use crate::cases::{self, Outcome};

fn answers() -> Vec<Value> {
    (0..40)
        .map(|i| {
            json!({
                "title": format!("{} 번째 글: run {i} km", i + 1),
                "kind": if i % 2 == 0 { "story" } else { "question" },
                "due_date": "2024-05-01",
                "minutes": 10 + i,
                "score": f64::from(i) + 0.5,
                "done": i % 3 == 0,
                "author": {"name": "Kim", "home_town": "Seoul"},
                "tags": ["running"],
                "steps": ["stretch", format!("run the \"easy\" part {i}"), "rest"],
                "note": "first line\nsecond line",
            })
        })
        .collect()
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "kind": {"enum": ["story", "question"]},
            "due_date": {"type": "string"},
            "minutes": {"type": "integer"},
            "score": {"type": "number"},
            "done": {"type": "boolean"},
            "author": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "home_town": {"type": "string"}},
                "required": ["name", "home_town"],
            },
            "tags": {"type": "array", "items": {"type": "string"}},
            "steps": {"type": "array", "items": {"type": "string"}},
            "note": {"type": "string"},
        },
        "required": [
            "title", "kind", "due_date", "minutes", "score", "done", "author", "tags", "steps", "note"
        ],
    })
}

#[test]
fn damaged_answers_come_back_whole() {
    let schema = schema();
    let mut counts: BTreeMap<Damage, (usize, usize)> = BTreeMap::new();
    for (i, answer) in answers().iter().enumerate() {
        let mut mutator = Mutator::new(i as u64);
        for damaged in mutator.all(answer) {
            if !damaged.damage.keeps_everything() {
                continue;
            }
            let outcome = cases::run(&damaged.text, Some(&schema), Policy::Lenient, false);
            let whole = matches!(&outcome, Outcome::Read { value, .. } if cases::same(answer, value));
            let (good, of) = counts.entry(damaged.damage).or_default();
            *of += 1;
            if whole {
                *good += 1;
            } else if *of - *good <= 2 {
                println!("LOST {}: {}\n     got {outcome}", damaged.damage, damaged.text);
            }
        }
    }
    let (mut good, mut of) = (0, 0);
    for (damage, (g, o)) in &counts {
        println!("{damage:>22}: {g}/{o}");
        good += g;
        of += o;
    }
    println!("recovered: {good}/{of}");
    assert!(good * 100 >= of * 98, "{good} of {of} is under 97 %");
    for (damage, (g, o)) in counts {
        assert!(g * 100 >= o * 85, "{damage}: {g} of {o} is under 85 %");
    }
}

#[test]
fn a_cut_answer_is_never_reported_as_clean() {
    let schema = schema();
    for (i, answer) in answers().iter().enumerate() {
        let mut mutator = Mutator::new(100 + i as u64);
        for _ in 0..20 {
            let Some(cut) = mutator.damage(answer, Damage::Truncated) else {
                continue;
            };
            match cases::run(&cut.text, Some(&schema), Policy::Lenient, false) {
                Outcome::Refused { .. } => {}
                Outcome::Read { worst, value, .. } => assert!(
                    worst >= Some(pumasi_llm_parse::Severity::Lossy),
                    "{} read as {value} with {worst:?}",
                    cut.text
                ),
            }
        }
    }
}
