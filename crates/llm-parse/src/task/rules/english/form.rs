//! Forms of verbs: the imperative behind a past form or a gerund.

/// Irregular past forms and the verb; regular ones are undone by rule. States are left out: they are no deeds.
const IRREGULAR: [(&str, &str); 88] = [
    ("ate", "eat"),
    ("became", "become"),
    ("began", "begin"),
    ("bit", "bite"),
    ("blew", "blow"),
    ("bought", "buy"),
    ("broke", "break"),
    ("brought", "bring"),
    ("built", "build"),
    ("caught", "catch"),
    ("chose", "choose"),
    ("cut", "cut"),
    ("dealt", "deal"),
    ("did", "do"),
    ("drank", "drink"),
    ("drew", "draw"),
    ("drove", "drive"),
    ("fed", "feed"),
    ("fought", "fight"),
    ("found", "find"),
    ("froze", "freeze"),
    ("gave", "give"),
    ("grew", "grow"),
    ("held", "hold"),
    ("hid", "hide"),
    ("hit", "hit"),
    ("hung", "hang"),
    ("kept", "keep"),
    ("laid", "lay"),
    ("led", "lead"),
    ("left", "leave"),
    ("lent", "lend"),
    ("let", "let"),
    ("lit", "light"),
    ("made", "make"),
    ("meant", "mean"),
    ("met", "meet"),
    ("overcame", "overcome"),
    ("paid", "pay"),
    ("put", "put"),
    ("quit", "quit"),
    ("ran", "run"),
    ("read", "read"),
    ("rebuilt", "rebuild"),
    ("redid", "redo"),
    ("reread", "reread"),
    ("rewrote", "rewrite"),
    ("rode", "ride"),
    ("rose", "rise"),
    ("said", "say"),
    ("sang", "sing"),
    ("sat", "sit"),
    ("sent", "send"),
    ("set", "set"),
    ("shook", "shake"),
    ("shot", "shoot"),
    ("shut", "shut"),
    ("slept", "sleep"),
    ("sold", "sell"),
    ("sought", "seek"),
    ("spent", "spend"),
    ("split", "split"),
    ("spoke", "speak"),
    ("spread", "spread"),
    ("stood", "stand"),
    ("stuck", "stick"),
    ("strove", "strive"),
    ("stole", "steal"),
    ("swam", "swim"),
    ("swept", "sweep"),
    ("swore", "swear"),
    ("taught", "teach"),
    ("threw", "throw"),
    ("told", "tell"),
    ("took", "take"),
    ("tore", "tear"),
    ("undid", "undo"),
    ("upheld", "uphold"),
    ("went", "go"),
    ("withdrew", "withdraw"),
    ("woke", "wake"),
    ("won", "win"),
    ("wore", "wear"),
    ("wove", "weave"),
    ("wound", "wind"),
    ("wrote", "write"),
    ("came", "come"),
    ("wept", "weep"),
];

/// Returns the base form of an irregular past: `ran` is `run`.
pub(in crate::task) fn base_of_irregular(past: &str) -> Option<&'static str> {
    IRREGULAR.iter().find(|(known, _)| *known == past).map(|(_, base)| *base)
}

/// Gives the verb behind a past form; `None` where the word is no past form.
pub(super) fn imperative_of(past: &str) -> Option<String> {
    if let Some((_, base)) = IRREGULAR.iter().find(|(form, _)| *form == past) {
        return Some((*base).to_owned());
    }
    if past.len() < 4 || !past.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
        return None;
    }
    if let Some(stem) = past.strip_suffix("ied") {
        return Some(format!("{stem}y"));
    }
    let stem = past.strip_suffix("ed")?;
    (!matches!(
        past,
        "need"
            | "speed"
            | "proceed"
            | "exceed"
            | "succeed"
            | "hundred"
            | "kindred"
            | "sacred"
            | "indeed"
            | "feed"
    ))
    .then(|| regular_base(stem))
}

pub(super) fn base_of_gerund(word: &str) -> Option<String> {
    let stem = word.strip_suffix("ing").filter(|stem| stem.len() > 1)?;
    Some(match stem {
        "ly" => "lie".to_owned(),
        "go" | "do" | "be" => stem.to_owned(),
        _ => regular_base(stem),
    })
}

/// Undoes consonant doubling and the lost `e`.
fn regular_base(stem: &str) -> String {
    let bytes = stem.as_bytes();
    let at = |from_end: usize| bytes.len().checked_sub(from_end).and_then(|index| bytes.get(index)).copied();
    let vowel = |byte: Option<u8>| byte.is_some_and(|b| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u'));
    let (last, before, third) = (at(1), at(2), at(3));
    if last == before
        && last.is_some_and(|b| matches!(b, b'b' | b'd' | b'g' | b'm' | b'n' | b'p' | b'r' | b't'))
    {
        return stem.get(..stem.len() - 1).unwrap_or(stem).to_owned();
    }
    if last == Some(b'l') && before == Some(b'l') && stem.ends_with("cell") {
        return stem.get(..stem.len() - 1).unwrap_or(stem).to_owned();
    }
    let lost_e = match last {
        Some(b'v' | b'c' | b'u' | b'z') => true,
        Some(b's') => stem == "us" || before != Some(b's') && !stem.ends_with("us"),
        Some(b'g') => {
            before == Some(b'n') && third == Some(b'a') || before == Some(b'd') || before == Some(b'a')
        }
        Some(b't') => {
            before == Some(b'a') && !vowel(third)
                || stem == "creat"
                || stem.ends_with("ibut")
                || stem.ends_with("omplet")
                || stem == "not"
                || stem == "quot"
                || stem == "invit"
                || stem == "writ"
                || stem == "delet"
        }
        Some(b'd') => {
            stem.ends_with("id")
                || stem.ends_with("ud")
                || stem.ends_with("ad") && !vowel(third)
                || stem == "cod"
        }
        Some(b'k') => {
            before == Some(b'a') || before == Some(b'i') || stem.ends_with("ok") && !stem.ends_with("ook")
        }
        Some(b'l') => {
            before == Some(b'u')
                || before == Some(b'd')
                || before == Some(b'b')
                || before == Some(b'i') && third.is_some_and(|b| matches!(b, b'f' | b'p' | b'm'))
        }
        Some(b'm') => stem.ends_with("um") || stem.ends_with("im") && third == Some(b't'),
        Some(b'n') => {
            stem.ends_with("bin")
                || stem.ends_with("fin")
                || stem.ends_with("lin")
                || stem.ends_with("un") && third == Some(b't')
        }
        Some(b'p') => {
            stem.ends_with("yp") || stem.ends_with("cap") || stem.ends_with("hop") || stem.ends_with("rop")
        }
        Some(b'r') => {
            before == Some(b'a') && !vowel(third) && third != Some(b'e')
                || stem.ends_with("uir")
                || stem.ends_with("ir") && third == Some(b'h')
                || stem.ends_with("or") && stem.len() <= 5
                || before == Some(b'u')
        }
        _ => false,
    };
    if lost_e { format!("{stem}e") } else { stem.to_owned() }
}
