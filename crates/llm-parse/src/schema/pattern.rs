//! Regular expressions of schemas (`pattern`, `patternProperties`).

use std::sync::Arc;

/// A pattern of a schema, compiled once; matching takes linear time (`regex-lite`).
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Arc<regex_lite::Regex>,
}

impl Pattern {
    /// Compiles `source`, or answers `None` where it needs what `regex-lite` lacks (look-around, back references).
    pub(crate) fn new(source: &str) -> Option<Self> {
        let regex = regex_lite::RegexBuilder::new(source).size_limit(1 << 20).build().ok()?;
        Some(Self { regex: Arc::new(regex) })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn source(&self) -> &str {
        self.regex.as_str()
    }
}
