//! Words with their classes, and which characters make up unknown ones.

use std::collections::HashMap;
use std::ops::Range;

use super::binary::{malformed, name, u16_at, u32_at};
use crate::Result;

/// What the first word of a dictionary is, mixed with the file's length.
const MAGIC: u32 = 0xEF71_8F77;

/// The version of the format that MeCab 0.99 and later write.
const VERSION: u32 = 102;

/// Bytes before the double array.
const HEADER: usize = 72;

/// A word in one of its classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The class towards what stands before.
    pub(super) left: u16,
    /// The class towards what comes after.
    pub(super) right: u16,
    pub(super) part_of_speech: u16,
    pub(super) cost: i16,
    /// The number of its tag.
    tag: u16,
    /// Whether its description says what it consists of.
    composed: bool,
    feature: u32,
}

/// A dictionary: a double array (J. Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure", 1989) from
/// words to runs of entries, and their descriptions.
pub(super) struct Lexicon {
    /// Base and check of each node.
    nodes: Vec<(i32, u32)>,
    entries: Vec<Entry>,
    /// Descriptions, with a zero behind each.
    features: String,
    tags: Vec<Box<str>>,
    starts: Starts,
}

/// The first Hangul syllable, and how many there are.
const SYLLABLES: (u32, u32) = (0xAC00, 11_172);

impl Lexicon {
    pub(super) fn read(bytes: &[u8], file: &str) -> Result<Self> {
        let word =
            |number: usize| u32_at(bytes, number * 4).ok_or_else(|| malformed(file, "it is too short"));
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        if word(0)? ^ MAGIC != length {
            return Err(malformed(file, "its length is not the one it names"));
        }
        if word(1)? != VERSION {
            return Err(malformed(file, "its version is another"));
        }
        let charset = name(bytes.get(40..HEADER).unwrap_or_default()).to_ascii_lowercase();
        if charset != b"utf-8" && charset != b"utf8" {
            return Err(malformed(file, "it is not in UTF-8"));
        }
        let (nodes, entries, features) = (word(6)? as usize, word(7)? as usize, word(8)? as usize);
        let part = |from: usize, length: usize| {
            let end = from.checked_add(length);
            end.and_then(|end| bytes.get(from..end)).ok_or_else(|| malformed(file, "a part is cut off"))
        };
        let array = part(HEADER, nodes)?;
        let rows = part(HEADER + nodes, entries)?;
        let features = part(HEADER + nodes + entries, features)?;
        let features =
            std::str::from_utf8(features).map_err(|_| malformed(file, "its text is not in UTF-8"))?;
        let (words, _) = array.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        let nodes = pairs.iter().map(|[base, check]| (i32::from_le_bytes(*base), u32::from_le_bytes(*check)));
        let (rows, _) = rows.as_chunks::<16>();
        let mut tags = Tags::default();
        let entry = |row: &[u8; 16]| {
            let half = |at| u16_at(row, at).unwrap_or_default();
            let feature = u32_at(row, 8).unwrap_or_default();
            let (tag, composed) = tags.of(described(features, feature));
            Entry {
                left: half(0),
                right: half(2),
                part_of_speech: half(4),
                cost: half(6).cast_signed(),
                tag,
                composed,
                feature,
            }
        };
        let entries = rows.iter().map(entry).collect();
        let mut lexicon = Self {
            nodes: nodes.collect(),
            entries,
            features: features.to_owned(),
            tags: tags.names,
            starts: Starts::default(),
        };
        lexicon.starts = Starts::of(&lexicon);
        Ok(lexicon)
    }

    /// Follows the bytes of a key from the root.
    fn walk(&self, key: &[u8]) -> Option<Place> {
        let root = self.nodes.first()?.0.cast_unsigned();
        let base = key.iter().try_fold(root, |base, byte| self.step(base, *byte))?;
        Some(Place { base, run: self.value(base) })
    }

    fn step(&self, base: u32, byte: u8) -> Option<u32> {
        let next = base.wrapping_add(u32::from(byte)).wrapping_add(1);
        let &(below, check) = self.nodes.get(next as usize)?;
        (check == base).then_some(below.cast_unsigned())
    }

