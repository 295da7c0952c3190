//! An answer without a model: sentences of the sources, word for word.

use pumasi_core::text::sentences;

use super::check::{speaks_of, words};
use super::event::Source;

/// How many sentences an answer has.
const SENTENCES: usize = 4;

/// How many of them come from one source.
const OF_ONE: usize = 3;

/// Chooses the sentences that speak most of the question, and returns them as lines with their marks: by source, and in each in its
/// order. Sentences of better sources come first where they say as much.
pub(super) fn extract(question: &str, sources: &[Source]) -> Vec<String> {
    let asked = words(question);
    let mut scored: Vec<(f32, usize, usize, &str)> = Vec::new();
    for (rank, source) in sources.iter().enumerate() {
        let by_place = speaks_of(&asked, &words(&source.place));
        let best_rank = 1.0 / (1.0 + 0.5 * f32::from(u16::try_from(rank).unwrap_or(u16::MAX)));
        for (order, span) in sentences(&source.text).into_iter().enumerate() {
            let sentence = span.of(&source.text);
            let has = speaks_of(&asked, &words(sentence));
            if has + by_place > 0.0 {
                // the first sentences of a passage say what it is about
                let early = 0.2 / (1.0 + f32::from(u16::try_from(order).unwrap_or(u16::MAX)));
                scored.push(((has + 0.5 * by_place + early) * best_rank, rank, order, sentence));
            }
        }
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let best = scored.first().map_or(0.0, |(score, ..)| *score);
    let mut chosen: Vec<(usize, usize, &str)> = Vec::new();
    for (score, rank, order, sentence) in scored {
        let of_one = chosen.iter().filter(|(other, ..)| *other == rank).count();
        if score * 3.0 >= best && of_one < OF_ONE && chosen.len() < SENTENCES {
            chosen.push((rank, order, sentence));
        }
    }
    chosen.sort_unstable_by_key(|(rank, order, _)| (*rank, *order));
    let number = |rank: usize| sources.get(rank).map_or(1, |source| source.number);
    chosen
        .into_iter()
        .map(|(rank, _, sentence)| format!("- {} [{}]\n", one_line(sentence), number(rank)))
        .collect()
}

fn one_line(sentence: &str) -> String {
    let bare = sentence.trim_start_matches(['-', '*', '•', '>', '#', ' ']);
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}
