//! The cheapest way through all words that a text could be made of (A. Viterbi, 1967).

use std::ops::Range;

use super::Dictionary;
use super::lexicon::{Entry, Kind};

/// No node.
const NONE: u32 = u32::MAX;

/// The longest run of one category that is tried as one unknown word, in characters: MeCab's `max-grouping-size`.
const LONGEST_GROUP: usize = 24;

/// More than any way costs: a piece of 16,384 bytes, each with three costs of 16 bits, stays below it, and adding one more to it
/// overflows nothing.
const BEATEN: i32 = i32::MAX - 0xFFFF;

/// A word at a place, with the cheapest way to it.
#[derive(Clone, Copy)]
struct Node {
    cost: i32,
    before: u32,
    /// The next one that ends at the same place.
    next: u32,
    right: u16,
    step: Step,
}

/// A word on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) entry: u32,
    /// Whether the dictionary has the word.
    pub(super) known: bool,
}

/// What a class has to go on from here.
#[derive(Clone, Copy)]
struct Reached {
    right: u16,
    cost: i32,
    node: u32,
}

/// The words that were tried, kept from text to text so that nothing is allocated anew.
#[derive(Default)]
pub(super) struct Lattice {
    nodes: Vec<Node>,
    /// The last node that ends at each byte.
    ends: Vec<u32>,
    /// Words that the dictionary has, and for each byte which of them begin there.
    known: Vec<(u32, Range<u32>)>,
    known_at: Vec<(u32, u32)>,
    reached: Vec<Reached>,
    /// For each class that ends here, its place among those.
    places: Marked<usize>,
    /// The cheapest way to each class that begins here.
    ways: Marked<(i32, u32)>,
    path: Vec<Step>,
}

/// Values by class, all forgotten at once.
#[derive(Default)]
struct Marked<T> {
    now: u32,
    values: Vec<(u32, T)>,
}

impl<T: Copy + Default> Marked<T> {
    fn clear(&mut self, classes: usize) {
        self.now = self.now.wrapping_add(1);
        if self.values.len() < classes || self.now == 0 {
            self.values.clear();
            self.values.resize(classes, (0, T::default()));
            self.now = 1;
        }
    }

    fn get(&self, class: u16) -> Option<T> {
        self.values.get(usize::from(class)).filter(|(mark, _)| *mark == self.now).map(|(_, value)| *value)
    }

    fn set(&mut self, class: u16, value: T) {
        if let Some(slot) = self.values.get_mut(usize::from(class)) {
            *slot = (self.now, value);
        }
    }
}

/// Words of the same letters at one place.
struct Words<'a> {
    start: usize,
    end: usize,
    /// Whether a space stands before them.
    spaced: bool,
    known: bool,
    first: u32,
    entries: &'a [Entry],
}

impl Lattice {
    /// Finds the words that the text costs least as.
    pub(super) fn cheapest(&mut self, dictionary: &Dictionary, text: &str) -> impl Iterator<Item = Step> {
        self.nodes.clear();
        self.ends.clear();
        self.ends.resize(text.len() + 1, NONE);
        let start = Node {
            cost: 0,
            before: NONE,
            next: NONE,
            right: dictionary.matrix.start(),
            step: Step::default(),
        };
        self.nodes.push(start);
        if let Some(first) = self.ends.first_mut() {
            *first = 0;
        }
        self.look_up(dictionary, text);
        let mut last = 0;
        for at in 0..text.len() {
            if self.ends.get(at).is_some_and(|end| *end != NONE) {
                last = at;
                self.go_on(dictionary, text, at);
            }
        }
        if self.ends.last().is_some_and(|end| *end != NONE) {
            last = text.len();
        }
        self.reach(dictionary, last);
        let row = dictionary.matrix.row(dictionary.matrix.end());
        let mut node = best(&self.reached, row).1;
        self.path.clear();
        while let Some(found) = self.nodes.get(node as usize).filter(|found| found.before != NONE) {
            self.path.push(found.step);
            node = found.before;
        }
        self.path.iter().rev().copied()
    }

    /// Lists the words of the text that the dictionary has; all at once, so that the memory is asked for many at the same time.
    fn look_up(&mut self, dictionary: &Dictionary, text: &str) {
        let Self { known, known_at, .. } = self;
        known.clear();
        known_at.clear();
        known_at.resize(text.len(), (0, 0));
        for (at, _) in text.char_indices().filter(|(_, c)| *c != ' ') {
            let first = narrow(known.len());
            let rest = text.get(at..).unwrap_or_default();
            dictionary.known.prefixes(rest, |length, run| known.push((narrow(at + length), run)));
            if let Some(slot) = known_at.get_mut(at) {
                *slot = (first, narrow(known.len()));
            }
        }
    }

