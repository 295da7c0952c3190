//! Words around a number that make another one of it, or leave it open which it is: a loss, a bound, an exception, a condition.

use crate::align::scalar::{currency, holds, unit};

/// What the words around a number make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It is fine as it stands.
    None,
    /// No plain number is meant.
    Refused(&'static str),
    /// The word before it is not known: it may be the number of a page as well as an amount.
    Unclear,
}

const FALL: &str = "a loss or a fall: the sign is not clear";
const BOUND: &str = "a bound, not a number";
const PART: &str = "what is left out or lacks, not the number";
const PAST: &str = "a former or a conditional number";
const PLACE: &str = "an ordinal, a date or a coordinate";
const SCALE: &str = "a magnitude that is not clear";

/// They turn the number, wherever in its text they stand.
const FALLS: &str = "\
    loss losses down dropped drop drops fell falls fallen decline declined decrease decreased decreasing \
    reduced reduction shrank shrunk deficit overdrawn debt owes owed owing shortfall cut slashed plunged \
    plummeted slipped slid dipped deducted deduction withdrawn refunded red lost lower sank losing \
    discounted depreciated contracted subtract subtracted";
const LEFT_OUT: &str = "\
    except excluding excl besides lacks lacking unless missing fewer";
const FORMER: &str = "\
    formerly previously originally if ago bc bce unless hopefully maybe perhaps possibly supposedly \
    allegedly used depending";
const COMPASS: &str = "\
    south west basement";

/// They bound or date the number right behind them.
const BEFORE: &str = "\
    than from until till exceed exceeds exceeding exceeded past since beyond before after but within without \
    sub capped limited outside surpassed surpasses surpassing topped tops reaching approaching nearing";

/// They scale, bound or turn the number right before them.
const BEHIND: &str = "\
    short less grand score bps cr dr mm lower light late behind too tops max min gross";

/// What may stand before a number without making another thing of it.
const KNOWN: &str = "\
    is was are were be been answer total count number age aged score value rating result equals equal only \
    just exactly precisely costs cost price priced for has have had takes took the a at with in amount \
    quantity sum paid pay pays and so thus it's that's by rated as ran run runs walked worked bought sold \
    needs need got get weighs weight height width length distance duration time size temperature level \
    lasted lasts spent earned earns scored scores contains includes holds found there gave give gives n \
    final output estimate estimated these those all another every each his her their my our of x y years i \
    we he she they it you counted measured set stands remains come comes makes altogether overall average \
    mean median good full nearly usd completed drank ate slept read wrote saw made did rose grew increased \
    gained added plus approx charges charged worth reached budget fee revenue profit income salary capacity \
    population percent percentage share rate positive won serves serve drink eat take do walk use uses \
    contain visit write buy add complete finish repeat attend try send call save spend hold make hired \
    planted caught published produced created recorded received collected sent visited attended finished \
    called used served hosts employs owns offers provides lists shows reports reported returned returns";

/// Korean words that turn, bound or date a number; by their first syllables.
const FALLS_KO: &str = "\
    감소 하락 내림 내렸 내려 하향 적자 손실 손해 부채 빚 적음 적다 적게 줄었 줄어 줄음 줄인 줄였 깎 떨어 감액 \
    인하 차감 공제 급락 폭락 축소 절감 삭감 잃 작음 작다";
const LEFT_OUT_KO: &str = "\
    부족 모자 제외 빼고 뺀 말고 외에";
const BOUNDS_KO: &str = "\
    미달 넘게 넘음 넘는 넘어 넘은 넘었 넘습 넘을 넘지 육박 아래 밑 기껏 많아야 못해도 안쪽 웃도 웃돌 밑도 밑돌 \
    상회 하회 초과 미치지 못 안되 안된 몇 한도";
const PLACES_KO: &str = "\
    남위 서경 기원전 지하 초반 중반 후반";
const FORMER_KO: &str = "\
    전에는 예전 과거 원래 당초 만약 만일 이전에는 수도 아마 혹시 종전 애초";

