//! Orders, each with a child: what the code of commit `3e7c244^` wrote, where no child recorded for which time it was made when it was
//! new, nor whose it is.

use super::*;

pub(super) const RECORDS: Records = Records {
    folder: "orders",
    sqlite: include_str!("sqlite.sql"),
    postgres: include_str!("postgres.sql"),
    redis: include_str!("redis.json"),
    workers: &[|store, shop| Box::pin(async move { write(&open(store, &shop).orders, &shop).await })],
    standing: &STANDING,
    drive: |store| Box::pin(drive(store)),
};

async fn begun_anew(orders: &Sagas, order: u64) {
    orders.start(&order).await.unwrap();
    called_off(orders, order).await;
    orders.restart(&order).await.unwrap();
    orders.advance(&order, Paid(35_000)).await.unwrap();
}

/// Leaves orders at every place where a version may end and the next one begin.
async fn write(orders: &Sagas, shop: &Arc<Shop>) {
    for order in [1, 2, 3, 4, 10, 11, 12, 13, 14] {
        paid(orders, order).await;
    }
    for order in [3, 4] {
        packed_again(orders, order).await;
    }
    for order in [5, 6, 7] {
        begun_anew(orders, order).await;
    }
    // Its weight comes early.
    orders.start(&9).await.unwrap();
    orders.advance(&9, Weighed(1_200)).await.unwrap();
    for order in [10, 13] {
        orders.advance(&order, Weighed(1_200)).await.unwrap();
    }
    called_off(orders, 14).await;
    // These stand in the middle of a step of their child's when their worker dies.
    let (here, stand) = (orders.clone(), |order, step| shop.stand_at(order, step));
    stand(8, "label");
    tokio::spawn(async move { paid(&here, 8).await });
    shop.stands(8, "label").await;
    let here = orders.clone();
    stand(11, "unpack");
    tokio::spawn(async move { called_off(&here, 11).await });
    shop.stands(11, "unpack").await;
    let here = orders.clone();
    stand(12, "label");
    tokio::spawn(async move { packed_again(&here, 12).await });
    shop.stands(12, "label").await;
}

/// What stands at the partner then.
const STANDING: [(u64, &[&str]); 14] = [
    (1, &["take", "pack", "label"]),
    (2, &["take", "pack", "label"]),
    (3, &["take", "pack", "label"]),
    (4, &["take", "pack", "label"]),
    (5, &["take", "pack", "label"]),
    (6, &["take", "pack", "label"]),
    (7, &["take", "pack", "label"]),
    (8, &["take", "pack"]),
    (9, &[]),
    (10, &["take", "pack", "label", "hand_over"]),
    (11, &["take", "pack"]),
    (12, &["take", "pack"]),
    (13, &["take", "pack", "label", "hand_over", "tell"]),
    (14, &[]),
];

async fn drive(store: Arc<dyn SagaStore>) {
    let shop = Arc::new(Shop::with(&STANDING));
    let all = store.query(&Query::new()).await.unwrap();
    for query in [Query::new().with_age(Duration::ZERO), Query::new().with_standing(Duration::ZERO)] {
        assert_eq!(store.query(&query).await.unwrap(), all, "found by {query:?}");
    }
    let orders = open(store, &shop).orders;
    let running = Running::of(orders.engine());
    for (order, _) in STANDING {
        let snapshot = orders.snapshot(&order).await.unwrap();
        assert!(!snapshot.history.is_empty() && snapshot.mermaid().contains("packing"), "order {order}");
    }
    // What their worker left goes on by itself.
    for order in [8, 12] {
        come_to(&orders, order, |view| view.next.as_deref() == Some("weighed")).await;
    }
    for order in [2, 4, 5] {
        called_off(&orders, order).await;
    }
    packed_again(&orders, 7).await;
    assert_eq!(shop.standing(7), ["take", "pack", "label"]);
    orders.restart(&14).await.unwrap();
    for order in [9, 14] {
        orders.advance(&order, Paid(35_000)).await.unwrap();
    }
    for order in [1, 3, 6, 7, 8, 12, 14] {
        let view = orders.advance(&order, Weighed(1_200)).await.unwrap();
        let needs_person = NEEDS_PERSON.contains(&order);
        let end = if needs_person { Status::NeedsOperator } else { Status::Completed };
        assert_eq!(view.status, end, "{view:?}");
    }
    for order in NEEDS_PERSON {
        let decision = Decision::force_done(&Told("by hand".to_owned()), WHO, "told by telephone").unwrap();
        orders.decide(&order, decision).await.unwrap();
    }
    let refused = orders.decide(&13, Decision::cancel(WHO, "too late")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    for (order, _) in STANDING {
        let called_off = [2, 4, 5, 11].contains(&order);
        let end = if called_off { Status::Compensated } else { Status::Completed };
        come_to(&orders, order, |view| view.status == end).await;
        let all: &[&str] = match order {
            _ if called_off => &[],
            _ if NEEDS_PERSON.contains(&order) => &["take", "pack", "label", "hand_over"],
            _ => &["take", "pack", "label", "hand_over", "tell"],
        };
        assert_eq!(shop.standing(order), all, "order {order}: what stands, each once");
    }
    running.end().await;
}
