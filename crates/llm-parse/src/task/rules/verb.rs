//! Korean verbs: the stem behind a past, a future and an infinitive form.

use super::clause::SPACE;

/// "만드" before 는 is the ㄹ verb 만들.
pub(super) fn restore_l(stem: &str) -> String {
    match split_last(stem).1 {
        "만드" | "여" | "파" | "사" | "드" | "느" | "주" if !stem.ends_with("주") => {
            with_final(stem, 8)
        }
        _ => stem.to_owned(),
    }
}

/// Takes ㄹ (or 을) off a verb in the future form: 볼 → 보, 먹을 → 먹; ㄹ verbs keep it: 풀 → 풀.
pub(super) fn future_stem(before: &str) -> Option<String> {
    const L_VERBS: [&str; 12] = ["풀", "만들", "놀", "팔", "늘", "줄", "열", "들", "걸", "벌", "돌", "갈"];
    let verb = split_last(before).1;
    if let Some(stem) = before.strip_suffix('을')
        && stem.chars().last().is_some_and(|c| final_consonant(c) != 0)
    {
        return Some(stem.to_owned());
    }
    if L_VERBS.iter().any(|known| verb == *known || (known.chars().count() > 1 && verb.ends_with(known))) {
        return Some(before.to_owned());
    }
    let last = before.chars().last()?;
    (final_consonant(last) == 8).then(|| with_final(before, 0))
}

/// Undoes the past tense of a predicate: 외웠어요 → 외우. `None` if it is not in the past tense.
pub(super) fn past_stem(predicate: &str, context: &str) -> Option<String> {
    const ENDINGS: [&str; 22] = [
        "습니당",
        "어용",
        "네",
        "지만",
        "으며",
        "고",
        "지",
        "습니다만",
        "습니다",
        "답니다",
        "어요",
        "고요",
        "구요",
        "네요",
        "거든요",
        "지요",
        "죠",
        "는데요",
        "는데",
        "음",
        "어",
        "다",
    ];
    let past = ENDINGS.iter().find_map(|ending| predicate.strip_suffix(ending))?;
    let last = past.chars().last()?;
    if final_consonant(last) != 20 || past.ends_with('셨') || past.ends_with('겠') || past.ends_with('있')
    {
        return None;
    }
    // The syllable without its ㅆ is the infinitive: 외웠 → 외워.
    infinitive_stem(&with_final(past, 0), context)
}

/// Undoes stem + 아/어: 외워 → 외우, 들어 → 듣 or 들, 골라 → 고르.
pub(super) fn infinitive_stem(infinitive: &str, context: &str) -> Option<String> {
    let last = infinitive.chars().last()?;
    let head = infinitive.get(..infinitive.len() - last.len_utf8())?;
    let previous = head.chars().last();
    match last {
        '해' => return Some(format!("{head}하")),
        '어' | '아' => return (!head.is_empty()).then(|| closed_stem(head, context)),
        '라' | '러' if previous.is_some_and(|c| final_consonant(c) == 8) => {
            return Some(format!("{}르", with_final(head, 0)));
        }
        '워' => {
            const B_VERBS: [&str; 12] =
                ["구", "누", "주", "어려", "쉬", "무거", "가벼", "고마", "아쉬", "즐거", "더", "추"];
            if B_VERBS.contains(&head) {
                return Some(with_final(head, 17));
            }
        }
        '켜' | '펴' if head.is_empty() => return Some(infinitive.to_owned()),
        '예' | '여' if head.is_empty() => return None,
        _ => {}
    }
    let (initial, vowel, coda) = jamo(last)?;
    if coda != 0 {
        return None;
    }
    let vowel = match vowel {
        6 => 20,                                       // ㅕ ← ㅣ
        14 => 13,                                      // ㅝ ← ㅜ
        9 => 8,                                        // ㅘ ← ㅗ
        10 => 11,                                      // ㅙ ← ㅚ
        4 if matches!(initial, 1 | 4 | 10 | 15) => 18, // 써 꺼 떠 커 ← ㅡ
        same @ (0 | 1 | 4 | 5 | 16 | 20 | 15) => same,
        _ => return None,
    };
    Some(format!("{head}{}", syllable(initial, vowel, 0)))
}

