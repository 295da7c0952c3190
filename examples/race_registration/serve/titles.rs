//! What people read in place of the names of the sagas, of their steps, and of what undoes these.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use support::language::{Language, Words};

const TITLES: [(&str, Words); 29] = [
    ("registration", words("Registration", "접수")),
    ("lottery", words("Registration by lot", "추첨 접수")),
    ("agree_terms", words("Terms", "약관 동의")),
    ("choose_souvenir", words("Souvenir", "기념품 고르기")),
    ("shipping_address", words("Address", "받을 곳")),
    ("enter_draw", words("On the list for the draw", "추첨 명단에 올리기")),
    ("leave_draw", words("Off the list again", "추첨 명단에서 빼기")),
    ("drawn", words("Drawn", "당첨")),
    ("hold_place", words("Place held", "자리 잡기")),
    ("release_place", words("Place released", "자리 내놓기")),
    ("start_payment", words("Payment started", "결제 시작")),
    ("cancel_payment", words("Payment cancelled", "결제 취소")),
    ("payment_completed", words("Payment completed", "결제 완료")),
    ("refund", words("Money given back", "돈 돌려주기")),
    ("check_eligibility", words("Right to run checked", "참가 자격 확인")),
    ("confirm", words("Confirmed", "접수 확정")),
    ("notify", words("Told", "알림")),
    // The words of a drawing.
    ("start", words("Start", "시작")),
    ("end", words("End", "끝")),
    ("undone by", words("undone by", "되돌리기")),
    ("late", words("late", "늦으면")),
    // What a record of the history was written for.
    ("begun", words("begun", "시작함")),
    ("restarted", words("begun anew", "다시 시작함")),
    ("step", words("step", "단계")),
    ("compensation", words("undoing", "되돌리기")),
    ("signal", words("answer", "답")),
    ("due", words("time is over", "때가 됨")),
    ("operator", words("decision", "결정")),
    ("taken_over", words("taken over by another process", "다른 곳에서 이어받음")),
];

const fn words(english: &'static str, korean: &'static str) -> Words {
    Words { english, korean }
}

fn words_of(name: &str) -> Option<Words> {
    TITLES.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
}

/// The title of a name, in the language of whoever asks; `None` if there is none.
pub(super) fn title(name: &str) -> Option<String> {
    words_of(name).map(|words| words.within(Language::spoken()).to_owned())
}

/// A name that is written as its title, in the language of whoever asks.
pub(super) struct Title(pub(super) Arc<str>);

impl Serialize for Title {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let title = title(&self.0).map_or(Cow::Borrowed(&*self.0), Cow::Owned);
        serializer.serialize_str(&title)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::desk::Desk;
    use super::*;
    use crate::saga::{lottery, registration};

    #[test]
    fn whatever_people_see_of_a_saga_has_a_title() {
        let payment = Duration::from_mins(1);
        let definitions = [registration::<Desk>(payment).unwrap(), lottery::<Desk>(payment).unwrap()];
        for definition in definitions {
            let plan = definition.plan();
            let mut names = vec![&plan.saga];
            for unit in &plan.units {
                names.push(&unit.name);
                names.extend(unit.undo.as_ref().map(|undo| &undo.name));
                names.extend(unit.late.as_ref().map(|late| &late.name));
            }
            for name in names {
                assert!(words_of(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn a_title_is_written_in_the_language_of_whoever_asks() {
        let written = |name: &str| serde_json::to_string(&Title(name.into())).unwrap();
        assert_eq!(Language::Korean.speak(|| written("hold_place")), "\"자리 잡기\"");
        assert_eq!(written("hold_place"), "\"Place held\"");
        assert_eq!(Language::Korean.speak(|| written("of_an_older_version")), "\"of_an_older_version\"");
    }
}
