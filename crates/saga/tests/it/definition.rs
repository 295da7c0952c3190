//! Definitions that cannot work, and say so when they are built.

use std::borrow::Cow;
use std::time::Duration;

use pumasi_core::resilience::Backoff;
use pumasi_saga::store::MemoryStore;
use pumasi_saga::{
    Answer, Compensate, Cx, Definition, Engine, ErrorKind, Late, Outcome, Policy, Result, Saga, Step, Undo,
};
use serde::{Deserialize, Serialize};

struct Named(&'static str);

impl Step<()> for Named {
    type In = ();
    type Out = ();
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    async fn run(&self, _: &Cx<()>, (): ()) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

impl Compensate<(), Named> for Named {
    type Error = &'static str;

    fn name(&self) -> Cow<'static, str> {
        self.0.into()
    }

    async fn undo(&self, _: &Cx<()>, _: Undo<(), Named>) -> Outcome<(), &'static str> {
        Outcome::Done(())
    }
}

macro_rules! answer {
    ($answer:ident = $name:literal) => {
        #[derive(Serialize, Deserialize)]
        struct $answer;

        impl Answer for $answer {
            const NAME: &'static str = $name;
        }

        impl Late<(), $answer> for Named {
            type Error = &'static str;

            fn name(&self) -> Cow<'static, str> {
                self.0.into()
            }

            async fn handle(&self, _: &Cx<()>, _: $answer) -> Outcome<(), &'static str> {
                Outcome::Done(())
            }
        }
    };
}

answer!(Post = "post");
answer!(Order = "!order");
answer!(Paid = "post:paid");

const LONG: &str =
    "예약이_너무_길어서_아무도_끝까지_읽지_않는_이름_예약이_너무_길어서_아무도_끝까지_읽지_않는_이름";

fn refused(built: Result<Definition<u64, ()>>, naming: &str) {
    let refused = built.expect_err(naming);
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains(naming), "{naming}: {refused}");
}

#[test]
fn a_definition_that_cannot_work_is_refused_by_the_name_of_what_is_wrong_with_it() {
    let saga = || Saga::<u64, ()>::new("order", 1);
    let never = Policy::new().with_timeout(Duration::ZERO);

    refused(Saga::<u64, ()>::new("", 1).step(Named("book")).build(), "name of a saga");
    refused(Saga::<u64, ()>::new("a\0b", 1).step(Named("book")).build(), "name of a saga");
    refused(Saga::<u64, ()>::new("order", 0).step(Named("book")).build(), "order");
    refused(saga().build(), "order has 0 steps");
    refused(saga().step(Named("")).build(), "order");
    refused(saga().step(Named(LONG)).build(), "order");
    refused(saga().step(Named("book")).step(Named("book")).build(), "two steps called book");
    refused(saga().step(Named("post")).wait::<Post>().build(), "two steps called post");
    refused(saga().wait::<Order>().build(), "!order");
    refused(saga().step(Named("book")).compensate(Named(LONG)).build(), "book");
    refused(saga().wait::<Post>().late(Named("")).build(), "post");
    refused(saga().step(Named("book")).policy(never).build(), "book");
    refused(saga().step(Named("book")).compensate(Named("free")).policy(never).build(), "book");
    refused(saga().wait::<Post>().late(Named("refund")).policy(never).build(), "post");
    refused(saga().wait::<Post>().deadline(Duration::ZERO).build(), "post");
    refused(saga().savepoint("").step(Named("book")).build(), "savepoint");
    let twice = saga().step(Named("book")).savepoint("a").step(Named("pay")).savepoint("a");
    refused(twice.build(), "savepoints called a");
    refused(saga().savepoint("begin").step(Named("book")).build(), "savepoint begin of saga order");
    refused(saga().step(Named("book")).step(Named("undo/book")).build(), "undo/book");
    refused(saga().wait::<Paid>().build(), "post:paid");

    let final_child = Saga::<u64, ()>::new("packing", 1).pivot(Named("hand_over")).build().unwrap();
    refused(saga().child(&final_child, |(key,): (u64,)| key).build(), "packing");
}

#[test]
fn a_name_as_long_as_names_may_be_serves_for_a_child_too() {
    let name = "가".repeat(33) + "a";
    let child = Saga::<u64, ()>::new(name.clone(), 1).step(Named("pack")).build().unwrap();
    let parent = Saga::<u64, ()>::new("order", 1).child(&child, |(key,): (u64,)| key).build().unwrap();
    assert_eq!(*parent.plan().units[0].name, *name);
}

#[test]
fn what_undoes_a_step_and_what_takes_its_late_signals_is_drawn() {
    let child = Saga::<u64, ()>::new("packing", 1).step(Named("pack")).build().unwrap();
    let saga = Saga::<u64, ()>::new("order", 1).step(Named("book")).compensate(Named("free"));
    let saga = saga.child(&child, |(key,): (u64,)| key).named("packed").wait::<Post>().late(Named("refund"));
    let saga = saga.build().unwrap();
    let (mermaid, dot, svg) = (saga.mermaid(), saga.dot(), saga.svg());
    for (unit, aside, name) in [(0, "c0", "free"), (1, "c1", "undo packed"), (2, "l2", "refund")] {
        assert!(mermaid.contains(&format!("{aside}[\"{name}\"]")), "{mermaid}");
        assert!(
            mermaid.contains(&format!("u{unit} -. ")) && mermaid.contains(&format!(".-> {aside}\n")),
            "{mermaid}"
        );
        assert!(dot.contains(&format!("u{unit} -> {aside} [style=dotted")), "{dot}");
        assert!(svg.contains(&format!(">{name}<")), "{svg}");
    }
}

#[test]
fn a_fingerprint_is_the_one_that_records_have() {
    let saga = Saga::<u64, ()>::new("order", 1).step(Named("book")).pivot(Named("pay")).build().unwrap();
    assert_eq!(saga.plan().fingerprint(), 0x21f6_c1a8);
    let saga = Saga::<u64, ()>::new("order", 2).step(Named("book")).build().unwrap();
    assert_eq!(saga.plan().fingerprint(), 0xcdfd_3257);
}

#[test]
fn what_is_tried_for_ever_has_pauses() {
    let hasty = Policy::forever().with_backoff(Backoff::constant(Duration::ZERO));
    let error = Saga::<u64, ()>::new("order", 1).step(Named("book")).policy(hasty).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("book"), "{error}");
}

#[test]
fn of_a_definition_that_is_refused_nothing_is_registered() {
    let engine = Engine::new(MemoryStore::new(), ());
    let part = || Saga::<u64, ()>::new("part", 1).step(Named("book")).build().unwrap();
    let whole = |part: &Definition<u64, ()>| {
        Saga::<u64, ()>::new("whole", 1).child(part, |(key,): (u64,)| key).build().unwrap()
    };
    engine.register(Saga::<u64, ()>::new("whole", 1).step(Named("pay")).build().unwrap()).unwrap();
    assert_eq!(engine.register(whole(&part())).unwrap_err().kind(), ErrorKind::Conflict);
    engine.register(part()).unwrap();
    let other = Engine::new(MemoryStore::new(), ());
    let (one, two) = (part(), part());
    let twice = Saga::<u64, ()>::new("twice", 1)
        .child(&one, |(key,): (u64,)| key)
        .child(&whole(&two), |(key,): (u64,)| key)
        .build()
        .unwrap();
    assert_eq!(other.register(twice).unwrap_err().kind(), ErrorKind::Conflict, "two of one name");
    other.register(two).unwrap();
}
