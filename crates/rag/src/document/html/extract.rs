//! What of a page is content, tag by tag.

use std::cell::RefCell;
use std::collections::BTreeMap;

use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult};

use super::elements::{
    Kind, attribute, ends_paragraph, ends_pictures, is_hidden, is_inline, is_left_open, is_picture, is_void,
    kind,
};

/// A piece of a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Heading { level: usize, text: String },
    Paragraph(String),
    Item { depth: usize, number: Option<usize>, text: String },
    Table(Vec<Vec<String>>),
    Preformatted(String),
}

/// What is around a piece: the more of these, the more it is content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Boilerplate,
    Form,
    Body,
    Article,
    Main,
}

/// A page taken apart.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) address: Option<String>,
    pub(super) metadata: BTreeMap<&'static str, String>,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug)]
struct Element {
    name: String,
    kind: Kind,
    rank: Rank,
    /// The number of the next item of a list that has numbers.
    number: Option<usize>,
    /// The rows of a table; `None` where it only lays out a page.
    rows: Option<Vec<Vec<String>>>,
}

/// What a run of text becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Paragraph,
    Heading(usize),
    Item { depth: usize, number: Option<usize> },
    Cell,
    Title,
}

/// A sink for a tokenizer.
#[derive(Debug, Default)]
pub(super) struct Extract {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    page: Page,
    blocks: Vec<(Rank, Block)>,
    stack: Vec<Element>,
    /// Where on the stack the lists and the tables are.
    lists: Vec<usize>,
    tables: Vec<usize>,
    /// How many elements of each kind are open.
    open: BTreeMap<Kind, usize>,
    /// How many elements of each name are open, so that an end without a start is known at once.
    names: BTreeMap<String, usize>,
    text: String,
    into: Open,
    /// The hidden element that may be left open which it is in, and what was opened in that.
    hidden: Option<(String, Vec<String>)>,
    /// How many elements of this piece are open whose text was struck out.
    struck: usize,
    /// What follows was deleted, and so many pieces were opened since.
    deleted: Option<usize>,
    /// What comes next is raised.
    raised: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            page: Page::default(),
            blocks: Vec::new(),
            stack: Vec::new(),
            lists: Vec::new(),
            tables: Vec::new(),
            open: BTreeMap::new(),
            names: BTreeMap::new(),
            text: String::new(),
            into: Open::Paragraph,
            hidden: None,
            struck: 0,
            deleted: None,
            raised: false,
        }
    }
}

/// Deeper lists are not moved in any further.
const MAX_DEPTH: usize = 8;

impl Extract {
    /// Returns what was found.
    pub(super) fn finish(self) -> Page {
        let mut state = self.state.into_inner();
        state.flush();
        while let Some(element) = state.stack.pop() {
            state.close(element);
        }
        let State { mut page, blocks, .. } = state;
        let least = least(&blocks);
        page.blocks = blocks.into_iter().filter(|(rank, _)| *rank >= least).map(|(_, block)| block).collect();
        if page.title.is_empty() {
            let heading = page.blocks.iter().find_map(|block| match block {
                Block::Heading { text, .. } => Some(text.clone()),
                _ => None,
            });
            page.title = heading.unwrap_or_default();
        }
        page
    }
}

/// Tells from which rank on pieces are content, by how much there is of each.
fn least(blocks: &[(Rank, Block)]) -> Rank {
    let of = |wanted: Rank| {
        blocks.iter().filter(|(rank, _)| *rank == wanted).map(|(_, block)| block.len()).sum::<usize>()
    };
    let [boilerplate, form, body, article, main] =
        [Rank::Boilerplate, Rank::Form, Rank::Body, Rank::Article, Rank::Main].map(of);
    if main > 0 {
        return Rank::Article;
    }
    // some frameworks put the whole page into a form, and only a link to its content before
    let is_around = form > 2 * (body + article);
    let page = if is_around { form } else { 0 } + body + article;
    if article > 0 && 4 * article >= page {
        // a smaller one is a card beside the content
        Rank::Article
    } else if body + article > 0 {
        if is_around { Rank::Form } else { Rank::Body }
    } else if 8 * form >= boilerplate {
        Rank::Form
    } else {
        Rank::Boilerplate
    }
}

