//! Sentences in a source's own words of which one thing was turned: the currency, the half of the day, the period, the sign, a bound,
//! who does what to whom, an opposite, the order, a negation; and true ones that say the same in other words. `turned_held_out.jsonl`
//! was written before the rules, which were never changed for it. `-- --nocapture` prints the figures and what was judged wrongly among
//! the others.

use std::collections::BTreeMap;

use pumasi_rag::answer::Grounding;

use crate::knowledge::{documents, lines};

/// How many sentences there are, and how many of them were flagged.
type Share = (u32, u32);

/// Judges the sentences of a file: good and planted ones, by what was turned.
#[expect(clippy::print_stdout, reason = "figures for a person")]
fn judge(file: &str, shows: bool) -> [Share; 2] {
    let known = documents();
    let mut kinds: BTreeMap<String, [Share; 2]> = BTreeMap::new();
    for line in lines(file) {
        let own = || {
            let id = line["doc"].as_str().unwrap();
            known.iter().find(|document| document.id == id).unwrap().text.clone()
        };
        let text = line["text"].as_str().map_or_else(own, str::to_owned);
        let grounding = Grounding::of("", [text.as_str()]);
        for sentence in line["a"].as_array().unwrap() {
            let part = |at: usize| sentence[at].as_str().unwrap();
            let (is_planted, said) = (part(0) == "planted", part(2));
            let (verdict, _) = grounding.check(said, &[1]).unwrap();
            let flagged = verdict.is_unsupported();
            let share = &mut kinds.entry(part(1).to_owned()).or_default()[usize::from(is_planted)];
            share.0 += 1;
            share.1 += u32::from(flagged);
            if shows && flagged != is_planted {
                println!("{} {verdict:?}: {said}", part(1));
            }
        }
    }
    println!("{file}");
    let mut all = [Share::default(); 2];
    for (kind, [good, planted]) in &kinds {
        println!("  {kind}: planted {}/{} flagged, good {}/{}", planted.1, planted.0, good.1, good.0);
        for (sum, share) in all.iter_mut().zip([good, planted]) {
            *sum = (sum.0 + share.0, sum.1 + share.1);
        }
    }
    let [good, planted] = all;
    println!("  all: planted {}/{} flagged, good {}/{}", planted.1, planted.0, good.1, good.0);
    all
}

#[test]
fn what_turns_one_thing_of_a_source_is_flagged_and_what_says_it_otherwise_is_not() {
    let [good, planted] = judge("tests/grounding/turned.jsonl", true);
    assert!(planted.1 * 100 >= planted.0 * 95, "{planted:?} planted flagged");
    assert!(good.1 * 100 <= good.0 * 5, "{good:?} good flagged");
    // the bars are missed here, and must not get worse
    let [good, planted] = judge("tests/grounding/turned_held_out.jsonl", false);
    assert!(planted.1 * 100 >= planted.0 * 90, "{planted:?} planted flagged");
    assert!(good.1 * 100 <= good.0 * 14, "{good:?} good flagged");
}

/// Sources, and what is said of them that they do not say.
const FALSE: &[(&str, &str)] = &[
    // a bound that is denied denies nothing else
    ("20분 넘게 달리지 말고 진통제는 먹지 마세요.", "20분까지만 달리고 진통제를 드세요."),
    ("Do not walk longer than 30 minutes and do not swim.", "Walk for at most 30 minutes and swim."),
    // an opposite, and a denial of something else
    ("통증이 있으면 달리지 말고 걷기를 늘립니다.", "통증이 있으면 달리기를 멈추고 걷기를 줄입니다."),
    ("Increase the distance slowly and do not run on hills.", "Reduce the distance slowly and run on hills."),
    ("주차는 금지됩니다.", "주차는 허용됩니다."),
    ("주차는 금지되지 않습니다.", "주차는 허용되지 않습니다."),
    ("Always run with a light.", "Never run with a light."),
    ("달리기는 30분 이내로 합니다.", "달리기는 30분 이상 합니다."),
    ("Keep it under 25 degrees.", "Keep it above 25 degrees."),
    ("영하 20도에서는 쉽니다.", "20도에서는 쉽니다."),
    ("Rest until 48 hours have passed.", "Rest for at most 48 hours."),
    ("The carrier pays the supplier.", "The supplier pays the carrier."),
    ("The library closes at 9 pm.", "The library opens at 9 pm."),
    ("도서관은 오후 9시에 닫습니다.", "도서관은 오후 9시에 엽니다."),
    ("The pool is closed until Monday.", "The pool is open until Monday."),
];

/// Sources, and what says the same in other words.
const TRUE: &[(&str, &str)] = &[
    ("20분 넘게 달리지 말고 진통제는 먹지 마세요.", "20분까지만 달리고 진통제는 드시지 마세요."),
    ("Do not walk longer than 30 minutes and do not swim.", "Walk for at most 30 minutes and do not swim."),
    ("주차는 금지됩니다.", "주차는 허용되지 않습니다."),
    ("소금은 빼세요.", "소금은 넣지 마세요."),
    ("Always run with a light.", "Never run without a light."),
    ("Stop running when it hurts.", "Do not continue running when it hurts."),
    ("달리기는 30분 이내로 합니다.", "30분 이상 달리지 마세요."),
    ("Keep it under 25 degrees.", "Do not let it go above 25 degrees."),
    ("많은 선수가 최소 6주를 쉽니다.", "적어도 6주는 쉽니다."),
    ("휴식은 10 -20분입니다.", "휴식은 최대 20분입니다."),
    ("매장은 9 -18시에 엽니다.", "매장은 18시까지 엽니다."),
    ("-10분 걷기로 시작합니다.", "10분 걷기로 시작합니다."),
    ("Rest until 48 hours have passed.", "Rest for at least 48 hours."),
    ("Eat oats, nuts, and seeds.", "Eat seeds, nuts, and oats."),
    ("The library closes at 9 pm.", "The library is open until 9 pm."),
    ("도서관은 오후 9시에 닫습니다.", "도서관은 오후 9시까지 엽니다."),
    ("The pool is closed until Monday.", "The pool is open from Monday."),
    ("Run every other day.", "Run only on alternate days."),
];

#[test]
fn a_denial_or_an_opposite_turns_only_what_it_stands_with() {
    let judged = |is_wanted: bool| {
        move |(source, said): &(&str, &str)| {
            let (verdict, _) = Grounding::of("", [*source]).check(said, &[1]).unwrap();
            (verdict.is_unsupported() != is_wanted).then(|| format!("{verdict:?}: {source} / {said}"))
        }
    };
    let wrong: Vec<String> =
        FALSE.iter().filter_map(judged(true)).chain(TRUE.iter().filter_map(judged(false))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sentences_that_never_end_are_judged_in_time() {
    for (known, said, times) in [
        ("가나 ", "가나 나라 ", 20_000),
        ("가나를 나라에 ", "나라를 가나에 ", 500),
        ("of 3 ", "by 3 ", 500),
        ("cats than dogs ", "dogs than cats ", 300),
    ] {
        let (known, said) = (known.repeat(times), said.repeat(times));
        let (_, evidence) = Grounding::of("", [known.as_str()]).check(&said, &[1]).unwrap();
        assert!(evidence.len() <= 3);
    }
    // what is false at the end of it is still seen
    let text = "통증이 있으면 쉬고 ".repeat(1_000);
    let (verdict, _) = Grounding::of("", [text.as_str()]).check(&format!("{text} 약은 90알"), &[1]).unwrap();
    assert!(verdict.is_unsupported());
}
