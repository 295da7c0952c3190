//! Marks of citations in a text that arrives in pieces, and the sentences that they stand in.

use pumasi_core::text::{Span, sentences};

/// The longest mark that is looked for, in bytes: longer brackets are text.
const LONGEST: usize = 48;

/// How many characters of the next sentence must be there before the end of one is believed.
const LOOKAHEAD: usize = 16;

/// A sentence that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Where it stands in the answer, its marks included.
    pub(super) span: Span,
    /// What it says, without marks.
    pub(super) text: String,
    /// The sources that it cites, once each, in its order.
    pub(super) sources: Vec<u32>,
}

/// Reads an answer as it arrives: cleans its marks, and tells which sentences are whole.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// How many sources there are.
    known: u32,
    /// What may still become a mark.
    pending: String,
    /// The bytes of the answer so far.
    answer_len: usize,
    /// The answer without its marks, from the first sentence on that is not whole.
    plain: String,
    /// Where `plain` goes on in the answer: bytes of `plain`, bytes of the answer.
    joints: Vec<(usize, usize)>,
    /// Marks in or behind `plain`.
    marks: Vec<Mark>,
    line: Line,
}

/// A mark of one source.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Its place in the text without marks.
    place: usize,
    /// Where it stands in the answer.
    span: Span,
    number: u32,
    /// Whether it stands in a line that begins with a mark: there marks come before their sentences.
    is_before: bool,
}

/// How the line that is being read has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Without a letter so far.
    #[default]
    Bare,
    Text,
    Mark,
}

/// What stands at an opening bracket.
enum Bracket {
    Mark { len: usize, numbers: Vec<u32> },
    Text,
    Unfinished,
}

impl Marks {
    pub(super) fn new(known: usize) -> Self {
        Self { known: u32::try_from(known).unwrap_or(u32::MAX), joints: vec![(0, 0)], ..Self::default() }
    }

    /// Takes the next piece; returns what may be shown of the answer now.
    pub(super) fn push(&mut self, piece: &str) -> String {
        self.pending.push_str(piece);
        self.read(false)
    }

    /// Ends the answer; returns what was held back.
    pub(super) fn finish(&mut self) -> String {
        self.read(true)
    }

    fn read(&mut self, is_end: bool) -> String {
        let pending = std::mem::take(&mut self.pending);
        let mut shown = String::new();
        let mut rest = pending.as_str();
        while let Some(at) = rest.find(['[', '【']) {
            let (text, bracket) = rest.split_at(at);
            self.text(text, &mut shown);
            match bracket_at(bracket) {
                Bracket::Mark { len, numbers } => {
                    self.mark(&numbers, &mut shown);
                    rest = bracket.get(len..).unwrap_or_default();
                }
                Bracket::Unfinished if !is_end => {
                    bracket.clone_into(&mut self.pending);
                    return shown;
                }
                Bracket::Unfinished | Bracket::Text => {
                    let len = bracket.chars().next().map_or(0, char::len_utf8);
                    let (open, after) = bracket.split_at(len);
                    self.text(open, &mut shown);
                    rest = after;
                }
            }
        }
        self.text(rest, &mut shown);
        shown
    }

    fn text(&mut self, text: &str, shown: &mut String) {
        let after_mark = self.marks.last().is_some_and(|mark| mark.place == self.plain.len());
        if after_mark
            && text.starts_with(char::is_alphanumeric)
            && !self.plain.ends_with(char::is_whitespace)
            && !self.plain.is_empty()
        {
            // `rest[1]and`: the mark stood for the space
            self.plain.push(' ');
            self.joints.push((self.plain.len(), self.answer_len));
        }
        let line = text.rsplit_once('\n').map(|(_, line)| line);
        if line.is_some() {
            self.line = Line::Bare;
        }
        if self.line == Line::Bare && line.unwrap_or(text).contains(char::is_alphabetic) {
            self.line = Line::Text;
        }
        self.plain.push_str(text);
        shown.push_str(text);
        self.answer_len += text.len();
    }

