//! Documents that were shown lately, decoded: to read and decode them takes longer than most searches.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use tantivy::DocId;
use tantivy::index::SegmentId;

/// Where a document is. What stands there never changes: another version is written to another segment.
pub(super) type Key = (SegmentId, DocId);

/// A document, ready to be shown.
#[derive(Clone)]
pub(super) struct Decoded {
    pub(super) id: Arc<str>,
    pub(super) source: Arc<Json>,
    bytes: usize,
}

impl Decoded {
    pub(super) fn read(id: &str, source: &str) -> serde_json::Result<Self> {
        // an object takes about twice as much as its text, and some more
        let bytes = 2 * source.len() + id.len() + 256;
        Ok(Self { id: id.into(), source: Arc::new(serde_json::from_str(source)?), bytes })
    }
}

/// Keeps as many as it has room for. What nobody asks for while half of the room is filled anew is dropped.
pub(super) struct Kept {
    room: usize,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<Key, Decoded>,
    old: HashMap<Key, Decoded>,
    bytes: usize,
}

impl Halves {
    fn put(&mut self, key: Key, document: Decoded, room: usize) {
        if self.bytes.saturating_add(document.bytes) > room / 2 {
            self.old = mem::take(&mut self.young);
            self.bytes = 0;
        }
        let bytes = document.bytes;
        if bytes <= room / 2 && self.young.insert(key, document).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

impl Kept {
    pub(super) fn new(room: usize) -> Self {
        Self { room, halves: Mutex::default() }
    }

    /// Looks documents up, each in its place.
    pub(super) fn get(&self, keys: &[Key]) -> Vec<Option<Decoded>> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let mut look = |key: &Key| {
            if let Some(known) = halves.young.get(key) {
                return Some(known.clone());
            }
            let known = halves.old.remove(key)?;
            halves.put(*key, known.clone(), self.room);
            Some(known)
        };
        keys.iter().map(&mut look).collect()
    }

    pub(super) fn keep(&self, documents: Vec<(Key, Decoded)>) {
        if documents.is_empty() || self.room == 0 {
            return;
        }
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, document) in documents {
            halves.put(key, document, self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_room_is_not_exceeded() {
        let segment = SegmentId::generate_random();
        let document = |number: u32| Decoded::read(&number.to_string(), "{\"title\": \"한강\"}").unwrap();
        let one = document(0).bytes + 5;
        let kept = Kept::new(one * 20);
        kept.keep(vec![((segment, 0), document(0))]);
        for number in 1..1_000 {
            kept.keep(vec![((segment, number), document(number))]);
            assert!(kept.get(&[(segment, 0)])[0].is_some(), "dropped after {number}");
        }
        let all: Vec<Key> = (0..1_000).map(|number| (segment, number)).collect();
        let there = kept.get(&all).into_iter().flatten().count();
        assert!((8..=20).contains(&there), "{there} are kept");
        let known = kept.get(&[(segment, 999)]).remove(0).unwrap();
        assert_eq!((&*known.id, &known.source["title"]), ("999", &"한강".into()));
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let (kept, key) = (Kept::new(0), (SegmentId::generate_random(), 1));
        kept.keep(vec![(key, Decoded::read("1", "{}").unwrap())]);
        assert!(kept.get(&[key])[0].is_none());
    }
}
