//! What people write: success stories and questions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a post is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PostKind {
    /// Somebody tells what they did: its tasks are accomplished.
    Story,
    /// Somebody asks how to get somewhere: its tasks are needed.
    Question,
}

/// The language of a post, as far as prompts and rules tell languages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Language {
    /// Korean.
    #[serde(rename = "ko")]
    Korean,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// Tells the language by script: Korean if at least a fifth of the letters are Hangul, else English.
    ///
    /// ```
    /// use pumasi_llm_parse::task::Language;
    ///
    /// assert_eq!(Language::detect("React 공식 문서를 읽었어요"), Language::Korean);
    /// assert_eq!(Language::detect("I read the React docs"), Language::English);
    /// ```
    pub fn detect(text: &str) -> Self {
        let (mut hangul, mut letters) = (0_usize, 0_usize);
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            letters += 1;
            hangul += usize::from(
                matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}'),
            );
        }
        if letters > 0 && hangul * 5 >= letters { Self::Korean } else { Self::English }
    }

    /// Names the language by its ISO 639-1 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Korean => "ko",
            Self::English => "en",
        }
    }
}

/// A post. `Debug` shows its identifiers and size, never what the person wrote.
///
/// ```
/// use pumasi_llm_parse::task::{Post, PostKind};
///
/// let post = Post::new("p1", PostKind::Story, "매일 30분씩 영어 회화를 연습했다.").with_title("6개월 만에 영어 말하기");
/// assert_eq!(post.text(), "6개월 만에 영어 말하기\n\n매일 30분씩 영어 회화를 연습했다.");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Post {
    /// The post's identifier in the service that owns it.
    pub id: String,
    /// Story or question.
    pub kind: PostKind,
    /// The headline, if the post has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the person wrote.
    pub body: String,
    /// The author's identifier, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The language, if known; detected by script otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

impl Post {
    /// Makes a post without title, author or declared language.
    pub fn new(id: impl Into<String>, kind: PostKind, body: impl Into<String>) -> Self {
        Self { id: id.into(), kind, title: None, body: body.into(), author: None, language: None }
    }

    /// Sets the headline.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the author's identifier.
    #[must_use]
    pub fn with_author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Declares the language.
    #[must_use]
    pub fn with_language(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// Returns title and body as one text, a blank line between them. Spans of tasks refer to this text.
    pub fn text(&self) -> String {
        match &self.title {
            Some(title) => format!("{title}\n\n{}", self.body),
            None => self.body.clone(),
        }
    }

    /// Returns the declared language, or detects it.
    pub fn language(&self) -> Language {
        self.language.unwrap_or_else(|| Language::detect(&self.body))
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("body_bytes", &self.body.len())
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}
