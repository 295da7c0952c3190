use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use pumasi_rag::answer::Budget;
use pumasi_rag::chunk::{Chunker, CountTokens, EstimatedTokens, Section, StructureChunker, readable};
use pumasi_rag::{Document, Format};

/// Checks all that a chunker guarantees but its name.
fn check(document: &Document, max_tokens: usize) -> Vec<Section> {
    let chunker = StructureChunker::new().with_max_tokens(max_tokens).with_overlap_tokens(max_tokens / 8);
    let sections = chunker.chunk(document).unwrap();
    let text = &document.text;
    let mut covered = vec![false; text.len()];
    let mut end = 0;
    for section in &sections {
        assert!(section.span.start >= end, "sections overlap");
        end = section.span.end;
        let mut last = None;
        for chunk in &section.chunks {
            assert!(text.get(chunk.range()).is_some_and(|chunk| !chunk.is_empty()), "a broken character");
            assert!(section.span.contains(*chunk));
            assert!(
                last.is_none_or(|last| chunk.start > last),
                "a chunk begins no later than the one before"
            );
            last = Some(chunk.start);
            let read = readable(&section.context, chunk.of(text));
            assert!(EstimatedTokens.count(&read) <= max_tokens, "{} tokens", EstimatedTokens.count(&read));
            covered[chunk.range()].fill(true);
        }
    }
    let headings: String = sections.iter().flat_map(|section| section.headings.clone()).collect();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        // tags in headings are not shown
        let tag = text[..at].rfind('<').is_some_and(|open| !text[open..at].contains('>'));
        assert!(covered[at] || headings.contains(c) || tag, "{c:?} at {at} is lost");
    }
    sections
}

#[test]
fn markdown_becomes_sections_under_their_headings() {
    let text = "머리말입니다.\n\n# 부상\n\n## 무릎\n\n통증이 있으면 쉽니다. 얼음찜질을 합니다.\n\n```text\n3 km\n5 km\n```\n\n# 신발\n";
    let sections = check(&Document::markdown("a", text).with_title("안내"), 64);
    let seen: Vec<(Vec<String>, String)> =
        sections.iter().map(|section| (section.headings.clone(), section.span.of(text).to_owned())).collect();
    let headings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (headings(&[]), "머리말입니다.".to_owned()),
            (
                headings(&["부상", "무릎"]),
                "통증이 있으면 쉽니다. 얼음찜질을 합니다.\n\n```text\n3 km\n5 km\n```".to_owned()
            ),
            (headings(&["신발"]), "# 신발".to_owned()),
        ]
    );
    assert_eq!(sections[1].context, "안내 > 부상 > 무릎");
}

#[test]
fn pages_are_sections_of_plain_text() {
    let sections = check(&Document::new("a", "first page.\u{c}둘째 쪽입니다."), 64);
    let headings: Vec<_> = sections.iter().map(|section| section.headings.join("/")).collect();
    assert_eq!(headings, ["p. 1", "p. 2"]);
}

#[test]
fn chunks_are_whole_sentences_and_repeat_the_last_ones() {
    let sentence = |n: usize| format!("{n}번째 날에는 천천히 달립니다.");
    let text = (1..40).map(sentence).collect::<Vec<_>>().join(" ");
    let sections = check(&Document::new("a", text.as_str()), 64);
    let chunks: Vec<&str> =
        sections.iter().flat_map(|section| &section.chunks).map(|chunk| chunk.of(&text)).collect();
    assert!(chunks.len() > 8, "{}", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.ends_with("달립니다.") && chunk.contains("번째")));
    let overlapping = sections
        .iter()
        .flat_map(|section| section.chunks.windows(2))
        .filter(|pair| pair[0].overlaps(pair[1]))
        .count();
    assert_eq!(overlapping, 0, "a sentence has more tokens than the overlap of 8");
    let chunker = StructureChunker::new().with_max_tokens(64).with_overlap_tokens(32);
    let sections = chunker.chunk(&Document::new("a", text.as_str())).unwrap();
    let mut pairs = sections.iter().flat_map(|section| section.chunks.windows(2));
    assert!(pairs.all(|pair| pair[0].overlaps(pair[1])));
}

#[test]
fn a_sentence_that_is_too_long_is_cut_between_words_or_characters() {
    let spaced = "달리기 ".repeat(400);
    for section in check(&Document::new("a", spaced.trim()), 32) {
        for chunk in section.chunks {
            assert!(chunk.of(&spaced).split(' ').all(|word| word == "달리기"), "a word is cut");
        }
    }
    let family = "👨‍👩‍👧‍👦".repeat(300);
    for section in check(&Document::new("a", family.as_str()), 32) {
        for chunk in section.chunks {
            assert_eq!(chunk.start % "👨‍👩‍👧‍👦".len(), 0, "a family is parted");
        }
    }
    check(&Document::new("a", "가".repeat(5_000)), 16);
    check(&Document::new("a", format!("e{}", "\u{301}".repeat(5_000))), 16);
    check(&Document::new("a", format!("a.{}b.", "\n".repeat(5_000))), 16);
}

