//! Inputs and checks that the benches share.
//!
//! Every peer's result is compared with the right value before it is timed: a fast wrong answer is no answer. Times are CPU time
//! of the thread and the minimum of many runs, so that a busy machine disturbs the figures as little as possible.

#[cfg(any(feature = "onnx", feature = "rag", feature = "search"))]
pub mod beir;
#[cfg(feature = "saga")]
pub mod eight_steps;
#[cfg(feature = "rag")]
pub mod knowledge;
#[cfg(feature = "saga")]
pub mod load;
mod quotes;

pub use quotes::{Quotes, quotes};

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A post as a service would keep it: seven fields, a nested object, an array, text outside ASCII.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Post {
    /// Identifies the post.
    pub id: u64,
    /// What the post is about.
    pub title: String,
    /// The text itself.
    pub body: String,
    /// Who wrote it.
    pub author: Author,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How well it was liked.
    pub score: f64,
    /// Whether it stays on top.
    pub pinned: bool,
}

/// The writer of a post.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// The name shown.
    pub name: String,
    /// The home town, if told.
    pub city: Option<String>,
}

/// A post of an answer that may have been cut off: what comes last may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CutPost {
    /// Identifies the post.
    pub id: u64,
    /// What the post is about.
    pub title: String,
    /// The text itself.
    pub body: String,
    /// Who wrote it.
    pub author: Option<Author>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// How well it was liked.
    pub score: Option<f64>,
    /// Whether it stays on top.
    pub pinned: Option<bool>,
}

const TITLES: [&str; 4] = [
    "러닝을 시작한 지 석 달째입니다",
    "How I passed the interview at last",
    "첫 하프 마라톤 준비, 무엇부터 해야 할까요?",
    "From zero to a side project in 30 days",
];
const BODIES: [&str; 3] = [
    "매일 아침 5 km를 달리고 기록을 남겼습니다. 처음에는 힘들었지만 한 달 뒤에는 숨이 차지 않았어요.",
    "I wrote down one task a day and did it before breakfast; after two weeks the list took care of itself.",
    "먼저 스트레칭을 하고, 그다음 천천히 달립니다. Then rest a day — 쉬는 날도 훈련입니다.",
];

/// Makes posts whose JSON takes up about `bytes` bytes.
pub fn posts(bytes: usize) -> Vec<Post> {
    let mut posts = Vec::new();
    let mut size = 2;
    while size < bytes {
        let i = posts.len();
        let post = Post {
            id: 1_000 + i as u64,
            title: TITLES[i % TITLES.len()].to_owned(),
            body: BODIES[i % BODIES.len()].to_owned(),
            author: Author { name: format!("runner_{i}"), city: (i % 3 != 0).then(|| "서울".to_owned()) },
            tags: vec!["running".to_owned(), "습관".to_owned(), format!("day{}", i % 30)],
            score: f64::from(u32::try_from(i % 50).unwrap_or(0)) / 10.0,
            pinned: i % 7 == 0,
        };
        size += serde_json::to_string(&post).map_or(0, |text| text.len() + 1);
        posts.push(post);
    }
    posts
}

/// Writes posts as valid JSON.
pub fn valid(bytes: usize) -> String {
    serde_json::to_string(&posts(bytes)).unwrap_or_default()
}

/// A messy answer with the value that it stands for.
#[derive(Clone, Debug)]
pub struct Messy {
    /// The answer: a fence, keys without quotes, Python literals, trailing commas, cut off inside a string after 97 %.
    pub text: String,
    /// What it says, up to the cut.
    pub value: Value,
}

/// Writes posts the way a careless model would.
pub fn messy(bytes: usize) -> Messy {
    let posts = posts(bytes);
    let mut text = String::from("```json\n[\n");
    let mut ends = Vec::with_capacity(posts.len());
    for post in &posts {
        let _ = write!(text, "  {{id: {}, title: {}, body: ", post.id, Value::from(post.title.as_str()),);
        let body_at = text.len() + 1;
        let _ = writeln!(
            text,
            "{}, author: {{name: {}, city: {},}}, tags: [{}, ], score: {:?}, pinned: {},}},",
            Value::from(post.body.as_str()),
            Value::from(post.author.name.as_str()),
            post.author
                .city
                .as_deref()
                .map_or_else(|| "None".to_owned(), |city| Value::from(city).to_string()),
            post.tags.iter().map(|tag| Value::from(tag.as_str()).to_string()).collect::<Vec<_>>().join(", "),
            post.score,
            if post.pinned { "True" } else { "False" },
        );
        ends.push(body_at);
    }
    // the cut lies 40 bytes or a little more into the text of the post that starts last before 97 %
    let limit = text.len() * 97 / 100;
    let whole = ends.iter().rposition(|&at| at + 60 < limit).unwrap_or(0);
    let mut cut = ends[whole] + 40;
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    let body = text[ends[whole]..cut].to_owned();
    text.truncate(cut);
    let mut value: Vec<Value> = posts[..whole].iter().map(|post| json!(post)).collect();
    value.push(json!({"id": posts[whole].id, "title": posts[whole].title, "body": body}));
    Messy { text, value: Value::Array(value) }
}

/// Cuts a text into pieces of `n` characters.
pub fn pieces(text: &str, n: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.char_indices().nth(n).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at(at);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// The CPU time this thread has used.
pub fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Runs `work` until `budget` of CPU time is used up (three times at least) and returns the shortest run.
pub fn fastest<T>(budget: Duration, mut work: impl FnMut() -> T) -> Duration {
    let started = cpu();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 3 || cpu() - started < budget {
        let before = cpu();
        black_box(work());
        best = best.min(cpu() - before);
        runs += 1;
    }
    best
}

/// Throughput in MB/s.
pub fn megabytes_per_second(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

/// Compares two JSON values by what they say: `1` equals `1.0`.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valid_payload_has_the_size_asked_for() {
        let text = valid(100_000);
        assert!((95_000..110_000).contains(&text.len()), "{}", text.len());
        assert_eq!(serde_json::from_str::<Vec<Post>>(&text).unwrap(), posts(100_000));
    }

    #[test]
    fn the_messy_payload_is_cut_inside_a_string() {
        let messy = messy(8_000);
        let items = messy.value.as_array().unwrap();
        let last = items.last().unwrap();
        assert!(messy.text.ends_with(last["body"].as_str().unwrap()));
        assert!(messy.text.contains("None") && messy.text.contains("True"));
    }

    #[test]
    fn pieces_put_together_are_the_text() {
        let text = "가나다abc라";
        assert_eq!(pieces(text, 2).concat(), text);
        assert_eq!(pieces(text, 2).len(), 4);
    }
}
