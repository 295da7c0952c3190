//! How many questions a day a model answers, whose calls cost money: from one address, and in all.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{Stream, StreamExt as _};
use pumasi_core::Result;
use pumasi_core::database::failed;
use pumasi_rag::answer::{AnswerEvent, Summary};
use support::client::Client;
use support::database::{Database, Sql};
use support::on;
use support::servers::Pool;
use tokio::runtime::Handle;

const DAY: Duration = Duration::from_hours(24);
/// The row of all addresses together.
const ALL: &str = "";

/// The settings.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Bounds {
    /// How many questions a day (UTC) from one address the model answers; what is asked beyond is answered with sentences of the sources.
    #[arg(long, default_value = "50")]
    model_questions_per_address: u32,
    /// How many questions a day the model answers in all.
    #[arg(long, default_value = "2000")]
    model_questions: u32,
}

impl Bounds {
    pub(super) const fn per_address(self) -> u32 {
        self.model_questions_per_address
    }

    pub(super) const fn in_all(self) -> u32 {
        self.model_questions
    }
}

/// Counts questions, in a file or a database: a restart forgets nothing, and processes that share the database share the count.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    database: Database,
    limits: Bounds,
}

/// A question that was counted.
#[derive(Debug)]
pub(super) struct Counted {
    allowance: Allowance,
    day: i64,
    who: String,
}

impl Allowance {
    pub(super) async fn open(file: &Path, database: Option<Pool>, limits: Bounds) -> Result<Self> {
        let schema = Sql::both(include_str!("sql/allowance.sql"));
        Ok(Self { database: Database::open(file, database, schema).await?, limits })
    }

    pub(super) const fn limits(&self) -> Bounds {
        self.limits
    }

    /// Counts a question, if the model may answer one more today.
    ///
    /// Where it cannot be counted, it may not.
    pub(super) async fn count(&self, client: Option<Client>) -> Option<Counted> {
        self.count_on(today(), client).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a question to the model could not be counted"
            );
            None
        })
    }

    async fn count_on(&self, day: i64, client: Option<Client>) -> Result<Option<Counted>> {
        let who = client.map_or_else(|| "unknown".to_owned(), |client| client.network().to_string());
        let counting = |error| failed("counting a question", error);
        on!(&self.database, pool, begin => {
            let mut transaction = begin().await.map_err(counting)?;
            // In this order everywhere, so that nobody waits for each other.
            for (who, most) in [(ALL, self.limits.in_all()), (&who, self.limits.per_address())] {
                let count = sqlx::query(include_str!("sql/count.sql")).bind(day).bind(who).bind(i64::from(most));
                let counted = count.execute(&mut *transaction).await.map_err(counting)?;
                if counted.rows_affected() == 0 {
                    return Ok(None);
                }
            }
            let forget = sqlx::query("DELETE FROM model_questions WHERE day < $1").bind(day);
            forget.execute(&mut *transaction).await.map_err(counting)?;
            transaction.commit().await.map_err(counting)?;
        });
        Ok(Some(Counted { allowance: self.clone(), day, who }))
    }
}

/// A question whose answer is under way.
struct Held {
    counted: Option<Counted>,
    /// Whether the model may have been called, which costs money whoever reads the answer.
    is_called: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let counted = self.counted.take().filter(|_| !self.is_called);
        if let (Some(counted), Ok(runtime)) = (counted, Handle::try_current()) {
            runtime.spawn(counted.give_back());
        }
    }
}