#[test]
fn a_byte_order_mark_hides_nothing_and_is_in_no_chunk() {
    let text = "\u{FEFF}# 부상\n\n본문입니다.\n";
    let sections = check(&Document::markdown("a", text), 64);
    assert_eq!(sections.len(), 1);
    assert_eq!(sections[0].headings, ["부상"]);
    assert_eq!(sections[0].chunks[0].of(text), "본문입니다.");
    let text = "\u{FEFF}안녕하세요. 둘째입니다.";
    let sections = check(&Document::new("a", text), 64);
    assert_eq!(sections[0].chunks[0].of(text), "안녕하세요. 둘째입니다.");
}

#[test]
fn sections_as_they_are_by_default_are_given_whole_by_default() {
    let text = "무릎이 아프면 달리기를 사흘 쉽니다. Then walk for twenty minutes. ".repeat(500);
    let sections = StructureChunker::new().chunk(&Document::new("a", text.as_str())).unwrap();
    let most = Budget::default().passage_tokens;
    assert!(sections.iter().all(|section| EstimatedTokens.count(section.span.of(&text)) <= most));
    assert!(sections.iter().any(|section| section.chunks.len() > 1), "a section is more than a chunk");
}

#[test]
fn a_long_sentence_takes_time_in_proportion_to_its_length() {
    /// Adds up the bytes that it counts the tokens of.
    #[derive(Debug, Default)]
    struct Bytes(AtomicUsize);

    impl CountTokens for Bytes {
        fn name(&self) -> &'static str {
            "bytes"
        }

        fn count(&self, text: &str) -> usize {
            self.0.fetch_add(text.len(), Ordering::Relaxed);
            EstimatedTokens.count(text)
        }
    }
    for piece in ["달리기는 즐겁고 ", "가", "abc", "a                                               "]
    {
        let text = piece.repeat((200 << 10) / piece.len());
        let bytes = Arc::new(Bytes::default());
        let sections =
            StructureChunker::counting(Arc::clone(&bytes)).chunk(&Document::new("a", text.as_str())).unwrap();
        assert!(!sections.is_empty());
        let each = bytes.0.load(Ordering::Relaxed) / text.len();
        assert!(each < 40, "{each} bytes were counted for each of {piece:?}");
    }
}

#[test]
fn long_headings_leave_room_for_the_text() {
    let heading = "아주 긴 제목 ".repeat(100);
    let text = format!("# {heading}\n\n## {heading}\n\n본문은 짧습니다.");
    let sections = check(&Document::markdown("a", text.as_str()).with_title(heading), 64);
    assert!(sections[0].chunks[0].of(&text).ends_with("짧습니다."));
}

#[test]
fn text_without_words_has_no_chunks_of_nothing() {
    for text in ["", " \n\t", "\u{c}\u{c}", "\u{feff}"] {
        for format in [Format::Plain, Format::Markdown] {
            for section in check(&Document::new("a", text).with_format(format), 64) {
                assert!(section.chunks.iter().all(|chunk| !chunk.is_empty()));
            }
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("무릎이 아프면 쉽니다. "),
        Just("달렸어요"),
        Just("Run slowly, e.g. 5 km at 6:30. "),
        Just("# 제목\n"),
        Just("\n## Heading `code`\n\n"),
        Just("```\ncode();\n```\n"),
        Just("\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"),
        Just("- 하나\n- 둘\n  > 인용\n"),
        Just("[link]: https://example.com/아주/긴/주소\n"),
        Just("---\ntitle: x\n---\n"),
        Just("\n\n"),
        Just("   "),
        Just("\u{c}"),
        Just("<p>html</p>\n"),
        Just("👩‍🚀🏃"),
        Just("ㅋㅋㅋㅋㅋ"),
        Just("漢字かな"),
        Just("e\u{301}\u{302}"),
    ];
    prop::collection::vec(prop_oneof![4 => piece.prop_map(str::to_owned), 1 => "\\PC{0,40}"], 0..60)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_the_text_nothing_is_broken_lost_or_too_long(text in text(), markdown: bool, max in 16_usize..80) {
        let format = if markdown { Format::Markdown } else { Format::Plain };
        check(&Document::new("a", text).with_format(format).with_title("제목 title"), max);
    }
}