    fn mark(&mut self, numbers: &[u32], shown: &mut String) {
        if self.plain.ends_with(' ') {
            // the space before a mark is the mark's
            self.plain.pop();
        }
        for number in numbers.iter().filter(|number| (1..=self.known).contains(*number)) {
            let mark = format!("[{number}]");
            let start = self.answer_len;
            self.answer_len += mark.len();
            shown.push_str(&mark);
            if self.line == Line::Bare {
                self.line = Line::Mark;
            }
            self.marks.push(Mark {
                place: self.plain.len(),
                span: Span::new(start, self.answer_len),
                number: *number,
                is_before: self.line == Line::Mark,
            });
        }
        self.joints.push((self.plain.len(), self.answer_len));
    }

    /// Takes the sentences that are whole; at the end of the answer, all that are left.
    pub(super) fn sentences(&mut self, is_end: bool) -> Vec<Sentence> {
        let spans = sentences(&self.plain);
        let is_whole = |at: usize, span: &Span| {
            let after = self.plain.get(span.end..).unwrap_or_default();
            is_end || spans.len() > at + 2 || after.trim_start().chars().nth(LOOKAHEAD).is_some()
        };
        let whole = spans.iter().enumerate().take_while(|(at, span)| is_whole(*at, span)).count();
        let mut found = Vec::with_capacity(whole);
        let mut settled = 0;
        let mut marks = self.marks.iter().peekable();
        for (at, span) in spans.iter().enumerate().take(whole) {
            let next = spans.get(at + 1).map_or(self.plain.len(), |next| next.start);
            let mut sentence = Sentence {
                span: Span::new(self.in_answer(span.start, true), self.in_answer(span.end, false)),
                text: span.of(&self.plain).to_owned(),
                sources: Vec::new(),
            };
            while let Some(mark) = marks.peek().copied() {
                let is_last = at + 1 == spans.len();
                let behind = self.plain.get(span.end..mark.place).unwrap_or_default();
                // a mark at the beginning of a line is the next sentence's, and then all in it that stand between two
                let is_next = behind.contains('\n') || (mark.is_before && mark.place >= span.end);
                if !is_last && mark.place >= span.end && (is_next || mark.place >= next.max(span.end + 1)) {
                    break;
                }
                sentence.span.start = sentence.span.start.min(mark.span.start);
                sentence.span.end = sentence.span.end.max(mark.span.end);
                if !sentence.sources.contains(&mark.number) {
                    sentence.sources.push(mark.number);
                }
                marks.next();
            }
            found.push(sentence);
            settled = next;
        }
        let used = self.marks.len() - marks.count();
        self.marks.drain(..used);
        self.forget(settled);
        found
    }

    /// Drops what stands before byte `to` of `plain`.
    fn forget(&mut self, to: usize) {
        if to == 0 {
            return;
        }
        let (base, start) = (to, self.in_answer(to, true));
        self.plain.drain(..to);
        self.joints.retain(|(plain, _)| *plain > base);
        for (plain, _) in &mut self.joints {
            *plain -= base;
        }
        self.joints.insert(0, (0, start));
        for mark in &mut self.marks {
            mark.place = mark.place.saturating_sub(base);
        }
    }

    /// Tells where a place of `plain` is in the answer: behind a mark that stands there, or before it.
    fn in_answer(&self, place: usize, is_behind: bool) -> usize {
        let is_before = |(plain, _): &&(usize, usize)| *plain < place || (is_behind && *plain == place);
        let (plain, answer) = self
            .joints
            .iter()
            .rev()
            .find(is_before)
            .or_else(|| self.joints.first())
            .copied()
            .unwrap_or_default();
        answer + place.saturating_sub(plain)
    }
}