impl Counted {
    /// Gives the question back unless the model answers it: where it was a first question of which nothing is known, where the model
    /// fails, and where whoever asked leaves before the model is called. That is once the sources are there, and at once where what was
    /// said before is put into words.
    pub(super) fn unless_unanswered(
        self,
        is_first: bool,
        answer: impl Stream<Item = AnswerEvent> + Send + 'static,
    ) -> impl Stream<Item = AnswerEvent> + Send + 'static {
        let mut held = Held { counted: Some(self), is_called: !is_first };
        answer.then(move |event| {
            let is_free = match &event {
                AnswerEvent::Done(summary) => {
                    let Summary { is_cached, unreachable, model, .. } = summary;
                    *is_cached || unreachable.is_some() || (is_first && model.is_none())
                }
                AnswerEvent::Error(_) => true,
                AnswerEvent::Retrieved { sources, .. } => {
                    held.is_called |= !sources.is_empty();
                    false
                }
                _ => false,
            };
            let counted = if is_free { held.counted.take() } else { None };
            async move {
                if let Some(counted) = counted {
                    counted.give_back().await;
                }
                event
            }
        })
    }

    async fn give_back(self) {
        let update =
            "UPDATE model_questions SET questions = questions - 1 WHERE day = $1 AND who IN ($2, $3)";
        let Self { allowance: Allowance { database, .. }, day, who } = &self;
        let given_back = on!(database, pool => {
            sqlx::query(update).bind(day).bind(ALL).bind(who).execute(pool).await.map(drop)
        });
        if let Err(error) = given_back {
            let error = failed("giving a question back", error);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a question that cost nothing stays counted"
            );
        }
    }
}

fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use pumasi_rag::answer::Source;

    use super::*;

    fn client(address: &str) -> Option<Client> {
        Some(Client(address.parse().unwrap()))
    }

    async fn open(folder: &Path, per_address: u32, in_all: u32) -> Allowance {
        let limits = Bounds { model_questions_per_address: per_address, model_questions: in_all };
        Allowance::open(&folder.join("asked.sqlite"), None, limits).await.unwrap()
    }

    #[tokio::test]
    async fn an_address_and_all_together_have_so_many_a_day_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let one = client("203.0.113.7");
        let counted = async |allowance: &Allowance, day, who| allowance.count_on(day, who).await.unwrap();
        let allowance = open(folder.path(), 2, 3).await;
        assert!(counted(&allowance, 1, one).await.is_some());
        counted(&allowance, 1, one).await.unwrap().give_back().await;
        assert!(counted(&allowance, 1, one).await.is_some());
        assert!(counted(&allowance, 1, one).await.is_none(), "the third of one address");

        let allowance = open(folder.path(), 2, 3).await;
        assert!(counted(&allowance, 1, one).await.is_none());
        assert!(counted(&allowance, 1, client("2001:db8::1")).await.is_some());
        assert!(counted(&allowance, 1, client("198.51.100.1")).await.is_none(), "the fourth of all");
        assert!(counted(&allowance, 2, one).await.is_some(), "the next day");
        let rows: i64 = on!(&allowance.database, pool => {
            sqlx::query_scalar("SELECT count(*) FROM model_questions WHERE day = 1").fetch_one(pool).await.unwrap()
        });
        assert_eq!(rows, 0, "addresses of other days are forgotten");
        assert!(counted(&open(folder.path(), 0, 9).await, 3, one).await.is_none());
    }

    #[tokio::test]
    async fn who_leaves_gets_back_only_what_the_model_was_not_called_for() {
        let folder = tempfile::tempdir().unwrap();
        let allowance = open(folder.path(), 9, 9).await;
        let source = Source::new(1, "knee", "", "무릎이 아프면 쉽니다.");
        let found = |sources| AnswerEvent::Retrieved { sources, version: 1 };
        for (is_first, events, is_given_back) in [
            (true, vec![], true),
            (true, vec![found(vec![])], true),
            (true, vec![found(vec![source.clone()])], false),
            (false, vec![], false),
        ] {
            let counted = allowance.count_on(1, client("203.0.113.7")).await.unwrap().unwrap();
            let read = events.len();
            let answer = stream::iter(events).chain(stream::pending());
            let mut answer = Box::pin(counted.unless_unanswered(is_first, answer));
            for _ in 0..read {
                answer.next().await.unwrap();
            }
            let running = Handle::current().metrics().num_alive_tasks();
            drop(answer);
            let begun = Handle::current().metrics().num_alive_tasks() - running;
            assert_eq!(begun == 1, is_given_back, "{is_first} {read}");
        }
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let allowance = open(folder.path(), 5, 100).await;
        let asked = (0..20).map(|_| allowance.count_on(1, client("203.0.113.7")));
        let counted = futures_util::future::join_all(asked).await;
        assert_eq!(counted.into_iter().filter(|counted| counted.as_ref().unwrap().is_some()).count(), 5);
    }
}
