//! The laws of [`RoomStore`], in the order of its numbered guarantees.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{join_all, try_join, try_join_all};

use super::{Broken, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::room::{Message, NewMessage, RoomStore};

/// A store of rooms under examination.
#[async_trait]
pub trait RoomHarness: Send + Sync {
    /// Opens the store: every call gives another handle to the same rooms, as another process would have it.
    async fn open(&self) -> Arc<dyn RoomStore>;

    /// Tells whether what was answered outlives the handles (the default).
    fn is_durable(&self) -> bool {
        true
    }
}

/// Makes one `#[test]` per law of [`RoomStore`](crate::room::RoomStore), in a module of the given name, each on a harness of its
/// own made by the expression.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use pumasi_core::conformance::room::RoomHarness;
/// use pumasi_core::room::{MemoryRooms, RoomStore};
///
/// struct Memory(MemoryRooms);
///
/// #[async_trait]
/// impl RoomHarness for Memory {
///     async fn open(&self) -> Arc<dyn RoomStore> {
///         Arc::new(self.0.clone())
///     }
///
///     fn is_durable(&self) -> bool {
///         false
///     }
/// }
///
/// pumasi_core::room_laws!(memory, Memory(MemoryRooms::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! room_laws {
    ($backend:ident, $harness:expr) => {
        $crate::each_law!(
            $backend,
            $harness,
            [$crate::conformance::room],
            law_01_in_order,
            law_02_said_once,
            law_03_the_last_ones,
            law_04_rooms_apart,
            law_05_forgotten,
            law_06_durable,
        );
    };
}

fn message(id: &str, author: &str, text: &str) -> NewMessage {
    NewMessage::new(id, author, text)
}

fn numbers(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.number).collect()
}

async fn speak(store: &dyn RoomStore, room: &str, count: usize) -> Result<(), Broken> {
    for turn in 0..count {
        store.say(room, &message(&format!("{turn}"), "민지", &format!("말 {turn}"))).await?;
    }
    Ok(())
}

/// Law 1: numbers have no gap, and a reader never finds a message below where it was.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_in_order(harness: &impl RoomHarness) -> Verdict {
    const SPEAKERS: usize = 6;
    const EACH: usize = 15;
    let speaking = try_join_all((0..SPEAKERS).map(|speaker| async move {
        let store = harness.open().await;
        let mut said = Vec::new();
        for turn in 0..EACH {
            let new =
                message(&format!("{turn}"), &format!("speaker {speaker}"), &format!("{speaker} {turn}"));
            said.push(store.say("방", &new).await?.number);
            // Lets the others speak where nothing else does.
            tokio::task::yield_now().await;
        }
        holds!(said.is_sorted(), "numbers of one speaker fell");
        Ok::<_, Broken>(said)
    }));
    let reading = async {
        let store = harness.open().await;
        let mut read: Vec<Message> = Vec::new();
        while read.len() < SPEAKERS * EACH {
            let position = read.last().map_or(0, |last| last.number);
            read.extend(store.after("방", position, 4).await?);
            tokio::task::yield_now().await;
        }
        Ok::<_, Broken>(read)
    };
    // A speaker who fails ends the reading too, which would wait for what is never said.
    let (said, read) = try_join(speaking, reading).await?;
    let expected: Vec<u64> = (1..=(SPEAKERS * EACH) as u64).collect();
    same!(
        said.into_iter().flatten().collect::<BTreeSet<_>>(),
        expected.iter().copied().collect(),
        "what was answered"
    );
    same!(numbers(&read), expected, "what a reader found");
    let texts: BTreeSet<_> = read.iter().map(|message| &message.text).collect();
    same!(texts.len(), SPEAKERS * EACH, "how many different texts a reader found");
    holds!(read.is_sorted_by_key(|message| message.number), "a reader found them out of order");
    Ok(Kept::Whole)
}