/// What a number may have glued to it that bounds or dates it.
const GLUED_KO: &[(&str, &str)] =
    &[("보다", BOUND), ("부터", BOUND), ("까지", BOUND), ("년대", PLACE), ("넘", BOUND), ("일 수도", PAST)];

/// Tells what the words of a text with one number make of it; words of the field's name say the same of it already.
pub(super) fn effect(text: &str, field: &str) -> Effect {
    let Some((head, digits, tail)) = parts(text) else { return Effect::None };
    if let Some(why) = signs(head, digits, tail) {
        return Effect::Refused(why);
    }
    let (lower_head, lower_tail) = (near_head(head).to_lowercase(), near_tail(tail).to_lowercase());
    let split = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphabetic() && c != '\'')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (before, behind) = (split(&lower_head), split(&lower_tail));
    if before.is_empty() && behind.is_empty() {
        return Effect::None;
    }
    let field = field.to_lowercase();
    let told = |word: &str| field.contains(word);
    for word in before.iter().rev().take(NEAR).chain(behind.iter().take(NEAR)) {
        if told(word) {
            continue;
        }
        let listed = |list| holds(list, word);
        let starts =
            |list: &str| list.split_ascii_whitespace().any(|stem| word.starts_with(stem) && !told(stem));
        let why = if listed(FALLS) || starts(FALLS_KO) {
            FALL
        } else if listed(LEFT_OUT) || starts(LEFT_OUT_KO) {
            PART
        } else if listed(FORMER) || starts(FORMER_KO) {
            PAST
        } else if listed(COMPASS) || starts(PLACES_KO) {
            PLACE
        } else if word == "안" || starts(BOUNDS_KO) {
            BOUND
        } else {
            continue;
        };
        return Effect::Refused(why);
    }
    let first = behind.first().map_or("", String::as_str);
    let glued = tail.starts_with(char::is_alphabetic);
    if glued && let Some((_, why)) = GLUED_KO.iter().find(|(end, _)| tail.contains(end)) {
        return Effect::Refused(why);
    }
    // "5 kg short"
    let second = behind.get(1).map_or("", String::as_str);
    let measured = unit::named(first).is_some() || currency::of_word(first).is_some();
    if holds(BEHIND, first) || (measured && matches!(second, "short" | "less" | "lower" | "tops" | "too")) {
        return Effect::Refused(if matches!(first, "grand" | "mm" | "score" | "gross") {
            SCALE
        } else {
            BOUND
        });
    }
    let starts = |word: &str, all: &[&str]| all.iter().any(|start| word.starts_with(start));
    if starts(first, &["이하", "이상", "미만", "초과", "이내"]) {
        return Effect::Refused(BOUND);
    }
    // "3년 반입니다"
    if matches!(second, "반" | "반입니다" | "반이다" | "반임" | "반이에요") {
        return Effect::Refused(SCALE);
    }
    if head.ends_with('(') && tail.starts_with(')') && !before.is_empty() {
        return Effect::Unclear;
    }
    let is_month = |word: &str| word.len() >= 3 && crate::month::named(word).is_some();
    if is_month(first) && !glued {
        return Effect::Refused(PLACE);
    }
    let near = before.iter().rev().find(|word| {
        !matches!(unit::classify(word), unit::Word::About)
            && currency::of_word(word).is_none()
            && !matches!(word.as_str(), "only" | "just" | "us" | "the" | "a")
    });
    let Some(near) = near.map(String::as_str) else { return Effect::None };
    let open =
        head.trim_end().ends_with([':', '=', '(', '.', ';', ',', '→', '>', '-', '—', '*', '"', '\n', '|']);
    let earlier = |words: &[&str]| before.iter().any(|word| words.contains(&word.as_str()));
    if holds(BEFORE, near)
        || (near == "as" && before.iter().filter(|word| *word == "as").count() > 1)
        || (near == "at"
            && earlier(&["starts", "starting", "start", "beginning", "begins", "from", "capped"]))
    {
        return Effect::Refused(BOUND);
    }
    if is_month(near) && !open {
        return Effect::Refused(PLACE);
    }
    let known = holds(KNOWN, near) || told(near) || !near.is_ascii() || open || is_minus(near);
    if known { Effect::None } else { Effect::Unclear }
}

