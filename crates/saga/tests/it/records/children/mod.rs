//! Children, and what is recorded of them: whose each is, for which time it was begun anew or passed over, and what its parent left with
//! its driver.

use super::*;

pub(super) const RECORDS: Records = Records {
    folder: "children",
    sqlite: include_str!("sqlite.sql"),
    postgres: include_str!("postgres.sql"),
    redis: include_str!("redis.json"),
    workers: &[
        |store, shop| Box::pin(async move { stand_before_children(store, &shop).await }),
        |store, shop| Box::pin(async move { leave_children(store, &shop).await }),
    ],
    standing: &STANDING,
    drive: |store| Box::pin(drive(store)),
};

/// Comes to children, and does not begin them: one for the first time, one for the second.
async fn stand_before_children(store: Arc<dyn SagaStore>, shop: &Arc<Shop>) {
    let orders = open(store, shop).orders;
    let here = orders.clone();
    shop.stand_before_child(5, 0);
    tokio::spawn(async move { paid(&here, 5).await });
    shop.stands(5, "packing").await;
    paid(&orders, 6).await;
    // The first time is undone before.
    shop.stand_before_child(6, 1);
    tokio::spawn(async move { packed_again(&orders, 6).await });
    shop.stands(6, "packing").await;
}

/// Undoes these, and leaves others at every place where children may be.
async fn leave_children(store: Arc<dyn SagaStore>, shop: &Arc<Shop>) {
    let options = || EngineOptions::new().with_patience(Duration::from_millis(200));
    let Handles { orders, promised, .. } = open_with(Arc::clone(&store), shop, options());
    for order in [5, 6] {
        called_off(&orders, order).await;
    }
    while orders.engine().run_due().await.unwrap() > 0 {}
    for order in [5, 6] {
        assert_eq!(orders.view(&order).await.unwrap().status, Status::Compensated);
    }
    for order in [1, 2, 3, 4, 101] {
        paid(&orders, order).await;
    }
    for order in [3, 4] {
        packed_again(&orders, order).await;
    }
    shop.refuse(8, "pack");
    assert_eq!(promised.start(&8).await.unwrap().status, Status::NeedsOperator);
    let here = orders.clone();
    shop.stand_at(9, "label");
    tokio::spawn(async move { paid(&here, 9).await });
    shop.stands(9, "label").await;
    // The parent of one that another worker has under way goes back, and leaves that with it.
    let elsewhere = open_with(store, shop, options()).packings;
    shop.stand_behind(7, "label");
    tokio::spawn(async move { elsewhere.start(&7).await });
    shop.stands(7, "label").await;
    paid(&orders, 7).await;
    called_off(&orders, 7).await;
}

/// What stands at the partner then.
const STANDING: [(u64, &[&str]); 10] = [
    (1, &["take", "pack", "label"]),
    (2, &["take", "pack", "label"]),
    (3, &["take", "pack", "label"]),
    (4, &["take", "pack", "label"]),
    (5, &[]),
    (6, &[]),
    (7, &["take", "pack", "label"]),
    (8, &["take"]),
    (9, &["take", "pack"]),
    (101, &[]),
];

/// What is recorded of the children then.
const RECORDED: [(u64, &[&str]); 9] = [
    (1, &["child_of"]),
    (2, &["child_of"]),
    (3, &["child_of", "cancel", "restart"]),
    (4, &["child_of", "cancel", "restart"]),
    (5, &["cancel", "child_of"]),
    (6, &["child_of", "cancel", "pass_over"]),
    // Its driver has not heard of it.
    (7, &[]),
    (8, &["child_of"]),
    (9, &["child_of"]),
];

async fn drive(store: Arc<dyn SagaStore>) {
    let shop = Arc::new(Shop::with(&STANDING));
    let Handles { orders, packings, promised } = open(Arc::clone(&store), &shop);
    for (child, actions) in RECORDED {
        let audits = packings.snapshot(&child).await.unwrap().audits;
        let recorded: Vec<_> = audits.iter().map(|audit| &*audit.action).collect();
        assert_eq!(recorded, actions, "child {child}");
        let parent = match child {
            8 => format!("{}/packed", promised.id(&child).unwrap()),
            _ => format!("{}/packing", orders.id(&child).unwrap()),
        };
        for audit in audits.iter().filter(|audit| &*audit.action == "child_of") {
            assert_eq!(*audit.why, *parent, "child {child}");
        }
    }
    let left = store.load(packings.id(&7).unwrap()).await.unwrap().unwrap().signals;
    assert_eq!(left.len(), 1, "what its parent left");

    let running = Running::of(orders.engine());
    come_to(&orders, 7, |view| view.status == Status::Compensated).await;
    come_to(&orders, 9, |view| view.next.as_deref() == Some("weighed")).await;
    // It belongs to the first order all the same.
    orders.restart(&101).await.unwrap();
    let refused = orders.advance(&101, Paid(35_000)).await.unwrap();
    let belongs = Some("the child belongs to another saga or step");
    assert_eq!((refused.status, refused.reason.as_deref()), (Status::Compensated, belongs));
    for order in [2, 3] {
        called_off(&orders, order).await;
    }
    // Neither was begun for the time that was undone, and each is begun for the next.
    for order in [5, 6] {
        orders.restart(&order).await.unwrap();
        orders.advance(&order, Paid(35_000)).await.unwrap();
        assert_eq!(packings.view(&order).await.unwrap().run, 1, "order {order}");
    }
    let retried = promised.decide(&8, Decision::retry(WHO, "there are boxes")).await.unwrap();
    assert_eq!((retried.status, packings.view(&8).await.unwrap().run), (Status::Completed, 1));
    for order in [1, 4, 5, 6, 9] {
        let view = orders.advance(&order, Weighed(1_200)).await.unwrap();
        assert_eq!(view.status, Status::Completed, "order {order}");
    }
    for order in [2, 3, 7] {
        come_to(&orders, order, |view| view.status == Status::Compensated).await;
        assert_eq!(packings.view(&order).await.unwrap().status, Status::Compensated);
    }
    for (order, _) in STANDING {
        let all: &[&str] = match order {
            2 | 3 | 7 | 101 => &[],
            8 => &["take", "pack", "label"],
            _ => &["take", "pack", "label", "hand_over", "tell"],
        };
        assert_eq!(shop.standing(order), all, "order {order}: what stands, each once");
    }
    running.end().await;
}
