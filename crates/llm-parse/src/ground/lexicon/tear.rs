//! Where a Korean word may be cut: before a particle or an ending, and between the nouns of a compound.

use super::korean::{HONORIFICS, is_full_name, is_particle};

/// What begins what follows a noun or a stem: the first syllables of particles, endings and suffixes.
const ENDINGS: &str = "하했한할해함합되됐된될됩됨돼이입인였었았습는은을를던다요까죠네고며서면지게니자나려러어아여기음씨님들씩쯤째마만도뿐시셨겠군거당받드스롭답적용별식형중간후전때밖처보부에의로으와과랑조라란가께야든데";

/// Tells whether a word may not begin at `rest`: with a particle, or with a noun of one syllable that may be the end of any
/// other noun, 물을 of 약물을.
pub(in crate::ground) fn tears_front(rest: &str) -> bool {
    is_particle(rest) || single(rest).is_some()
}

/// Tells whether a word may not end at `kept`, before `left_out`: within a name, 김민 of 김민수를, or before a last syllable
/// that is no ending.
pub(in crate::ground) fn tears_end(kept: &str, left_out: &str) -> bool {
    if is_particle(left_out) || HONORIFICS.contains(&left_out) {
        return false;
    }
    let Some(tail) = single(left_out) else { return false };
    // 김민지가, and not 배웠다가
    let short = kept.chars().nth(2).is_none() && tail.len() < left_out.len();
    let named = short && is_full_name(&[kept, tail].concat()) && !is_past(kept);
    named || !tail.starts_with(|c| ENDINGS.contains(c))
}

/// The one syllable of a word that has but one before its particle.
fn single(word: &str) -> Option<&str> {
    let first = word.chars().next()?.len_utf8();
    let (syllable, particle) = word.split_at_checked(first)?;
    (particle.is_empty() || is_particle(particle)).then_some(syllable)
}

fn is_past(kept: &str) -> bool {
    let last = kept.chars().next_back().and_then(super::letters);
    last.is_some_and(|[_, _, last]| last == 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_before_particles_and_endings() {
        for (kept, left_out) in [
            ("학교", "에서"),
            ("합격", "했습니다"),
            ("외웠", "어요"),
            ("마라톤", "대회에서"),
            ("김민수", "씨가"),
            ("김민수", "를"),
            ("배웠", "다"),
            ("코치", "님"),
        ] {
            assert!(!tears_end(kept, left_out), "{kept} {left_out}");
        }
        for (kept, left_out) in [("김민", "수를"), ("김민", "지가"), ("이력", "서를"), ("물", "병")]
        {
            assert!(tears_end(kept, left_out), "{kept} {left_out}");
        }
        for rest in ["를", "물을", "에서"] {
            assert!(tears_front(rest), "{rest}");
        }
        for rest in ["고기를", "경험", "했다", "합격했습니다"] {
            assert!(!tears_front(rest), "{rest}");
        }
    }
}
