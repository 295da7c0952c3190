//! Lots: who is drawn is called up in the background, once, and a place that comes free goes to the next.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::*;

const RUNNERS: [&str; 4] = ["민수", "Jane", "지우", "Alex"];

async fn file(folder: &Path, name: &str) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", folder.join(name).display())).await.unwrap()
}

async fn run(books: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(books).await.unwrap();
}

impl Races {
    /// Makes a lottery that four have entered.
    async fn lottery(&self, places: u32) -> String {
        let race = self.race("lottery", places).await;
        for runner in RUNNERS {
            assert_eq!(self.answer_all(&race, runner, None).await["next"], "drawn");
        }
        race
    }

    /// Waits until so many are asked to pay, and returns who they are.
    pub(super) async fn paying(&self, race: &str, wanted: usize) -> Vec<&'static str> {
        let path = format!("/races/{race}/registration");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut paying = Vec::new();
            for runner in RUNNERS {
                if self.get(&path, Runner(runner)).await["next"] == "payment_completed" {
                    paying.push(runner);
                }
            }
            if paying.len() == wanted {
                return paying;
            }
            assert!(Instant::now() < deadline, "{paying:?} are called up");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn withdraw(&self, race: &str, runner: &'static str) {
        let path = format!("/races/{race}/registration");
        assert_eq!(self.ask(Method::DELETE, &path, Runner(runner), None).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_draw_is_answered_before_anybody_is_called_up_and_the_calling_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let race = desk.lottery(3).await;
    // nobody can be told anything for as long as this holds the file
    let mut sagas = file(folder.path(), "sagas.sqlite").await;
    run(&mut sagas, "BEGIN IMMEDIATE").await;
    let at = format!("/races/{race}/draw");
    let draw = tokio::time::timeout(Duration::from_secs(5), desk.post(&at, Organiser, json!({}))).await;
    let draw = draw.expect("the draw waits for those who are called up");
    assert_eq!(draw["winners"].as_array().unwrap().len(), 3);
    desk.service.signal("-KILL").unwrap();
    drop(desk);
    run(&mut sagas, "ROLLBACK").await;

    let desk = Races::start(folder.path(), &[]);
    desk.paying(&race, 3).await;
    assert_eq!(desk.places(&race).await, (3, 0));
}

#[tokio::test]
async fn a_draw_that_is_finished_is_left_alone_and_an_older_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Races::start(folder.path(), &[]);
    let (first, second) = (desk.lottery(1).await, desk.lottery(2).await);
    for (race, places) in [(&first, 1), (&second, 2)] {
        desk.post(&format!("/races/{race}/draw"), Organiser, json!({})).await;
        desk.paying(race, places).await;
    }
    let mut books = file(folder.path(), "books.sqlite").await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let unfinished = "SELECT count(*) FROM calls WHERE done < due";
    while sqlx::query_scalar::<_, i64>(unfinished).fetch_one(&mut books).await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "the calling has no end");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // whoever looks at the first draw again fails
    sqlx::query("UPDATE races SET draw = '{' WHERE id = $1").bind(&first).execute(&mut books).await.unwrap();
    let paying = desk.paying(&second, 2).await;
    desk.withdraw(&second, paying[0]).await;
    desk.paying(&second, 2).await;
    let logs = desk.service.logs();
    assert!(!logs.contains("could not be called up"), "{logs}");

    // a file from before there were turns: those of the second are laid out anew, and nobody is called up twice
    drop(desk);
    run(&mut books, "DROP TABLE turns; DROP TABLE calls").await;
    let desk = Races::start(folder.path(), &[]);
    let paying = desk.paying(&second, 2).await;
    assert_eq!(desk.places(&second).await, (2, 0));
    desk.withdraw(&second, paying[1]).await;
    let next = desk.paying(&second, 2).await;
    assert!(!next.contains(&paying[1]));
    // who was drawn, gave up and comes again has the turn back when all others are gone
    let path = format!("/races/{second}/registration");
    for runner in next {
        desk.withdraw(&second, runner).await;
    }
    desk.post(&path, Runner(paying[1]), json!({"again": true})).await;
    desk.answer_all(&second, paying[1], None).await;
    assert_eq!(desk.paying(&second, 1).await, [paying[1]]);
}
