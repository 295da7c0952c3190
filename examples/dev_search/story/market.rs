//! Orders of places, with a payment partner that fails sometimes, and a todo in two windows.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pumasi_core::time::{ManualClock, SystemClock};
use pumasi_saga::definition::Look;
use pumasi_saga::store::{MemoryStore, Status};
use pumasi_saga::{Engine, EngineOptions, SagaHandle};
use support::etag::Precondition;
use support::say;

use crate::Told;
use crate::board::Board;
use crate::orders::{CHARGE, CONFIRM, Kept, OrderKey, order};
use crate::shop::{Mood, Shop};
use crate::todos::{Todo, Todos, Written};

/// A lecture with two places.
const LECTURE: &str = "l02";

pub(crate) async fn market() -> Told {
    let folder = tempfile::tempdir()?;
    let board = Board::open(&folder.path().join("board.sqlite"), None).await?;
    let shop = Shop::open(board.database.clone(), Mood::Well, Duration::ZERO).await?;
    board.add_sample(&shop, SystemTime::now().into()).await?;

    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let options = EngineOptions::new().with_clock(Arc::new(clock.clone())).inline();
    let orders = Engine::with_options(store, shop.clone(), options).register(order()?)?;
    say!("\n== five people order two places, and the payment partner has a bad day");
    say!("{}", orders.definition()?.mermaid());
    for (person, mood, what) in [
        ("민수", Mood::Declines, "the card is declined"),
        ("Jane", Mood::Forgets, "the partner charges, and its answer is lost"),
        ("지우", Mood::Away, "the partner does not answer at all, until it is back"),
        ("서연", Mood::Well, "nothing happens"),
        ("Alex", Mood::Well, "there is no place left"),
    ] {
        shop.set_mood(mood);
        say!("{person}: {what}");
        let key = OrderKey { entry: LECTURE.to_owned(), person: person.to_owned() };
        orders.start(&key).await?;
        if mood == Mood::Away {
            pass(&orders, &clock, 20).await?;
            tell(&orders, &shop, &key).await?;
            shop.set_mood(Mood::Well);
        }
        pass(&orders, &clock, 20).await?;
        tell(&orders, &shop, &key).await?;
    }
    two_windows(Todos::new(board.database, Arc::new(SystemClock))).await
}

/// Lets so many seconds pass.
async fn pass(orders: &SagaHandle<OrderKey, Shop>, clock: &ManualClock, seconds: u32) -> Told {
    for _ in 0..seconds {
        clock.advance(Duration::from_secs(1));
        orders.engine().run_due().await?;
    }
    Ok(())
}

async fn tell(orders: &SagaHandle<OrderKey, Shop>, shop: &Shop, key: &OrderKey) -> Told {
    let snapshot = orders.snapshot(key).await?;
    let kept = snapshot.output::<Kept>(CONFIRM)?.filter(|_| snapshot.view.status == Status::Completed);
    let step = snapshot.steps.iter().find(|step| &*step.name == CHARGE);
    let charge = match step {
        Some(step) => shop.charged(&step.key).await?,
        None => None,
    };
    let paid = match charge {
        Some(charge) if charge.refunded => format!(", {} won charged and given back", charge.amount_krw),
        Some(charge) => format!(", {} won charged", charge.amount_krw),
        None => String::new(),
    };
    let reason = snapshot.view.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let ticket = kept.map(|Kept(ticket)| format!(", ticket {ticket}")).unwrap_or_default();
    let places = shop.desk(&key.entry).places().await?;
    let steps: Vec<String> =
        snapshot.steps.iter().map(|step| format!("{} {}", step.name, look(step.look))).collect();
    say!(
        "  {}{reason}{ticket}{paid}; {} of {} places free",
        snapshot.view.status,
        places.free(),
        places.total
    );
    say!("  {}", steps.join(", "));
    Ok(())
}

const fn look(look: Look) -> &'static str {
    match look {
        Look::Done => "done",
        Look::Undone => "undone",
        Look::Failed => "failed",
        Look::Ahead => "ahead",
        _ => "under way",
    }
}

async fn two_windows(todos: Todos) -> Told {
    say!("\n== one todo in two windows");
    let (owner, id) = ("민수", "review");
    let standing = |written: Written| match written {
        Written::Done(Todo { text, version, .. }) => say!("  stored as version {version}: {text}"),
        Written::Stale(standing) => say!(
            "  refused: {} stands",
            standing.map_or("nothing".to_owned(), |todo| format!("version {}", todo.version))
        ),
    };
    let read = Precondition::Versions(vec![1]);
    for (what, text, based_on) in [
        ("a new one", "과제 리뷰 받기", Precondition::New),
        ("the first window changes it", "과제 리뷰 받기 (금요일)", read.clone()),
        (
            "the first window sends that again, because the answer was lost",
            "과제 리뷰 받기 (금요일)",
            read.clone(),
        ),
        ("the second window changes what it had read before", "과제 리뷰 취소", read),
        (
            "the second window reads again and decides anew",
            "과제 리뷰 받기 (토요일)",
            Precondition::Versions(vec![2]),
        ),
    ] {
        say!("{what}:");
        standing(todos.write(owner, id, text, false, &based_on).await?);
    }
    Ok(())
}
