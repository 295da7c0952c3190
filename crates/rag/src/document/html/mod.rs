//! Documents from HTML.

mod elements;
mod extract;
mod write;

use html5ever::buffer_queue::BufferQueue;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tokenizer, TokenizerOpts};

use self::extract::Extract;
use super::encoding::{self, What};
use crate::{Document, Error, Result};

/// Makes documents of HTML pages, in whatever encoding they are.
///
/// The document's text is Markdown, so that it is cut under its headings: paragraphs, `h1` to `h6`, lists, tables, and preformatted text
/// as code; exponents stand behind a `^`. What is no content is left out: scripts, styles, forms, what is hidden or struck out, and what a page says is navigation, header, footer or aside, by an element or by an
/// id or class such as `sidebar` or `gnb`; where it has a `main`, or `article`s with at least a quarter of the text, all that is outside of
/// those. A form with more than twice as much text as the rest is the page. Spans of chunks and citations are of that text.
///
/// The title is the page's, else its first heading. `language`, `author` and `description` become metadata where the page says
/// them, and the canonical address the [`uri`](Document::uri).
///
/// The encoding is that of the byte order mark, else of the content type, else what the page says of itself; where its bytes are none
/// of that, or nobody knows the name, UTF-8 or the Korean one of Windows, if they fit. Tags need not be closed, nor nested rightly: they are read one by one, with
/// no tree, so neither memory nor time grows faster than the page.
///
/// ```
/// use pumasi_rag::document::HtmlLoader;
///
/// let page = b"<title>Knee</title><nav>Home</nav><h1>Knee pain</h1><p>Rest for <b>three</b> days.<ul><li>Ice<li>Walk</ul>";
/// let document = HtmlLoader::new().load("knee", page)?;
/// assert_eq!(document.title, "Knee");
/// assert_eq!(document.text, "# Knee pain\n\nRest for three days.\n\n- Ice\n- Walk\n");
/// # Ok::<(), pumasi_rag::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HtmlLoader {
    content_type: Option<String>,
}

impl HtmlLoader {
    /// The longest page, in bytes.
    pub const MAX_BYTES: usize = 32 << 20;

    /// Makes a loader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the `Content-Type` that the pages were served with, such as `text/html; charset=euc-kr`.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Makes a document of a page.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a page that is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES), not text, in another encoding than it says and
    /// than UTF-8 or Korean, or without a word of content; `Unsupported` for one in an encoding that no browser knows, and that is neither.
    pub fn load(&self, id: impl Into<String>, bytes: &[u8]) -> Result<Document> {
        if bytes.len() > Self::MAX_BYTES {
            let (is, most) = (bytes.len(), Self::MAX_BYTES);
            return Err(refused(format!("of {is} bytes is longer than the {most} that are read")));
        }
        let page = encoding::decode(What::Page, bytes, self.content_type.as_deref())?;
        if has_too_many_attributes(&page) {
            return Err(refused("has a tag with hundreds of attributes"));
        }
        let tokenizer = Tokenizer::new(Extract::default(), TokenizerOpts::default());
        let input = BufferQueue::default();
        input.push_back(StrTendril::from(page));
        // the tokenizer stops after each script, which is not run
        while !input.is_empty() {
            let _ = tokenizer.feed(&input);
        }
        tokenizer.end();
        let page = tokenizer.sink.finish();
        let text = write::markdown(&page.blocks);
        if text.is_empty() {
            return Err(refused("has no text"));
        }
        let mut document = Document::markdown(id, text).with_title(page.title);
        document.uri = page.address;
        for (name, value) in page.metadata {
            document = document.with_metadata(name, value);
        }
        Ok(document)
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    What::Page.refused(why)
}

/// The most attributes of a tag. The tokenizer compares each with all before it.
const MAX_ATTRIBUTES: usize = 256;

/// Tells whether some tag may have more attributes than a tokenizer should be given: what is between the quotes does not count.
fn has_too_many_attributes(page: &str) -> bool {
    let mut rest = page.as_bytes();
    while let Some(at) = memchr(b'<', rest) {
        rest = rest.get(at + 1..).unwrap_or_default();
        if !rest.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'/') {
            continue;
        }
        let (mut separators, mut quote, mut after_equals) = (0, None, false);
        let mut length = 0;
        for byte in rest {
            length += 1;
            match (quote, byte) {
                (Some(open), byte) => quote = (open != *byte).then_some(open),
                (None, b'>') => break,
                (None, b'"' | b'\'') if after_equals => quote = Some(*byte),
                (None, b' ' | b'\t' | b'\n' | b'\r' | b'\x0C' | b'/') => separators += 1,
                _ => {}
            }
            after_equals = *byte == b'=' || (after_equals && byte.is_ascii_whitespace());
            // right after a value, the next attribute needs no space
            separators += usize::from(quote.is_none() && matches!(byte, b'"' | b'\''));
            if separators > 2 * MAX_ATTRIBUTES {
                return true;
            }
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|other| *other == byte)
}
