//! Lines for a person.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Writes a line, [plain]; ends the process in peace if whoever reads has had enough (`… | head`).
pub fn line(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(plain(&line.to_string()).as_bytes()).and_then(|()| out.write_all(b"\n"))
    {
        std::process::exit(i32::from(error.kind() != ErrorKind::BrokenPipe));
    }
}

/// Shows what would do something to a terminal, and not stand there, as `\u{1b}`: control characters other than the end of a
/// line, and those that turn the direction of writing round (which Unicode calls bidirectional controls).
pub fn plain(text: &str) -> String {
    let acts = |letter: char| {
        (letter != '\n' && letter.is_control())
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Writes a formatted [`line`].
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::print::line(format_args!($($part)*)) };
}

/// Joins an error and its sources, [plain].
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    plain(&text)
}

/// Tells on standard error why a program failed, and what it ends with.
pub fn failed(program: &str, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("{program}: {}", chain(error));
    ExitCode::FAILURE
}

/// What a program ends with.
pub fn ended(program: &str, result: Result<(), Box<dyn std::error::Error>>) -> ExitCode {
    result.map_or_else(|error| failed(program, &*error), |()| ExitCode::SUCCESS)
}

/// Tells where a service listens, to whoever starts it at a terminal: elsewhere standard error belongs to the logs, which tell it, too.
pub fn address(service: &str, address: std::net::SocketAddr) {
    if io::stderr().is_terminal() {
        eprintln!("{service}: http://{address}");
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_acts_upon_a_terminal_is_shown_and_every_other_letter_is_left_alone() {
        assert_eq!(plain("\u{1b}[2Ja\rb\u{9b}c\u{202e}d\0"), r"\u{1b}[2Ja\u{d}b\u{9b}c\u{202e}d\u{0}");
        for text in ["글을 읽기\n두 줄", "é 👩‍👩‍👧 \u{200b}", ""] {
            assert_eq!(plain(text), text);
        }
    }
}
