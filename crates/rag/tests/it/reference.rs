//! Stores held against the one in memory: what filters admit, what is near, and how passages are ranked.

use std::collections::HashSet;
use std::sync::Arc;

use pumasi_core::filter::{Bounds, FieldPath, Filter};
use pumasi_core::model::HashingEmbedder;
use pumasi_rag::store::{Entry, Scored, StoreQuery};
use pumasi_rag::{ChunkId, Ingest, MemoryStore, Question, Retriever, Space, Store, Tenant};

use crate::knowledge;
use crate::random::{entry, random_filter, random_metadata, space, unit};

/// Fills an empty store of four dimensions at random, and asks it and the reference by as many filters as there are cases.
pub(crate) async fn admit_the_same(store: &impl Store, documents: usize, cases: usize) {
    let reference = MemoryStore::new(space(4), Tenant::single());
    let mut rng = fastrand::Rng::with_seed(11);
    let entries: Vec<Entry> = (0..documents)
        .map(|n| {
            let vector = unit((0..4).map(|_| rng.f32() - 0.5).collect());
            entry(&format!("문서-{n}"), &format!("달리기 {n}"), vector, random_metadata(&mut rng))
        })
        .collect();
    store.put(entries.clone()).await.unwrap();
    reference.put(entries).await.unwrap();
    let ids = |ranking: Vec<Scored>| ranking.into_iter().map(|scored| scored.id).collect::<HashSet<_>>();
    let (mut admitted, mut some) = (0, 0);
    for case in 0..cases {
        let filter = random_filter(&mut rng, 3);
        let query = StoreQuery::new(documents).with_embedding(vec![1.0, 0.0, 0.0, 0.0]);
        let query = query.with_filter(filter.clone());
        let expected = ids(reference.search(&query).await.unwrap().dense);
        let got = ids(store.search(&query).await.unwrap().dense);
        assert_eq!(got, expected, "case {case}: {}", serde_json::to_string(&filter).unwrap());
        assert_eq!(store.count(&filter).await.unwrap(), reference.count(&filter).await.unwrap());
        admitted += got.len();
        some += usize::from(!got.is_empty() && got.len() < documents);
    }
    println!(
        "{cases} random filters admitted {admitted} documents of {documents} each; {some} admitted some and not all"
    );
    assert!(some * 3 > cases, "{some}");
    let filter = random_filter(&mut rng, 2);
    assert_eq!(store.remove_where(&filter).await.unwrap(), reference.remove_where(&filter).await.unwrap());
    let wide = Filter::Or((0..9_000).map(|value| FieldPath::from("a").eq(value)).collect());
    assert_eq!(store.count(&wide).await.unwrap(), reference.count(&wide).await.unwrap());
}

/// Searches what both stores hold by filters that all, one and ten in a hundred chunks match, by turns: 95 % of the nearest are
/// found, and all of them by the turns that are exact.
pub(crate) async fn find_the_nearest(
    what: &str,
    store: &impl Store,
    (reference, entries): (&MemoryStore, &[Entry]),
    is_exact: impl Fn(usize) -> bool,
) {
    let (mut hits, mut all) = (0, 0);
    for (n, asked) in entries.iter().step_by(47).enumerate() {
        let level = FieldPath::from("level");
        let filter = match n % 3 {
            0 => Filter::And(Vec::new()),
            1 => level.eq(n as u64 % 100),
            _ => level.within(Bounds::gte(n as u64 % 90).and_lt(n as u64 % 90 + 10)),
        };
        let query = StoreQuery::new(10).with_embedding(asked.chunks[0].embedding.clone()).with_filter(filter);
        let got = store.search(&query).await.unwrap().dense;
        let expected = reference.search(&query).await.unwrap().dense;
        assert_eq!(got.len(), 10, "{what}");
        all += expected.len();
        hits += got.iter().filter(|hit| expected.contains(hit)).count();
        if is_exact(n) {
            assert_eq!(got, expected, "{what}");
        }
    }
    println!("{what}: {hits} of {all} nearest found");
    assert!(hits * 100 >= all * 95, "{what}: {hits} of {all}");
}

/// Puts the committed knowledge into empty stores, and asks about it: each ranks as the reference does, to the last bit.
pub(crate) async fn rank_the_same(stores: Vec<Arc<dyn Store>>) {
    let embedder = HashingEmbedder::new();
    let expected = rankings(Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()))).await;
    assert!(expected.iter().filter(|hits| !hits.is_empty()).count() * 2 > expected.len());
    for store in stores {
        assert_eq!(rankings(store).await, expected);
    }
}

async fn rankings(store: Arc<dyn Store>) -> Vec<Vec<(ChunkId, u32)>> {
    let embedder = Arc::new(HashingEmbedder::new());
    let documents = knowledge::documents();
    let questions: Vec<Question> = documents
        .iter()
        .flat_map(|document| [document.title.clone(), document.text.chars().skip(40).take(60).collect()])
        .map(Question::new)
        .collect();
    Ingest::new(store.clone(), embedder.clone()).run(documents).await.unwrap();
    let retriever = Retriever::new(store, embedder);
    let mut rankings = Vec::new();
    for question in &questions {
        let found = retriever.retrieve(question).await.unwrap();
        rankings.push(found.hits.into_iter().map(|hit| (hit.passage.id, hit.score.to_bits())).collect());
    }
    rankings
}
