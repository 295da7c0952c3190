//! What it costs that one class follows another.

use std::collections::HashMap;

use super::binary::{malformed, u16_at};
use super::lexicon::{Entry, Lexicon};
use crate::Result;

const FILE: &str = "matrix.bin";

/// A cost of 800 is a factor of *e* in the probability (`cost-factor` in the dictionary's settings); used for what is likely only.
const COST_FACTOR: f64 = 800.0;

/// Costs of neighbours, and of a space before what should have none.
///
/// The file's 20 MB fit no cache of a processor. Classes that are followed, or preceded, by everything at the same costs are one
/// class here, and classes of likely words come first: a third of the bytes, and what a text needs of them close together.
pub(super) struct Matrix {
    /// A row for each class of the right neighbour, with a cost for each class of the left one.
    costs: Vec<i16>,
    width: usize,
    /// The class of the start of a text, as a left neighbour, and of its end, as a right one.
    edges: (u16, u16),
    /// By part of speech.
    penalties: Vec<i32>,
}

impl Matrix {
    /// Reads the file, and renumbers the classes of the entries.
    pub(super) fn read(bytes: &[u8], settings: &str, lexicons: &mut [&mut Lexicon]) -> Result<Self> {
        let short = || malformed(FILE, "it is too short");
        let width = usize::from(u16_at(bytes, 0).ok_or_else(short)?);
        let height = usize::from(u16_at(bytes, 2).ok_or_else(short)?);
        let (costs, _) = bytes.get(4..).ok_or_else(short)?.as_chunks::<2>();
        if width == 0 || height == 0 || costs.len() < width * height {
            return Err(short());
        }
        let costs: Vec<i16> = costs.iter().map(|cost| i16::from_le_bytes(*cost)).collect();
        let rows: Vec<&[i16]> = costs.chunks_exact(width).take(height).collect();
        let likely = Likely::of(lexicons, width, height);
        let lefts = merged(&likely.lefts, |class| rows.get(class).copied().unwrap_or_default());
        let kept: Vec<&[i16]> = lefts.kept.iter().filter_map(|class| rows.get(*class).copied()).collect();
        let columns = transposed(&kept, width);
        let columns: Vec<&[i16]> = columns.chunks_exact(kept.len()).collect();
        let rights = merged(&likely.rights, |class| columns.get(class).copied().unwrap_or_default());
        let cell = |row: &[i16], class: &usize| row.get(*class).copied().unwrap_or_default();
        let costs =
            kept.iter().flat_map(|row| rights.kept.iter().map(move |class| cell(row, class))).collect();
        for lexicon in lexicons {
            lexicon.renumber(&lefts.numbers, &rights.numbers);
        }
        let edge = |numbers: &[u16]| numbers.first().copied().unwrap_or_default();
        let edges = (edge(&rights.numbers), edge(&lefts.numbers));
        Ok(Self { costs, width: rights.kept.len(), edges, penalties: penalties(settings) })
    }

    /// How many classes left and right neighbours have.
    pub(super) fn classes(&self) -> usize {
        self.width.max(self.costs.len() / self.width.max(1))
    }

    pub(super) const fn start(&self) -> u16 {
        self.edges.0
    }

    pub(super) const fn end(&self) -> u16 {
        self.edges.1
    }

    /// The costs that a word of the class `left` has behind each class.
    pub(super) fn row(&self, left: u16) -> &[i16] {
        let start = usize::from(left) * self.width;
        self.costs.get(start..start + self.width).unwrap_or_default()
    }

    /// What a space before the entry costs.
    pub(super) fn penalty(&self, entry: &Entry) -> i32 {
        self.penalties.get(usize::from(entry.part_of_speech)).copied().unwrap_or_default()
    }
}

/// How likely words of each class are, about.
struct Likely {
    lefts: Vec<f64>,
    rights: Vec<f64>,
}

impl Likely {
    fn of(lexicons: &[&mut Lexicon], width: usize, height: usize) -> Self {
        let mut likely = Self { lefts: vec![0.0; height], rights: vec![0.0; width] };
        for entry in lexicons.iter().flat_map(|lexicon| lexicon.all()) {
            let weight = (-f64::from(entry.cost) / COST_FACTOR).exp();
            for (weights, class) in [(&mut likely.lefts, entry.left), (&mut likely.rights, entry.right)] {
                if let Some(sum) = weights.get_mut(usize::from(class)) {
                    *sum += weight;
                }
            }
        }
        likely
    }
}

/// Classes after equal ones were made one.
struct Merged {
    /// The new number of each.
    numbers: Vec<u16>,
    /// An old class for each new one.
    kept: Vec<usize>,
}

/// Makes classes with equal costs one, the likely ones first.
fn merged<'a>(weights: &[f64], costs: impl Fn(usize) -> &'a [i16]) -> Merged {
    let mut first: HashMap<&[i16], usize> = HashMap::with_capacity(weights.len());
    let same: Vec<usize> =
        (0..weights.len()).map(|class| *first.entry(costs(class)).or_insert(class)).collect();
    let mut sums = vec![0.0; weights.len()];
    for (class, weight) in same.iter().zip(weights) {
        if let Some(sum) = sums.get_mut(*class) {
            *sum += weight;
        }
    }
    let mut kept: Vec<usize> = first.into_values().collect();
    let sum = |class: &usize| sums.get(*class).copied().unwrap_or_default();
    kept.sort_by(|a, b| sum(b).total_cmp(&sum(a)).then(a.cmp(b)));
    let mut numbers = vec![0; weights.len()];
    for (number, class) in (0..).zip(&kept) {
        if let Some(slot) = numbers.get_mut(*class) {
            *slot = number;
        }
    }
    let numbers = same.iter().map(|class| numbers.get(*class).copied().unwrap_or_default()).collect();
    Merged { numbers, kept }
}

/// Turns rows into columns, one behind the other.
fn transposed(rows: &[&[i16]], width: usize) -> Vec<i16> {
    /// Columns that are written together, so that each line of the cache is read once.
    const BLOCK: usize = 32;
    let mut columns = Vec::with_capacity(rows.len() * width);
    for block in (0..width).step_by(BLOCK) {
        let end = (block + BLOCK).min(width);
        let parts: Vec<&[i16]> = rows.iter().map(|row| row.get(block..end).unwrap_or_default()).collect();
        for column in 0..end - block {
            columns.extend(parts.iter().map(|part| part.get(column).copied().unwrap_or_default()));
        }
    }
    columns
}

/// Reads `left-space-penalty-factor = part of speech,cost,…`, the line that mecab-ko adds to MeCab's settings.
fn penalties(settings: &str) -> Vec<i32> {
    let line = settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "left-space-penalty-factor").then_some(value)
    });
    let mut penalties = Vec::new();
    let numbers: Vec<i32> =
        line.unwrap_or_default().split(',').map_while(|n| n.trim().parse().ok()).collect();
    let (pairs, _) = numbers.as_chunks::<2>();
    for [class, cost] in pairs {
        let Ok(class) = u16::try_from(*class) else { continue };
        let class = usize::from(class);
        if penalties.len() <= class {
            penalties.resize(class + 1, 0);
        }
        if let Some(penalty) = penalties.get_mut(class) {
            *penalty = (*cost).clamp(0, i32::from(i16::MAX));
        }
    }
    penalties
}
