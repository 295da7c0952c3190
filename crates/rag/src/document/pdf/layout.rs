//! Words and lines, by where their letters stand.

/// Of a letter's size: a gap this wide is a space.
const SPACE: f32 = 0.2;
/// As far off the line, it is another one.
const LINE: f32 = 0.5;
/// As far below it, there is a paragraph between.
const PARAGRAPH: f32 = 1.9;
/// Of the line's size: letters no taller than this may be raised.
const SMALL: f32 = 0.85;
/// How far a raised letter stands above its line.
const RAISED: std::ops::RangeInclusive<f32> = 0.15..=0.8;
/// As far back on the same line, something else begins.
const BACK: f32 = 3.0;

/// The text of a page as it grows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    text: String,
    /// Where the last letters ended.
    end: Option<(f32, f32)>,
    /// How tall the letters of the line are.
    size: f32,
    /// Whether the last letters stand above their line.
    is_raised: bool,
    /// Letters that were kept, and codes that had none.
    pub(super) known: usize,
    pub(super) unknown: usize,
}

impl Layout {
    /// Adds letters of a size that stand from `(x, y)` to `(to_x, to_y)`.
    pub(super) fn add(&mut self, text: &str, (x, y): (f32, f32), to: (f32, f32), size: f32) {
        let size = size.max(0.1);
        if let Some((last_x, last_y)) = self.end {
            let (down, right) = (last_y - y, x - last_x);
            let is_near = (-SPACE * self.size..=SPACE * self.size).contains(&right);
            if is_near && size <= SMALL * self.size && RAISED.contains(&(-down / self.size)) {
                self.raise(text);
                // the line goes on where it was
                self.end = Some((to.0, last_y));
                return;
            }
            if down.abs() > LINE * size {
                self.line();
                if !(-LINE * size..=PARAGRAPH * size).contains(&down) {
                    self.line();
                }
            } else if right < -BACK * size {
                self.line();
            } else if right > SPACE * size && !self.text.ends_with(char::is_whitespace) {
                self.text.push(' ');
            }
        }
        self.end = Some(to);
        self.size = size;
        self.is_raised = false;
        self.write(text);
    }

    /// Adds letters that stand above their line: an exponent is no further digit of its number.
    fn raise(&mut self, text: &str) {
        let is_exponent =
            text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '−' | '–'));
        if is_exponent && !self.is_raised && self.text.ends_with(|c: char| c.is_ascii_digit()) {
            self.text.push('^');
        }
        self.is_raised = true;
        self.write(text);
    }

    fn write(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\u{FFFD}' || ('\u{E000}'..='\u{F8FF}').contains(&c) {
                self.unknown += 1;
            } else if !c.is_control() {
                self.known += usize::from(!c.is_whitespace());
                self.text.push(c);
            } else if c.is_whitespace() {
                self.text.push(' ');
            }
        }
    }

    fn line(&mut self) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Returns the page's text.
    pub(super) fn into_text(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_words_lines_and_paragraphs() {
        let mut layout = Layout::default();
        let mut show = |text: &str, x: f32, y: f32| {
            let width = f32::from(u16::try_from(text.chars().count()).unwrap()) * 5.0;
            layout.add(text, (x, y), (x + width, y), 10.0);
        };
        show("무릎", 0.0, 700.0);
        show("이", 10.5, 700.0);
        show("아프면", 20.0, 700.0);
        show("쉽니다.\u{0}\u{FFFD}", 0.0, 688.0);
        show("Next", 0.0, 650.0);
        show("line", 0.0, 638.0);
        show("2", 200.0, 638.0);
        assert_eq!((layout.known, layout.unknown), (19, 1));
        assert_eq!(layout.into_text(), "무릎이 아프면\n쉽니다.\n\nNext\nline 2");
    }

    #[test]
    fn raised_letters_stay_on_their_line_and_are_no_further_digits() {
        let mut layout = Layout::default();
        for (text, x, y, size) in [
            ("10", 0.0, 700.0, 10.0),
            ("1", 10.0, 704.0, 6.0),
            ("2", 13.0, 704.0, 6.0),
            (" m", 16.0, 700.0, 10.0),
            ("2", 26.0, 703.5, 6.0),
            (" of grass", 29.0, 700.0, 10.0),
            ("a note", 0.0, 692.0, 6.0),
        ] {
            let width = f32::from(u16::try_from(text.chars().count()).unwrap()) * size / 2.0;
            layout.add(text, (x, y), (x + width, y), size);
        }
        assert_eq!(layout.into_text(), "10^12 m2 of grass\na note");
    }
}
