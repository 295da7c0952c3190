//! Where the posts come from.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pumasi_core::filter::Filter;
use pumasi_llm_parse::task::{Post, PostKind};

const COMMITTED: &str = include_str!("posts.jsonl");

/// The posts, and what was wrong with the lines that are none.
#[derive(Default)]
pub(crate) struct Input {
    pub(crate) posts: Vec<Post>,
    pub(crate) bad: Vec<String>,
}

/// Reads posts as JSON lines or a JSON array, or one post as plain text.
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
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
    let mut input = Input::default();
    if text.starts_with(b"{") {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            input.take(&format!("{name}, line {}", index + 1), serde_json::from_slice(line));
        }
    } else if let Some(items) =
        text.starts_with(b"[").then(|| serde_json::from_slice::<Vec<serde_json::Value>>(text).ok()).flatten()
    {
        for (index, item) in items.into_iter().enumerate() {
            input.take(&format!("{name}, post {}", index + 1), serde_json::from_value(item));
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
            Ok(post) if self.posts.iter().any(|known| known.id == post.id) => {
                self.bad.push(format!("{place}: an earlier post has the id {:?} as well", post.id));
            }
            Ok(post) => self.posts.push(post),
            Err(error) => self.bad.push(format!("{place}: not a post: {error}")),
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
    serde_json::from_str(json).map_err(|error| error.to_string())
}
