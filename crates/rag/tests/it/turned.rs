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
