//! Projections fed by a consumer, rebuilt beside it, and mapped onto tables of the user's own.

use async_trait::async_trait;
use pumasi_core::event::{
    Actor, Consumer, Context, EntityPage, Mapping, MemoryProjectionStore, Page, Projection, ProjectionStore,
    Shutdown, SqliteBus, SqliteInbox, SqliteProjectionStore, TraceContext, handler_fn,
};
use pumasi_core::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    nickname: String,
}

fn member(key: &str, version: u64) -> Envelope {
    event(key, version).with_payload(&Member { nickname: format!("달리는곰 {version}") }).unwrap()
}

async fn projection(store: impl ProjectionStore + 'static) -> Projection<Member> {
    Projection::open("members", TOPIC, store).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_beside_a_running_consumer_misses_nothing_and_reads_never_stop() {
    let bus = memory_bus();
    let members = projection(MemoryProjectionStore::new()).await;
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), members.subscription(), members.clone());
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    let publisher = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for version in 1..=120 {
                let events: Vec<_> = (0..20).map(|key| member(&format!("m-{key}"), version)).collect();
                bus.publish(&events).await.unwrap();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    until("the first entities", async || members.get("m-19").await.unwrap().is_some()).await;
    let mut newest = 0;
    for _ in 0..3 {
        let rebuild = members.rebuild(&bus);
        let watch = async {
            loop {
                let seen =
                    members.get("m-7").await.unwrap().expect("an entity that is there does not go").version;
                assert!(seen >= newest, "reads went back from version {newest} to {seen}");
                newest = seen;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            rebuilt = rebuild => {
                let rebuilt = rebuilt.unwrap();
                assert_eq!((rebuilt.entities_before, rebuilt.entities_after, rebuilt.refused), (20, 20, 0));
            }
            () = watch => {}
        }
    }
    publisher.await.unwrap();
    until("the last version", async || {
        let all = members.list(&EntityPage::default()).await.unwrap();
        all.len() == 20 && all.iter().all(|entity| entity.version == 120)
    })
    .await;
    assert!(members.rebuild(&bus).await.unwrap().events >= 120 * 20);
    shutdown.trigger();
    running.await.unwrap().unwrap();
    let lag = members.lag(&control).await.unwrap();
    assert!(lag.events.is_some() && lag.age.is_some_and(|age| age < Duration::from_mins(1)), "{lag:?}");
}

#[tokio::test]
async fn a_rebuild_from_a_topic_that_lost_its_start_is_refused_and_leaves_no_group_behind() {
    let folder = tempfile::tempdir().unwrap();
    let bus = SqliteBus::open(folder.path().join("events.db")).await.unwrap();
    let members = projection(MemoryProjectionStore::new()).await;
    for key in 0..10 {
        let old = member(&format!("m-{key}"), 1);
        bus.publish(std::slice::from_ref(&old)).await.unwrap();
        let reader = bus.subscribe(&members.subscription()).await.unwrap();
        for delivery in reader.fetch(MANY, Duration::from_secs(1)).await.unwrap() {
            pumasi_core::event::Handler::handle(&members, &delivery).await.unwrap();
            reader.settle(&delivery.receipt, Settlement::Ack).await.unwrap();
        }
    }
    // Seven of the ten are gone from the topic, as after its retention.
    let events = format!("sqlite://{}", folder.path().join("events.db").display());
    let mut file = <SqliteConnection as sqlx::Connection>::connect(&events).await.unwrap();
    sqlx::query("DELETE FROM pumasi_event_log WHERE seq <= 7").execute(&mut file).await.unwrap();
    let error = members.rebuild(&bus).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("7 of the 10 entities"), "{error}");
    assert_eq!(
        members.list(&EntityPage::default()).await.unwrap().len(),
        10,
        "the old state goes on serving"
    );
    let rebuilt = members.clone().with_min_rebuilt_percent(30).rebuild(&bus).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.entities_before, rebuilt.entities_after), (3, 10, 3));
    let groups = sqlx::query("SELECT grp FROM pumasi_event_subscription").fetch_all(&mut file).await.unwrap();
    let groups: Vec<String> = groups.iter().map(|row| row.get(0)).collect();
    assert_eq!(groups, ["members"], "a rebuild's group would hold the topic back for ever");
}

#[tokio::test]
async fn what_is_no_member_becomes_a_dead_letter_and_the_entity_stays() {
    let bus = memory_bus();
    let members = projection(MemoryProjectionStore::new()).await;
    let bad = event("m", 2).with_payload(&serde_json::json!({"nickname": 7, "secret": "비밀"})).unwrap();
    bus.publish(&[member("m", 1), bad, member("n", 1)]).await.unwrap();
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), members.subscription(), members.clone());
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    until("three events", async || control.stats().handled + control.stats().dead_lettered == 3).await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
    let dead = bus.dead_letters("members", Page::default()).await.unwrap();
    assert_eq!((dead.len(), dead[0].reason.kind.as_str()), (1, "invalid_input"));
    assert!(!dead[0].reason.message.contains("비밀"));
    let found = members.get_many(["m", "n", "nobody"]).await.unwrap();
    assert_eq!(
        found.iter().map(|(key, entity)| (key.as_str(), entity.version)).collect::<Vec<_>>(),
        [("m", 1), ("n", 1)]
    );
    let rebuilt = members.rebuild(&bus).await.unwrap();
    assert_eq!((rebuilt.events, rebuilt.refused, rebuilt.entities_after), (3, 1, 2));
}

