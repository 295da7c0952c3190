//! Documents from text.

use super::encoding::{self, What};
use super::{Document, Format};
use crate::Result;

/// Makes documents of plain text and Markdown, in whatever encoding they are.
///
/// The encoding is that of the byte order mark (UTF-8 or UTF-16), which is left out, else of the content type, unless that is one of
/// single bytes, as servers say of anything, and the bytes are UTF-8 or the Chinese, Japanese or Korean of another. Where the bytes are
/// none of that, or nobody knows the name, it is UTF-8, what browsers would guess, or the Korean one of Windows (CP949), if they fit. One
/// broken character in a thousand is left out, and a warning logged. UTF-16 without a mark or a name is refused.
///
/// ```
/// use pumasi_rag::document::TextLoader;
///
/// let korean = b"\xB9\xAB\xB8\xAD\xC0\xCC \xBE\xC6\xC7\xC1\xB8\xE9 \xBD\xB1\xB4\xCF\xB4\xD9.";
/// let loader = TextLoader::new().with_content_type("text/plain; charset=euc-kr");
/// assert_eq!(loader.load("knee", korean)?.text, "무릎이 아프면 쉽니다.");
/// assert_eq!(TextLoader::markdown().load("knee", b"\xEF\xBB\xBF# Knee\n")?.text, "# Knee\n");
/// # Ok::<(), pumasi_rag::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TextLoader {
    format: Format,
    content_type: Option<String>,
}

impl TextLoader {
    /// The longest text, in bytes.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Makes a loader of plain text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a loader of Markdown.
    pub fn markdown() -> Self {
        Self { format: Format::Markdown, content_type: None }
    }

    /// Sets the `Content-Type` that the texts were sent with, such as `text/plain; charset=euc-kr`.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Makes a document of a text. It computes, and belongs on a thread where that is allowed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is empty or only white space, longer than [`MAX_BYTES`](Self::MAX_BYTES), no text, or in another encoding
    /// than it says and than can be guessed; `Unsupported` for an encoding that no browser knows, where it is none of these.
    pub fn load(&self, id: impl Into<String>, bytes: &[u8]) -> Result<Document> {
        if bytes.len() > Self::MAX_BYTES {
            let (is, most) = (bytes.len(), Self::MAX_BYTES);
            return Err(
                What::Text.refused(format_args!("of {is} bytes is longer than the {most} that are read"))
            );
        }
        let text = encoding::decode(What::Text, bytes, self.content_type.as_deref())?;
        if text.trim().is_empty() {
            return Err(What::Text.refused("is empty"));
        }
        Ok(Document::new(id, text).with_format(self.format))
    }
}
