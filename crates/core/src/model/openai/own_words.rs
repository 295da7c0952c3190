//! The words of a request, which no name that a server writes may repeat.

use serde_json::Value;

/// The texts of a request, in lower case.
pub(super) struct OwnWords(String);

/// A shorter word says nothing of anybody.
const SHORTEST: usize = 3;

/// From this length on a word counts within another, too.
const DISTINCT: usize = 5;

impl OwnWords {
    /// Reads the body of a request.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut texts = String::new();
        gather(&serde_json::from_slice(body).unwrap_or_default(), &mut texts);
        texts.make_ascii_lowercase();
        Self(texts)
    }

    /// Tells whether a name has a word in it that stands in the texts, other than those that errors are named by.
    pub(super) fn are_in(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| word.len() >= SHORTEST && !is_common(word) && self.has(word))
    }

    fn has(&self, word: &str) -> bool {
        let is_edge = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = self.0.as_bytes();
        self.0.match_indices(word).any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            word.len() >= DISTINCT || (is_edge(before) && is_edge(bytes.get(at + word.len())))
        })
    }
}

/// Gathers the texts of a value: not the names of fields, and not what the protocol or the client's own settings say.
fn gather(value: &Value, texts: &mut String) {
    match value {
        Value::String(text) => {
            texts.push_str(text);
            texts.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(fields) => {
            let told = fields
                .iter()
                .filter(|(name, _)| !["model", "role", "type", "tool_choice"].contains(&name.as_str()));
            told.for_each(|(_, value)| gather(value, texts));
        }
        _ => {}
    }
}

/// The words of which servers make the names of errors and of fields; they stand in many a text by chance.
const COMMON: &str = "\
    access account allowed api argument arguments auth authentication authorization bad billing body \
    budget busy cancelled capacity chat choice client code completion completions connection content \
    context count credits data deadline denied deployment detail dimensions disabled embedding empty \
    engine error exceed exceeded exceeds exhausted exist exists expired failed field file filter \
    filtered format found function gateway hard image input insufficient internal invalid item json key \
    large length limit limits long max message messages method min missing model name not object \
    organization output overloaded param parameter parameters payment permission policy precondition \
    prompt properties property provider quota rate reached refused region request requests required \
    resource response role safety schema seed server service size status stop stream string system \
    temperature text timeout token tokens too tool tools type unavailable unknown unsupported upstream \
    url user validation";

fn is_common(word: &str) -> bool {
    COMMON.split(' ').any(|common| common == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_of_the_texts_are_found_in_names_and_those_of_errors_are_not() {
        let body = json!({"model": "gpt-4o", "user": "kim-7", "messages": [
            {"role": "system", "content": "Rate the request: is it invalid?"},
            {"role": "user", "content": "저는 Hong.Gildong88이고 번호는 +82-10-1234-5678 입니다"},
            {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "book", "arguments": "{\"to\":\"Jane\"}"}}]},
        ]});
        let words = OwnWords::of(body.to_string().as_bytes());
        for name in [
            "hong",
            "x_HONG",
            "gildong",
            "gildong88_not_found",
            "tel:1234",
            "user-kim",
            "invalid:jane",
            "book.x",
        ] {
            assert!(words.are_in(name), "{name}");
        }
        for name in [
            "invalid_request_error",
            "rate_limit",
            "gpt-4o",
            "ildo",
            "123",
            "hongs",
            "a",
            "messages[1].content",
            "",
        ] {
            assert!(!words.are_in(name), "{name}");
        }
        assert!(!OwnWords::of(b"no json").are_in("json"));
    }
}
