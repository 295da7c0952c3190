//! However the text is cut into pieces, a stream reads what one call reads; the first byte decides the lengths of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pumasi_llm_parse::stream::Stream;
use pumasi_llm_parse::syntax::{self, Document, Limits};

fn told(document: &Document, source: &str) -> Vec<String> {
    document
        .candidates()
        .iter()
        .map(|candidate| {
            let repairs: Vec<_> = document.repairs(candidate).collect();
            format!(
                "{:?} {:?} {:?} {} {} {repairs:?}",
                candidate.span(),
                candidate.origin(),
                candidate.cue(),
                candidate.is_complete(),
                document.to_value(candidate, source)
            )
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, data)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let mut stream = Stream::new();
    let (mut at, mut step) = (0, usize::from(seed) % 7 + 1);
    while at < text.len() {
        let mut to = (at + step).min(text.len());
        while !text.is_char_boundary(to) {
            to += 1;
        }
        stream.push(&text[at..to]);
        at = to;
        step = step * 5 % 11 + 1;
    }
    let one_shot = syntax::read(&text, &Limits::default());
    let document = stream.finish();
    assert_eq!(told(&document, &text), told(&one_shot, &text));
});
