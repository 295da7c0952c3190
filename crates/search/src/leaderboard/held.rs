//! A window in memory: the order of its members, whatever number of keys it has.

use std::ops::Range;

use super::member::MemberId;
use super::place::{Around, Counted, Listing, Place};
use super::ranking::Ranking;
use super::rules::{Rules, Ties};

/// A [`Ranking`] of as many keys as the rules have.
pub(crate) trait Order<M>: Send + Sync {
    fn set(&mut self, member: &M, keys: Option<&[i64]>);
    fn count(&self, member: &M) -> Option<Counted<M>>;
    fn list(&self, places: Range<usize>) -> Vec<Counted<M>>;
    fn len(&self) -> usize;
    fn snapshot(&self) -> Box<dyn Order<M>>;
}

impl<M: MemberId, const N: usize> Order<M> for Ranking<[i64; N], M> {
    fn set(&mut self, member: &M, keys: Option<&[i64]>) {
        match keys.and_then(|keys| keys.try_into().ok()) {
            Some(keys) => drop(Self::set(self, member.clone(), keys)),
            None => drop(self.remove(member)),
        }
    }

    fn count(&self, member: &M) -> Option<Counted<M>> {
        let (keys, place) = (self.key(member)?, self.place(member)?);
        Some(Counted {
            member: member.clone(),
            keys: keys.to_vec(),
            position: place.position as u64,
            better: place.better as u64,
            tied: place.tied as u64,
            distinct_better: place.distinct_better.map(|count| count as u64),
        })
    }

    fn list(&self, places: Range<usize>) -> Vec<Counted<M>> {
        let mut listed: Vec<Counted<M>> = Vec::new();
        let start = places.start as u64;
        // The entries first: where there are none, no place after the first one is counted, which may be the last number.
        for ((keys, member), position) in self.range(places).zip(start..) {
            // Of equal ones the first is counted.
            let counted = match listed.last() {
                Some(last) if last.keys == keys => {
                    Counted { member: member.clone(), keys: keys.to_vec(), position, ..*last }
                }
                _ => match self.count(member) {
                    Some(counted) => counted,
                    None => continue,
                },
            };
            listed.push(counted);
        }
        listed
    }

    fn len(&self) -> usize {
        Self::len(self)
    }

    fn snapshot(&self) -> Box<dyn Order<M>> {
        Box::new(self.clone())
    }
}

fn ranking<M: MemberId, const N: usize>(rules: &Rules, entries: Vec<(M, Vec<i64>)>) -> Box<dyn Order<M>> {
    let entries = entries.into_iter().filter_map(|(member, keys)| Some((member, keys.try_into().ok()?)));
    let ranking: Ranking<[i64; N], M> = entries.collect();
    Box::new(if rules.ties() == Ties::Dense { ranking.with_distinct() } else { ranking })
}

/// Orders members by keys of as many columns as the rules have; those with another number are left out.
pub(crate) fn order<M: MemberId>(rules: &Rules, entries: Vec<(M, Vec<i64>)>) -> Box<dyn Order<M>> {
    match rules.keys() {
        1 => ranking::<M, 1>(rules, entries),
        2 => ranking::<M, 2>(rules, entries),
        3 => ranking::<M, 3>(rules, entries),
        _ => ranking::<M, 4>(rules, entries),
    }
}

pub(crate) fn places<M: MemberId>(
    order: &dyn Order<M>,
    rules: &Rules,
    members: &[M],
) -> Vec<Option<Place<M>>> {
    members.iter().map(|member| order.count(member).map(|counted| counted.place(rules))).collect()
}

fn index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

pub(crate) fn list<M: MemberId>(order: &dyn Order<M>, rules: &Rules, places: Range<u64>) -> Listing<M> {
    let counted = order.list(index(places.start)..index(places.end));
    Listing {
        places: counted.into_iter().map(|counted| counted.place(rules)).collect(),
        total: order.len() as u64,
    }
}

pub(crate) fn around<M: MemberId>(
    order: &dyn Order<M>,
    rules: &Rules,
    member: &M,
    neighbours: u64,
) -> Option<Around<M>> {
    let position = order.count(member)?.position;
    let from = position.saturating_sub(neighbours);
    let listing = list(order, rules, from..position.saturating_add(neighbours).saturating_add(1));
    listing.around(position)
}

impl<M> Listing<M> {
    /// Divides a listing at the place that is at `position`, counted from 0.
    pub(crate) fn around(self, position: u64) -> Option<Around<M>> {
        let mut before = self.places;
        let at = before.iter().position(|place| place.position == position + 1)?;
        let mut after = before.split_off(at);
        let place = after.remove(0);
        Some(Around { place, before, after, total: self.total })
    }
}
