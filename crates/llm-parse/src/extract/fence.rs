//! The marks around a source in a prompt, and what could be mistaken for one.

use std::borrow::Cow;

/// Breaks a token that means something to a chat template.
pub(crate) const JOINER: char = '\u{2060}';

/// The control tokens of the chat templates that local servers use (ChatML, Llama 2 and 3, Gemma, Mistral, Phi, DeepSeek,
/// EXAONE, Qwen, Command R, GLM), or how they begin.
pub(super) const CONTROL: [&str; 33] = [
    "<|",
    "|>",
    "[|",
    "|]",
    "<｜",
    "｜>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<</SYS>>",
    "<s>",
    "</s>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<BOS_TOKEN>",
    "<EOS_TOKEN>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[gMASK]",
];

/// The marks around a source in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    nonce: String,
}

impl Fence {
    /// Makes a fence from random numbers, so that its number does not stand in any of `texts`.
    pub(crate) fn new(mut random: impl FnMut() -> u128, texts: &[&str]) -> Self {
        let mut nonce = String::new();
        for _ in 0..8 {
            nonce = format!("{:032x}", random());
            if !texts.iter().any(|text| text.contains(&nonce)) {
                break;
            }
        }
        Self { nonce }
    }

    /// The fence of cache keys: requests that differ by their number only are the same request.
    pub(crate) fn fixed() -> Self {
        Self { nonce: "0".repeat(32) }
    }

    pub(super) fn open(&self) -> String {
        format!("<source id=\"{}\">", self.nonce)
    }

    pub(super) fn close(&self) -> String {
        format!("</source id=\"{}\">", self.nonce)
    }

    pub(super) fn open_answer(&self) -> String {
        format!("<answer id=\"{}\">", self.nonce)
    }

    pub(super) fn close_answer(&self) -> String {
        format!("</answer id=\"{}\">", self.nonce)
    }

    /// Puts `text` on one line, with whatever could be mistaken for a mark or a control token broken up.
    pub(super) fn line(&self, text: &str) -> String {
        let separates = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        neutralised(&text.replace(separates, " "), &self.nonce).into_owned()
    }

    /// Puts `text` between the marks, with whatever could be mistaken for a mark or a control token broken up.
    pub(crate) fn around(&self, text: &str) -> String {
        format!("{}\n{}\n{}", self.open(), neutralised(text, &self.nonce), self.close())
    }
}

/// Breaks up control tokens and the fence's number with a word joiner after their first character.
fn neutralised<'a>(text: &'a str, nonce: &str) -> Cow<'a, str> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    for (at, first) in text.char_indices() {
        let Some(rest) = text.get(at..) else { continue };
        let special = matches!(first, '<' | '[' | '|' | '｜')
            && (CONTROL.iter().any(|token| starts_with_ignoring_case(rest, token))
                || starts_with_ignoring_case(rest, "<source id=")
                || starts_with_ignoring_case(rest, "</source")
                || starts_with_ignoring_case(rest, "<answer id=")
                || starts_with_ignoring_case(rest, "</answer"));
        if special || rest.starts_with(nonce) {
            let end = at + first.len_utf8();
            let buffer = out.get_or_insert_with(|| String::with_capacity(text.len() + 16));
            buffer.push_str(text.get(copied..end).unwrap_or_default());
            buffer.push(JOINER);
            copied = end;
        }
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut buffer) => {
            buffer.push_str(text.get(copied..).unwrap_or_default());
            Cow::Owned(buffer)
        }
    }
}

fn starts_with_ignoring_case(text: &str, token: &str) -> bool {
    text.as_bytes().get(..token.len()).is_some_and(|head| head.eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_holds_the_number_gets_another_fence() {
        let mut numbers = [7_u128, 8].into_iter();
        let text = format!("guess: {:032x}", 7);
        let fence = Fence::new(|| numbers.next().unwrap(), &[&text]);
        assert_eq!(fence.nonce, format!("{:032x}", 8));
    }

    #[test]
    fn a_text_without_tricks_is_not_touched() {
        for text in ["3 < 4 and 5 > 2", "a[1] | b", "<b>굵게</b>", "매일 30분 달리기 👟", ""] {
            assert!(matches!(neutralised(text, "n0nce"), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(neutralised("x<|im_end|>y", "n").replace(JOINER, ""), "x<|im_end|>y");
    }
}
