//! From bytes to text.

use std::fmt;

use chardetng::EncodingDetector;
use encoding_rs::{EUC_KR, Encoding, REPLACEMENT, UTF_8, WINDOWS_1252, X_USER_DEFINED};

use crate::{Error, ErrorKind, Result};

/// How far a page is searched for what it says of its encoding: HTML's own number.
#[cfg(feature = "html")]
const PRESCAN: usize = 1_024;
/// Of so many characters, one may be broken: it is left out, and a warning logged.
const PER_BROKEN: usize = 1_000;

/// So many bytes beyond ASCII tell in which encoding they are.
const TELLING: usize = 16;
/// The most letters of a word.
const LONGEST_WORD: usize = 60;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A page of HTML, which may say of itself in which encoding it is.
    #[cfg(feature = "html")]
    Page,
    #[cfg(feature = "text")]
    Text,
}

impl What {
    pub(super) fn refused(self, why: impl fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidInput, format!("a {self} {why}"))
    }

    /// How much of it may say in which encoding it is.
    const fn prescan(self) -> usize {
        match self {
            #[cfg(feature = "html")]
            Self::Page => PRESCAN,
            #[cfg(feature = "text")]
            Self::Text => 0,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "html")]
            Self::Page => "page",
            #[cfg(feature = "text")]
            Self::Text => "text",
        })
    }
}

/// Decodes a page or a text.
pub(super) fn decode(what: What, bytes: &[u8], content_type: Option<&str>) -> Result<String> {
    if bytes.is_empty() {
        return Err(what.refused("is empty"));
    }
    let head = bytes.get(..what.prescan().min(bytes.len())).unwrap_or_default();
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let told = Encoding::for_bom(bytes).map(|(encoding, _)| Label::Known(encoding));
    let told = told.or_else(|| content_type.and_then(charset).map(|label| known(&label)));
    // in ASCII, a page can hardly say that it is in UTF-16
    let said = || match known(&charset(&head)?) {
        Label::Known(said) if !said.is_ascii_compatible() => Some(Label::Known(UTF_8)),
        said => Some(said),
    };
    let (told, is_unknown) = match told.or_else(said) {
        // bytes that are UTF-8 by chance are in no encoding of single bytes
        Some(Label::Known(told)) if is_utf8_instead(told, bytes) => (Some(UTF_8), false),
        Some(Label::Known(told)) => (Some(told), false),
        Some(Label::Unknown) => (None, true),
        None => (None, false),
    };
    let guessed = guess(bytes);
    // servers say so of whatever they send
    let told = told.filter(|told| *told != WINDOWS_1252 || guessed.is_none_or(Encoding::is_single_byte));
    let mut tried = Vec::with_capacity(4);
    for encoding in told.into_iter().chain([UTF_8]).chain(guessed).chain([EUC_KR]) {
        if tried.iter().any(|(tried, _)| *tried == encoding) {
            continue;
        }
        let (text, used, _) = encoding.decode(bytes);
        let text = text.into_owned();
        let broken = text.matches('\u{FFFD}').count();
        if broken == 0 && (told == Some(encoding) || !encoding.is_single_byte() || has_words(&text)) {
            return readable(what, text);
        }
        if broken > 0 {
            tried.push((used, (text, broken)));
        }
    }
    if is_unknown {
        let why = format!("a {what} is in an encoding that is not known");
        return Err(Error::new(ErrorKind::Unsupported, why));
    }
    // as it says, where that is nearly so
    let found = tried.into_iter().find(|(_, (text, broken))| *broken <= 1 + text.len() / (3 * PER_BROKEN));
    let Some((encoding, (text, broken))) = found else {
        return Err(what.refused("is in another encoding than it says, and than UTF-8 and EUC-KR"));
    };
    tracing::warn!(
        characters = broken,
        encoding = encoding.name(),
        "characters of a page or a text were broken, and are left out"
    );
    readable(what, text.replace('\u{FFFD}', ""))
}

/// Tells whether bytes are UTF-8 though something else was said of them.
fn is_utf8_instead(told: &'static Encoding, bytes: &[u8]) -> bool {
    let has_wide = || std::str::from_utf8(bytes).is_ok_and(|text| text.chars().any(|c| c.len_utf8() > 2));
    let is_wide = || !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    told != UTF_8 && told.is_ascii_compatible() && (has_wide() || (told.is_single_byte() && is_wide()))
}

/// Guesses the encoding of bytes that are no UTF-8, as browsers do; of a short text the Korean one, if it fits.
fn guess(bytes: &[u8]) -> Option<&'static Encoding> {
    let text = String::from_utf8_lossy(bytes);
    let broken = text.matches('\u{FFFD}').count();
    let wide = text.chars().filter(|c| c.len_utf8() > 2).count() - broken;
    // UTF-8, broken
    if wide >= broken {
        return None;
    }
    let mut detector = EncodingDetector::new();
    detector.feed(bytes, true);
    let is_long = bytes.iter().filter(|byte| !byte.is_ascii()).count() >= TELLING;
    let (guessed, is_sure) = detector.guess_assess((!is_long).then_some(b"kr".as_slice()), false);
    (is_sure && guessed != UTF_8).then_some(guessed)
}

/// Tells whether a text has words, with something between them: any bytes are letters in some encoding of single bytes.
fn has_words(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).all(|word| word.chars().nth(LONGEST_WORD).is_none())
}

/// Refuses what is no text.
fn readable(what: What, text: String) -> Result<String> {
    let wrong = |c: char| {
        c.is_control() && !c.is_whitespace() && !matches!(c, '\u{80}'..='\u{9F}' | '\u{7F}' | '\u{1B}')
    };
    let controls = text.chars().filter(|c| wrong(*c)).count();
    if controls > text.len() / PER_BROKEN { Err(what.refused("is no text")) } else { Ok(text) }
}

/// What a page calls its encoding, or who sent it.
enum Label {
    Known(&'static Encoding),
    Unknown,
}

fn known(label: &str) -> Label {
    let known = match label {
        // names that Korean pages use, and browsers do not know
        "cp949" | "ms949" | "uhc" => Some(EUC_KR),
        // what browsers refuse to read, and what stands for any bytes
        label => Encoding::for_label(label.as_bytes())
            .filter(|known| ![REPLACEMENT, X_USER_DEFINED].contains(known)),
    };
    known.map_or(Label::Unknown, Label::Known)
}

/// Finds the label behind `charset=`.
fn charset(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (_, rest) = text.split_once("charset")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let label: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
    (!label.is_empty()).then_some(label)
}
