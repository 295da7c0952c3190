//! English function words: those of Lucene's `EnglishAnalyzer` (33 words, `ENGLISH_STOP_WORDS_SET`).

const STOP: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with",
];

pub(super) fn is_stop(word: &str) -> bool {
    word.len() <= 5 && STOP.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted_as_the_search_needs() {
        assert!(super::STOP.is_sorted());
    }
}
