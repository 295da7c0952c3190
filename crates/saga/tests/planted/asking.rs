//! Children that ask, and their parents, which wait behind them: woken by them, sure of them, and not without them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use pumasi_core::time::ManualClock;
use pumasi_saga::saga_test::Bank;
use pumasi_saga::store::{MemoryStore, NewSignal, SagaStore, Status};
use pumasi_saga::{Decision, Engine, EngineOptions, Error, ErrorKind, Saga};

use crate::sagas::{AgreeTerms, Debit, Free, Reserve, ShippingAddress};

/// What an operator decided by code that does not ask whose child it is about.
const CANCEL: &str =
    r#"{"action":"cancel","value":null,"savepoint":null,"who":"운영자","why":"두 장바구니"}"#;

fn is(what: &str, is: bool) -> Result<(), Error> {
    if is { Ok(()) } else { Err(Error::new(ErrorKind::Other, format!("it is not so that {what}"))) }
}

async fn work(engine: &Engine<Bank>) -> Result<(), Error> {
    for _ in 0..20 {
        if engine.run_due().await? == 0 {
            return Ok(());
        }
    }
    Err(Error::new(ErrorKind::Other, "what is due stays so"))
}

async fn ask() -> Result<(), Error> {
    let (clock, bank) = (ManualClock::new(), Bank::new());
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let options = EngineOptions::new().with_clock(Arc::new(clock)).inline();
    let shelf = Saga::<u64, Bank>::new("shelf", 1).step(Reserve).compensate(Free).wait::<AgreeTerms>();
    let shelf = shelf.build()?;
    let basket = Saga::<u64, Bank>::new("basket", 1).child(&shelf, |(key,): (u64,)| key);
    let basket = basket.wait::<ShippingAddress>().pivot(Debit).build()?;
    let (yes, address) = (AgreeTerms("예".to_owned()), ShippingAddress("서울".to_owned()));
    let purge = || store.purge(Duration::ZERO, NonZeroUsize::MIN);

    let engine = Engine::with_options(store.clone(), bank.clone(), options.clone());
    let (baskets, shelves) = (engine.register(basket.clone())?, engine.register(shelf.clone())?);
    baskets.start(&1).await?;
    shelves.advance(&1, yes.clone()).await?;
    work(&engine).await?;
    is("a parent is woken", baskets.view(&1).await?.next.as_deref() == Some("shipping_address"))?;
    is("a child is kept for its parent", purge().await? == 0)?;
    let called_off = shelves.decide(&1, Decision::cancel("운영자", "두 장바구니")).await;
    is("a child goes with its parent", called_off.is_err())?;
    let (saga, name, id) = (shelves.id(&1)?, Arc::from("!order"), Arc::from("!order:1"));
    store.deliver(NewSignal { saga, name, id, payload: CANCEL.as_bytes().to_vec() }).await?;
    work(&engine).await?;
    let view = baskets.advance(&1, address).await?;
    is("no pivot is passed without a child", view.status == Status::Compensated)?;

    let engine = Engine::with_options(store.clone(), bank.clone(), options.keeping_ended());
    let (baskets, shelves) = (engine.register(basket)?, engine.register(shelf)?);
    baskets.start(&2).await?;
    shelves.advance(&2, yes).await?;
    purge().await?;
    work(&engine).await?;
    let view = baskets.view(&2).await?;
    is("a child that is gone is not made again", view.status == Status::NeedsOperator)
}

/// Says what is not so.
pub(crate) fn first() -> Option<String> {
    match ask().now_or_never() {
        Some(ended) => ended.err().map(|error| error.to_string()),
        None => Some("a basket hangs".to_owned()),
    }
}