    /// The syllables that go on from a node.
    fn syllables_from(&self, base: u32) -> impl Iterator<Item = (u32, Place)> {
        let bytes = move |base, range: std::ops::RangeInclusive<u8>| {
            range.filter_map(move |byte| Some((u32::from(byte), self.step(base, byte)?)))
        };
        let two = bytes(base, 0xEA..=0xED).flat_map(move |(first, base)| {
            bytes(base, 0x80..=0xBF).map(move |(second, base)| (((first & 0xF) << 6) | (second & 0x3F), base))
        });
        two.flat_map(move |(head, base)| {
            bytes(base, 0x80..=0xBF).filter_map(move |(third, base)| {
                let number = ((head << 6) | (third & 0x3F)).checked_sub(SYLLABLES.0)?;
                (number < SYLLABLES.1).then(|| (number, Place { base, run: self.value(base) }))
            })
        })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn all(&self) -> &[Entry] {
        &self.entries
    }

    /// Gives the entries other numbers of their classes.
    pub(super) fn renumber(&mut self, lefts: &[u16], rights: &[u16]) {
        for entry in &mut self.entries {
            let number =
                |numbers: &[u16], class: u16| numbers.get(usize::from(class)).copied().unwrap_or_default();
            entry.left = number(lefts, entry.left);
            entry.right = number(rights, entry.right);
        }
    }

    pub(super) fn entries(&self, run: Range<u32>) -> &[Entry] {
        self.entries.get(run.start as usize..run.end as usize).unwrap_or_default()
    }

    /// Returns the tag of an entry, and whether it is composed; an empty one where there is no such entry.
    pub(super) fn tag(&self, entry: u32) -> (&str, bool) {
        let Some(entry) = self.entries.get(entry as usize) else { return ("", false) };
        (self.tags.get(usize::from(entry.tag)).map_or("", |tag| tag), entry.composed)
    }

    /// Returns the description of an entry; empty where the file has none.
    pub(super) fn feature(&self, entry: u32) -> &str {
        self.entries.get(entry as usize).map_or("", |entry| described(&self.features, entry.feature))
    }

    /// Hands each word that `text` begins with to `visit`: its length in bytes, and its entries.
    pub(super) fn prefixes(&self, text: &str, mut visit: impl FnMut(usize, Range<u32>)) {
        let mut chars = text.chars();
        let Some(first) = chars.next() else { return };
        let number = syllable(first);
        let from_root = || self.walk(text.as_bytes().get(..first.len_utf8())?);
        let Some(mut place) = number.map_or_else(from_root, |number| self.starts.one(number)) else { return };
        let mut second = number;
        loop {
            let rest = chars.as_str();
            if let Some(run) = place.entries() {
                visit(text.len() - rest.len(), run);
            }
            let Some(next) = chars.next() else { return };
            let next_place = if let (Some(first), Some(second)) = (second.take(), syllable(next)) {
                self.starts.two(first, second)
            } else {
                let mut bytes = rest.as_bytes().iter().take(next.len_utf8());
                let base = bytes.try_fold(place.base, |base, byte| self.step(base, *byte));
                base.map(|base| Place { base, run: self.value(base) })
            };
            let Some(next_place) = next_place else { return };
            place = next_place;
        }
    }

    /// What stands for the entries of the word that ends at a node: the first one and their count; `NO_WORD` if none does.
    fn value(&self, base: u32) -> u32 {
        match self.nodes.get(base as usize) {
            Some(&(value, check)) if check == base && value < 0 => (!value).cast_unsigned(),
            _ => NO_WORD,
        }
    }
}

const NO_WORD: u32 = u32::MAX;

/// Where a walk through the double array has come to.
#[derive(Clone, Copy, Debug)]
struct Place {
    base: u32,
    run: u32,
}

impl Place {
    /// The entries of the word that ends here.
    fn entries(self) -> Option<Range<u32>> {
        (self.run != NO_WORD).then(|| self.run >> 8..(self.run >> 8) + (self.run & 0xFF))
    }
}

/// The number of a Hangul syllable.
fn syllable(c: char) -> Option<u32> {
    u32::from(c).checked_sub(SYLLABLES.0).filter(|number| *number < SYLLABLES.1)
}

/// What the first one and two syllables of words lead to. Most words are Korean, and each syllable is three steps through an array
/// that fits no cache; here it is one look.
#[derive(Default)]
struct Starts {
    ones: Vec<Option<Place>>,
    /// A hash table with open addressing; a key is one more than the numbers of two syllables in one.
    pairs: Vec<(u32, Place)>,
}

impl Starts {
    fn of(lexicon: &Lexicon) -> Self {
        let mut ones = vec![None; SYLLABLES.1 as usize];
        let mut pairs = Vec::new();
        let root = lexicon.nodes.first().map_or(0, |(base, _)| base.cast_unsigned());
        for (number, place) in lexicon.syllables_from(root) {
            if let Some(slot) = ones.get_mut(number as usize) {
                *slot = Some(place);
            }
            let next = lexicon.syllables_from(place.base);
            pairs.extend(next.map(|(second, place)| (number * SYLLABLES.1 + second + 1, place)));
        }
        let mut starts = Self {
            ones,
            pairs: vec![(0, Place { base: 0, run: NO_WORD }); (pairs.len() * 2 + 1).next_power_of_two()],
        };
        for (key, place) in pairs {
            let mut at = starts.slot(key);
            // half of the slots stay empty
            while let Some(slot) = starts.pairs.get_mut(at) {
                if slot.0 == 0 {
                    *slot = (key, place);
                    break;
                }
                at = (at + 1) & (starts.pairs.len() - 1);
            }
        }
        starts
    }

