//! The pieces of a sentence that each say one thing.

/// English words that begin a piece.
const JOINING: &[&str] = &[
    "and", "but", "while", "whereas", "then", "because", "although", "if", "when", "unless", "who", "which",
    "so",
];

/// Endings with which a Korean verb joins what follows.
const CONNECTIVE: &[&str] = &[
    "고", "며", "지만", "는데", "으면", "면", "면서", "니까", "므로", "어서", "아서", "해서", "려서", "다가",
    "되",
];

/// Korean nouns that end as such verbs do.
const NOUNS: &[&str] = &[
    "창고",
    "최고",
    "사고",
    "광고",
    "보고",
    "신고",
    "경고",
    "재고",
    "참고",
    "표면",
    "화면",
    "측면",
    "장면",
    "정면",
    "라면",
    "반면",
    "그러면",
    "하지만",
];

/// Korean words that go on with the verb before them.
const AUXILIARY: &[&str] = &[
    "있", "싶", "나서", "나면", "안", "않", "말", "마", "못", "계", "보", "주", "나니", "된", "됩", "되",
    "돼",
];

/// Divides a sentence where it goes on to something else: at commas, conjunctions and the endings of Korean verbs.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut ends: Vec<usize> = Vec::new();
    let mut words = text
        .split(' ')
        .scan(0, |at, word| {
            let start = *at;
            *at += word.len() + 1;
            Some((start, word))
        })
        .filter(|(_, word)| !word.is_empty())
        .peekable();
    while let Some((start, word)) = words.next() {
        let next = words.peek().map_or("", |(_, next)| *next);
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if start > 0 && JOINING.iter().any(|joining| word.eq_ignore_ascii_case(joining)) {
            ends.push(start);
        } else if word.ends_with([',', ';', ':', ')', '.']) || joins(bare, next) {
            ends.push(start + word.len());
        }
    }
    ends.push(text.len());
    let mut from = 0;
    let mut found: Vec<(usize, usize)> = Vec::new();
    for end in ends {
        let counts =
            |piece: &str| piece.split(' ').filter(|word| word.contains(char::is_alphanumeric)).count();
        let piece = text.get(from..end).unwrap_or_default();
        let lead = piece.split(' ').find(|word| !word.is_empty()).unwrap_or_default();
        let least = if JOINING.iter().any(|joining| lead.eq_ignore_ascii_case(joining)) { 3 } else { 2 };
        match found.last_mut() {
            // one word alone goes on with what stands before it
            Some(last) if counts(piece) < least => last.1 = end,
            _ => found.push((from, end)),
        }
        from = end;
    }
    found.into_iter().filter_map(|(start, end)| text.get(start..end)).map(str::trim).collect()
}

/// Tells whether a Korean word joins what follows it.
fn joins(word: &str, next: &str) -> bool {
    let is_hangul = word.ends_with(|c| ('가'..='힣').contains(&c)) && word.chars().nth(1).is_some();
    is_hangul
        && CONNECTIVE.iter().any(|ending| word.ends_with(ending))
        && !NOUNS.contains(&word)
        && !next.is_empty()
        && !AUXILIARY.iter().any(|word| next.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_divided_where_they_go_on_to_something_else() {
        for (text, parts) in [
            ("창고는 토요일에 열고 일요일에 닫습니다.", &["창고는 토요일에 열고", "일요일에 닫습니다."][..]),
            ("달리면 안 됩니다.", &["달리면 안 됩니다."]),
            (
                "Adults take two doses and children take one.",
                &["Adults take two doses", "and children take one."],
            ),
            ("Wear a hat and gloves.", &["Wear a hat and gloves."]),
            (
                "A race of 2,000 metres, then rest for a day.",
                &["A race of 2,000 metres,", "then rest for a day."],
            ),
        ] {
            assert_eq!(pieces(text), parts, "{text}");
        }
    }
}
