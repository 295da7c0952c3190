//! Where the lists should stand: k-means on the directions of a sample, in two levels.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::codes::{Coded, Codes};
use super::super::top::Top;
use super::centres::{Centres, DEPTHS, STEPS, Table};

/// The most lists: their numbers have 16 bits.
const MAX_LISTS: usize = 1 << 16;

/// So many vectors of the sample for each centre.
const SAMPLE: usize = 16;

/// How often the centres are moved.
const ROUNDS: usize = 6;

/// So many vectors are questions to find out how many lists their neighbours are in.
const QUESTIONS: usize = 128;

/// So many vectors are held against all questions before the next are read.
const BLOCK: usize = 32;

/// Vectors in 8 bits a number, one after the other, and which of them are there.
pub(in super::super) struct Part<'a> {
    pub(in super::super) codes: &'a [i8],
    pub(in super::super) scales: &'a [f32],
    pub(in super::super) there: Vec<bool>,
}

impl Part<'_> {
    fn coded(&self, at: usize, dimensions: usize) -> Option<Coded<'_>> {
        let codes = self.codes.get(at * dimensions..(at + 1) * dimensions)?;
        Some(Coded { codes, scale: *self.scales.get(at)? })
    }
}

/// How far some work is, and whether it is wanted any more.
#[derive(Debug, Default)]
pub(in super::super) struct Work {
    stopped: AtomicBool,
    /// How many vectors have been put into lists, since it was begun last.
    done: AtomicU64,
}