    /// Joins the words that may begin at a place, behind its spaces, to the cheapest ways to there.
    fn go_on(&mut self, dictionary: &Dictionary, text: &str, at: usize) {
        let categories = &dictionary.categories;
        let mut start = at;
        let mut kind = categories.of(' ');
        let first = loop {
            let Some(c) = text.get(start..).and_then(|rest| rest.chars().next()) else { return };
            let next = categories.of(c);
            let spaces = next.meets(kind);
            kind = next;
            if !spaces {
                break c;
            }
            start += c.len_utf8();
        };
        self.reach(dictionary, at);
        self.ways.clear(dictionary.matrix.classes());
        let spaced = start > at;
        let after = start + first.len_utf8();
        let made = self.nodes.len();
        // of words of the same letters MeCab prefers those that it knows, and what stands first: what is joined last
        if kind.always() {
            self.make_up(dictionary, text, (start, after), spaced, kind);
        }
        let (first, last) = self.known_at.get(start).copied().unwrap_or_default();
        for number in first..last {
            let Some((end, run)) = self.known.get(number as usize).cloned() else { continue };
            let (first, entries) = (run.start, dictionary.known.entries(run));
            self.join(dictionary, &Words { start, end: end as usize, spaced, known: true, first, entries });
        }
        if self.nodes.len() == made {
            self.make_up(dictionary, text, (start, after), spaced, kind);
        }
        if self.nodes.len() == made {
            // a dictionary without a word for it: it is one, of no class
            let (cost, before) = best(&self.reached, dictionary.matrix.row(dictionary.matrix.end()));
            let step = Step { start: narrow(start), end: narrow(after), entry: NONE, known: false };
            self.push(Node { cost, before, next: NONE, right: dictionary.matrix.start(), step });
        }
    }

    /// Joins words that the dictionary does not have: runs of one kind of characters.
    fn make_up(
        &mut self,
        dictionary: &Dictionary,
        text: &str,
        (start, after): (usize, usize),
        spaced: bool,
        kind: Kind,
    ) {
        let run = dictionary.categories.unknown(kind);
        let entries = dictionary.unknown.entries(run.clone());
        let words = |end| Words { start, end, spaced, known: false, first: run.start, entries };
        let mut group = None;
        let made = self.nodes.len();
        if kind.groups() {
            let (end, count) = run_of(dictionary, text, after, kind);
            if count <= LONGEST_GROUP {
                self.join(dictionary, &words(end));
            }
            group = Some(end);
        }
        let mut end = after;
        for _ in 0..kind.length() {
            if group == Some(end) {
                break;
            }
            self.join(dictionary, &words(end));
            let next = text.get(end..).and_then(|rest| rest.chars().next());
            let Some(c) = next.filter(|c| kind.meets(dictionary.categories.of(*c))) else { break };
            end += c.len_utf8();
        }
        if self.nodes.len() == made {
            self.join(dictionary, &words(after));
        }
    }

    /// Lists how each class is reached most cheaply at a place, in the order in which ways that cost the same are preferred.
    fn reach(&mut self, dictionary: &Dictionary, at: usize) {
        self.reached.clear();
        self.places.clear(dictionary.matrix.classes());
        let mut node = self.ends.get(at).copied().unwrap_or(NONE);
        while let Some(found) = self.nodes.get(node as usize) {
            let reached = Reached { right: found.right, cost: found.cost, node };
            let known = self.places.get(found.right);
            match known.and_then(|place| self.reached.get_mut(place)) {
                Some(other) if reached.cost >= other.cost => {}
                other => {
                    if let Some(other) = other {
                        // a way that nothing takes keeps its place, so that the others keep theirs
                        other.cost = BEATEN;
                    }
                    self.places.set(found.right, self.reached.len());
                    self.reached.push(reached);
                }
            }
            node = found.next;
        }
    }

    /// Joins words to the cheapest ways to here, the last one first.
    fn join(&mut self, dictionary: &Dictionary, words: &Words<'_>) {
        let (start, end) = (narrow(words.start), narrow(words.end));
        for (number, entry) in words.entries.iter().enumerate().rev() {
            let (cost, before) = self.ways.get(entry.left).unwrap_or_else(|| {
                let way = best(&self.reached, dictionary.matrix.row(entry.left));
                self.ways.set(entry.left, way);
                way
            });
            let penalty = if words.spaced { dictionary.matrix.penalty(entry) } else { 0 };
            let step = Step { start, end, entry: words.first + narrow(number), known: words.known };
            self.push(Node {
                cost: cost + i32::from(entry.cost) + penalty,
                before,
                next: NONE,
                right: entry.right,
                step,
            });
        }
    }

    /// Adds a node to those that end where it does.
    fn push(&mut self, node: Node) {
        let number = narrow(self.nodes.len());
        if let Some(end) = self.ends.get_mut(node.step.end as usize) {
            self.nodes.push(Node { next: std::mem::replace(end, number), ..node });
        }
    }
}

/// The cheapest of the ways to here, for what has this row of costs; the first of those that cost the same.
fn best(reached: &[Reached], row: &[i16]) -> (i32, u32) {
    let mut best = i64::MAX;
    for (place, way) in (0_i64..).zip(reached) {
        let cost = way.cost + row.get(usize::from(way.right)).copied().map_or(0, i32::from);
        // cost and place in one number: no branch that a processor would have to guess
        best = best.min(i64::from(cost) << 32 | place);
    }
    let place = usize::try_from(best & i64::from(u32::MAX)).unwrap_or_default();
    let Ok(cost) = i32::try_from(best >> 32) else { return (0, NONE) };
    (cost, reached.get(place).map_or(NONE, |way| way.node))
}

/// Where the run of characters that go on with a kind ends, and how many there are; of runs that are too long to be one word, where
/// they become so.
fn run_of(dictionary: &Dictionary, text: &str, from: usize, kind: Kind) -> (usize, usize) {
    let (mut end, mut count, mut kind) = (from, 0, kind);
    for c in text.get(from..).unwrap_or_default().chars() {
        let next = dictionary.categories.of(c);
        if !kind.meets(next) || count > LONGEST_GROUP {
            break;
        }
        kind = next;
        count += 1;
        end += c.len_utf8();
    }
    (end, count)
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}