/// The stem before a separate 어/아: mostly as it stands, but 들어 may be 듣다.
fn closed_stem(head: &str, context: &str) -> String {
    const HEARD: [&str; 12] =
        ["강의", "수업", "음악", "노래", "LC", "듣기", "라디오", "팟캐스트", "소리", "인강", "특강", "파트"];
    match head {
        "들" if HEARD.iter().any(|word| context.contains(word)) => "듣".to_owned(),
        "걸" if !context.contains("전화") && !context.contains('옷') => "걷".to_owned(),
        "물" => "묻".to_owned(),
        "깨달" => "깨닫".to_owned(),
        "지" => "짓".to_owned(),
        // ㅅ verbs lose it before a vowel
        "나" => "낫".to_owned(),
        "부" => "붓".to_owned(),
        "이" => "잇".to_owned(),
        "그" => "긋".to_owned(),
        "저" => "젓".to_owned(),
        // and ㅡ falls out: 모으 and 아
        _ if head.ends_with('모') => format!("{head}으"),
        _ => head.to_owned(),
    }
}

pub(super) fn split_last(text: &str) -> (&str, &str) {
    let text = text.trim_end();
    match text.char_indices().rev().find(|(_, c)| SPACE.contains(c)) {
        Some((at, c)) => {
            (text.get(..at).unwrap_or_default().trim_end(), text.get(at + c.len_utf8()..).unwrap_or_default())
        }
        None => ("", text),
    }
}

const FIRST: u32 = 0xac00;

fn jamo(c: char) -> Option<(u32, u32, u32)> {
    let index = u32::from(c).checked_sub(FIRST).filter(|index| *index < 11_172)?;
    Some((index / 588, index % 588 / 28, index % 28))
}

fn syllable(initial: u32, vowel: u32, coda: u32) -> char {
    char::from_u32(FIRST + (initial * 21 + vowel) * 28 + coda).unwrap_or('\u{fffd}')
}

pub(super) fn final_consonant(c: char) -> u32 {
    jamo(c).map_or(0, |(_, _, coda)| coda)
}

/// Replaces the final consonant of the last syllable.
pub(super) fn with_final(text: &str, coda: u32) -> String {
    let mut out = text.to_owned();
    if let Some((initial, vowel, _)) = out.chars().last().and_then(jamo) {
        out.pop();
        out.push(syllable(initial, vowel, coda));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_predicates_find_their_stem() {
        for (predicate, stem) in [
            ("완강했습니다", "완강하"),
            ("외웠어요", "외우"),
            ("풀었습니다", "풀"),
            ("줄였다", "줄이"),
            ("올렸습니다", "올리"),
            ("골랐어요", "고르"),
            ("썼다", "쓰"),
            ("갔어요", "가"),
            ("봤습니다", "보"),
            ("보냈어요", "보내"),
            ("먹었고요", "먹"),
            ("구웠어요", "굽"),
            ("걸었습니다", "걷"),
            ("만들었어요", "만들"),
            ("않았어요", "않"),
            ("됐어요", "되"),
            ("모았습니다", "모으"),
            ("긁어모았다", "긁어모으"),
            ("부었어요", "붓"),
            ("보았습니다", "보"),
            ("쉬었습니다", "쉬"),
        ] {
            assert_eq!(past_stem(predicate, "").as_deref(), Some(stem), "{predicate}");
        }
        assert_eq!(past_stem("들었고요", "강의를").as_deref(), Some("듣"));
        assert_eq!(past_stem("합니다", ""), None);
        assert_eq!(past_stem("하셨어요", ""), None);
    }
}
