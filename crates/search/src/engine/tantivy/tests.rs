use std::time::Duration;

use pumasi_core::filter::Field;
use serde_json::json;

use crate::{
    Change, Count, Document, Page, Query, Rank, Schema, SearchEngine, Sort, TantivyEngine, TextField, Total,
};

const LIKES: Field<i64> = Field::new("likes");
const RATING: Field<f64> = Field::new("rating");
const CITY: Field<String> = Field::new("city");
const OPEN: Field<bool> = Field::new("open");

const ALL: usize = 900;

/// An index of several segments with many equals, some of them deleted and some without a value.
async fn engine(folder: &std::path::Path) -> TantivyEngine {
    let schema = Schema::new("posts").with_text(TextField::new("body"));
    let schema = schema.with_field(&LIKES).with_field(&RATING).with_field(&CITY).with_field(&OPEN);
    let engine = TantivyEngine::open(schema, folder).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let mut ids: Vec<u32> = (0..1_000).collect();
    random.shuffle(&mut ids);
    for (number, batch) in ids.chunks(180).enumerate() {
        let change = |id: &u32| {
            let words: Vec<&str> = (0..random.usize(1..6))
                .map(|_| ["한강", "러닝", "run", "night"][random.usize(..4)])
                .collect();
            let rating = [-0.0, 0.0, 1.5][random.usize(..3)];
            let mut source = json!({"body": words.join(" "), "open": random.bool(), "rating": rating});
            if random.u8(..5) > 0 {
                source["likes"] = json!(random.i64(-3..3));
                source["city"] = json!(["서울", "부산", "Jeju"][random.usize(..3)]);
            }
            Change::upsert(Document::new(format!("{id:04}"), source), 1)
        };
        let mut changes: Vec<Change> = batch.iter().map(change).collect();
        changes.extend(ids.iter().skip(number * 17).take(17).map(|id| Change::delete(format!("{id:04}"), 2)));
        for result in engine.apply(&changes).await.unwrap() {
            result.unwrap();
        }
    }
    engine
}

async fn page(engine: &TantivyEngine, query: &Query) -> Page {
    engine.search(query, Duration::from_secs(10)).await.unwrap()
}

#[tokio::test]
async fn a_short_page_is_the_beginning_of_a_long_one_and_a_walk_is_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let sorts = [
        vec![Sort::descending(&LIKES)],
        vec![Sort::ascending(&LIKES), Sort::descending(&RATING)],
        vec![Sort::descending(&RATING)],
        vec![Sort::descending(&CITY)],
        vec![Sort::ascending(&CITY), Sort::descending_at(OPEN.path()), Sort::ascending(&LIKES)],
        vec![Sort::descending_at(OPEN.path()), Sort::ascending(&CITY)],
    ];
    let ranks = sorts.into_iter().map(Rank::sorted).chain([Rank::Text]);
    for rank in ranks {
        for text in ["한강", "러닝 night", "run 한강 러닝", ""] {
            let query = Query::new(text).with_rank(rank.clone());
            let whole = page(&engine, &query.clone().with_limit(ALL)).await;
            assert!(whole.hits.len() > 100 && whole.next.is_none());
            for limit in [1, 2, 7, 20, 150] {
                let short = page(&engine, &query.clone().with_limit(limit)).await;
                assert_eq!(short.ids(), whole.ids()[..limit], "{rank:?} {text} {limit}");
            }
            let mut walked: Vec<String> = Vec::new();
            let mut next = query.clone().with_limit(37);
            loop {
                let page = page(&engine, &next).await;
                walked.extend(page.hits.into_iter().map(|hit| hit.id));
                match page.next {
                    Some(cursor) => next = query.clone().with_limit(37).after(cursor),
                    None => break,
                }
            }
            assert_eq!(walked, whole.ids(), "{rank:?} {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_an_order_that_is_asked_again_and_again_is_listed_and_nothing_else_changes() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path()).await;
    let orders = [
        vec![Sort::descending(&LIKES)],
        vec![Sort::ascending(&CITY), Sort::descending_at(OPEN.path()), Sort::ascending(&LIKES)],
    ];
    let query = |sorts: &[Sort]| Query::everything().with_rank(Rank::sorted(sorts.to_vec()));
    let listed = || {
        let (_, columns) = engine.shelf().unwrap().snapshot().unwrap();
        (0..).map_while(|ord| columns.of(ord).ok()).map(|segment| segment.listed()).collect::<Vec<_>>()
    };
    let mut before = Vec::new();
    for sorts in &orders {
        before.push(page(&engine, &query(sorts).with_limit(ALL).with_count(Count::Exact)).await);
    }
    for sorts in &orders {
        for _ in 0..20 {
            page(&engine, &query(sorts).with_limit(1)).await;
        }
    }
    while listed().iter().any(|count| *count < orders.len()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(listed().len() > 1, "one segment only");
    for (sorts, before) in orders.iter().zip(&before) {
        let after = page(&engine, &query(sorts).with_limit(ALL).with_count(Count::Exact)).await;
        assert_eq!((after.ids(), after.total), (before.ids(), before.total));
        let some = page(&engine, &query(sorts).with_limit(3).with_count(Count::UpTo(100))).await;
        assert_eq!((some.ids(), some.total), (before.ids()[..3].to_vec(), Total::AtLeast(100)));
    }
    // what is deleted from then on is not found any more
    let gone = before[0].ids()[1].to_owned();
    engine.apply(&[Change::delete(gone.as_str(), 9)]).await.unwrap();
    let after = page(&engine, &query(&orders[0]).with_limit(2).with_count(Count::Exact)).await;
    assert_eq!(after.ids(), [before[0].ids()[0], before[0].ids()[2]]);
    let Total::Exact(all) = before[0].total else { panic!("not counted") };
    assert_eq!(after.total, Total::Exact(all - 1));
}
