//! Lines for a person.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

/// Writes a line; ends the process in peace if whoever reads has had enough (`… | head`).
pub fn line(line: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_fmt(line).and_then(|()| out.write_all(b"\n")) {
        std::process::exit(i32::from(error.kind() != ErrorKind::BrokenPipe));
    }
}

/// Writes a formatted [`line`].
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::print::line(format_args!($($part)*)) };
}

/// Joins an error and its sources.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
