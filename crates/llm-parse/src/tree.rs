//! The schema-free value tree: a flat arena whose texts are byte ranges of the answer.

use serde::Serialize;

/// Is a half-open byte range of the raw answer.
///
/// Both ends lie on character boundaries of the answer.
///
/// ```
/// use pumasi_llm_parse::Span;
///
/// let span = Span::new(4, 9);
/// assert_eq!(span.of("say hello"), "hello");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The offset of the first byte.
    pub start: usize,
    /// The offset after the last byte.
    pub end: usize,
}

impl Span {
    /// Creates a span.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Tells whether the span holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Returns the text that the span covers, or `""` when it does not belong to `source`.
    #[must_use]
    pub fn of(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or("")
    }

    /// Tells whether `other` lies within this span.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// Names a node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

pub(crate) const NONE: u32 = u32::MAX;

/// Tells how a string was quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quote {
    /// `"…"`.
    Double,
    /// `'…'`.
    Single,
    /// `` `…` ``.
    Backtick,
    /// `“…”`, `‘…’`, `「…」`, `«…»` and their like.
    Typographic,
    /// `"""…"""`, `'''…'''` or three backticks.
    Triple,
    /// No quotes: the text of an XML element, a YAML block scalar, a plain answer.
    None,
}

/// Is what a node was recognised as, before any schema is known.
///
/// Null, booleans and numbers keep their lexeme (see [`Tree::text`]), so that `None`, `True` or `1,234` can still be
/// read as a string where the schema wants one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`, `None`, `undefined`, `nil`, or a value that is missing.
    Null,
    /// `true`, `False` and their like.
    Bool(bool),
    /// A number in any of the forms models write: `1`, `.5`, `0x1F`, `1_000`, `1,234`, `NaN`.
    Number,
    /// A quoted string, or text that can only be a string.
    String(Quote),
    /// An unquoted run whose meaning needs the schema: a bare word, `50%`, `1/3`, `2024-01-02`.
    Word,
    /// A list.
    Array,
    /// An object.
    Object,
}

/// Is a text of the tree: a range of the answer, or of the tree's own buffer when it had to be unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) owned: bool,
}

const COMPLETE: u8 = 1;
const TEXT_OWNED: u8 = 2;
const KEY_OWNED: u8 = 4;
const HAS_KEY: u8 = 8;
const KEY_QUOTED: u8 = 16;

/// Is one value of a [`Tree`].
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) text_start: u32,
    pub(crate) text_end: u32,
    pub(crate) key_start: u32,
    pub(crate) key_end: u32,
    pub(crate) key_text_start: u32,
    pub(crate) key_text_end: u32,
    pub(crate) first_child: u32,
    pub(crate) next: u32,
    pub(crate) kind: Kind,
    flags: u8,
}

const _: () = assert!(size_of::<Node>() <= 48);

impl Node {
    pub(crate) fn new(kind: Kind, start: u32, end: u32) -> Self {
        Self {
            start,
            end,
            text_start: start,
            text_end: end,
            key_start: start,
            key_end: start,
            key_text_start: start,
            key_text_end: start,
            first_child: NONE,
            next: NONE,
            kind,
            flags: 0,
        }
    }

    /// Returns what the node was recognised as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the bytes that the value takes in the answer, quotes and brackets included.
    #[must_use]
    pub fn span(&self) -> Span {
        Span::new(self.start as usize, self.end as usize)
    }

    /// Returns the bytes that the key takes in the answer, quotes included.
    #[must_use]
    pub fn key_span(&self) -> Option<Span> {
        self.has_key().then(|| Span::new(self.key_start as usize, self.key_end as usize))
    }