fn is_minus(word: &str) -> bool {
    matches!(unit::classify(word), unit::Word::Minus)
}

/// How many words on either side of a number say something of it.
const NEAR: usize = 3;

/// What of the text before the number is of its clause.
fn near_head(head: &str) -> &str {
    let cut =
        [". ", "! ", "? ", ", "].iter().filter_map(|end| head.rfind(end).map(|at| at + end.len())).max();
    let cut = cut.max(head.rfind(['\n', ';', '(']).map(|at| at + 1)).unwrap_or(0);
    head.get(cut..).unwrap_or(head)
}

/// What of the text behind the number is of its clause.
fn near_tail(tail: &str) -> &str {
    let ends = [". ", "! ", "? ", ", "].iter().filter_map(|end| tail.find(end)).min();
    let line = tail.find(['\n', ';', '(']);
    tail.get(..ends.into_iter().chain(line).min().unwrap_or(tail.len())).unwrap_or(tail)
}

/// The text before its first digits, these, and the text behind.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = text.get(start..)?;
    let digit = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.' | '_' | '\'' | '/');
    let len = rest.find(|c| !digit(c)).unwrap_or(rest.len());
    Some((text.get(..start)?, rest.get(..len)?, rest.get(len..)?))
}

/// Judges what only its signs and its letters' case tell: a comma that leads the digits, `37° S`, `5MM`, `1990s`.
fn signs(head: &str, digits: &str, tail: &str) -> Option<&'static str> {
    if head.ends_with(',') && head.trim_end_matches([',', '$', '€', '₩', '£', '-']).trim().is_empty() {
        return Some("separators that do not fit");
    }
    if head.ends_with(" ,") {
        return Some("separators that do not fit");
    }
    let behind = tail.trim_start_matches(['°', '˚', 'º', ' ']);
    let word = behind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    let degrees = tail.trim_start().starts_with(['°', '˚', 'º']);
    if word == "S" || (degrees && word == "W") {
        return Some(PLACE);
    }
    if word == "MM" {
        return Some(SCALE);
    }
    let decade = word == "s" && tail.starts_with('s') && digits.len() == 4 && digits.ends_with('0');
    decade.then_some(PLACE)
}

#[cfg(test)]
mod tests {
    use super::{Effect, effect};

    #[test]
    fn words_that_make_another_number_are_told() {
        for text in [
            "손실 300",
            "5% 감소",
            "적자 5만원",
            "dropped by 5",
            "overdrawn by $300",
            "33.8688° S",
            "127.0°W",
            "남위 37.5도",
            "greater than 3",
            "as many as 3",
            "3보다 작다",
            "3 넘음",
            "3도 안 된다",
            "if 3",
            "all but 3",
            "3 제외",
            ",5",
            "$5MM",
            "1990s",
            "May 3",
            "3 May",
            "5 kg short",
        ] {
            assert!(matches!(effect(text, ""), Effect::Refused(_)), "{text}");
        }
        for text in [
            "약 5km",
            "the answer is 42",
            "5 apples",
            "5만원",
            "나이 5",
            "total: 5",
            "rated as 5",
            "37 seconds",
            "5 m",
            "runs 5 km",
            "the Smiths paid 5",
            "3줄",
            "넘버: 5",
            "5s",
            "2000 people",
        ] {
            assert_eq!(effect(text, ""), Effect::None, "{text}");
        }
        assert_eq!(effect("page 5", ""), Effect::Unclear);
        assert_eq!(effect("page 5", "page"), Effect::None);
        assert_eq!(effect("손실 300", "손실"), Effect::None);
    }
}
