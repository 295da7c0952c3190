use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};

use super::*;
use crate::time::ManualClock;

fn new(id: u64) -> NewMessage {
    NewMessage::new(id.to_string(), "민지", format!("말 {id}"))
}

/// Hears until the message of this number.
async fn hear(listener: &mut Listener, until: u64) -> Vec<u64> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| *last < until) {
        heard.extend(listener.next().await.unwrap().iter().map(|message| message.number));
    }
    heard
}

#[tokio::test]
async fn every_listener_hears_everything_once_and_in_order() {
    let rooms = Rooms::new(MemoryRooms::new());
    for id in 1..=300 {
        rooms.say("a", &new(id)).await.unwrap();
    }
    let listening = (0..4_u64).map(|start| {
        let mut listener = rooms.listen("a", start * 100).unwrap();
        async move {
            let heard = hear(&mut listener, 900).await;
            assert_eq!(heard, (start * 100 + 1..=900).collect::<Vec<_>>());
        }
    });
    let speaking = async {
        for id in 301..=900 {
            rooms.say("a", &new(id)).await.unwrap();
            if id % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    join(join_all(listening), speaking).await;
}

#[tokio::test]
async fn a_listener_that_is_dropped_while_it_waits_loses_nothing() {
    let rooms = Rooms::new(MemoryRooms::new());
    let mut listener = rooms.listen("a", 0).unwrap();
    let mut heard = Vec::new();
    for id in 1..=50 {
        assert!(listener.next().now_or_never().is_none());
        rooms.say("a", &new(id)).await.unwrap();
        if id % 3 == 0 {
            heard.extend(listener.next().await.unwrap().iter().map(|message| message.number));
        }
        heard.extend(
            listener.next().now_or_never().into_iter().flatten().flatten().map(|message| message.number),
        );
    }
    assert_eq!(heard, (1..=50).collect::<Vec<_>>());
    assert_eq!(listener.position(), 50);
}

#[tokio::test]
async fn what_another_process_says_is_heard_within_a_second() {
    let (clock, store) = (ManualClock::new(), MemoryRooms::new());
    let here = Rooms::new(store.clone()).with_clock(Arc::new(clock.clone()));
    let there = Rooms::new(store);
    let mut listeners: Vec<_> = (0..3).map(|_| here.listen("a", 0).unwrap()).collect();
    for listener in &mut listeners {
        assert!(listener.next().now_or_never().is_none());
    }
    there.say("a", &new(1)).await.unwrap();
    for listener in &mut listeners {
        assert!(listener.next().now_or_never().is_none());
    }
    clock.advance(Duration::from_secs(1));
    for listener in &mut listeners {
        assert_eq!(listener.next().now_or_never().unwrap().unwrap().len(), 1);
        assert!(listener.next().now_or_never().is_none());
    }
}

#[tokio::test]
async fn a_repetition_is_heard_once_and_rooms_nobody_listens_to_are_not_kept() {
    let rooms = Rooms::new(MemoryRooms::new());
    let mut listener = rooms.listen("a", 0).unwrap();
    for _ in 0..3 {
        assert_eq!(rooms.say("a", &new(1)).await.unwrap().number, 1);
    }
    assert_eq!(hear(&mut listener, 1).await, [1]);
    assert!(listener.next().now_or_never().is_none());
    for room in 0..5_000 {
        drop(rooms.listen(&room.to_string(), 0).unwrap());
    }
    assert!(rooms.listening() <= 1_025, "{}", rooms.listening());
    assert_eq!(rooms.listen("", 0).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn who_listens_to_a_room_that_is_forgotten_waits_in_peace() {
    let rooms = Rooms::new(MemoryRooms::new());
    let mut listener = rooms.listen("a", 0).unwrap();
    for id in 1..=3 {
        rooms.say("a", &new(id)).await.unwrap();
    }
    rooms.forget("a").await.unwrap();
    assert!(listener.next().now_or_never().is_none());
    let shown = format!("{listener:?} {rooms:?} {:?}", new(1));
    assert!(!shown.contains('말') && !shown.contains("민지"), "{shown}");
}
