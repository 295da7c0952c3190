//! Partitions that come and go: where the group begins in them, and what is committed before they go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::error::{expelled, failed, passes};
use super::group::Group;
use super::partition::{Partition, PartitionId};
use super::progress::Progress;
use super::reader::PAUSE;
use super::state::Cut;
use crate::Result;
use crate::event::Start;
use crate::event::delivery::stale;

impl Group {
    /// Takes partitions over: reads how far the group is in them, and returns where to read from.
    ///
    /// It does not give up while the group is not left: without that, nothing in the partitions can be worked on.
    pub(super) fn assigned(&self, list: &TopicPartitionList) -> Option<TopicPartitionList> {
        self.deliver();
        if list.count() == 0 {
            return None;
        }
        loop {
            match self.take_over(list) {
                Ok(begin) => return Some(begin),
                Err(error) => {
                    tracing::warn!(group = %self.name, %error, "partitions could not be taken over yet");
                }
            }
            if self.stop.load(Ordering::Relaxed) || self.consumer.assignment_lost() {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn take_over(&self, list: &TopicPartitionList) -> Result<TopicPartitionList> {
        let limit = self.cluster.options.request;
        let committed = self
            .consumer
            .committed_offsets(list.clone(), limit)
            .map_err(|error| failed("reading committed offsets", &error))?;
        let mut known = Vec::new();
        let mut fresh: BTreeSet<Arc<str>> = BTreeSet::new();
        for element in committed.elements() {
            element.error().map_err(|error| failed("reading committed offsets", &error))?;
            let id = (self.short(element.topic()), element.partition());
            match element.offset() {
                Offset::Offset(offset) => {
                    known.push((id, Progress::restore(offset, element.metadata()), false));
                }
                _ => {
                    fresh.insert(id.0);
                }
            }
        }
        let starts: Vec<(Arc<str>, Start)> = {
            let state = self.lock();
            let start = |topic: &Arc<str>| state.starts.get(topic).copied().unwrap_or_default();
            fresh.into_iter().map(|topic| (Arc::clone(&topic), start(&topic))).collect()
        };
        for ((topic, number), base) in self.begin(starts)? {
            // Whoever subscribed was promised what is published from then on.
            let decided = self.lock().decided.get(&(Arc::clone(&topic), number)).copied();
            let base = decided.map_or(base, |decided| decided.min(base));
            let full = self.full(&topic);
            if list.find_partition(&full, number).is_some() {
                known.push(((topic, number), Progress::at(base), true));
            }
        }
        self.check_ends(&mut known)?;
        // What was given to the group again comes before what is read from here on.
        let replays = self.dead.replays_here()?;
        let window = i64::from(self.cluster.options.window);
        let mut begin = TopicPartitionList::new();
        {
            let mut state = self.lock();
            for (id, progress, dirty) in known {
                let (base, next) = (progress.base(), progress.next());
                let unread = progress.offsets().collect();
                let read = (base - window).max(0);
                let full = self.full(&id.0);
                begin
                    .add_partition_offset(&full, id.1, Offset::Offset(read))
                    .map_err(|error| failed("changing the assignment", &error))?;
                let partition = Partition {
                    full,
                    progress,
                    window: crate::event::window::Window::default(),
                    read,
                    begin: base,
                    known: next,
                    unread,
                    paused: false,
                    dirty,
                };
                state.partitions.insert(id, partition);
            }
        }
        self.sort_in(replays);
        Ok(begin)
    }

    /// Compares where the group is with where the partitions end: a log that lost its tail (an unclean election, a disk that was
    /// put back) would otherwise have what is written now taken for what was settled then.
    fn check_ends(&self, known: &mut [(PartitionId, Progress, bool)]) -> Result<()> {
        let asked: Vec<_> = known.iter().map(|((topic, number), ..)| (self.full(topic), *number)).collect();
        let ends = self.cluster.watermarks_here(asked)?;
        for ((topic, number), progress, dirty) in known {
            let Some((_, high)) = ends.get(&(self.full(topic), *number)) else { continue };
            if progress.base() > *high {
                let (base, end) = (progress.base(), *high);
                tracing::error!(group = %self.name, topic = %topic, partition = *number, base, end, "the log of a partition ends before what the group has settled: the brokers lost events");
                (*progress, *dirty) = (Progress::at(end), true);
            }
        }
        Ok(())
    }

    /// Gives partitions up. While they are still this process's, what is written down is committed first, and the answer is
    /// awaited: an older commit must not reach the brokers after the next owner's.
    pub(super) fn revoked(&self, list: &TopicPartitionList, lost: bool) {
        self.deliver();
        let gone: Vec<PartitionId> = list
            .elements()
            .iter()
            .map(|element| (self.short(element.topic()), element.partition()))
            .collect();
        tracing::debug!(group = %self.name, partitions = gone.len(), lost, "partitions go to other members");
        let cut = if lost {
            self.lock().forget(&gone, 0)
        } else {
            self.commit_here(Some(&gone), |state, result, covered| {
                state.forget(&gone, if result.is_ok() { covered } else { 0 })
            })
        };
        for Cut { receipt, covered, reply } in cut {
            let _ = reply.send(if covered { Ok(()) } else { Err(stale(&receipt)) });
        }
    }

    /// Decides where the group begins in partitions of these topics that have no committed offset; blocks.
    fn begin(&self, topics: impl IntoIterator<Item = (Arc<str>, Start)>) -> Result<Vec<(PartitionId, i64)>> {
        let what = "deciding where the group begins";
        let limit = self.cluster.options.request;
        let mut begin = Vec::new();
        for (topic, start) in topics {
            let full = self.full(&topic);
            let mut list = TopicPartitionList::new();
            for partition in self.cluster.partitions_here(&full)? {
                list.add_partition(&full, partition);
            }
            let committed =
                self.consumer.committed_offsets(list, limit).map_err(|error| failed(what, &error))?;
            let (old, new): (Vec<_>, Vec<_>) = committed
                .elements()
                .into_iter()
                .map(|element| (element.partition(), element.offset()))
                .partition(|(_, offset)| matches!(offset, Offset::Offset(_)));
            // A partition that was added to a topic which the group reads already is read from its first event on.
            let start = if old.is_empty() { start } else { Start::Earliest };
            let new: Vec<i32> = new.into_iter().map(|(partition, _)| partition).collect();
            let ends = self.cluster.watermarks_here(new.iter().map(|number| (Arc::clone(&full), *number)))?;
            let at = if let Start::At(at) = start { self.at(&full, &new, at)? } else { Vec::new() };
            for number in new {
                let (low, high) = ends.get(&(Arc::clone(&full), number)).copied().unwrap_or((0, 0));
                let offset = match start {
                    Start::Earliest => low,
                    Start::Latest => high,
                    Start::At(_) => {
                        let found = at.iter().find(|(of, _)| *of == number);
                        found.map_or(high, |(_, offset)| (*offset).clamp(low, high))
                    }
                };
                begin.push(((Arc::clone(&topic), number), offset));
            }
        }
        Ok(begin)
    }

    /// Finds the first offsets that were written at a moment or later; partitions without one are left out.
    fn at(&self, full: &str, partitions: &[i32], at: crate::time::Timestamp) -> Result<Vec<(i32, i64)>> {
        let what = "looking for a moment";
        let mut times = TopicPartitionList::new();
        for partition in partitions {
            let millis = (at.as_micros() / 1_000).max(0);
            times
                .add_partition_offset(full, *partition, Offset::Offset(millis))
                .map_err(|error| failed(what, &error))?;
        }
        let limit = self.cluster.options.request;
        let found = self.consumer.offsets_for_times(times, limit).map_err(|error| failed(what, &error))?;
        let mut offsets = Vec::new();
        for element in found.elements() {
            element.error().map_err(|error| failed(what, &error))?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.push((element.partition(), offset));
            }
        }
        Ok(offsets)
    }

    /// Decides where the group begins on topics that it has not read before, and commits that; blocks.
    pub(super) fn decide_here(&self, topics: Vec<(Arc<str>, Start)>) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in self.begin(topics)? {
            self.lock().decided.insert((Arc::clone(&topic), partition), offset);
            let added = list.add_partition_offset(&self.full(&topic), partition, Offset::Offset(offset));
            added.map_err(|error| failed("deciding where the group begins", &error))?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        let (begun, limit) = (Instant::now(), self.cluster.options.request);
        loop {
            let ended = self.consumer.commit(&list, rdkafka::consumer::CommitMode::Sync);
            let code = ended.as_ref().err().and_then(KafkaError::rdkafka_error_code);
            // On a cluster whose first group this is, the broker takes its time to find out that it is the coordinator.
            if code.is_some_and(passes) && begun.elapsed() < limit {
                std::thread::sleep(PAUSE);
                continue;
            }
            // The group has members, and only they may commit: whoever of them gets the partitions decides.
            if code.is_some_and(expelled) {
                return Ok(());
            }
            return ended.map_err(|error| failed("deciding where the group begins", &error));
        }
    }
}
