//! What comes over the wire.

use std::sync::Arc;

use pumasi_saga::Decision;
use pumasi_saga::store::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use support::decision;
use support::problem::Problem;
use utoipa::ToSchema;

use super::books::Race;
use crate::saga::BEFORE_PLACE;

/// A race as an organiser makes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRace {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, example = "서울마라톤")]
    pub(super) name: String,
    /// Who gets a place.
    pub(super) kind: Kind,
    /// How many may run.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub(super) places: u32,
    /// What it costs, in won.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub(super) price_krw: u32,
}

/// Who gets a place.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// First come, first served.
    FirstCome,
    /// Those who are drawn.
    Lottery,
}

impl NewRace {
    /// Checks it and makes the race.
    pub(super) fn into_race(self, organiser: &str) -> Result<Race, Problem> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(Problem::invalid("the name of a race is a line of 1 to 200 characters"));
        }
        if !(1..=1_000_000).contains(&self.places) || !(1..=10_000_000).contains(&self.price_krw) {
            return Err(Problem::invalid("a race has 1 to 1,000,000 places, and costs 1 to 10,000,000 won"));
        }
        Ok(Race::new(name.to_owned(), self.kind == Kind::Lottery, self.places, self.price_krw, organiser))
    }
}

/// What a runner says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// Which answer it is; nothing begins the registration, or looks at it.
    pub(super) answer: Option<RunnersAnswer>,
    /// The answer: `{"agreed": true}`, `{"souvenir": "…"}` or `{"city": "…", "email": "…"}`.
    #[schema(value_type = Option<Object>)]
    pub(super) value: Option<Value>,
    /// Begins anew a registration that was undone.
    #[serde(default)]
    pub(super) again: bool,
}

/// What a runner is asked. Payments are told by the gateway, and draws by the organiser.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunnersAnswer {
    AgreeTerms,
    ChooseSouvenir,
    ShippingAddress,
}

impl RunnersAnswer {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AgreeTerms => "agree_terms",
            Self::ChooseSouvenir => "choose_souvenir",
            Self::ShippingAddress => "shipping_address",
        }
    }

    /// Refuses fields that nobody reads; whether those that are read fit is the answer's own check.
    pub(super) fn check_fields(self, value: &Value) -> Result<(), Problem> {
        let known: &[&str] = match self {
            Self::AgreeTerms => &["agreed"],
            Self::ChooseSouvenir => &["souvenir"],
            Self::ShippingAddress => &["city", "email"],
        };
        let fields = value.as_object().into_iter().flat_map(|fields| fields.keys());
        match fields.into_iter().find(|field| !known.contains(&field.as_str())) {
            None => Ok(()),
            Some(_) => {
                Err(Problem::invalid(format!("{} has no fields but {}", self.as_str(), known.join(", "))))
            }
        }
    }
}

support::paged! {
    /// A page of registrations.
    pub(super) struct RegistrationsQuery {
        /// Only those that stand so: `running`, `waiting`, `compensating`, `needs_operator`, `parked`, `completed`, `compensated`.
        #[param(value_type = Option<String>)]
        pub(super) status: Option<Status>,
        /// Only those that stand at this step.
        pub(super) step: Option<String>,
    }
}

/// What an organiser decides.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Tries again what it stands at.
    Retry,
    /// Passes over what it stands at.
    Skip,
    /// Takes what it stands at as done; a step with `value`.
    ForceDone,
    /// Takes what it stands at as not done, and undoes everything.
    ForceFailed,
    /// Stops the rollback that it stands in, and goes forward again.
    ResumeForward,
    /// Gives the place and the payment back, and asks for both anew.
    PlaceAnew,
    /// Undoes everything.
    Cancel,
}

impl decision::Verdict for Verdict {
    fn decision(self, value: Option<Value>, who: Arc<str>, why: &str) -> pumasi_saga::Result<Decision> {
        Ok(match self {
            Self::Retry => Decision::retry(who, why),
            Self::Skip => Decision::skip(who, why),
            Self::ForceDone => Decision::force_done(&value, who, why)?,
            Self::ForceFailed => Decision::force_failed(who, why),
            Self::ResumeForward => Decision::resume_forward(who, why),
            Self::PlaceAnew => Decision::rollback_to(BEFORE_PLACE, who, why),
            Self::Cancel => Decision::cancel(who, why),
        })
    }
}

/// What an organiser decides, and why.
pub(super) type NewDecision = decision::NewDecision<Verdict>;

/// A runner who may not run, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBar {
    /// Why; it is recorded.
    #[schema(min_length = 1, max_length = 500)]
    pub(super) why: String,
}

/// What the gateway tells. The fields beside `type` are those of `payment.completed`; events of other types are acknowledged, and
/// change nothing, whatever they hold.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is the form, of which each type of event is read for itself")]
pub(super) struct GatewayEvent {
    #[schema(rename = "type", example = "payment.completed")]
    kind: String,
    /// The payment's identifier.
    payment: Option<String>,
    amount_krw: Option<u64>,
}

/// Of which type an event of the gateway is.
#[derive(Deserialize)]
pub(super) struct EventType {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// A payment that was made.
#[derive(Deserialize)]
pub(super) struct CompletedEvent {
    pub(super) payment: String,
    pub(super) amount_krw: u64,
}

support::roles! {
    /// What a token lets one do.
    pub(crate) enum Role {
        #[default]
        Runner => "runner",
        Organiser => "organiser",
    }
}
