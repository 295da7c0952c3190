//! What operators decide, where each decision is allowed, and that it is recorded.

use pumasi_saga::definition::Look;
use pumasi_saga::store::Status;
use pumasi_saga::{Decision, ErrorKind, SagaHandle};

use crate::damaged::put_aside;
use crate::script::{Charged, Desk, Mood, Script, side_by_side};

const WHO: &str = "운영자 7";
const WHY: &str = "고객 문의 #12";

/// An order that an operator has to look at, because `what` behaves so.
async fn stuck(desk: &Desk, what: &'static str, mood: Mood) -> SagaHandle<u64, Script> {
    desk.script.set(what, mood);
    let orders = desk.orders();
    let view = orders.start(&1).await.unwrap();
    assert_eq!(view.status, Status::NeedsOperator, "{what}: {view:?}");
    desk.script.did();
    orders
}

async fn audits(orders: &SagaHandle<u64, Script>) -> Vec<(String, String)> {
    let snapshot = orders.snapshot(&1).await.unwrap();
    for audit in &snapshot.audits {
        assert_eq!((&*audit.who, &*audit.why), (WHO, WHY));
    }
    snapshot.audits.iter().map(|audit| (audit.action.to_string(), audit.step.to_string())).collect()
}

fn said(action: &str, step: &str) -> (String, String) {
    (action.to_owned(), step.to_owned())
}

#[tokio::test]
async fn retry_tries_again_what_the_saga_stands_at() {
    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    let view = orders.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::NeedsOperator, "it is refused again");
    desk.script.set("grant", Mood::Works);
    let view = orders.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    assert_eq!(desk.script.did(), ["grant", "tell"]);
    assert_eq!(audits(&orders).await, [said("retry", "grant"), said("retry", "grant")]);
}