/// Nicknames in a table of the service's own, by generation.
struct Nicknames;

#[async_trait]
impl Mapping<SqliteConnection> for Nicknames {
    async fn apply(
        &self,
        connection: &mut SqliteConnection,
        generation: u64,
        event: &Envelope,
    ) -> Result<()> {
        let nickname = event.payload::<Member>()?.nickname;
        sqlx::query(
            "INSERT INTO nickname VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET name = excluded.name",
        )
        .bind(i64::try_from(generation).unwrap())
        .bind(&event.key)
        .bind(nickname)
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn swap(&self, connection: &mut SqliteConnection, serving: u64) -> Result<()> {
        let serving = i64::try_from(serving).unwrap();
        sqlx::query("DELETE FROM nickname WHERE generation <> ?1").bind(serving).execute(connection).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_mapping_is_part_of_the_transaction_and_follows_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite::pool(&folder.path().join("service.db")).await;
    sqlx::query("CREATE TABLE nickname (generation INTEGER, id TEXT, name TEXT NOT NULL CHECK (name <> '달리는곰 3'), PRIMARY KEY (generation, id))")
        .execute(&pool)
        .await
        .unwrap();
    let store = SqliteProjectionStore::new(pool.clone()).with_mapping(Nicknames);
    store.migrate().await.unwrap();
    let bus = memory_bus();
    let members = projection(store.clone()).await;
    let apply = async |version| {
        store.apply("members", pumasi_core::event::Target::Current, &[member("m", version)]).await
    };
    bus.publish(&[member("m", 1), member("m", 2)]).await.unwrap();
    assert_eq!(apply(2).await.unwrap(), 1);
    assert_eq!(apply(1).await.unwrap(), 0, "an older one does not reach the mapping");
    // The table refuses it, and so the store does not have it either.
    let error = apply(3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!format!("{error:?}").contains("달리는곰"), "{error:?}");
    assert_eq!(members.get("m").await.unwrap().unwrap().version, 2);
    members.rebuild(&bus).await.unwrap();
    let rows = sqlx::query("SELECT generation, name FROM nickname").fetch_all(&pool).await.unwrap();
    let rows: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(rows, [(2, "달리는곰 2".to_owned())]);
}

#[tokio::test]
async fn audit_columns_are_filled_on_the_consuming_side_and_the_trace_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite::pool(&folder.path().join("service.db")).await;
    sqlx::query("CREATE TABLE crew (id TEXT, changed_by TEXT, role TEXT, trace TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    let inbox = SqliteInbox::new(pool.clone());
    inbox.migrate().await.unwrap();
    let trace: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    // The request, in the service that publishes.
    let bus = memory_bus();
    let request =
        Context::new().with_actor(Actor::new("user-42").with_role("crew-leader")).with_trace(trace.clone());
    let first = request.scope(async { event("crew-7", 1).in_context() }).await;
    bus.publish(&[first]).await.unwrap();
    // The handler, in another one: an audit column, and an event of its own.
    let next = bus.clone();
    let handler = inbox.handler("crews", move |transaction, delivery| {
        let next = next.clone();
        Box::pin(async move {
            let context = Context::current().expect("the consumer sets it");
            let actor = context.actor.expect("the request had one");
            sqlx::query("INSERT INTO crew VALUES (?1, ?2, ?3, ?4)")
                .bind(&delivery.event.key)
                .bind(actor.id)
                .bind(actor.role)
                .bind(context.trace.map(|trace| trace.traceparent().to_owned()))
                .execute(transaction)
                .await?;
            let further = Envelope::new("notices", "n", State::Created, 1).in_context();
            next.publish(&[further]).await?;
            Ok(())
        })
    });
    let shutdown = Shutdown::new();
    let consumer = Consumer::new(bus.clone(), Subscription::new("crews", [TOPIC]), handler);
    let control = consumer.control();
    let running = tokio::spawn(consumer.run(shutdown.clone()));
    until("the crew", async || control.stats().handled == 1).await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
    let row = sqlx::query("SELECT id, changed_by, role, trace FROM crew").fetch_one(&pool).await.unwrap();
    let row: [String; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
    assert_eq!(row, ["crew-7", "user-42", "crew-leader", trace.traceparent()]);
    // And so on, to the consumer of the consumer's event.
    let (seen, shutdown) = (Arc::new(std::sync::Mutex::new(None)), Shutdown::new());
    let handler = {
        let (seen, shutdown) = (Arc::clone(&seen), shutdown.clone());
        handler_fn(move |_| {
            *seen.lock().unwrap() = Context::current();
            shutdown.trigger();
            async { Ok(()) }
        })
    };
    Consumer::new(bus, Subscription::new("notices", ["notices"]), handler).run(shutdown).await.unwrap();
    let seen = seen.lock().unwrap().clone().unwrap();
    assert_eq!((seen.actor.unwrap().id.as_str(), seen.trace), ("user-42", Some(trace)));
}