/// Reads the bracket with which `text` begins.
fn bracket_at(text: &str) -> Bracket {
    let mut chars = text.char_indices();
    let close = match chars.next() {
        Some((_, '[')) => ']',
        Some((_, '【')) => '】',
        _ => return Bracket::Text,
    };
    let Some(end) = text.find(close) else {
        let inner: String = chars.map(|(_, c)| c).collect();
        let open = inner.len() <= LONGEST && may_be_numbers(&inner);
        return if open { Bracket::Unfinished } else { Bracket::Text };
    };
    let inner: String = chars.take_while(|(at, _)| *at < end).map(|(_, c)| c).collect();
    match (inner.len() <= LONGEST).then(|| numbers(&inner)).flatten() {
        Some(numbers) => Bracket::Mark { len: end + close.len_utf8(), numbers },
        None => Bracket::Text,
    }
}

/// What may stand before the numbers in a bracket.
const LABELS: [&str; 10] =
    ["^", "#", "sources", "source", "passages", "passage", "출처", "자료", "근거", "ref"];

/// Reads `1`, `1, 3`, `1-3`, `출처 2`, `^4`, `3†source`.
fn numbers(inner: &str) -> Option<Vec<u32>> {
    let inner = inner.split('†').next().unwrap_or_default().trim();
    let lower = inner.to_lowercase();
    let label = LABELS.iter().find(|label| lower.starts_with(*label)).map_or(0, |label| label.len());
    let list = inner.get(label..)?.trim_start_matches([' ', ':', '.']);
    let mut found = Vec::new();
    for part in list.split([',', ';', '·', '/', ' ']).filter(|part| !part.is_empty()) {
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() <= 3);
        match part.split_once(['-', '–', '~']) {
            None => found.push(number(part)?),
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                found.extend(from..=to.min(from.saturating_add(16)));
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Tells whether more text could make this the inside of a mark.
fn may_be_numbers(inner: &str) -> bool {
    let lower = inner.trim_start().to_lowercase();
    let begins = |label: &&&str| label.starts_with(&lower) || lower.starts_with(**label);
    let label = LABELS.iter().find(begins).map_or(0, |label| label.len().min(lower.len()));
    let rest = lower.get(label..).unwrap_or_default();
    rest.contains('†') || rest.chars().all(|c| c.is_ascii_digit() || " ,;·/-–~:.".contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str, pieces: &[usize]) -> (String, Vec<Sentence>) {
        let mut marks = Marks::new(3);
        let (mut shown, mut found) = (String::new(), Vec::new());
        let mut rest = text;
        let mut sizes = pieces.iter().copied().cycle();
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(1).max(1);
            let end = rest.char_indices().nth(size).map_or(rest.len(), |(at, _)| at);
            let (piece, after) = rest.split_at(end);
            shown.push_str(&marks.push(piece));
            found.extend(marks.sentences(false));
            rest = after;
        }
        shown.push_str(&marks.finish());
        found.extend(marks.sentences(true));
        (shown, found)
    }

    fn read(text: &str) -> Vec<(String, Vec<u32>)> {
        whole(text, &[1_000]).1.into_iter().map(|sentence| (sentence.text, sentence.sources)).collect()
    }

    #[test]
    fn marks_belong_to_the_sentence_before_them_wherever_the_full_stop_is() {
        let said = |text: &str, sources: &[u32]| (text.to_owned(), sources.to_vec());
        assert_eq!(
            read("무릎이 아프면 쉽니다.[1] 사흘 뒤에 걷습니다 [2]. 힘내세요!"),
            [said("무릎이 아프면 쉽니다.", &[1]), said("사흘 뒤에 걷습니다.", &[2]), said("힘내세요!", &[])]
        );
        assert_eq!(
            read("Rest first [1][2]. Then walk. [3] Good luck!"),
            [said("Rest first.", &[1, 2]), said("Then walk.", &[3]), said("Good luck!", &[])]
        );
        assert_eq!(
            read("- 물을 마십니다 [1]\n- 그늘에서 쉽니다 [2]\n"),
            [said("- 물을 마십니다", &[1]), said("- 그늘에서 쉽니다", &[2])]
        );
        assert_eq!(read("먼저 걷고[1] 나중에 뜁니다[2]."), [said("먼저 걷고 나중에 뜁니다.", &[1, 2])]);
    }

    #[test]
    fn marks_before_their_sentences_belong_to_those() {
        let said = |text: &str, sources: &[u32]| (text.to_owned(), sources.to_vec());
        assert_eq!(
            read("[1] 무릎이 아프면 쉽니다. [2] 사흘 뒤에 걷습니다. 힘내세요!"),
            [said("무릎이 아프면 쉽니다.", &[1]), said("사흘 뒤에 걷습니다.", &[2]), said("힘내세요!", &[])]
        );
        assert_eq!(
            read("- [1] Rest first. [2][3] Then walk.\n2. [3] Run last [1]. Good luck."),
            [
                said("- Rest first.", &[1]),
                said("Then walk.", &[2, 3]),
                said("2. Run last.", &[3, 1]),
                said("Good luck.", &[])
            ]
        );
        assert_eq!(read("[1] Rest. [2]"), [said("Rest.", &[1, 2])]);
        let text = "[1] 무릎이 아프면 쉽니다. [2] 사흘 뒤에 걷습니다.";
        let spans: Vec<String> = whole(text, &[2]).1.iter().map(|s| s.span.of(text).to_owned()).collect();
        assert_eq!(spans, ["[1] 무릎이 아프면 쉽니다.", "[2] 사흘 뒤에 걷습니다."]);
    }

    #[test]
    fn marks_are_read_in_the_forms_that_models_write_and_those_of_no_source_are_left_out() {
        let shown = |text: &str| whole(text, &[3]).0;
        assert_eq!(shown("a [1, 2] b [출처 3] c [^1] d 【2†source】"), "a [1][2] b [3] c [1] d [2]");
        assert_eq!(shown("a [9] b [0] c [1-2]."), "a  b  c [1][2].");
        assert_eq!(shown("see [the guide](x) [a] [] [1"), "see [the guide](x) [a] [] [1");
        assert_eq!(shown("[ ] todo [x]"), "[ ] todo [x]");
    }

    #[test]
    fn a_sentence_is_told_before_the_next_one_ends() {
        let mut marks = Marks::new(1);
        marks.push("첫 문장은 이렇습니다 [1]. 그리고 두 번째 문장은 아직 끝나지 않");
        let told = marks.sentences(false);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].sources, [1]);
    }

    const ANSWER: &str = "무릎이 3.5일 아프면 쉬세요 [1]. \"괜찮아요?\"라고 물었어요[2].\n\n1. 물 500ml를 마십니다 [3]\n2. Dr. Kim said so [1][3]. 그다음, 2024. 3. 1.에 다시 뜁니다.[2] See you there! [9] ㅋㅋ 좋아요 [3]";

    proptest! {
        #[test]
        fn pieces_of_any_size_make_the_same_sentences(pieces in prop::collection::vec(1_usize..9, 1..20)) {
            let (shown, found) = whole(ANSWER, &pieces);
            let (all_shown, all) = whole(ANSWER, &[10_000]);
            prop_assert_eq!(&shown, &all_shown);
            prop_assert_eq!(&found, &all);
        }

        #[test]
        fn any_text_is_shown_and_spans_lie_in_it(text in "(\\[[0-9]{0,2}\\]?|\\PC|[가-힣a-z .,!?\n\\[\\]0-9]){0,60}", pieces in prop::collection::vec(1_usize..7, 1..8)) {
            let (shown, found) = whole(&text, &pieces);
            let mut end = 0;
            for sentence in found {
                prop_assert!(sentence.span.start <= sentence.span.end);
                prop_assert!(sentence.span.end <= shown.len(), "{:?} of {}", sentence.span, shown.len());
                prop_assert!(shown.get(sentence.span.range()).is_some());
                prop_assert!(sentence.span.start >= end);
                end = sentence.span.end;
            }
        }
    }
}
