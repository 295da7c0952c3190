//! What elements are, by their names and by what they say of themselves.

use html5ever::tokenizer::Tag;

/// An element that matters for what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Nothing of it is read.
    Skipped,
    /// It is read only where there is nothing else.
    Boilerplate,
    /// As boilerplate, unless it is around the page.
    Form,
    Article,
    Main,
    List,
    Table,
    Pre,
    /// Counted only because an element of its name is open that matters.
    Plain,
}

pub(super) fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
    found.map(|attribute| &*attribute.value)
}

/// Tells whether an element says that it is not shown.
pub(super) fn is_hidden(tag: &Tag) -> bool {
    let styled_away = || {
        let style = attribute(tag, "style").unwrap_or_default().to_ascii_lowercase();
        let declarations = style.split(';').filter_map(|declaration| declaration.split_once(':'));
        let mut declarations = declarations.map(|(name, value)| (name.trim(), value.trim()));
        declarations.any(|(name, value)| {
            matches!(name, "display") && value.starts_with("none")
                || matches!(name, "visibility") && value.starts_with("hidden")
        })
    };
    // Whoever looks for it in the page is shown it: the folded answers of questions.
    let is_hidden = attribute(tag, "hidden").is_some_and(|value| !value.eq_ignore_ascii_case("until-found"));
    is_hidden || attribute(tag, "aria-hidden") == Some("true") || styled_away()
}

/// Tells what an element is by its name and by what it says of itself.
pub(super) fn kind(tag: &Tag) -> Option<Kind> {
    let role = attribute(tag, "role").unwrap_or_default();
    let kind = match &*tag.name {
        "script" | "style" | "template" | "noscript" | "svg" | "math" | "object" | "iframe" | "canvas"
        | "video" | "audio" | "select" | "button" | "textarea" | "title" | "datalist" | "noembed"
        | "noframes" => Kind::Skipped,
        name if is_left_open(name) => return None,
        _ if is_hidden(tag) => Kind::Skipped,
        "nav" | "aside" | "footer" | "header" | "menu" | "dialog" => Kind::Boilerplate,
        _ if matches!(
            role,
            "navigation" | "banner" | "contentinfo" | "search" | "complementary" | "menu"
        ) =>
        {
            Kind::Boilerplate
        }
        "div" | "section" | "ul" | "ol" | "table" if is_called_boilerplate(tag) => Kind::Boilerplate,
        "main" => Kind::Main,
        _ if role == "main" => Kind::Main,
        "article" => Kind::Article,
        _ if role == "article" => Kind::Article,
        "form" => Kind::Form,
        "ul" | "ol" => Kind::List,
        "table" => Kind::Table,
        "pre" | "listing" => Kind::Pre,
        _ => return None,
    };
    Some(kind)
}

/// Tells whether a page calls an element navigation and the like by its id or class, as it does where it has no other elements for it.
fn is_called_boilerplate(tag: &Tag) -> bool {
    let called = ["id", "class"].into_iter().filter_map(|name| attribute(tag, name));
    let mut words = called.flat_map(str::split_ascii_whitespace);
    words.any(|word| {
        matches!(
            word.to_ascii_lowercase().as_str(),
            "nav" | "navbar" | "navigation" | "breadcrumb" | "breadcrumbs" | "sidebar" | "footer" | "skipnav" | "cookies"
                // what Korean pages call the menu above, at the side, and that of the service
                | "gnb" | "lnb" | "snb"
        )
    })
}

/// Elements that are often or always without an end: they must not hide what is after them.
pub(super) fn is_left_open(name: &str) -> bool {
    matches!(
        name,
        "br" | "hr"
            | "img"
            | "input"
            | "meta"
            | "link"
            | "wbr"
            | "p"
            | "li"
            | "td"
            | "th"
            | "tr"
            | "dt"
            | "dd"
            | "html"
            | "body"
            | "option"
            | "source"
            | "col"
            | "area"
            | "base"
            | "embed"
            | "param"
            | "track"
    )
}

/// Elements that have no content.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Elements before which a paragraph ends (HTML 13.1.2.4), and parts of lists and tables, which are in none.
pub(super) fn ends_paragraph(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "center"
            | "details"
            | "dialog"
            | "dir"
            | "div"
            | "dl"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hgroup"
            | "hr"
            | "main"
            | "menu"
            | "nav"
            | "ol"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "ul"
            | "li"
            | "dt"
            | "dd"
            | "td"
            | "th"
            | "tr"
    )
}

/// Elements that stand within a line.
pub(super) fn is_inline(name: &str) -> bool {
    matches!(
        name,
        "a" | "abbr"
            | "b"
            | "bdi"
            | "bdo"
            | "big"
            | "cite"
            | "code"
            | "data"
            | "del"
            | "dfn"
            | "em"
            | "font"
            | "i"
            | "img"
            | "ins"
            | "kbd"
            | "label"
            | "mark"
            | "q"
            | "rp"
            | "rt"
            | "ruby"
            | "s"
            | "samp"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "time"
            | "tt"
            | "u"
            | "var"
            | "wbr"
            | "input"
            | "nobr"
    )
}

/// Elements whose content is in a language of its own.
pub(super) fn is_picture(name: &str) -> bool {
    matches!(name, "svg" | "math")
}

/// Elements before which a browser closes pictures (HTML 13.2.6.5).
pub(super) fn ends_pictures(name: &str) -> bool {
    matches!(
        name,
        "blockquote"
            | "body"
            | "br"
            | "center"
            | "code"
            | "dd"
            | "div"
            | "dl"
            | "dt"
            | "em"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "img"
            | "li"
            | "menu"
            | "ol"
            | "p"
            | "pre"
            | "ruby"
            | "small"
            | "span"
            | "strong"
            | "table"
            | "ul"
    )
}
