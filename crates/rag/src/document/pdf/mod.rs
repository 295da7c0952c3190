//! Documents from PDF.

mod font;
mod layout;
mod page;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{DecompressError, LoadOptions, decode_text_string};

use self::page::Reader;
use crate::{Document, Error, ErrorKind, Result};

/// Makes documents of PDF files that have text in them.
///
/// The document's text is the pages' with a form feed between them, so that it is cut by pages and each passage says on which it stands
/// (`p. 3`). Words and lines are put together by where their letters stand, in the order in which the file writes them; columns are
/// read as they were written. Spans of chunks and citations are of that text. Letters that a font does not name are left out; a file
/// in which that is most of them, or which only has pictures of pages, is refused: there is no recognition of letters here.
///
/// Title, `author` and `pages` are taken from the file. A file whose owner forbids changes is read; one that needs a password to be
/// opened needs [`with_password`](Self::with_password).
///
/// What a small file can unfold to is limited: see the constants.
#[derive(Clone, Default)]
pub struct PdfLoader {
    password: Option<String>,
}

impl PdfLoader {
    /// The longest file, in bytes.
    pub const MAX_BYTES: usize = 64 << 20;
    /// The longest content of one page, in bytes without compression.
    pub const MAX_PAGE_BYTES: usize = 16 << 20;
    /// The most instructions of all pages together, those of what they repeat included.
    pub const MAX_INSTRUCTIONS: usize = 20_000_000;

    /// Makes a loader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the password that files are opened with.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Makes a document of a file. It computes, and belongs on a thread where that is allowed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is empty, no PDF, damaged beyond reading, without pages, or beyond a limit; `Unauthorized` where the
    /// password is missing or wrong; `Unsupported` where there is no text, or most of it has no letters that are known.
    pub fn load(&self, id: impl Into<String>, bytes: &[u8]) -> Result<Document> {
        if bytes.is_empty() {
            return Err(refused("is empty"));
        }
        if bytes.len() > Self::MAX_BYTES {
            return Err(refused(format!(
                "of {} bytes is longer than the {} that are read",
                bytes.len(),
                Self::MAX_BYTES
            )));
        }
        // the mark may stand behind a kilobyte of something else
        let head = bytes.get(..1_024).unwrap_or(bytes);
        if !head.windows(5).any(|window| window == b"%PDF-") {
            return Err(refused("is no PDF"));
        }
        // what the reader gets wrong about a damaged file must not end the caller
        let (title, author, pages) = catch_unwind(AssertUnwindSafe(|| self.read(bytes)))
            .unwrap_or_else(|_| Err(refused("is damaged in a way that cannot be read")))?;
        let count = pages.len();
        let mut document =
            Document::new(id, pages.join("\u{c}")).with_title(title).with_metadata("pages", count);
        if !author.is_empty() {
            document = document.with_metadata("author", author);
        }
        Ok(document)
    }

    fn read(&self, bytes: &[u8]) -> Result<(String, String, Vec<String>)> {
        let options = LoadOptions {
            password: self.password.clone(),
            max_decompressed_size: Some(unfolded(bytes)?),
            ..LoadOptions::default()
        };
        let file = lopdf::Document::load_mem_with_options(bytes, options).map_err(wrong)?;
        if file.is_encrypted() && !file.was_encrypted() {
            return Err(Error::new(ErrorKind::Unauthorized, "a PDF needs a password"));
        }
        let told = |name: &[u8]| -> String {
            let info = file.trailer.get_deref(b"Info", &file).and_then(|info| info.as_dict());
            let text = info.and_then(|info| info.get_deref(name, &file)).and_then(decode_text_string);
            text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default()
        };
        let (title, author) = (told(b"Title"), told(b"Author"));
        let mut reader = Reader::new(&file);
        let mut pages = Vec::new();
        for page in file.page_iter() {
            pages.push(reader.page(page)?);
        }
        if pages.is_empty() {
            return Err(refused("has no pages"));
        }
        if pages.iter().all(|page| page.trim().is_empty()) || reader.is_mostly_unknown() {
            return Err(Error::new(ErrorKind::Unsupported, "a PDF has no text whose letters are known"));
        }
        Ok((title, author, pages))
    }
}

/// How much all streams of objects may unfold to.
const UNFOLDED: usize = 64 << 20;

/// Returns how much one stream of objects may unfold to, so that all of them together stay within bounds. They are unfolded while the
/// file is opened.
fn unfolded(bytes: &[u8]) -> Result<usize> {
    let named = bytes.windows(6).filter(|window| *window == b"ObjStm").count();
    // a name may be spelled with numbers for its letters
    let spelled = |window: &&[u8]| {
        let mut letters = window.iter().skip(1).skip_while(|byte| byte.is_ascii_alphabetic());
        window.first() == Some(&b'/')
            && letters.next() == Some(&b'#')
            && letters.next().is_some_and(u8::is_ascii_hexdigit)
            && letters.next().is_some_and(u8::is_ascii_hexdigit)
    };
    let streams = named + bytes.windows(9).filter(spelled).count();
    match UNFOLDED / streams.max(1) {
        few if few < 8 << 10 => Err(refused("has too many streams of objects")),
        each => Ok(each),
    }
}

fn refused(why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("a PDF {why}"))
}

/// Picks the kind of the reader's errors; they say nothing of what the file says.
fn wrong(error: lopdf::Error) -> Error {
    use lopdf::Error as From;

    match error {
        From::InvalidPassword | From::Decryption(_) => {
            Error::new(ErrorKind::Unauthorized, "a PDF needs a password, or another one").with_source(error)
        }
        From::Decompress(DecompressError::MemoryLimitExceeded { .. }) => {
            refused("unfolds to more than is read").with_source(error)
        }
        _ => refused("cannot be read").with_source(error),
    }
}

impl fmt::Debug for PdfLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PdfLoader").field("password", &self.password.is_some()).finish()
    }
}
