//! A definition, or a saga that follows it, as a picture.

use std::fmt::{Display, Write};

use super::draw::{AS_NAMED, Looks, Titles, fill_of, titled};
use super::{Plan, UnitKind};

/// Sizes, in the picture's units.
const WIDTH: usize = 190;
const HEIGHT: usize = 34;
const ROW: usize = 62;
/// From a unit to what undoes it, and from a column to the next one.
const GAP: usize = 36;
const COLUMN: usize = 2 * (WIDTH + GAP);
const RADIUS: usize = 9;

impl Plan {
    /// Draws the plan as an SVG picture that stands alone or in a page, whose colour of text its lines take: stages from top to
    /// bottom, units that run side by side in one row, and to the right of each what undoes it or takes what is late, by a dotted line.
    /// Waits are rounded, the pivot has a thick frame, another saga a double one.
    pub fn svg(&self) -> String {
        self.draw_svg(|_| Looks::default(), AS_NAMED)
    }

    pub(crate) fn draw_svg(&self, looks: impl Fn(usize) -> Looks, titles: Titles<'_>) -> String {
        let columns = self.stages.iter().map(ExactSizeIterator::len).max().unwrap_or(1).max(1);
        let (width, height) = (columns * COLUMN, (self.stages.len() + 1) * ROW + 2 * RADIUS + 4);
        let mut picture = Picture(String::new());
        let middle = WIDTH / 2;
        picture.circle(middle, RADIUS + 2);
        let mut before = vec![(middle, 2 * RADIUS + 2)];
        for (row, stage) in self.stages.iter().enumerate() {
            let top = (row + 1) * ROW - ROW / 3;
            let mut ends = Vec::new();
            for (column, unit) in stage.clone().enumerate() {
                let Some(plan) = self.units.get(unit) else { continue };
                let left = column * COLUMN;
                for (x, y) in &before {
                    picture.line(*x, *y, left + middle, top, false);
                }
                let looks = looks(unit);
                let frame = if self.pivot == Some(unit) { 3 } else { 1 };
                let round = if plan.kind == UnitKind::Wait { HEIGHT / 2 } else { 3 };
                picture.node(left, top, &titled(titles, &plan.name), fill_of(looks.unit), frame, round);
                if plan.kind == UnitKind::Child {
                    picture.inner_frame(left, top);
                }
                let aside = plan.undo.as_ref().map(|undo| &undo.name);
                if let Some(name) = aside.or(plan.late.as_ref().map(|late| &late.name)) {
                    let y = top + HEIGHT / 2;
                    picture.line(left + WIDTH, y, left + WIDTH + GAP, y, true);
                    let (left, name) = (left + WIDTH + GAP, titled(titles, name));
                    picture.node(left, top, &name, fill_of(looks.undo), 1, 3);
                }
                ends.push((left + middle, top + HEIGHT));
            }
            before = ends;
        }
        let end = (self.stages.len() + 1) * ROW - ROW / 3 + RADIUS;
        for (x, y) in before {
            picture.line(x, y, middle, end - RADIUS, false);
        }
        picture.circle(middle, end);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-2 0 {} {height}\" width=\"{width}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"13\"><title>{} {}</title>{}</svg>",
            width + 4,
            Text(&titled(titles, &self.saga)),
            self.version,
            picture.0
        )
    }
}

struct Picture(String);

impl Picture {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(element);
    }

    fn circle(&mut self, x: usize, y: usize) {
        self.add(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\" fill=\"currentColor\"/>"));
    }

    fn line(&mut self, x: usize, y: usize, to_x: usize, to_y: usize, is_dotted: bool) {
        let dashes = if is_dotted { " stroke-dasharray=\"3 3\"" } else { "" };
        self.add(format_args!(
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{to_x}\" y2=\"{to_y}\" stroke=\"currentColor\"{dashes}/>"
        ));
    }

    fn inner_frame(&mut self, x: usize, y: usize) {
        let (width, height) = (WIDTH - 6, HEIGHT - 6);
        self.add(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#555555\"/>",
            x + 3,
            y + 3
        ));
    }

    fn node(&mut self, x: usize, y: usize, name: &str, fill: &str, frame: usize, round: usize) {
        self.add(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"{round}\" fill=\"{fill}\" stroke=\"#555555\" \
             stroke-width=\"{frame}\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1b1b1b\">{}</text>",
            x + WIDTH / 2,
            y + HEIGHT / 2 + 5,
            Text(name)
        ));
    }
}

/// Text of an element: nothing of it is markup, and what is too long for its box is cut off.
struct Text<'a>(&'a str);

/// How much of its box a letter takes: a syllable, or another sign as broad as it is high, that of two.
const fn breadth(letter: char) -> usize {
    if matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}')
    {
        2
    } else {
        1
    }
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const BROADEST: usize = 24;
        let mut room = BROADEST;
        for letter in self.0.chars() {
            let Some(left) = room.checked_sub(breadth(letter)) else { return f.write_char('…') };
            room = left;
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                letter if letter.is_control() => f.write_char(' ')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn names_are_text_and_end_in_their_box() {
        assert_eq!(Text("<b>&\n").to_string(), "&lt;b&gt;&amp; ");
        assert_eq!(Text(&"a".repeat(30)).to_string(), format!("{}…", "a".repeat(24)));
        assert_eq!(Text(&"a".repeat(24)).to_string(), "a".repeat(24));
        assert_eq!(Text(&"가".repeat(30)).to_string(), format!("{}…", "가".repeat(12)), "twice as broad");
    }
}
