//! The schema-free reader: no panic, every span within the source and on a character boundary, every candidate turns into a value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pumasi_llm_parse::syntax::{self, Limits};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let document = syntax::read(&text, &Limits::default());
    for candidate in document.candidates() {
        let span = candidate.span();
        assert!(text.get(span.start..span.end).is_some(), "{span:?}");
        let _ = document.to_value(candidate, &text);
        for repair in document.repairs(candidate) {
            assert!(
                text.get(repair.span.start..repair.span.end).is_some(),
                "{repair:?}"
            );
        }
    }
});
