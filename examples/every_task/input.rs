//! Where the posts come from.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pumasi_core::filter::Filter;
use pumasi_llm_parse::task::{Post, PostKind, check_filter};
use serde_json::Map;
use serde_json::value::RawValue;

const COMMITTED: &str = include_str!("posts.jsonl");

/// The posts, and what was wrong with the lines that are none.
#[derive(Default)]
pub(crate) struct Input {
    pub(crate) posts: Vec<Post>,
    pub(crate) bad: Vec<String>,
    ids: HashSet<String>,
}

/// Reads posts as JSON lines, a JSON array or one JSON object on several lines, or one post as plain text.
///
/// They are JSON lines if the first begins like an object, or any is a post.
pub(crate) fn posts(file: Option<&Path>, kind: PostKind) -> Result<Input, Box<dyn Error>> {
    let (name, bytes) = match file {
        None => ("the committed posts".to_owned(), COMMITTED.as_bytes().to_vec()),
        Some(path) if path == Path::new("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            ("standard input".to_owned(), bytes)
        }
        Some(path) => {
            let name = path.display().to_string();
            (name.clone(), fs::read(path).map_err(|error| format!("{name}: {error}"))?)
        }
    };
    let whole = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = whole.trim_ascii();
    let is_post = |line: &[u8]| serde_json::from_slice::<Post>(line).is_ok();
    let mut input = Input::default();
    // A text may begin with a bracket, too: "[질문] …".
    let begins_array = |rest: &[u8]| rest.trim_ascii_start().starts_with(b"{");
    if text.strip_prefix(b"[").is_some_and(begins_array)
        || serde_json::from_slice::<Vec<&RawValue>>(text).is_ok()
    {
        let items: Vec<serde_json::Value> = serde_json::from_slice(text)
            .map_err(|error| format!("{name}: begins like a JSON array and is none: {error}"))?;
        for (index, item) in items.into_iter().enumerate() {
            input.take(&format!("{name}, post {}", index + 1), serde_json::from_value(item));
        }
    } else if text.contains(&b'\n') && serde_json::from_slice::<Map<String, serde_json::Value>>(text).is_ok()
    {
        input.take(&name, serde_json::from_slice(text));
    } else if text.starts_with(b"{") || whole.split(|byte| *byte == b'\n').any(is_post) {
        let lines = whole.split(|byte| *byte == b'\n').enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            input.take(&format!("{name}, line {}", index + 1), serde_json::from_slice(line));
        }
    } else {
        let text = std::str::from_utf8(text).map_err(|error| format!("{name}: not UTF-8 ({error})"))?;
        if text.is_empty() {
            return Err(format!("{name}: there is no post in it").into());
        }
        input.posts.push(Post::new("text", kind, text));
    }
    if input.posts.is_empty() {
        return Err(if input.bad.is_empty() {
            format!("{name}: there is no post in it").into()
        } else {
            input.bad.join("\nevery_task: ").into()
        });
    }
    Ok(input)
}

impl Input {
    fn take(&mut self, place: &str, post: serde_json::Result<Post>) {
        match post {
            Ok(post) if self.ids.contains(&post.id) => {
                self.bad.push(format!("{place}: an earlier post has the id {:?} as well", post.id));
            }
            Ok(post) if post.id.trim().is_empty() => self.bad.push(format!("{place}: the id is empty")),
            Ok(post) if post.body.trim().is_empty() => {
                self.bad.push(format!("{place}: the body of post {:?} is empty", post.id));
            }
            Ok(post) => {
                self.ids.insert(post.id.clone());
                self.posts.push(post);
            }
            Err(error) => {
                // The line of the file is told already.
                let error = error.to_string().replace(" at line 1 column ", " at column ");
                self.bad.push(format!("{place}: not a post: {error}"));
            }
        }
    }
}

/// Reads the kind of a post from the command line.
pub(crate) fn kind(word: &str) -> Result<PostKind, String> {
    match word {
        "story" => Ok(PostKind::Story),
        "question" => Ok(PostKind::Question),
        _ => Err("`story` or `question`".to_owned()),
    }
}

/// Reads a filter from the command line.
pub(crate) fn filter(json: &str) -> Result<Filter, String> {
    let filter = serde_json::from_str(json).map_err(|error| error.to_string())?;
    check_filter(&filter).map_err(|error| error.message().to_owned())?;
    Ok(filter)
}
