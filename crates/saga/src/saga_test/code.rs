//! The user's code, with faults around it.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use pumasi_core::Retry;

use super::fault::{Called, Fault, Injector, Point};
use super::store::FaultyTransaction;
use crate::definition::erased::{Code, Data, LateCode, Running, UndoCode};
use crate::definition::{UnitCode, Untyped};
use crate::engine::Wanted;
use crate::machine::Settled;
use crate::step::Cx;
use crate::store::SagaId;
use crate::{Error, ErrorKind, Result};

/// Wraps the code of all steps, those of children too.
///
/// # Errors
///
/// `InvalidInput` if a definition is held by somebody else.
pub(super) fn wrap<App: Send + Sync + 'static>(
    definition: Arc<Untyped<App>>,
    injector: &Injector,
) -> Result<Arc<Untyped<App>>> {
    let Untyped { plan, fingerprint, codes, children } = own(definition)?;
    let wrapped = codes.into_iter().zip(&plan.units).enumerate().map(|(unit, (code, it))| {
        let name = it.name.to_string();
        // Behind the pivot a refusal would be for good, and leave every saga with an operator.
        let past_pivot = plan.pivot.is_some_and(|pivot| unit > pivot);
        let around = |point: Point, retry| Around { injector: injector.clone(), point, retry };
        let retry = if past_pivot { Retry::Now } else { Retry::Never };
        UnitCode {
            run: Box::new(FaultyCode { inner: code.run, around: around(Point::Run(name.clone()), retry) }),
            undo: code.undo.map(|inner| -> Box<dyn UndoCode<App>> {
                Box::new(FaultyUndo { inner, around: around(Point::Undo(name.clone()), Retry::Now) })
            }),
            late: code.late.map(|inner| -> Box<dyn LateCode<App>> {
                Box::new(FaultyLate { inner, around: around(Point::Late(name.clone()), Retry::Now) })
            }),
        }
    });
    let codes = wrapped.collect();
    let children = children.into_iter().map(|child| wrap(child, injector)).collect::<Result<_>>()?;
    Ok(Arc::new(Untyped { plan, fingerprint, codes, children }))
}

#[derive(Clone)]
struct Around {
    injector: Injector,
    point: Point,
    retry: Retry,
}

impl Around {
    /// Lets what is called end as the schedule has it: it happens never, once, twice, or at the end.
    fn call(&self, key: String, once: Running, again: Running) -> Running {
        let Self { injector, point, retry } = self.clone();
        Box::pin(async move {
            let unknown = || Settled::Unknown { reason: Arc::from("injected") };
            injector.called(Called { point: point.clone(), key: key.clone(), done: false });
            let fault = injector.strike(point.clone());
            let done = |settled: Settled| {
                injector.called(called(&point, &key, &settled));
                settled
            };
            match fault {
                None if injector.is_unknowable(&point) => {
                    done(once.await);
                    unknown()
                }
                None => done(once.await),
                Some(Fault::Fail) => Settled::Failed { reason: Arc::from("injected"), retry },
                Some(Fault::UnknownBefore) => unknown(),
                Some(Fault::UnknownAfter) => {
                    done(once.await);
                    unknown()
                }
                Some(Fault::Late) => {
                    let (injector, point, key) = (injector.clone(), point.clone(), key.clone());
                    injector.clone().put_off(Box::pin(async move {
                        let settled = once.await;
                        injector.called(called(&point, &key, &settled));
                    }));
                    unknown()
                }
                Some(Fault::Twice) => {
                    done(again.await);
                    done(once.await)
                }
                Some(Fault::CrashBefore) => {
                    injector.crash();
                    std::future::pending().await
                }
                Some(Fault::CrashAfter) => {
                    done(once.await);
                    injector.crash();
                    std::future::pending().await
                }
                Some(Fault::FreezeBefore) => {
                    injector.freeze().await;
                    done(once.await)
                }
                Some(Fault::FreezeAfter) => {
                    let settled = done(once.await);
                    injector.freeze().await;
                    settled
                }
                // As a panic, but without a word on the terminal.
                Some(Fault::Panic) => std::panic::resume_unwind(Box::new("injected")),
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::HangAfter) => {
                    done(once.await);
                    std::future::pending().await
                }
                Some(Fault::ErrorBefore | Fault::ErrorAfter | Fault::Early) => done(once.await),
            }
        })
    }
}

fn called(point: &Point, key: &str, settled: &Settled) -> Called {
    Called { point: point.clone(), key: key.to_owned(), done: matches!(settled, Settled::Done(_)) }
}

