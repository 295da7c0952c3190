//! The user's code, with faults around it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use pumasi_core::Retry;

use super::fault::{Fault, Injector, Point};
use crate::definition::erased::{Code, Data, LateCode, Running, UndoCode};
use crate::definition::{UnitCode, Untyped};
use crate::machine::Settled;
use crate::step::Cx;
use crate::{Error, ErrorKind, Result};

/// Wraps the code of all steps.
pub(super) fn wrap<App: Send + Sync + 'static>(
    definition: Untyped<App>,
    injector: &Injector,
) -> Untyped<App> {
    let Untyped { plan, fingerprint, codes, children } = definition;
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
    Untyped { plan, fingerprint, codes, children }
}

#[derive(Clone)]
struct Around {
    injector: Injector,
    point: Point,
    retry: Retry,
}

impl Around {
    /// Lets what is called end as the schedule has it: it happens never, once, twice, or at the end.
    fn call(&self, once: Running, again: Running) -> Running {
        let Self { injector, point, retry } = self.clone();
        Box::pin(async move {
            let unknown = || Settled::Unknown { reason: Arc::from("injected") };
            let fault = injector.strike(point.clone());
            let done = |settled: Settled| {
                injector.called(point.clone(), matches!(settled, Settled::Done(_)));
                settled
            };
            match fault {
                None => done(once.await),
                Some(Fault::Fail) => Settled::Failed { reason: Arc::from("injected"), retry },
                Some(Fault::UnknownBefore) => unknown(),
                Some(Fault::UnknownAfter) => {
                    done(once.await);
                    unknown()
                }
                Some(Fault::Late) => {
                    let (injector, point) = (injector.clone(), point.clone());
                    injector.clone().put_off(Box::pin(async move {
                        let settled = once.await;
                        injector.called(point, matches!(settled, Settled::Done(_)));
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
                Some(Fault::ErrorBefore | Fault::ErrorAfter) => done(once.await),
            }
        })
    }
}

impl Around {
    /// Lets what is called in a transaction end as the schedule has it; what is not committed did not happen.
    fn call_in<'a>(&self, once: BoxFuture<'a, Settled>) -> BoxFuture<'a, Settled> {
        let Self { injector, point, retry } = self.clone();
        Box::pin(async move {
            match injector.strike(point.clone()) {
                Some(Fault::Fail) => Settled::Failed { reason: Arc::from("injected"), retry },
                Some(Fault::UnknownBefore | Fault::UnknownAfter | Fault::Late) => {
                    Settled::Failed { reason: Arc::from("injected"), retry: Retry::Now }
                }
                Some(Fault::CrashBefore | Fault::CrashAfter) => {
                    injector.crash();
                    std::future::pending().await
                }
                Some(Fault::FreezeBefore | Fault::FreezeAfter) => {
                    injector.freeze().await;
                    once.await
                }
                Some(Fault::Hang | Fault::HangAfter) => std::future::pending().await,
                _ => {
                    let settled = once.await;
                    injector.called(point, matches!(settled, Settled::Done(_)));
                    settled
                }
            }
        })
    }
}

struct FaultyCode<App> {
    inner: Box<dyn Code<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> Code<App> for FaultyCode<App> {
    fn run(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        let again = self.inner.run(cx.apart(), data)?;
        Ok(self.around.call(self.inner.run(cx, data)?, again))
    }

    fn probe(&self, cx: Cx<App>, data: Data<'_>) -> Result<Running> {
        self.inner.probe(cx, data)
    }

    fn run_in<'a>(
        &self,
        cx: Cx<App>,
        data: Data<'_>,
        transaction: &'a mut (dyn std::any::Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        Ok(self.around.call_in(self.inner.run_in(cx, data, transaction)?))
    }

    fn check(&self, output: &[u8]) -> Result<()> {
        self.inner.check(output)
    }
}

struct FaultyUndo<App> {
    inner: Box<dyn UndoCode<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> UndoCode<App> for FaultyUndo<App> {
    fn undo(&self, cx: Cx<App>, unit: usize, data: Data<'_>) -> Result<Running> {
        let again = self.inner.undo(cx.apart(), unit, data)?;
        Ok(self.around.call(self.inner.undo(cx, unit, data)?, again))
    }

    fn undo_in<'a>(
        &self,
        cx: Cx<App>,
        unit: usize,
        data: Data<'_>,
        transaction: &'a mut (dyn std::any::Any + Send),
    ) -> Result<BoxFuture<'a, Settled>> {
        Ok(self.around.call_in(self.inner.undo_in(cx, unit, data, transaction)?))
    }
}

struct FaultyLate<App> {
    inner: Box<dyn LateCode<App>>,
    around: Around,
}

impl<App: Send + Sync + 'static> LateCode<App> for FaultyLate<App> {
    fn handle(&self, cx: Cx<App>, payload: &[u8]) -> Result<Running> {
        let again = self.inner.handle(cx.apart(), payload)?;
        Ok(self.around.call(self.inner.handle(cx, payload)?, again))
    }
}

/// A definition that nobody else holds, to be wrapped.
pub(super) fn own<App>(definition: Arc<Untyped<App>>) -> Result<Untyped<App>> {
    Arc::try_unwrap(definition).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "a scenario makes its definition anew each time it is asked")
    })
}
