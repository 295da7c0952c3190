//! Where the posts come from.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use pumasi_core::filter::Filter;
use pumasi_llm_parse::task::{Post, PostKind};

const COMMITTED: &str = include_str!("posts.jsonl");

/// Reads posts as JSON lines, or one post as plain text.
pub(crate) fn posts(file: Option<&Path>, kind: PostKind) -> Result<Vec<Post>, Box<dyn Error>> {
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
    let text = String::from_utf8(bytes).map_err(|error| format!("{name}: not UTF-8 ({error})"))?;
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with('{') {
        return Ok(if text.trim().is_empty() {
            Vec::new()
        } else {
            vec![Post::new("text", kind, text.trim())]
        });
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|error| format!("{name}, line {}: not a post: {error}", index + 1).into())
        })
        .collect()
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
