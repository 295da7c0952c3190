//! How questions are answered from the file.

use std::time::Duration;

use sqlx::Row;

use super::{SqliteStore, rows};
use crate::store::{Query, Status};

#[tokio::test]
async fn questions_about_ages_are_answered_from_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("sagas.db")).await.unwrap();
    let (age, open) = (Duration::from_mins(1), [Status::Waiting, Status::NeedsOperator]);
    for (query, index) in [
        (Query::new().with_age(age), "pumasi_saga_created"),
        (Query::new().with_age(age).with_standing(age).with_step("pay"), "pumasi_saga_created"),
        (Query::new().with_standing(age).with_statuses(open), "pumasi_saga_standing"),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", rows::statement(&query)));
        let plan = sqlx::query(explain).fetch_all(&store.shared.readers).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get(3)).collect();
        assert!(plan.iter().any(|line| line.contains(index)), "{query:?}: {plan:?}");
    }
}