#[tokio::test]
async fn skip_passes_over_a_step_whose_output_nobody_reads() {
    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    let refused = orders.decide(&1, Decision::skip(WHO, WHY)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "tell reads what grant makes");
    assert_eq!(audits(&orders).await, [], "what was refused is not recorded");

    let desk = Desk::new();
    let orders = stuck(&desk, "tell", Mood::Refuses).await;
    let view = orders.decide(&1, Decision::skip(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Completed);
    assert_eq!(audits(&orders).await, [said("skip", "tell")]);
}

#[tokio::test]
async fn force_done_gives_a_step_the_value_that_later_ones_read() {
    let desk = Desk::new();
    let orders = stuck(&desk, "charge", Mood::Silent).await;
    let wrong = Decision::force_done(&"not a number", WHO, WHY).unwrap();
    assert_eq!(orders.decide(&1, wrong).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(orders.view(&1).await.unwrap().status, Status::NeedsOperator);
    let right = Decision::force_done(&Charged(35_000), WHO, WHY).unwrap();
    assert_eq!(orders.decide(&1, right).await.unwrap().status, Status::Completed);
    assert_eq!(desk.script.did(), ["grant", "tell"], "the pivot was not asked again");
    let snapshot = orders.snapshot(&1).await.unwrap();
    assert_eq!(snapshot.output::<Charged>("charge").unwrap(), Some(Charged(35_000)));
    assert_eq!(audits(&orders).await, [said("force_done", "charge")]);
}

#[tokio::test]
async fn force_failed_undoes_what_came_before_a_pivot_that_nobody_can_ask() {
    let desk = Desk::new();
    let orders = stuck(&desk, "charge", Mood::Silent).await;
    let view = orders.decide(&1, Decision::force_failed(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Compensated);
    assert_eq!(desk.script.did(), ["void", "free"], "the last first");
    assert_eq!(audits(&orders).await, [said("force_failed", "charge")]);

    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    let late = orders.decide(&1, Decision::force_failed(WHO, WHY)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "past the pivot nothing is undone");
}

/// An order whose preparation was refused and whose place could not be freed.
async fn stuck_in_rollback(desk: &Desk) -> SagaHandle<u64, Script> {
    desk.script.set("prepare", Mood::Refuses);
    let orders = stuck(desk, "free", Mood::Refuses).await;
    assert_eq!(orders.view(&1).await.unwrap().step.as_deref(), Some("reserve"));
    orders
}

#[tokio::test]
async fn an_exhausted_compensation_is_retried_skipped_or_taken_as_done() {
    let desk = Desk::new();
    let orders = stuck_in_rollback(&desk).await;
    desk.script.set("free", Mood::Works);
    let view = orders.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!((view.status, desk.script.did()), (Status::Compensated, vec!["free".to_owned()]));

    let by_hand =
        [(Decision::skip(WHO, WHY), "skip"), (Decision::force_done(&(), WHO, WHY).unwrap(), "force_done")];
    for (decision, action) in by_hand {
        let desk = Desk::new();
        let orders = stuck_in_rollback(&desk).await;
        let view = orders.decide(&1, decision).await.unwrap();
        assert_eq!((view.status, desk.script.did()), (Status::Compensated, Vec::new()));
        assert_eq!(audits(&orders).await, [said(action, "reserve")]);
    }
}

#[tokio::test]
async fn resume_forward_leaves_a_rollback_and_makes_anew_what_was_undone() {
    let desk = Desk::new();
    let orders = stuck_in_rollback(&desk).await;
    desk.script.set("prepare", Mood::Works);
    let view = orders.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!(view.status, Status::Completed, "{view:?}");
    assert_eq!(desk.script.did(), ["reserve", "prepare", "charge", "grant", "tell"]);
    assert_eq!(audits(&orders).await, [said("resume_forward", "reserve")]);
}

#[tokio::test]
async fn resume_forward_is_refused_while_a_compensation_may_yet_happen() {
    let desk = Desk::new();
    desk.script.set("prepare", Mood::Refuses);
    let orders = stuck(&desk, "free", Mood::Silent).await;
    desk.script.set("prepare", Mood::Works);
    for mood in [Mood::Silent, Mood::Refuses] {
        let refused = orders.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        desk.script.set("free", mood);
        let view = orders.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
        assert_eq!(view.status, Status::NeedsOperator, "that one was refused says nothing of those before");
    }
    assert_eq!(desk.script.did(), [""; 0]);
    desk.script.set("free", Mood::Works);
    let view = orders.decide(&1, Decision::retry(WHO, WHY)).await.unwrap();
    assert_eq!((view.status, desk.script.did()), (Status::Compensated, vec!["free".to_owned()]));
}

#[tokio::test]
async fn resume_forward_asks_again_for_what_may_have_happened_under_the_key_it_had() {
    let desk = Desk::new();
    let gifts = desk.engine().register(side_by_side(false)).unwrap();
    desk.script.set("reserve", Mood::Silent);
    desk.script.set("unwrap", Mood::Refuses);
    let view = gifts.start(&1).await.unwrap();
    assert_eq!((view.status, view.step.as_deref()), (Status::NeedsOperator, Some("wrap")));
    let keys = async || -> Vec<String> {
        gifts.snapshot(&1).await.unwrap().steps.iter().map(|step| step.key.clone()).collect()
    };
    let before = keys().await;
    desk.script.set("reserve", Mood::Works);
    desk.script.did();
    let view = gifts.decide(&1, Decision::resume_forward(WHO, WHY)).await.unwrap();
    assert_eq!(
        (view.status, desk.script.did()),
        (Status::Completed, vec!["reserve".to_owned(), "wrap".to_owned()])
    );
    assert_eq!(keys().await, before);
}

#[tokio::test]
async fn one_branch_after_the_other_is_decided_about_behind_the_pivot() {
    let desk = Desk::new();
    let gifts = desk.engine().register(side_by_side(true)).unwrap();
    let step = async |decision: Option<Decision>| {
        let view = match decision {
            None => gifts.start(&1).await.unwrap(),
            Some(decision) => gifts.decide(&1, decision).await.unwrap(),
        };
        (view.status, view.step)
    };
    desk.script.set("reserve", Mood::Refuses);
    desk.script.set("wrap", Mood::Silent);
    assert_eq!(step(None).await, (Status::NeedsOperator, Some("reserve".into())));
    desk.script.set("reserve", Mood::Works);
    let next = step(Some(Decision::retry(WHO, WHY))).await;
    assert_eq!(next, (Status::NeedsOperator, Some("wrap".into())));
    assert_eq!(step(Some(Decision::skip(WHO, WHY))).await.0, Status::Completed);
    assert_eq!(desk.script.did(), ["pay", "reserve"]);
}

#[tokio::test]
async fn a_decision_of_nobody_or_for_no_reason_is_refused() {
    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    for (who, why) in [("", WHY), (WHO, ""), (" ", WHY), (WHO, "\n")] {
        let refused = orders.decide(&1, Decision::retry(who, why)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(audits(&orders).await, []);
}

#[tokio::test]
async fn what_an_operator_cannot_decide_is_refused_and_changes_nothing() {
    let desk = Desk::new();
    let orders = desk.orders();
    assert_eq!(orders.start(&1).await.unwrap().status, Status::Completed);
    let decisions = [
        Decision::retry(WHO, WHY),
        Decision::skip(WHO, WHY),
        Decision::force_done(&1, WHO, WHY).unwrap(),
        Decision::force_failed(WHO, WHY),
        Decision::resume_forward(WHO, WHY),
        Decision::rollback_to("reserved", WHO, WHY),
        Decision::cancel(WHO, WHY),
    ];
    for decision in decisions {
        let refused = orders.decide(&1, decision.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{decision:?}");
    }
    let unknown = orders.decide(&1, Decision::rollback_to("어디에도 없는 곳", WHO, WHY)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    assert_eq!(audits(&orders).await, []);

    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    for decision in [Decision::cancel(WHO, WHY), Decision::rollback_to("reserved", WHO, WHY)] {
        let refused = orders.decide(&1, decision.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "past the pivot: {decision:?}");
    }
}

#[tokio::test]
async fn a_decision_that_was_left_is_checked_as_one_that_is_made_at_once_and_recorded_if_it_is_refused() {
    let desk = Desk::new();
    let orders = stuck(&desk, "charge", Mood::Silent).await;
    // As a call leaves it with whoever drives the saga, which was not stuck at that moment.
    let order = serde_json::json!({
        "action": "force_done", "value": "\"not a number\"", "savepoint": null, "who": WHO, "why": WHY,
    });
    let signal = pumasi_saga::store::NewSignal {
        saga: orders.id(&1).unwrap(),
        name: "!order".into(),
        id: "!order:1".into(),
        payload: order.to_string().into_bytes(),
    };
    orders.engine().store().deliver(signal).await.unwrap();
    orders.engine().run_due().await.unwrap();
    assert_eq!(orders.view(&1).await.unwrap().status, Status::NeedsOperator);
    assert_eq!(audits(&orders).await, [said("refused: force_done", "charge")]);
}

#[tokio::test]
async fn a_decision_about_another_step_is_refused_also_where_the_saga_is_parked() {
    let desk = Desk::new();
    let orders = stuck(&desk, "grant", Mood::Refuses).await;
    for parked in [false, true] {
        if parked {
            put_aside(&orders, 1).await;
        }
        let before = orders.view(&1).await.unwrap();
        let other = orders.decide(&1, Decision::retry(WHO, WHY).at("charge")).await.unwrap_err();
        assert_eq!((other.kind(), orders.view(&1).await.unwrap()), (ErrorKind::Conflict, before));
        let view = orders.decide(&1, Decision::retry(WHO, WHY).at("grant")).await.unwrap();
        assert_eq!(view.status, Status::NeedsOperator, "as it was before: parked {parked}");
    }
    assert_eq!(audits(&orders).await, [said("retry", "grant"), said("retry", "grant")]);
}

#[tokio::test]
async fn a_drawing_shows_how_far_compensations_have_come() {
    let desk = Desk::new();
    desk.script.set("free", Mood::Refuses);
    let orders = stuck(&desk, "charge", Mood::Refuses).await;
    let snapshot = orders.snapshot(&1).await.unwrap();
    let undone: Vec<_> = snapshot.steps.iter().map(|step| step.undo).collect();
    assert_eq!(undone, [Some(Look::Stuck), Some(Look::Done), None, None, None]);
    let (mermaid, dot, svg) = (snapshot.mermaid(), snapshot.dot(), snapshot.svg());
    assert!(mermaid.contains("class c1 done") && mermaid.contains("class u0,c0 stuck"), "{mermaid}");
    assert!(dot.contains("c1 [label=\"void\", fillcolor=\"#c9f2d0\"]"), "{dot}");
    assert!(dot.contains("c0 [label=\"free\", fillcolor=\"#ffc2a8\"]"), "{dot}");
    assert_eq!(svg.matches("fill=\"#ffc2a8\"").count(), 2, "the step and what undoes it: {svg}");
}