impl Block {
    /// Returns how many bytes of text it has.
    fn len(&self) -> usize {
        match self {
            Self::Heading { text, .. }
            | Self::Paragraph(text)
            | Self::Item { text, .. }
            | Self::Preformatted(text) => text.len(),
            Self::Table(rows) => rows.iter().flatten().map(String::len).sum(),
        }
    }
}

impl TokenSink for Extract {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return state.start(&tag),
            Token::TagToken(tag) => state.end(&tag.name),
            Token::CharacterTokens(text) => state.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn has(&self, kind: Kind) -> bool {
        self.open.get(&kind).is_some_and(|count| *count > 0)
    }

    fn rank(&self) -> Rank {
        self.stack.last().map_or(Rank::Body, |element| element.rank)
    }

    /// Returns the rows of the innermost table that is one.
    fn rows(&mut self) -> Option<&mut Vec<Vec<String>>> {
        let place = *self.tables.last()?;
        self.stack.get_mut(place)?.rows.as_mut()
    }

    fn push(&mut self, name: &str, kind: Kind) {
        let outside = self.rank();
        let rank = match kind {
            // the header of an article is its own
            Kind::Boilerplate if outside >= Rank::Article && name == "header" => outside,
            Kind::Boilerplate => Rank::Boilerplate,
            Kind::Main if outside != Rank::Boilerplate => Rank::Main,
            Kind::Article if outside != Rank::Boilerplate => outside.max(Rank::Article),
            Kind::Form if outside != Rank::Boilerplate => Rank::Form,
            _ => outside,
        };
        *self.open.entry(kind).or_default() += 1;
        *self.names.entry(name.to_owned()).or_default() += 1;
        match kind {
            Kind::List => self.lists.push(self.stack.len()),
            Kind::Table => self.tables.push(self.stack.len()),
            _ => {}
        }
        let rows = (kind == Kind::Table).then(Vec::new);
        let number = (name == "ol").then_some(1);
        self.stack.push(Element { name: name.to_owned(), kind, rank, number, rows });
    }

    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let raw = match name {
            "script" => Some(RawKind::ScriptData),
            "style" | "iframe" | "noembed" | "noframes" | "xmp" => Some(RawKind::Rawtext),
            "title" | "textarea" => Some(RawKind::Rcdata),
            _ => None,
        };
        let go_on = raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
        let kind = kind(tag);
        match &mut self.hidden {
            Some((open, within)) if ends_hidden(open, within, name) => self.hidden = None,
            Some((_, within)) => {
                if !is_void(name) && !tag.self_closing {
                    within.push(name.to_owned());
                }
                return go_on;
            }
            None => {}
        }
        while ends_pictures(name) && self.stack.last().is_some_and(|last| is_picture(&last.name)) {
            // pictures have no such elements: this one was not closed
            if let Some(picture) = self.stack.pop() {
                self.close(picture);
            }
        }
        if self.has(Kind::Skipped) {
            // only what would end it has to be counted
            let same = self.stack.last().is_some_and(|element| element.name == name);
            // in it, a picture has the elements of pages
            let within = name == "foreignobject";
            if (kind == Some(Kind::Skipped) || same || within) && !tag.self_closing {
                self.push(name, Kind::Skipped);
            }
            return go_on;
        }
        match name {
            "title" if self.page.title.is_empty() => {
                self.flush();
                self.into = Open::Title;
                return go_on;
            }
            "meta" => self.meta(tag),
            "link" => {
                let canonical =
                    attribute(tag, "rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"));
                let is_web =
                    |address: &&str| address.starts_with("http://") || address.starts_with("https://");
                let address = attribute(tag, "href").filter(|_| canonical).filter(is_web);
                if self.page.address.is_none() {
                    self.page.address = address.map(str::to_owned);
                }
            }
            "html" => {
                if let Some(language) = attribute(tag, "lang").filter(|language| !language.is_empty()) {
                    self.page.metadata.insert("language", language.to_owned());
                }
            }
            "br" => self.text.push('\n'),
            "del" if kind.is_none() && !tag.self_closing => self.deleted = Some(0),
            "s" | "strike" if kind.is_none() => self.struck += usize::from(!tag.self_closing),
            "sup" if kind.is_none() => self.raised = true,
            _ if is_inline(name) && matches!(kind, None | Some(Kind::Skipped)) => {}
            _ => self.block(name),
        }
        let counted = || {
            let open = self.names.get(name).is_some_and(|count| *count > 0);
            (open && !is_left_open(name)).then_some(Kind::Plain)
        };
        if let Some(kind) = kind.or_else(counted)
            && !(tag.self_closing && is_picture(name))
        {
            self.push(name, kind);
            // nine digits are what Markdown takes
            let first = attribute(tag, "start").and_then(|start| start.trim().parse().ok());
            if let (Some(first), Some(list)) =
                (first.filter(|first| *first < 1_000_000_000), self.stack.last_mut())
            {
                list.number = list.number.map(|_| first);
            }
        }
        if self.hidden.is_none()
            && matches!(name, "p" | "li" | "td" | "th" | "tr" | "dt" | "dd")
            && is_hidden(tag)
        {
            self.hidden = Some((name.to_owned(), Vec::new()));
        }
        go_on
    }

    /// Begins a piece.
    fn block(&mut self, name: &str) {
        self.deleted = self.deleted.map(|pieces| pieces + 1);
        let in_cell = self.into == Open::Cell;
        let structure = matches!(
            name,
            "h1" | "h2"
                | "h3"
                | "h4"
                | "h5"
                | "h6"
                | "ul"
                | "ol"
                | "table"
                | "pre"
                | "p"
                | "article"
                | "main"
        );
        match name {
            "td" | "th" | "tr" | "caption" | "thead" | "tbody" | "tfoot" => return self.cell(name),
            _ if in_cell && !structure => return self.text.push(' '),
            // a paragraph alone in its cell is only how some editors write cells
            "p" if in_cell && self.text.trim().is_empty() => return,
            _ if in_cell => self.lay_out(),
            _ => self.flush(),
        }
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let level = name.as_bytes().get(1).map_or(1, |digit| usize::from(digit - b'0'));
                self.into = Open::Heading(level);
            }
            "li" => {
                let depth = self.lists.len().clamp(1, MAX_DEPTH) - 1;
                let list = self.lists.last().and_then(|place| self.stack.get_mut(*place));
                let number = list.and_then(|list| {
                    let number = list.number?;
                    list.number = Some(number + 1);
                    Some(number)
                });
                self.into = Open::Item { depth, number };
            }
            _ => {}
        }
    }

    /// Begins a row or a cell of the innermost table.
    fn cell(&mut self, name: &str) {
        self.flush();
        let Some(rows) = self.rows() else { return };
        match name {
            "tr" => rows.push(Vec::new()),
            "td" | "th" => {
                if rows.is_empty() {
                    rows.push(Vec::new());
                }
                self.into = Open::Cell;
            }
            _ => {}
        }
    }

    /// A table with headings, lists or tables in it is no table: its cells are pieces of the page.
    fn lay_out(&mut self) {
        self.flush();
        let rank = self.rank();
        let table = self.tables.last().and_then(|place| self.stack.get_mut(*place));
        if let Some(rows) = table.and_then(|table| table.rows.take()) {
            let cells = rows.into_iter().flatten().filter(|cell| !cell.is_empty());
            self.blocks.extend(cells.map(|cell| (rank, Block::Paragraph(cell))));
        }
    }

    fn meta(&mut self, tag: &Tag) {
        let name = attribute(tag, "name").or_else(|| attribute(tag, "property")).unwrap_or_default();
        let Some(content) = attribute(tag, "content").map(str::trim).filter(|content| !content.is_empty())
        else {
            return;
        };
        let name = match name.to_ascii_lowercase().as_str() {
            "author" => "author",
            "description" | "og:description" => "description",
            _ => return,
        };
        self.page.metadata.entry(name).or_insert_with(|| content.to_owned());
    }

    fn end(&mut self, name: &str) {
        if self.into == Open::Title && name == "title" {
            let title = std::mem::take(&mut self.text);
            self.page.title = one_line(&title);
            self.into = Open::Paragraph;
            return;
        }
        if let Some((_, within)) = &mut self.hidden {
            if let Some(at) = within.iter().rposition(|open| open == name) {
                within.truncate(at);
                return;
            }
            // it is over with its own end, or with that of what it is in
            self.hidden = None;
        }
        match name {
            "del" => self.deleted = None,
            "s" | "strike" => self.struck = self.struck.saturating_sub(1),
            "sup" => self.raised = false,
            _ if is_inline(name) => {}
            // what was deleted is over where what it is in ends, whoever forgot to say so
            _ => self.deleted = self.deleted.and_then(|pieces: usize| pieces.checked_sub(1)),
        }
        let is_open = self.names.get(name).is_some_and(|count| *count > 0);
        if self.has(Kind::Skipped) && !is_open {
            return;
        }
        match name {
            "td" | "th" | "tr" | "caption" => self.flush(),
            "p" if self.into == Open::Cell => self.text.push(' '),
            _ if is_inline(name) => {}
            _ if self.into == Open::Cell && !is_open => self.text.push(' '),
            _ => self.flush(),
        }
        if matches!(name, "li" | "ul" | "ol") {
            self.into = Open::Paragraph;
        }
        if !is_open {
            return;
        }
        while let Some(element) = self.stack.pop() {
            let found = element.name == name;
            self.close(element);
            if found {
                break;
            }
        }
    }

    fn close(&mut self, element: Element) {
        match element.kind {
            Kind::List => drop(self.lists.pop()),
            Kind::Table => drop(self.tables.pop()),
            _ => {}
        }
        if let Some(count) = self.open.get_mut(&element.kind) {
            *count -= 1;
        }
        if let Some(count) = self.names.get_mut(&element.name) {
            *count -= 1;
        }
        if let Some(mut rows) = element.rows {
            rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
            if !rows.is_empty() {
                self.blocks.push((self.rank(), Block::Table(rows)));
            }
        }
    }

    fn text(&mut self, text: &str) {
        if self.has(Kind::Skipped) || self.hidden.is_some() || self.struck > 0 || self.deleted.is_some() {
            return;
        }
        // an exponent is no further digit of its number
        let is_exponent = std::mem::take(&mut self.raised)
            && text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '−' | '–'))
            && self.text.ends_with(|c: char| c.is_ascii_digit());
        if is_exponent {
            self.text.push('^');
        }
        if self.has(Kind::Pre) {
            self.text.push_str(text);
        } else {
            // only a tag breaks a line
            self.text.extend(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }));
        }
    }

    /// Ends a piece.
    fn flush(&mut self) {
        // nothing is struck out beyond its piece, where somebody forgot the end of it
        (self.struck, self.raised) = (0, false);
        let text = std::mem::take(&mut self.text);
        let into = std::mem::replace(&mut self.into, Open::Paragraph);
        let block = match into {
            Open::Cell => match self.rows().and_then(|rows| rows.last_mut()) {
                Some(row) => return row.push(one_line(&text)),
                None => Block::Paragraph(lines(&text)),
            },
            _ if text.trim().is_empty() => {
                // an item that begins with a list or a paragraph
                if let Open::Item { .. } = into {
                    self.into = into;
                }
                return;
            }
            _ if self.has(Kind::Pre) => Block::Preformatted(text),
            Open::Heading(level) => {
                // the sign of a link to the heading itself
                let text = one_line(text.trim_end().trim_end_matches(['¶', '§']));
                Block::Heading { level, text }
            }
            Open::Item { depth, number } => Block::Item { depth, number, text: lines(&text) },
            Open::Title => return,
            Open::Paragraph => Block::Paragraph(lines(&text)),
        };
        self.blocks.push((self.rank(), block));
    }
}

/// Tells whether an element begins where one that was left open ends, before which these were opened in it.
fn ends_hidden(open: &str, within: &[String], begins: &str) -> bool {
    let has = |names: &[&str]| within.iter().any(|name| names.contains(&name.as_str()));
    match open {
        "p" => ends_paragraph(begins),
        "td" | "th" => matches!(begins, "td" | "th" | "tr" | "tbody" | "tfoot") && !has(&["table"]),
        "tr" => matches!(begins, "tr" | "tbody" | "tfoot") && !has(&["table"]),
        "dt" | "dd" => matches!(begins, "dt" | "dd") && !has(&["dl"]),
        _ => begins == "li" && !has(&["ul", "ol", "menu"]),
    }
}

/// Joins words by single spaces.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Joins the words of each line by single spaces.
fn lines(text: &str) -> String {
    let lines = text.lines().map(one_line).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}
