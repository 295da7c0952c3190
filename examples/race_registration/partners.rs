//! Whom a registration needs: places, payments, a list of the barred, and the post.

use std::future::Future;

use pumasi_saga::{Cx, Error, Outcome, Probe};

use crate::saga::{PaymentCompleted, RegistrationKey, ShippingAddress};
use crate::steps::{Bib, Held, PaymentRef};

type Made<T> = Outcome<T, Error>;

/// The partners of a registration. The story keeps them in memory or in a file, the service in its database.
///
/// Each is asked under the step's key, and answers the same to the same.
pub(crate) trait Partners: Send + Sync + Sized + 'static {
    fn hold(&self, cx: &Cx<Self>, key: &RegistrationKey) -> impl Future<Output = Made<Held>> + Send;

    /// Gives a place back; what was held is not always known.
    fn release(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        held: Option<Held>,
    ) -> impl Future<Output = Made<()>> + Send;

    fn start_payment(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
    ) -> impl Future<Output = Made<PaymentRef>> + Send;

    /// Finds out whether the payment was started.
    fn payment(&self, cx: &Cx<Self>) -> impl Future<Output = Probe<PaymentRef>> + Send;

    /// Cancels a payment, and gives back what was paid.
    fn cancel_payment(&self, cx: &Cx<Self>, key: &RegistrationKey) -> impl Future<Output = Made<()>> + Send;

    /// Gives back what was paid too late.
    fn refund(&self, cx: &Cx<Self>, paid: &PaymentCompleted) -> impl Future<Output = Made<()>> + Send;

    /// Fails if this participant may not run, or if something else was paid than was asked for.
    fn check(
        &self,
        key: &RegistrationKey,
        payment: &PaymentRef,
        paid: &PaymentCompleted,
    ) -> impl Future<Output = Made<()>> + Send;

    fn confirm(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        held: &Held,
    ) -> impl Future<Output = Made<Bib>> + Send;

    /// Finds out whether the place was confirmed.
    fn is_confirmed(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        held: &Held,
    ) -> impl Future<Output = Probe<Bib>> + Send;

    fn tell(
        &self,
        cx: &Cx<Self>,
        key: &RegistrationKey,
        address: &ShippingAddress,
        bib: &Bib,
    ) -> impl Future<Output = Made<()>> + Send;
}

/// Partners who draw lots.
pub(crate) trait Lots: Partners {
    fn enter(&self, cx: &Cx<Self>, key: &RegistrationKey) -> impl Future<Output = Made<()>> + Send;

    fn leave(&self, cx: &Cx<Self>, key: &RegistrationKey) -> impl Future<Output = Made<()>> + Send;
}
