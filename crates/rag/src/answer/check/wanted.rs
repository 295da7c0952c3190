//! The kind of number that a question asks for.

use super::numbers::{Number, numbers};
use super::units::Unit;

/// The kind of number that a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    Any,
    Money,
    Clock,
}

impl Wanted {
    pub(super) fn of(question: &str) -> Self {
        let question = question.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| question.contains(word));
        let is_price = has(&["얼마예요", "얼마인", "얼마죠", "얼마입", "얼마에"]) || has(&["how much"]);
        if is_price
            && has(&[
                "비용",
                "요금",
                "가격",
                "값",
                "수수료",
                "금액",
                "급여",
                "비는",
                "비가",
                "cost",
                "fee",
                "pay",
                "price",
            ])
        {
            Self::Money
        } else if has(&["what time", "몇 시"]) && !has(&["몇 시간"]) {
            Self::Clock
        } else if is_price
            || has(&[
                "몇 ",
                "how many",
                "how long",
                "how often",
                "how far",
                "how high",
                "how deep",
                "얼마나 오래",
                "얼마나 자주",
            ])
        {
            Self::Any
        } else {
            Self::Nothing
        }
    }

    pub(super) fn is_in(self, text: &str) -> bool {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let counts = |is_it: fn(&Number) -> bool| numbers(text).iter().any(is_it);
        match self {
            Self::Nothing => true,
            Self::Any => counts(|_| true),
            Self::Money => {
                counts(|number| number.unit.is_money()) || has(&["무료", "유료", " free", "Free", "charge"])
            }
            Self::Clock => counts(|number| number.unit == Unit::Clock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_tells_what_kind_of_number_it_wants() {
        for (question, wanted) in [
            ("수영장은 몇 시까지 해요?", Wanted::Clock),
            ("몇 시간 자야 하나요?", Wanted::Any),
            ("주차 요금이 얼마예요?", Wanted::Money),
            ("How much does the visa cost?", Wanted::Money),
            ("How much protein do I need?", Wanted::Any),
            ("What time does it open?", Wanted::Clock),
            ("왜 천천히 달리나요?", Wanted::Nothing),
        ] {
            assert_eq!(Wanted::of(question), wanted, "{question}");
        }
        assert!(
            Wanted::Money.is_in("수수료 53,000원이 필요합니다.")
                && !Wanted::Money.is_in("사진 한 장을 냅니다.")
        );
        assert!(Wanted::Clock.is_in("It opens at 9:30.") && !Wanted::Clock.is_in("It takes 3 hours."));
    }
}