impl Around {
    /// Lets what is called in a transaction end as the schedule has it; what is not committed did not happen.
    fn call_in<'a>(
        &self,
        key: String,
        staged: Arc<Mutex<Vec<Called>>>,
        once: BoxFuture<'a, Settled>,
    ) -> BoxFuture<'a, Settled> {
        let Self { injector, point, retry } = self.clone();
        Box::pin(async move {
            injector.called(Called { point: point.clone(), key: key.clone(), done: false });
            match injector.strike(point.clone()) {
                Some(Fault::Fail) => return Settled::Failed { reason: Arc::from("injected"), retry },
                Some(Fault::UnknownBefore | Fault::UnknownAfter | Fault::Late) => {
                    return Settled::Failed { reason: Arc::from("injected"), retry: Retry::Now };
                }
                Some(Fault::CrashBefore | Fault::CrashAfter) => {
                    injector.crash();
                    return std::future::pending().await;
                }
                Some(Fault::FreezeBefore | Fault::FreezeAfter) => injector.freeze().await,
                Some(Fault::Panic) => std::panic::resume_unwind(Box::new("injected")),
                Some(Fault::Hang | Fault::HangAfter) => return std::future::pending().await,
                _ => {}
            }
            let settled = once.await;
            staged.lock().unwrap_or_else(PoisonError::into_inner).push(called(&point, &key, &settled));
            settled
        })
    }
}

struct FaultyCode<App> {
    inner: Box<dyn Code<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> Code<App> for FaultyCode<App> {
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let (key, again) = (cx.step_key(), self.inner.run(cx.apart(), data)?);
        Ok(self.around.call(key, self.inner.run(cx, data)?, again))
    }

    fn probe(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        if self.around.injector.is_unknowable(&self.around.point) {
            let settled = Settled::Unknown { reason: Arc::from("injected") };
            return Ok(Box::pin(std::future::ready(settled)));
        }
        self.inner.probe(cx, data)
    }

    fn run_in<'a>(
        &self,
        cx: Cx<App>,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        let (key, (inside, staged)) = (cx.step_key(), inside(transaction)?);
        Ok(self.around.call_in(key, staged, self.inner.run_in(cx, data, inside)?))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        self.inner.check(output)
    }

    fn child(&self, cx: &Cx<App>, data: Data<'_>) -> Result<Option<Wanted>> {
        self.inner.child(cx, data)
    }

    fn child_id(&self, data: Data<'_>) -> Option<SagaId> {
        self.inner.child_id(data)
    }
}

struct FaultyUndo<App> {
    inner: Box<dyn UndoCode<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> UndoCode<App> for FaultyUndo<App> {
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running> {
        let (key, again) = (cx.step_key(), self.inner.undo(cx.apart(), unit, data)?);
        Ok(self.around.call(key, self.inner.undo(cx, unit, data)?, again))
    }

    fn undo_in<'a>(
        &self,
        cx: Cx<App>,
        unit: usize,
        data: Data<'_>,
        transaction: &'a mut (dyn Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        let (key, (inside, staged)) = (cx.step_key(), inside(transaction)?);
        Ok(self.around.call_in(key, staged, self.inner.undo_in(cx, unit, data, inside)?))
    }
}

struct FaultyLate<App> {
    inner: Box<dyn LateCode<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> LateCode<App> for FaultyLate<App> {
    fn handle(&self, cx: Cx<App>, payload: &[u8]) -> Result<Running> {
        let (key, again) = (cx.step_key(), self.inner.handle(cx.apart(), payload)?);
        Ok(self.around.call(key, self.inner.handle(cx, payload)?, again))
    }
}

/// What a step is given of a transaction, and where it is noted what it did.
#[expect(clippy::type_complexity, reason = "two things that belong together for a line")]
fn inside(transaction: &mut (dyn Any + Send)) -> Result<(&mut (dyn Any + Send), Arc<Mutex<Vec<Called>>>)> {
    let faulty = transaction.downcast_mut::<FaultyTransaction>();
    let faulty =
        faulty.ok_or_else(|| Error::new(ErrorKind::Protocol, "this is not the test's transaction"))?;
    Ok(faulty.open())
}

/// A definition that nobody else holds, to be wrapped.
fn own<App>(definition: Arc<Untyped<App>>) -> Result<Untyped<App>> {
    Arc::try_unwrap(definition).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "a scenario makes its definition anew each time it is asked")
    })
}