/// Law 2: a message that is said again is there once, and answered alike.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_said_once(harness: &impl RoomHarness) -> Verdict {
    let store = harness.open().await;
    let said = store.say("a", &message("1", "민지", "비 와요")).await?;
    same!((said.number, &*said.author, &*said.text), (1, "민지", "비 와요"), "what was answered");
    same!(store.say("a", &message("1", "민지", "비 와요")).await?, said, "the same again");
    let again =
        join_all((0..8).map(|_| async { harness.open().await.say("a", &message("2", "민지", "!")).await }));
    for answer in again.await {
        same!(answer?.number, 2, "one of eight at once");
    }
    same!(store.said("a", &message("1", "민지", "비 와요")).await?, Some(said), "what was said, looked for");
    for unsaid in [message("9", "민지", "비 와요"), message("1", "Jane", "비 와요")] {
        same!(store.said("a", &unsaid).await?, None, "what was not said, looked for");
    }
    let other = message("1", "민지", "눈 와요");
    for other in [store.say("a", &other).await.map(Some), store.said("a", &other).await] {
        let refused = other.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::InvalidInput), "something else under the same id");
    }
    same!(
        store.say("a", &message("1", "Jane", "rain")).await?.number,
        3,
        "another author's message of that id"
    );
    same!(store.say("b", &message("1", "민지", "비 와요")).await?.number, 1, "another room's");
    same!(numbers(&store.after("a", 0, 10).await?), [1, 2, 3], "what is there");
    let long = "x".repeat(64 * 1024 + 1);
    for (room, bad) in [
        ("", message("1", "a", "t")),
        ("r\0", message("1", "a", "t")),
        ("r", message("", "a", "t")),
        ("r", message("1", "", "t")),
        ("r", message("1", "a", "")),
        ("r", message("1", "a", "\0")),
        ("r", message("1", "a", &long)),
    ] {
        let refused = store.say(room, &bad).await.map_err(|error| error.kind());
        same!(refused, Err(ErrorKind::InvalidInput), "a message that is none");
    }
    Ok(Kept::Whole)
}

/// Law 3: the newest messages, and those after a number.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_the_last_ones(harness: &impl RoomHarness) -> Verdict {
    let store = harness.open().await;
    same!(store.last("a", 100).await?, [], "a room in which nothing was said");
    speak(&*store, "a", 130).await?;
    same!(numbers(&store.last("a", 100).await?), (31..=130).collect::<Vec<u64>>(), "the last hundred");
    same!(numbers(&store.last("a", 500).await?), (1..=130).collect::<Vec<u64>>(), "more than there are");
    same!(numbers(&store.after("a", 7, 3).await?), [8, 9, 10], "three after the seventh");
    same!(numbers(&store.after("a", 128, 3).await?), [129, 130], "those after the last but two");
    same!(store.after("a", 130, 3).await?, [], "those after the last");
    same!(store.after("a", u64::MAX, 3).await?, [], "those after a number that never was");
    Ok(Kept::Whole)
}

/// Law 4: rooms do not touch.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_rooms_apart(harness: &impl RoomHarness) -> Verdict {
    let store = harness.open().await;
    speak(&*store, "a", 3).await?;
    speak(&*store, "a ", 2).await?;
    speak(&*store, "A", 1).await?;
    for (room, count) in [("a", 3), ("a ", 2), ("A", 1), ("b", 0)] {
        same!(store.last(room, 10).await?.len(), count, "the messages of {room:?}");
    }
    Ok(Kept::Whole)
}

/// Law 5: a forgotten room is a new one.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_forgotten(harness: &impl RoomHarness) -> Verdict {
    let store = harness.open().await;
    speak(&*store, "a", 3).await?;
    speak(&*store, "b", 1).await?;
    store.forget("a").await?;
    store.forget("never there").await?;
    same!(store.last("a", 10).await?, [], "a room that was forgotten");
    same!(store.say("a", &message("1", "민지", "something else")).await?.number, 1, "its next message");
    same!(store.last("b", 10).await?.len(), 1, "another room");
    Ok(Kept::Whole)
}

/// Law 6: what was answered is there for whoever opens the store.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_durable(harness: &impl RoomHarness) -> Verdict {
    if !harness.is_durable() {
        return Ok(Kept::Skipped("it keeps rooms in memory"));
    }
    let said = harness.open().await.say("a", &message("1", "민지", "비 와요")).await?;
    same!(harness.open().await.last("a", 10).await?, [said], "what another handle finds");
    Ok(Kept::Whole)
}
