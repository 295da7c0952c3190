//! Damage to files, the same in every run.

/// A small generator (Marsaglia, "Xorshift RNGs", 2003).
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    /// Returns a number below `most`.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % most.max(1)
    }

    /// Flips, replaces, removes and repeats some bytes, or cuts the file off.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>, signs: &[u8]) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                return;
            }
            let at = self.below(bytes.len());
            let to = (at + 1 + self.below(40)).min(bytes.len());
            match self.below(8) {
                0 | 1 => bytes[at] ^= 1 << self.below(8),
                2 | 3 => bytes[at] = signs[self.below(signs.len())],
                4 => bytes.insert(at, signs[self.below(signs.len())]),
                5 => drop(bytes.drain(at..to)),
                6 => {
                    let again = bytes[at..to].to_vec();
                    let place = self.below(bytes.len());
                    bytes.splice(place..place, again);
                }
                _ => bytes.truncate(at),
            }
        }
    }
}
