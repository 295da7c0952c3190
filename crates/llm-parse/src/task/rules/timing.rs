//! What a task says of time and difficulty.

use crate::task::{Difficulty, Language, Timing};

/// Reads frequency, duration and due day from the words of a task.
pub(super) fn read(words: &str, language: Language) -> Timing {
    let mut timing = Timing { due: due(words), ..Timing::default() };
    match language {
        Language::Korean => {
            timing.frequency = korean_frequency(words);
            timing.duration_minutes = korean_duration(words);
        }
        Language::English => {
            timing.frequency = english_frequency(words);
            timing.duration_minutes = english_duration(words);
        }
    }
    timing
}

/// Reads how hard the words call the task.
pub(super) fn difficulty(words: &str, language: Language) -> Option<Difficulty> {
    let lower = words.to_lowercase();
    let any = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    match language {
        Language::Korean if any(&["(쉬움)", "(초급)", "쉬운 것부터"]) => Some(Difficulty::Easy),
        Language::Korean if any(&["(보통)", "(중급)"]) => Some(Difficulty::Medium),
        Language::Korean if any(&["(어려움)", "(고급)"]) => Some(Difficulty::Hard),
        Language::English if any(&["(easy)", "(beginner)"]) => Some(Difficulty::Easy),
        Language::English if any(&["(medium)", "(intermediate)"]) => Some(Difficulty::Medium),
        Language::English if any(&["(hard)", "(difficult)", "(advanced)"]) => Some(Difficulty::Hard),
        _ => None,
    }
}

/// A full date: `2027-12-31`, `2026년 10월 25일`. Anything shorter would need the day of writing.
fn due(words: &str) -> Option<String> {
    let iso = words
        .split(|c: char| !(c.is_ascii_digit() || c == '-'))
        .find(|part| part.len() == 10 && part.split('-').map(str::len).eq([4, 2, 2]) && valid(part));
    if let Some(iso) = iso {
        return Some(iso.to_owned());
    }
    if let Some(dotted) = words
        .split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '/')))
        .find_map(|part| dotted(part.trim_matches(['.', '/'])))
    {
        return Some(dotted);
    }
    if let Some(named) = named_month(words) {
        return Some(named);
    }
    let (before, after) = words.split_once('년')?;
    let year = trailing_number(before)?;
    let (month, after) = after.split_once('월')?;
    let (day, _) = after.split_once('일')?;
    let date =
        format!("{year:04}-{:02}-{:02}", month.trim().parse::<u32>().ok()?, day.trim().parse::<u32>().ok()?);
    (year >= 1900 && valid(&date)).then_some(date)
}

/// `2027.12.31`, `2027/12/31`.
fn dotted(part: &str) -> Option<String> {
    let mark = if part.contains('.') { '.' } else { '/' };
    let mut numbers = part.split(mark);
    let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
    if year.len() != 4 || numbers.next().is_some() {
        return None;
    }
    let date = format!("{year}-{:02}-{:02}", month.parse::<u32>().ok()?, day.parse::<u32>().ok()?);
    valid(&date).then_some(date)
}

/// `March 3, 2027`, `3rd of March 2027`.
fn named_month(words: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let lower = words.to_lowercase();
    let list: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !matches!(*word, "of" | "the"))
        .collect();
    list.windows(3).find_map(|window| {
        let [a, b, year] = window else { return None };
        let year = year.parse::<u32>().ok().filter(|year| (1900..=2200).contains(year))?;
        let month_of = |word: &str| {
            MONTHS.iter().position(|month| {
                word.starts_with(month)
                    && word.chars().all(char::is_alphabetic)
                    && word.len() <= "september".len()
            })
        };
        let (month, day) =
            month_of(a).map(|month| (month, *b)).or_else(|| month_of(b).map(|month| (month, *a)))?;
        let day: u32 = day.trim_end_matches(char::is_alphabetic).parse().ok()?;
        let date = format!("{year:04}-{:02}-{day:02}", month + 1);
        valid(&date).then_some(date)
    })
}

fn valid(date: &str) -> bool {
    format!("{date}T00:00:00Z").parse::<pumasi_core::time::Timestamp>().is_ok()
}

fn trailing_number(text: &str) -> Option<u32> {
    let digits = text.trim_end().chars().rev().take_while(char::is_ascii_digit).count();
    let text = text.trim_end();
    text.get(text.len() - digits..)?.parse().ok()
}

