//! Lists of vectors that are near one another, so that a search looks at those near its question only: an inverted file (Jégou, Douze
//! and Schmid, 2011).

mod centres;
pub(super) mod stored;
mod train;

pub(super) use centres::Centres;
#[cfg(test)]
pub(super) use train::tests::vectors;
pub(super) use train::{Part, Work, assign, train};

/// Which vectors of a segment are in which list.
#[derive(Debug)]
pub(super) struct Lists {
    /// The list of each vector.
    pub(super) of: Vec<u16>,
    /// The places of all vectors, list by list.
    places: Vec<u16>,
    /// Where each list begins in `places`, and where the last one ends.
    firsts: Vec<u32>,
}

impl Lists {
    /// Makes `count` lists; nothing if a vector is in one that is not there, or there are too many vectors.
    pub(super) fn new(of: Vec<u16>, count: usize) -> Option<Self> {
        let mut firsts = vec![0_u32; count + 1];
        for list in &of {
            *firsts.get_mut(usize::from(*list) + 1)? += 1;
        }
        let mut first = 0;
        for count in &mut firsts {
            first += *count;
            *count = first;
        }
        let mut next = firsts.clone();
        let mut places = vec![0; of.len()];
        for (place, list) in of.iter().enumerate() {
            let next = next.get_mut(usize::from(*list))?;
            *places.get_mut(*next as usize)? = u16::try_from(place).ok()?;
            *next += 1;
        }
        Some(Self { of, places, firsts })
    }

    /// Returns the places of a list's vectors, growing.
    pub(super) fn places(&self, list: u16) -> &[u16] {
        let first = |list: usize| self.firsts.get(list).map_or(0, |first| *first as usize);
        self.places.get(first(list.into())..first(usize::from(list) + 1)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vector_is_in_its_list() {
        let lists = Lists::new(vec![2, 0, 2, 1, 2], 4).unwrap();
        let places = |list| lists.places(list).to_vec();
        assert_eq!([places(0), places(1), places(2), places(3)], [vec![1], vec![3], vec![0, 2, 4], vec![]]);
        assert!(lists.places(4).is_empty() && lists.places(u16::MAX).is_empty());
        assert!(Lists::new(vec![4], 4).is_none());
    }
}