    fn slot(&self, key: u32) -> usize {
        // the upper half of the product with the golden ratio (D. Knuth, The Art of Computer Programming 3, 6.4)
        let mixed = u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(mixed).unwrap_or_default() & (self.pairs.len() - 1)
    }

    fn one(&self, number: u32) -> Option<Place> {
        self.ones.get(number as usize).copied().flatten()
    }

    fn two(&self, first: u32, second: u32) -> Option<Place> {
        let key = first * SYLLABLES.1 + second + 1;
        let mut at = self.slot(key);
        loop {
            let &(found, place) = self.pairs.get(at)?;
            if found == key {
                return Some(place);
            }
            if found == 0 {
                return None;
            }
            at = (at + 1) & (self.pairs.len() - 1);
        }
    }
}

/// The description at a place.
fn described(features: &str, at: u32) -> &str {
    let rest = features.get(at as usize..).unwrap_or_default();
    rest.find('\0').and_then(|end| rest.get(..end)).unwrap_or(rest)
}

/// The different tags of the descriptions.
#[derive(Default)]
struct Tags {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u16>,
}

impl Tags {
    /// Returns the number of a description's tag, and whether the description ends with what the word consists of.
    fn of(&mut self, feature: &str) -> (u16, bool) {
        let (tag, rest) = feature.split_once(',').unwrap_or((feature, ""));
        let composed = !rest.is_empty() && !rest.ends_with(",*");
        if let Some(number) = self.numbers.get(tag) {
            return (*number, composed);
        }
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        self.names.push(tag.into());
        self.numbers.insert(tag.into(), number);
        (number, composed)
    }
}

/// What a character is: categories it belongs to, and how unknown words are made of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind(u32);

impl Kind {
    /// Tells whether the two share a category.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 & 0x3_FFFF != 0
    }

    /// The category that unknown words are looked up under.
    const fn category(self) -> usize {
        (self.0 >> 18 & 0xFF) as usize
    }

    /// Unknown words of up to so many characters are tried.
    pub(super) const fn length(self) -> u32 {
        self.0 >> 26 & 0xF
    }

    /// Whether a run of the category is tried as one unknown word.
    pub(super) const fn groups(self) -> bool {
        self.0 >> 30 & 1 != 0
    }

    /// Whether unknown words are tried where the dictionary knows one.
    pub(super) const fn always(self) -> bool {
        self.0 >> 31 != 0
    }
}

/// The kind of each character of the Basic Multilingual Plane, and the entries of unknown words of each category.
pub(super) struct Categories {
    kinds: Vec<Kind>,
    unknown: Vec<Range<u32>>,
}

impl Categories {
    pub(super) fn read(bytes: &[u8], unknown: &Lexicon) -> Result<Self> {
        let short = || malformed("char.bin", "it is too short");
        let count = u32_at(bytes, 0).ok_or_else(short)? as usize;
        let names = bytes.get(4..).ok_or_else(short)?;
        let (names, kinds) =
            count.checked_mul(32).and_then(|length| names.split_at_checked(length)).ok_or_else(short)?;
        let (names, _) = names.as_chunks::<32>();
        let runs = names
            .iter()
            .map(|category| unknown.walk(name(category)).and_then(Place::entries).unwrap_or_default());
        let (kinds, _) = kinds.as_chunks::<4>();
        let kinds: Vec<Kind> = kinds.iter().map(|kind| Kind(u32::from_le_bytes(*kind))).collect();
        if kinds.len() < 0xFFFF {
            return Err(short());
        }
        Ok(Self { kinds, unknown: runs.collect() })
    }

    pub(super) fn of(&self, c: char) -> Kind {
        // what lies beyond the plane counts as the character 0, as in MeCab
        let place = u16::try_from(u32::from(c)).unwrap_or_default();
        self.kinds.get(usize::from(place)).copied().unwrap_or_default()
    }

    pub(super) fn unknown(&self, kind: Kind) -> Range<u32> {
        self.unknown.get(kind.category()).cloned().unwrap_or_default()
    }
}
