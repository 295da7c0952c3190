use proptest::prelude::*;

use super::*;

fn terms(text: &str) -> Vec<String> {
    Analyzer::default().tokens(text).into_iter().map(|token| token.text).collect()
}

#[test]
fn strips_particles_and_keeps_bigrams_beside_the_stem() {
    assert_eq!(terms("러닝크루에서"), ["러닝크루", "러닝", "닝크", "크루"]);
    assert_eq!(terms("학교가"), ["학교", "학교"]);
    assert_eq!(terms("학교는"), ["학교", "학교"]);
}

#[test]
fn never_loses_a_word() {
    assert!(terms("에어팟").contains(&"에어팟".to_owned()));
    assert_eq!(terms("물"), ["물"]);
    assert_eq!(terms("집 가"), ["집", "가"]);
    assert_eq!(terms("the"), ["the"]);
    for text in ["에어팟", "이", "는", "c++", "🏃", "漢", "カ", "ㅋㅋ", "7", "naïve", "до"] {
        assert!(!terms(text).is_empty(), "{text}");
    }
}

#[test]
fn finds_nouns_of_one_syllable_under_their_particles() {
    for (text, noun) in [("책을", "책"), ("꽃이", "꽃"), ("눈이", "눈"), ("밥을", "밥"), ("차를", "차")]
    {
        assert!(terms(text).contains(&noun.to_owned()), "{text}: {:?}", terms(text));
        assert!(terms(text).contains(&text.to_owned()), "{text}: {:?}", terms(text));
    }
    for text in ["가을", "회의", "지도", "사과", "국가", "서울", "러닝을"] {
        assert!(terms(text).iter().all(|term| term.chars().count() > 1), "{text}: {:?}", terms(text));
    }
}

#[test]
fn capitals_are_no_function_words() {
    let kinds = |text: &str| -> Vec<_> {
        Analyzer::default().tokens(text).into_iter().map(|token| token.kind).collect()
    };
    for text in ["IT", "ＩＴ", "AS", "BE", "NOT"] {
        assert_eq!(kinds(text), [TokenKind::Word], "{text}");
    }
    for text in ["it", "It", "a", "A"] {
        assert_eq!(kinds(text), [TokenKind::Stop], "{text}");
    }
    assert_eq!(terms("IT기업의 AS"), ["it", "기업", "기업", "as"]);
}

#[test]
fn reads_numbers_with_their_units() {
    assert_eq!(terms("종로3가"), ["종로", "종로", "3", "3가", "가"]);
    assert_eq!(terms("3을 Kafka가"), ["3", "kafka"]);
    assert_eq!(terms("10km를"), ["10", "10km", "km"]);
    assert_eq!(terms("5만원을"), ["5", "5만원", "만원", "만원"]);
    assert_eq!(terms("1,234명이"), ["1234", "1234명", "명이", "명이"]);
    assert_eq!(terms("10 km"), ["10", "km"]);
}

#[test]
fn reads_foreign_words_inside_korean() {
    assert_eq!(terms("Kafka는"), ["kafka"]);
    assert_eq!(terms("LG전자의"), ["lg", "전자", "전자"]);
    assert_eq!(terms("iPhone15를"), ["iphone15", "iphon", "15"]);
    assert_eq!(terms("學校에서"), ["學校"]);
}

#[test]
fn marks_english_function_words() {
    let tokens = Analyzer::default().tokens("The runners were running");
    let kinds: Vec<_> = tokens.iter().map(|token| (token.text.as_str(), token.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("the", TokenKind::Stop),
            ("runner", TokenKind::Word),
            ("were", TokenKind::Word),
            ("run", TokenKind::Word)
        ]
    );
}

#[test]
fn spans_point_at_the_source_whatever_its_form() {
    use unicode_normalization::UnicodeNormalization;
    let source: String = "ＲＵＮ 러닝크루에서".nfd().collect();
    for token in Analyzer::default().tokens(&source) {
        let piece: String = token.span.of(&source).nfc().collect();
        assert!(normalize(&piece).as_str().contains(&token.text), "{token:?}");
    }
}

#[test]
fn unreadably_long_words_take_linear_time_and_make_short_terms() {
    for piece in ["a", "가", "9", "9,999", "a1", "1a", "가1", "漢", "'a", "e\u{301}", "ㅋ"] {
        let text = piece.repeat(300_000 / piece.len());
        let started = std::time::Instant::now();
        Analyzer::default().for_each(&text, |token| assert!(token.text.len() <= LONGEST_TERM));
        assert!(started.elapsed().as_secs() < 5, "{piece}: {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn spans_are_valid_and_positions_grow(text in prop_oneof![any::<String>(), "\\PC{0,60}", "[가-힣ㄱ-ㅣ\u{1100}-\u{11ff}\u{300}-\u{36f}\u{200b}-\u{200f}\u{0}-\u{1f}a-z]{0,40}", "[가-힣a-zA-Z0-9 ,.는을km漢カ]{0,60}"]) {
        let mut last = 0;
        for token in Analyzer::default().tokens(&text) {
            prop_assert!(!token.text.is_empty());
            prop_assert!(text.get(token.span.range()).is_some_and(|piece| !piece.is_empty()));
            prop_assert!(token.position >= last);
            last = token.position;
        }
    }

    #[test]
    fn every_letter_and_digit_is_under_some_term_or_is_a_suffix(text in "[가-힣]{1,12}") {
        let tokens = Analyzer::default().tokens(&text);
        // stripping is from the end only, and leaves at least two syllables
        prop_assert_eq!(tokens[0].span.start, 0);
        prop_assert!(tokens[0].span.end >= text.len().min(6));
    }
}
