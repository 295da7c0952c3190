//! Server-sent events, as model servers send them.

/// What an event of the stream carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The joined lines of data.
    pub(super) data: String,
    /// Whether the server named it an error.
    pub(super) is_error: bool,
    /// Whether the stream ended before the event did: it may be the half of one.
    pub(super) is_open: bool,
}

/// Why a stream is not one of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    NotUtf8,
    TooLong,
    /// It ends within a letter.
    Cut,
}

/// A push parser of an event stream: bytes in, however they are cut, events out, in linear time.
///
/// It follows the WHATWG's HTML standard, section 9.2.6 "Interpreting an event stream"
/// (<https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>), and takes besides what
/// servers send in spite of it: a last event without an empty line after it, a field named `error` (llama.cpp), and a line
/// of bare JSON (an error written into a stream that had begun).
#[derive(Debug)]
pub(super) struct Parser {
    line: Vec<u8>,
    /// The lines of data so far; none if there was no such line.
    data: Option<String>,
    is_error: bool,
    after_cr: bool,
    begun: bool,
    stray: Option<Stray>,
    limit: usize,
}

/// What came instead of lines of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    Page,
    Text,
}

/// The fields that a line of a stream may begin with.
const FIELDS: [&str; 5] = ["data", "event", "id", "retry", "error"];

impl Parser {
    /// Makes a parser that takes no event longer than `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            data: None,
            is_error: false,
            after_cr: false,
            begun: false,
            stray: None,
            limit,
        }
    }

    /// Takes the next bytes and appends the events they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = bytes.split_at(at);
            self.extend(head)?;
            self.end_line(false, events)?;
            bytes = match tail {
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.extend(bytes)
    }

    /// Takes the end of the stream and appends the event that was left open.
    pub(super) fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Malformed> {
        if std::str::from_utf8(&self.line).is_err_and(|error| error.error_len().is_none()) {
            return Err(Malformed::Cut);
        }
        self.end_line(true, events)?;
        self.dispatch(true, events);
        Ok(())
    }

    /// Tells what the first line was that belongs to no event stream, if there was one.
    pub(super) fn stray(&self) -> Option<Stray> {
        self.stray
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.line.len() + self.data.as_ref().map_or(0, String::len) + bytes.len() > self.limit {
            return Err(Malformed::TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, is_open: bool, events: &mut Vec<Event>) -> Result<(), Malformed> {
        let bytes = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&bytes).map_err(|_| Malformed::NotUtf8)?;
        let line = if self.begun { line } else { line.strip_prefix('\u{FEFF}').unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            self.dispatch(is_open, events);
        } else if line.starts_with('{') {
            self.append(line);
        } else if !is_field(line, is_open) {
            let stray = if line.trim_start().starts_with('<') { Stray::Page } else { Stray::Text };
            self.stray.get_or_insert(stray);
        } else if let Some((field, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => self.append(value),
                "error" => {
                    self.is_error = true;
                    self.append(value);
                }
                "event" => self.is_error = value == "error",
                // `id`, `retry` or a comment (an empty name)
                _ => {}
            }
        }
        // keep the room for the next line
        self.line = bytes;
        self.line.clear();
        Ok(())
    }

    fn append(&mut self, value: &str) {
        match &mut self.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
    }

    fn dispatch(&mut self, is_open: bool, events: &mut Vec<Event>) {
        let is_error = std::mem::take(&mut self.is_error);
        if let Some(data) = self.data.take() {
            events.push(Event { data, is_error, is_open });
        }
    }
}

/// Tells whether a line is a field or a comment, or was going to be one where the stream ended within it.
fn is_field(line: &str, is_open: bool) -> bool {
    let name = line.split_once(':').map_or(line, |(name, _)| name);
    name.is_empty() || FIELDS.iter().any(|field| *field == name || (is_open && field.starts_with(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Result<Vec<Event>, Malformed> {
        let mut parser = Parser::new(1_000);
        let mut events = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut events)?;
        }
        parser.finish(&mut events)?;
        Ok(events)
    }

    fn data(stream: &str) -> Vec<String> {
        parse(&[stream.as_bytes()]).unwrap().into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn every_line_ending_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = format!("data: 가{end}{end}data: b{end}{end}");
            assert_eq!(data(&stream), ["가", "b"], "{end:?}");
        }
    }

    #[test]
    fn comments_and_other_fields_are_no_data() {
        assert_eq!(data(": keep-alive\n\nid: 7\nretry: 10\nevent: x\ndata: a\nfoo: b\n\n: bye\n"), ["a"]);
        assert_eq!(data("\n\n\n"), Vec::<String>::new());
    }

    #[test]
    fn lines_of_data_are_joined_and_one_space_is_taken_off() {
        assert_eq!(data("data:  a\ndata:b\ndata\ndata:\n\n"), [" a\nb\n"]);
    }

    #[test]
    fn a_byte_order_mark_and_a_missing_last_line_do_no_harm() {
        assert_eq!(data("\u{FEFF}data: a\n\ndata: b"), ["a", "b"]);
    }

    #[test]
    fn errors_are_known_by_event_by_field_and_by_bare_json() {
        for stream in ["event: error\ndata: {\"m\":1}\n\n", "error: {\"m\":1}\n\n"] {
            let events = parse(&[stream.as_bytes()]).unwrap();
            assert_eq!(events, [Event { data: "{\"m\":1}".into(), is_error: true, is_open: false }]);
        }
        assert_eq!(data("data: a\n\n{\"error\": {}}\n"), ["a", "{\"error\": {}}"]);
    }

    #[test]
    fn what_is_no_stream_and_what_is_the_half_of_one_are_told_apart() {
        let end = |text: &[u8]| {
            let (mut parser, mut events) = (Parser::new(1_000), Vec::new());
            let outcome = parser.push(text, &mut events).and_then(|()| parser.finish(&mut events));
            (outcome, parser.stray(), events.iter().map(|event| event.is_open).collect::<Vec<_>>())
        };
        assert_eq!(end(b"\xef\xbb\xbf<html a=\"b: c\">\nx"), (Ok(()), Some(Stray::Page), vec![]));
        assert_eq!(end(b"hello: there"), (Ok(()), Some(Stray::Text), vec![]));
        assert_eq!(end(b": c\ndata\nretry: 1\nid\n\nda"), (Ok(()), None, vec![]));
        assert_eq!(end(b"data: a\n\ndata: b\n"), (Ok(()), None, vec![false, true]));
        assert_eq!(end(b"data: \xea\xb0"), (Err(Malformed::Cut), None, vec![]));
        assert_eq!(end(b"data: \xea\xb0\n").0, Err(Malformed::NotUtf8));
    }

    #[test]
    fn what_is_too_long_or_not_utf8_is_refused() {
        assert_eq!(parse(&[&[b'a'; 1_001]]), Err(Malformed::TooLong));
        assert_eq!(parse(&[b"data: ", &[b'a'; 600], b"\ndata: ", &[b'b'; 600]]), Err(Malformed::TooLong));
        assert_eq!(parse(&[b"data: \xff\n\n"]), Err(Malformed::NotUtf8));
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_events_are_the_same(
            lines in prop::collection::vec("(data: ?|: |event: )?[가나a-c{}: ]{0,6}(\r\n|\n|\r)", 0..12),
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            let stream = lines.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&stream]));
        }
    }
}
