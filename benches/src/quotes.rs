//! Quotes to find in a long text: half in Korean, half in English, each with a typo, and near misses that are not quotes.

use std::ops::Range;

/// A source with quotes from it.
#[derive(Clone, Debug)]
pub struct Quotes {
    /// The text to search, Korean and English sentences in turn.
    pub source: String,
    /// Six words from the source with one letter changed, and where they really stand (in bytes).
    pub typos: Vec<(String, Range<usize>)>,
    /// Six words from the source with a number, a name or a negation changed: these are not in the source.
    pub near_misses: Vec<String>,
}

const NAMES: [&str; 12] = [
    "Minsu", "Jiyoung", "Daniel", "Priya", "Oliver", "Haruka", "Sofia", "Tomas", "Amara", "Lukas", "Yuna",
    "Felix",
];
const KO_NAMES: [&str; 12] = [
    "민수가",
    "지영이",
    "서준이",
    "하은이",
    "도윤이",
    "수아가",
    "예준이",
    "지호가",
    "유나가",
    "태민이",
    "소라가",
    "현우가",
];
const TOPICS: [&str; 7] = [
    "interval training",
    "morning habits",
    "interview questions",
    "side projects",
    "recovery days",
    "database indexes",
    "marathon pacing",
];
const KO_TOPICS: [&str; 7] = [
    "인터벌 훈련",
    "아침 습관",
    "면접 질문",
    "사이드 프로젝트",
    "회복 훈련",
    "데이터베이스 색인",
    "마라톤 페이스",
];

struct Words {
    start: usize,
    text: String,
}

fn sentence(i: usize) -> String {
    let name = NAMES[i * 7 % 12];
    let ko_name = KO_NAMES[i * 5 % 12];
    let distance = 3 + i * 13 % 39;
    match i % 4 {
        0 => format!(
            "On day {i} {name} finished {distance} kilometres before breakfast and described {} carefully.",
            TOPICS[i % 7]
        ),
        1 => format!(
            "{i}일째 아침에 {ko_name} 공원에서 {distance}킬로미터를 달리고 {} 기록을 꼼꼼하게 남겼습니다.",
            KO_TOPICS[i % 7]
        ),
        2 => format!("Week {i}: {name} did not postpone the evening session about {}.", TOPICS[i % 7]),
        _ => format!(
            "모임 {i}회차에서 {ko_name} 운동을 하지 않았다고 조용히 이야기하며 {} 질문했습니다.",
            KO_TOPICS[i % 7]
        ),
    }
}

/// Makes a source of about `chars` characters with `count` quotes and as many near misses.
pub fn quotes(chars: usize, count: usize) -> Quotes {
    let mut source = String::new();
    let mut starts = Vec::new();
    let mut size = 0;
    while size < chars {
        let text = sentence(starts.len());
        size += text.chars().count() + 1;
        starts.push(Words { start: source.len(), text: text.clone() });
        source.push_str(&text);
        source.push(if starts.len() % 5 == 0 { '\n' } else { ' ' });
    }
    let step = (starts.len() / count).max(1);
    let chosen: Vec<&Words> = (0..count).filter_map(|i| starts.get(i * step + i % 4 % step.max(1))).collect();
    let typos = chosen
        .iter()
        .enumerate()
        .map(|(i, words)| {
            let span = six_words(&words.text);
            let quote = typo(&words.text[span.clone()], i);
            (quote, words.start + span.start..words.start + span.end)
        })
        .collect();
    let near_misses = chosen
        .iter()
        .enumerate()
        .map(|(i, words)| near_miss(&words.text[six_words(&words.text)], i))
        .filter(|quote| !source.contains(quote.as_str()))
        .collect();
    Quotes { source, typos, near_misses }
}

/// The bytes of the first six words.
fn six_words(text: &str) -> Range<usize> {
    let mut words = 0;
    for (at, c) in text.char_indices() {
        if c == ' ' {
            words += 1;
            if words == 6 {
                return 0..at;
            }
        }
    }
    0..text.len()
}

fn special(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit())
        || NAMES.contains(&word)
        || KO_NAMES.contains(&word)
        || ["not", "did", "하지", "않았다고"].contains(&word)
}

/// Changes one letter in the middle of the longest ordinary word.
fn typo(quote: &str, i: usize) -> String {
    let words: Vec<&str> = quote.split(' ').collect();
    let longest = words
        .iter()
        .enumerate()
        .filter(|(_, word)| !special(word))
        .max_by_key(|(_, word)| word.len())
        .map_or(0, |(at, _)| at);
    let changed: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(at, word)| {
            if at != longest {
                return (*word).to_owned();
            }
            let mut chars: Vec<char> = word.chars().collect();
            let middle = chars.len() / 2;
            let korean = !word.is_ascii();
            match i % 3 {
                // one letter substituted, doubled, or left out; a Korean word of three syllables keeps its length
                1 if !korean => chars.insert(middle, chars[middle]),
                2 if !korean => {
                    chars.remove(middle);
                }
                _ => chars[middle] = if korean { '뷁' } else { 'x' },
            }
            chars.into_iter().collect()
        })
        .collect();
    changed.join(" ")
}

/// Changes a number, a name or a negation.
fn near_miss(quote: &str, i: usize) -> String {
    let words: Vec<&str> = quote.split(' ').collect();
    let negated = words.iter().any(|w| ["not", "하지", "않았다고"].contains(w));
    let mut done = false;
    let changed: Vec<String> = words
        .iter()
        .filter_map(|word| {
            let number = word.chars().any(|c| c.is_ascii_digit());
            let name = NAMES.iter().position(|n| n == word);
            let ko_name = KO_NAMES.iter().position(|n| n == word);
            if done {
                return Some((*word).to_owned());
            }
            if negated && i.is_multiple_of(2) {
                if *word == "not" || *word == "하지" {
                    done = true;
                    return None;
                }
            } else if i.is_multiple_of(3) && number {
                done = true;
                let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
                let n: usize = digits.parse().unwrap_or(0);
                return Some(word.replacen(&digits, &(n + 100_000).to_string(), 1));
            } else if !i.is_multiple_of(3) && (name.is_some() || ko_name.is_some()) {
                done = true;
                return Some(name.map_or_else(
                    || KO_NAMES[(ko_name.unwrap_or(0) + 1) % 12].to_owned(),
                    |n| NAMES[(n + 1) % 12].to_owned(),
                ));
            }
            Some((*word).to_owned())
        })
        .collect();
    let out: String = changed.join(" ");
    // "하지 않았다고" without "하지" is no sentence: the verb is turned into its positive form
    out.replace("운동을 않았다고", "운동을 했다고")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_quotes_with_typos_and_fifty_near_misses_of_eighty_thousand_characters() {
        let quotes = quotes(80_000, 50);
        assert!((80_000..80_200).contains(&quotes.source.chars().count()));
        assert_eq!(quotes.typos.len(), 50);
        assert_eq!(quotes.near_misses.len(), 50);
        for (quote, span) in &quotes.typos {
            assert!(!quotes.source.contains(quote.as_str()), "{quote}");
            let original = &quotes.source[span.clone()];
            assert_eq!(original.split(' ').count(), 6, "{original}");
        }
        let korean = quotes.typos.iter().filter(|(q, _)| !q.is_ascii()).count();
        assert!((15..=35).contains(&korean), "{korean} of 50 are Korean");
    }
}