impl Work {
    pub(in super::super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Begins to count anew.
    pub(in super::super) fn begin(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    pub(in super::super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Nothing, if the work is not wanted any more.
    fn wanted(&self) -> Option<()> {
        (!self.stopped.load(Ordering::Relaxed)).then_some(())
    }
}

/// Where a vector stands: its part, and its place there.
type At = (usize, usize);

/// Spreads work over half of the processor's cores: searches and writes want the others.
fn spread<T: Send>(count: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = cores.div_ceil(2).min(count.max(1));
    if threads == 1 {
        return vec![work(0..count)];
    }
    let each = count.div_ceil(threads).max(1);
    let ranges = (0..count).step_by(each).map(|first| first..(first + each).min(count));
    std::thread::scope(|scope| {
        let work = &work;
        let handles: Vec<_> = ranges.map(|range| scope.spawn(move || work(range))).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Finds centres among vectors, for lists of about `list` each; nothing if the work is stopped.
pub(in super::super) fn train(
    parts: &[Part<'_>],
    dimensions: usize,
    list: usize,
    work: &Work,
) -> Option<Centres> {
    let there: usize = parts.iter().map(|part| part.there.iter().filter(|there| **there).count()).sum();
    let lists = (there / list.max(1)).clamp(1, MAX_LISTS);
    let sample = sample(parts, dimensions, there.div_ceil(lists.saturating_mul(SAMPLE)).max(1));
    let regions = lists.isqrt().max(1);
    let every = (sample.len() / regions.saturating_mul(256)).max(1);
    let few: Vec<usize> = (0..sample.len()).step_by(every).collect();
    let regions = means(&sample, &few, regions, dimensions, work)?;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); regions.len()];
    let homes = spread(sample.len(), |range| range.map(|at| home(&regions, &sample, at)).collect::<Vec<_>>());
    for (at, home) in homes.into_iter().flatten().enumerate() {
        if let Some(members) = members.get_mut(home) {
            members.push(at);
        }
    }
    let share = |members: &Vec<usize>| (members.len() * lists).div_ceil(sample.len().max(1));
    let tables = spread(members.len(), |range| {
        let members = members.get(range).unwrap_or_default();
        let means = |members: &Vec<usize>| means(&sample, members, share(members), dimensions, work);
        members.iter().map(means).collect::<Option<Vec<_>>>()
    });
    let (mut centres, mut firsts) = (Table::default(), vec![0]);
    for table in tables.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten() {
        // a part of a list more in each region: their numbers have to fit all the same
        let room = MAX_LISTS.saturating_sub(centres.len());
        (0..table.len().min(room)).filter_map(|at| table.coded(at)).for_each(|coded| centres.push(coded));
        firsts.push(u32::try_from(centres.len()).unwrap_or(u32::MAX));
    }
    let reach = std::array::from_fn(|_| Vec::new());
    let mut centres = Centres { found_among: there as u64, regions, firsts, centres, reach };
    centres.reach = reach_of(&centres, parts, there, dimensions, work)?;
    Some(centres)
}

/// Returns the list of each vector; nothing if the work is stopped.
pub(in super::super) fn assign(
    centres: &Centres,
    codes: &[i8],
    scales: &[f32],
    dimensions: usize,
    work: &Work,
) -> Option<Vec<u16>> {
    let lists = spread(scales.len(), |range| {
        let codes = codes.get(range.start * dimensions..range.end * dimensions).unwrap_or_default();
        let of = |codes| {
            work.wanted()?;
            let list = centres.list_of(&Codes::from_coded(Coded { codes, scale: 1.0 }));
            work.done.fetch_add(1, Ordering::Relaxed);
            Some(list)
        };
        codes.chunks_exact(dimensions.max(1)).map(of).collect::<Option<Vec<_>>>()
    });
    Some(lists.into_iter().collect::<Option<Vec<_>>>()?.concat())
}

/// Takes each so-many-eth vector that is there.
fn sample(parts: &[Part<'_>], dimensions: usize, every: usize) -> Table {
    let mut sample = Table::default();
    all(parts).step_by(every).for_each(|(part, at)| {
        if let Some(coded) = parts.get(part).and_then(|part| part.coded(at, dimensions)) {
            sample.push(coded);
        }
    });
    sample
}

/// Returns where each vector stands that is there.
fn all(parts: &[Part<'_>]) -> impl Iterator<Item = At> {
    let of = |(nth, part): (usize, &Part<'_>)| {
        let there = part.there.clone().into_iter().enumerate().filter(|(_, there)| *there);
        there.map(move |(at, _)| (nth, at)).collect::<Vec<_>>()
    };
    parts.iter().enumerate().flat_map(of)
}

fn home(centres: &Table, sample: &Table, at: usize) -> usize {
    let coded = sample.coded(at).map(Codes::from_coded);
    coded.and_then(|vector| centres.nearest(&vector, 0..centres.len())).map_or(0, |(at, _)| at)
}

/// Finds `count` directions that some vectors of the sample gather around: Lloyd's algorithm with the cosine (spherical k-means; Dhillon
/// and Modha, 2001). Nothing if the work is stopped.
fn means(sample: &Table, members: &[usize], count: usize, dimensions: usize, work: &Work) -> Option<Table> {
    let count = count.min(members.len());
    let mut centres = begin(sample, members, count);
    for _ in 0..ROUNDS {
        work.wanted()?;
        let mut sums = vec![0.0_f32; count * dimensions];
        let mut homes = vec![0_usize; count];
        for at in members {
            let home = home(&centres, sample, *at);
            let (Some(sum), Some(coded)) =
                (sums.get_mut(home * dimensions..(home + 1) * dimensions), sample.coded(*at))
            else {
                continue;
            };
            let scale = unit(coded).scale;
            for (sum, code) in sum.iter_mut().zip(coded.codes) {
                *sum += f32::from(*code) * scale;
            }
            if let Some(home) = homes.get_mut(home) {
                *home += 1;
            }
        }
        let largest = homes.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(at, _)| at);
        let mut moved = Table::default();
        for (nth, sum) in sums.chunks_exact(dimensions.max(1)).enumerate() {
            let empty = homes.get(nth) == Some(&0);
            let apart = if empty { sums.get(largest * dimensions..(largest + 1) * dimensions) } else { None };
            match apart {
                // a centre without members goes beside the one that has the most
                Some(sum) => {
                    let beside =
                        |(at, x): (usize, &f32)| x * if (at + nth).is_multiple_of(2) { 1.02 } else { 0.98 };
                    moved.encode(&length_1(sum.iter().enumerate().map(beside).collect()));
                }
                None => moved.encode(&length_1(sum.to_vec())),
            }
        }
        centres = moved;
    }
    Some(centres)
}

/// Takes members as the first centres, each more likely the farther it is from those before: k-means++ (Arthur and Vassilvitskii, 2007),
/// with a sequence that is spread evenly (multiples of the golden section) where that draws by chance.
#[expect(clippy::cast_precision_loss, reason = "a number between 0 and 1")]
fn begin(sample: &Table, members: &[usize], count: usize) -> Table {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut centres = Table::default();
    let mut own = Table::default();
    members.iter().filter_map(|at| sample.coded(*at)).for_each(|coded| own.push(unit(coded)));
    let mut far = vec![2.0_f32; own.len()];
    for nth in 0..count {
        let all: f64 = far.iter().map(|far| f64::from(*far)).sum();
        let mut rest = (nth as f64 * GOLDEN).fract() * all;
        let chosen = far.iter().position(|far| {
            rest -= f64::from(*far);
            rest < 0.0
        });
        let Some(coded) = own.coded(chosen.unwrap_or(nth)) else { continue };
        centres.push(coded);
        Codes::from_coded(coded).products(&own.codes, &own.scales, |at, cosine| {
            if let Some(far) = far.get_mut(at) {
                *far = far.min((1.0 - cosine).max(0.0));
            }
        });
    }
    centres
}

/// Returns a vector with the scale that gives it the length 1.
#[expect(clippy::cast_precision_loss, reason = "the square of a length, which need not be exact")]
fn unit(coded: Coded<'_>) -> Coded<'_> {
    let square: i64 = coded.codes.iter().map(|code| i64::from(*code) * i64::from(*code)).sum();
    Coded { scale: if square == 0 { 0.0 } else { 1.0 / (square as f32).sqrt() }, ..coded }
}

fn length_1(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in &mut vector {
            *x /= length;
        }
    }
    vector
}

/// Finds out how many lists hold which share of the nearest: of some of the vectors themselves, as nobody has asked yet. Nothing if the
/// work is stopped.
fn reach_of(
    centres: &Centres,
    parts: &[Part<'_>],
    there: usize,
    dimensions: usize,
    work: &Work,
) -> Option<[Vec<u32>; DEPTHS.len()]> {
    let every = (there / QUESTIONS).max(1);
    let questions: Vec<At> = all(parts).skip(every / 2).step_by(every).take(QUESTIONS).collect();
    let most = DEPTHS.iter().max().copied().unwrap_or_default();
    let ranks = spread(questions.len(), |range| {
        let questions = questions.get(range).unwrap_or_default();
        let coded = |(part, at): &(usize, usize)| {
            parts.get(*part).and_then(|part| part.coded(*at, dimensions)).map(Codes::from_coded)
        };
        let mut asked: Vec<(Codes, At, Top<At>)> = questions
            .iter()
            .filter_map(|question| Some((coded(question)?, *question, Top::new(most))))
            .collect();
        for (nth, part) in parts.iter().enumerate() {
            for first in (0..part.scales.len()).step_by(BLOCK) {
                work.wanted()?;
                let past = (first + BLOCK).min(part.scales.len());
                let codes = part.codes.get(first * dimensions..past * dimensions).unwrap_or_default();
                let scales = part.scales.get(first..past).unwrap_or_default();
                for (question, own, top) in &mut asked {
                    question.products(codes, scales, |at, product| {
                        let at = first + at;
                        if part.there.get(at) == Some(&true) && *own != (nth, at) {
                            top.push(product, (nth, at));
                        }
                    });
                }
            }
        }
        // of few vectors, each is near many questions
        let mut lists: HashMap<At, u16> = HashMap::new();
        let ranks = |(question, _, top): (Codes, _, Top<At>)| {
            work.wanted()?;
            let list = |at| {
                let list = || coded(&at).map_or(0, |vector| centres.list_of(&vector));
                *lists.entry(at).or_insert_with(list)
            };
            Some(ranks_of(centres, &question, top.into_sorted().into_iter().map(list)))
        };
        asked.into_iter().map(ranks).collect::<Option<Vec<_>>>()
    });
    let ranks: Vec<Vec<u32>> = ranks.into_iter().collect::<Option<Vec<_>>>()?.concat();
    Some(DEPTHS.map(|depth| {
        let mut near: Vec<u32> = ranks.iter().flat_map(|ranks| ranks.iter().take(depth)).copied().collect();
        near.sort_unstable();
        let step = |step: usize| near.get((step * near.len()).div_ceil(STEPS).saturating_sub(1));
        let lists = |at: usize| step(at).map_or(u32::MAX, |rank| rank.saturating_add(1));
        (0..=STEPS).map(lists).collect()
    }))
}

/// Returns the rank of each of some lists among a question's.
fn ranks_of(centres: &Centres, question: &Codes, lists: impl Iterator<Item = u16>) -> Vec<u32> {
    let mut order = centres.distances(question);
    order.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut ranks = vec![u32::MAX; order.len()];
    for (rank, (_, list)) in (0..).zip(order) {
        if let Some(of_list) = ranks.get_mut(usize::from(list)) {
            *of_list = rank;
        }
    }
    lists.filter_map(|list| ranks.get(usize::from(list)).copied()).collect()
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    /// Makes vectors of length 1 around 40 directions.
    pub(in super::super::super) fn vectors(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let direction =
            |random: &mut fastrand::Rng| (0..dimensions).map(|_| random.f32() - 0.5).collect::<Vec<_>>();
        let directions: Vec<Vec<f32>> = (0..40).map(|_| direction(&mut random)).collect();
        let vector = |_| {
            let near = directions[random.usize(..40)].clone();
            let noise = direction(&mut random);
            length_1(near.iter().zip(noise).map(|(x, y)| x + 0.5 * y).collect())
        };
        (0..count).map(vector).collect()
    }

    pub(in super::super) fn clustered(
        count: usize,
        dimensions: usize,
        seed: u64,
    ) -> (Centres, Vec<Vec<u16>>) {
        let mut table = Table::default();
        for vector in vectors(count, dimensions, seed) {
            table.encode(&vector);
        }
        let there = |count| (0..count).map(|at| at % 10 != 0).collect();
        let half = count / 2;
        let (left, right) = table.codes.split_at(half * dimensions);
        let (left_scales, right_scales) = table.scales.split_at(half);
        let parts = [
            Part { codes: left, scales: left_scales, there: there(half) },
            Part { codes: right, scales: right_scales, there: there(count - half) },
        ];
        let work = Work::default();
        let centres = train(&parts, dimensions, 64, &work).unwrap();
        let of = parts.iter().map(|part| assign(&centres, part.codes, part.scales, dimensions, &work));
        let of = of.collect::<Option<_>>().unwrap();
        assert_eq!(work.done(), count as u64);
        (centres, of)
    }

    #[test]
    fn lists_are_of_vectors_that_are_near_one_another() {
        let (centres, of) = clustered(4_000, 16, 3);
        assert!((40..80).contains(&centres.len()), "{}", centres.len());
        assert_eq!(centres.found_among, 3_600);
        assert_eq!(of.iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 2_000]);
        let mut table = Table::default();
        for vector in vectors(4_000, 16, 3) {
            table.encode(&vector);
        }
        let cosine = |at: usize, list: u16| {
            let vector = Codes::from_coded(table.coded(at).unwrap());
            let centre = usize::from(list);
            centres.centres.nearest(&vector, centre..centre + 1).unwrap().1
        };
        let all = of.concat();
        let mean = |shift: usize| {
            let lists = all.iter().cycle().skip(shift).take(all.len());
            let sum: f32 = lists.enumerate().map(|(at, list)| cosine(at, *list)).sum();
            sum / 4_000.0
        };
        assert!(mean(0) > 0.85 && mean(7) < 0.3, "{} {}", mean(0), mean(7));
        // those that are gone have lists too, which say nothing
        assert_eq!(assign(&centres, &table.codes, &table.scales, 16, &Work::default()), Some(all));
    }

    #[test]
    fn the_more_is_wanted_the_more_lists_are_looked_at() {
        let (centres, _) = clustered(4_000, 16, 3);
        let reach = |recall, neighbours| centres.reach(recall, neighbours);
        assert!(reach(0.5, 10.0) < reach(0.99, 10.0));
        assert!(reach(0.9, 10.0) <= reach(0.9, 40.0) && reach(0.9, 40.0) <= reach(0.9, 100.0));
        assert!(reach(0.9, 100.0) < reach(0.9, 1_000.0));
        assert_eq!(reach(0.9, 1e9), centres.len());
        assert!(reach(0.0, 0.0) >= 1);
    }

    #[test]
    fn few_vectors_and_equal_ones_make_lists_too() {
        for (count, dimensions) in [(0, 4), (1, 4), (3, 1), (200, 4)] {
            let codes = vec![1_i8; count * dimensions];
            let scales = vec![1.0; count];
            let part = || Part { codes: &codes, scales: &scales, there: vec![true; count] };
            let work = Work::default();
            let centres = train(&[part(), part()], dimensions, 64, &work).unwrap();
            let of = assign(&centres, &codes, &scales, dimensions, &work).unwrap();
            assert_eq!(of.len(), count);
            assert!(of.iter().all(|list| usize::from(*list) < centres.len().max(1)));
        }
    }

    #[test]
    fn what_is_not_wanted_any_more_ends() {
        let (centres, _) = clustered(200, 8, 3);
        let (codes, scales) = (vec![1_i8; 8 * 100], vec![1.0; 100]);
        let work = Work::default();
        work.stop();
        let parts = [Part { codes: &codes, scales: &scales, there: vec![true; 100] }];
        assert_eq!(train(&parts, 8, 64, &work), None);
        assert_eq!(assign(&centres, &codes, &scales, 8, &work), None);
        assert_eq!(work.done(), 0);
    }
}