    /// Tells whether the end of the value was seen; `false` where the answer was cut off inside it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.flags & COMPLETE != 0
    }

    /// Tells whether the node is a field of an object.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.flags & HAS_KEY != 0
    }

    /// Tells whether the key stood in quotes.
    #[must_use]
    pub fn key_is_quoted(&self) -> bool {
        self.flags & KEY_QUOTED != 0
    }

    pub(crate) fn set_complete(&mut self, complete: bool) {
        self.set(COMPLETE, complete);
    }

    pub(crate) fn set_text(&mut self, text: Text) {
        self.text_start = text.start;
        self.text_end = text.end;
        self.set(TEXT_OWNED, text.owned);
    }

    pub(crate) fn text(&self) -> Text {
        Text { start: self.text_start, end: self.text_end, owned: self.flags & TEXT_OWNED != 0 }
    }

    pub(crate) fn set_key(&mut self, start: u32, end: u32, text: Text, quoted: bool) {
        self.key_start = start;
        self.key_end = end;
        self.key_text_start = text.start;
        self.key_text_end = text.end;
        self.set(KEY_OWNED, text.owned);
        self.set(KEY_QUOTED, quoted);
        self.set(HAS_KEY, true);
    }

    /// Takes over the key of another node.
    pub(crate) fn copy_key(&mut self, other: &Self) {
        self.key_start = other.key_start;
        self.key_end = other.key_end;
        self.key_text_start = other.key_text_start;
        self.key_text_end = other.key_text_end;
        let mask = KEY_OWNED | KEY_QUOTED | HAS_KEY;
        self.flags = (self.flags & !mask) | (other.flags & mask);
    }

    fn key_text(&self) -> Text {
        Text { start: self.key_text_start, end: self.key_text_end, owned: self.flags & KEY_OWNED != 0 }
    }

    fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }
}

/// Holds the nodes of every candidate of an answer.
///
/// The tree borrows nothing: texts that needed no unescaping are ranges of the answer, which every reading method takes
/// again as `source`. That lets a stream own the tree next to its growing buffer.
///
/// ```
/// use pumasi_llm_parse::{Kind, syntax};
///
/// let source = r#"{name: 'Mina', tags: ["a\tb"]}"#;
/// let document = syntax::read(source, &syntax::Limits::default());
/// let tree = document.tree();
/// let root = document.candidates().first().map(syntax::Candidate::root).ok_or("no candidate")?;
/// let keys: Vec<_> = tree.children(root).filter_map(|id| tree.key(id, source)).collect();
/// assert_eq!(keys, ["name", "tags"]);
/// let tags = tree.children(root).nth(1).ok_or("no tags")?;
/// assert_eq!(tree.node(tags).kind(), Kind::Array);
/// let first = tree.children(tags).next().ok_or("no tag")?;
/// assert_eq!(tree.text(first, source), "a\tb");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) scratch: String,
}

static MISSING: Node = Node {
    start: 0,
    end: 0,
    text_start: 0,
    text_end: 0,
    key_start: 0,
    key_end: 0,
    key_text_start: 0,
    key_text_end: 0,
    first_child: NONE,
    next: NONE,
    kind: Kind::Null,
    flags: 0,
};

impl Tree {
    /// Returns the node; an incomplete null when the id belongs to another tree.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&MISSING)
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Tells whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the items of a list or the fields of an object in the order of the answer.
    pub fn children(&self, id: NodeId) -> Children<'_> {
        Children { tree: self, next: self.node(id).first_child }
    }

    /// Returns the unescaped text of a string, or the lexeme of any other scalar.
    ///
    /// For lists and objects it is the raw text. `source` must be the answer that was read.
    #[must_use]
    pub fn text<'a>(&'a self, id: NodeId, source: &'a str) -> &'a str {
        self.slice(self.node(id).text(), source)
    }

    /// Returns the unescaped key of a field.
    #[must_use]
    pub fn key<'a>(&'a self, id: NodeId, source: &'a str) -> Option<&'a str> {
        let node = self.node(id);
        node.has_key().then(|| self.slice(node.key_text(), source))
    }

    fn slice<'a>(&'a self, text: Text, source: &'a str) -> &'a str {
        let from: &str = if text.owned { &self.scratch } else { source };
        from.get(text.start as usize..text.end as usize).unwrap_or("")
    }
}

/// Iterates over the children of a node; see [`Tree::children`].
#[derive(Debug, Clone)]
pub struct Children<'a> {
    tree: &'a Tree,
    next: u32,
}

impl Iterator for Children<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let id = self.next;
        if id == NONE {
            return None;
        }
        self.next = self.tree.nodes.get(id as usize).map_or(NONE, |node| node.next);
        Some(NodeId(id))
    }
}