fn korean_frequency(words: &str) -> Option<String> {
    let list: Vec<&str> = words.split_whitespace().collect();
    for (index, word) in list.iter().enumerate() {
        let next = list.get(index + 1).copied().unwrap_or_default();
        let after = list.get(index + 2).copied().unwrap_or_default();
        match *word {
            "매일" | "날마다" | "격일로" | "매일매일" | "격주로" | "매년" => {
                return Some((*word).to_owned());
            }
            "매주" | "매달" => {
                let day = next.trim_end_matches(['에', '은', '는']);
                return Some(if day.ends_with("요일") {
                    format!("{word} {day}")
                } else {
                    (*word).to_owned()
                });
            }
            _ if is_per_week(word) => return Some((*word).to_owned()),
            "주" if next.ends_with('회') || next.ends_with('번') => return Some(format!("주 {next}")),
            "한" if next == "달에"
                && (after.ends_with('번') || after.ends_with('회') || after.ends_with('권')) =>
            {
                return Some(format!("한 달에 {after}"));
            }
            "일주일에" | "하루에" | "한달에" => {
                if next.ends_with('번') || next.ends_with('회') {
                    return Some(format!("{word} {next}"));
                }
                let counted = after.starts_with('번') || after.starts_with('회');
                return Some(if counted { format!("{word} {next} {after}") } else { (*word).to_owned() });
            }
            _ if word.ends_with("마다") => return Some((*word).to_owned()),
            _ => {}
        }
    }
    None
}

/// 주3회
fn is_per_week(word: &str) -> bool {
    word.strip_prefix('주')
        .and_then(|rest| rest.strip_suffix('회').or_else(|| rest.strip_suffix('번')))
        .is_some_and(|count| !count.is_empty() && count.chars().all(|c| c.is_ascii_digit()))
}

fn korean_duration(words: &str) -> Option<u32> {
    const UNITS: [(&str, u32); 7] = [
        ("시간", 60),
        ("개월", 43_200),
        ("달", 43_200),
        ("주", 10_080),
        ("분", 1),
        ("일", 1_440),
        ("년", 525_600),
    ];
    const NUMERALS: [(&str, u32); 8] =
        [("한", 1), ("두", 2), ("세", 3), ("석", 3), ("네", 4), ("다섯", 5), ("여섯", 6), ("열", 10)];
    let mut count = None;
    for word in words.split_whitespace() {
        // "(30분)" is said of the task, as "30분씩" is
        let inner =
            word.strip_prefix('(').and_then(|rest| rest.trim_end_matches(['.', ',']).strip_suffix(')'));
        let (word, aside) = inner.map_or((word, false), |inner| (inner, true));
        let digits = word.chars().take_while(char::is_ascii_digit).count();
        let (number, unit) = if digits > 0 {
            (
                word.get(..digits).and_then(|digits| digits.parse().ok()),
                word.get(digits..).unwrap_or_default(),
            )
        } else if let Some((_, value)) = NUMERALS.iter().find(|(name, _)| *name == word) {
            count = Some(*value);
            continue;
        } else {
            (count, word)
        };
        count = None;
        let Some(number) = number else { continue };
        for (name, minutes) in UNITS {
            if let Some(rest) = unit.strip_prefix(name)
                && matches!(rest, "씩" | "간" | "동안" | "" | "간씩")
                && (aside || !rest.is_empty() || matches!(name, "달" | "시간" | "개월"))
            {
                return u32::checked_mul(number, minutes);
            }
        }
    }
    None
}

fn english_frequency(words: &str) -> Option<String> {
    let lower = words.to_lowercase();
    let list: Vec<&str> =
        lower.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).collect();
    for (index, word) in list.iter().enumerate() {
        let at = |ahead: usize| list.get(index + ahead).copied().unwrap_or_default();
        let bare = |word: &str| word.trim_end_matches(['.', '!', '?']).to_owned();
        match *word {
            "every" | "each" if is_time(&bare(at(1))) => {
                return Some(format!("{word} {}", written(bare(at(1)))));
            }
            "once" | "twice" if matches!(at(1), "a" | "per") => {
                return Some(format!("{word} {} {}", at(1), bare(at(2))));
            }
            "every" | "each" if matches!(at(1), "single" | "other") && is_time(&bare(at(2))) => {
                return Some(format!("{word} {} {}", at(1), written(bare(at(2)))));
            }
            _ if matches!(bare(word).as_str(), "daily" | "weekly" | "nightly" | "monthly") => {
                return Some(bare(word));
            }
            "a" | "per" if matches!(bare(at(1)).as_str(), "week" | "day" | "month") && index >= 2 => {
                let unit = list.get(index - 1).copied().unwrap_or_default();
                let count = list.get(index - 2).copied().unwrap_or_default();
                if matches!(unit, "times" | "days" | "nights" | "hours" | "mornings" | "evenings") {
                    return Some(format!("{count} {unit} {word} {}", bare(at(1))));
                }
            }
            _ => {}
        }
    }
    None
}

/// A word as it is written within a sentence: days of the week begin with a capital.
fn written(mut word: String) -> String {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    if DAYS.contains(&word.as_str())
        && let Some(first) = word.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    word
}

/// A word that a day, a week or a month is counted by.
fn is_time(word: &str) -> bool {
    const TIMES: [&str; 14] = [
        "day",
        "week",
        "weekend",
        "weekday",
        "month",
        "year",
        "hour",
        "morning",
        "afternoon",
        "evening",
        "night",
        "payday",
        "lunch",
        "quarter",
    ];
    TIMES.contains(&word) || word.ends_with("day") && word.len() > "day".len()
}

fn english_duration(words: &str) -> Option<u32> {
    const NUMERALS: [(&str, u32); 13] = [
        ("one", 1),
        ("a", 1),
        ("an", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("ten", 10),
        ("twelve", 12),
    ];
    let lower = words.to_lowercase();
    let list: Vec<&str> =
        lower.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', '.', '!', '?'])).collect();
    // "20 minutes a day", "half an hour every evening": so long each time
    for (index, word) in list.iter().enumerate() {
        let minutes = match word.trim_end_matches('s') {
            "minute" | "min" => 1,
            "hour" => 60,
            _ => continue,
        };
        let count = index.checked_sub(1).and_then(|before| list.get(before)).copied().unwrap_or_default();
        let next = list.get(index + 1).copied().unwrap_or_default();
        let each_time = matches!(next, "a" | "per" | "every" | "each" | "daily");
        if matches!(next, "later" | "ago" | "before" | "earlier") || minutes == 60 && !each_time {
            continue;
        }
        if count == "an" && index >= 2 && list.get(index - 2) == Some(&"half") {
            return Some(minutes / 2);
        }
        let number = count
            .parse()
            .ok()
            .or_else(|| NUMERALS.iter().find(|(name, _)| *name == count).map(|(_, value)| *value));
        if let Some(number) = number {
            return u32::checked_mul(number, minutes);
        }
    }
    for (index, word) in list.iter().enumerate() {
        if !matches!(*word, "for" | "in" | "takes" | "took" | "within") {
            continue;
        }
        let Some(count) = list.get(index + 1) else { continue };
        let number = count
            .parse()
            .ok()
            .or_else(|| NUMERALS.iter().find(|(name, _)| name == count).map(|(_, value)| *value));
        let (Some(number), Some(unit)) = (number, list.get(index + 2)) else { continue };
        let minutes = match unit.trim_end_matches('s') {
            "minute" | "min" => 1,
            "hour" => 60,
            "day" => 1_440,
            "week" => 10_080,
            "month" => 43_200,
            "year" => 525_600,
            _ => continue,
        };
        return u32::checked_mul(number, minutes);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn korean_times_are_read() {
        let timing = read("강의를 두 달 동안 매일 들었다", Language::Korean);
        assert_eq!(timing.duration_minutes, Some(86_400));
        assert_eq!(timing.frequency.as_deref(), Some("매일"));
        assert_eq!(read("매주 화요일에 40분씩", Language::Korean).frequency.as_deref(), Some("매주 화요일"));
        assert_eq!(read("2026년 10월 25일 대회", Language::Korean).due.as_deref(), Some("2026-10-25"));
        assert_eq!(read("단어 외우기 (30분)", Language::Korean).duration_minutes, Some(30));
        assert_eq!(read("30분에 출발하기", Language::Korean).duration_minutes, None);
        assert_eq!(read("2026년 13월 25일", Language::Korean).due, None);
    }

    #[test]
    fn english_times_are_read() {
        let timing = read("Run four times a week for six weeks", Language::English);
        assert_eq!(timing.duration_minutes, Some(60_480));
        assert_eq!(timing.frequency.as_deref(), Some("four times a week"));
        for words in ["Stretch (30 minutes)", "Stretch (30 minutes).", "Stretch (30 min, daily)"] {
            assert_eq!(read(words, Language::English).duration_minutes, Some(30), "{words}");
        }
        assert_eq!(read("Stretch (30 minutes later)", Language::English).duration_minutes, None);
        assert_eq!(read("be done by 2027-12-31", Language::English).due.as_deref(), Some("2027-12-31"));
    }
}
