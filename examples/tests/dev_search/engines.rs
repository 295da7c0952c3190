//! Searching, whatever becomes of the engines.

use std::time::{SystemTime, UNIX_EPOCH};

use pumasi_core::event::{Envelope, EventBus as _, SqliteBus, State};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use support::child::Running;
use support::servers;

use super::*;

#[tokio::test]
async fn searches_are_answered_whatever_becomes_of_the_engines() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let is = |served: &'static str, engine: Value| {
        move |found: &Value| found["served"] == served && found["engine"] == engine && !ids(found).is_empty()
    };
    site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    for line in ["refused", "silent"] {
        site.cut("primary", line).await;
        site.search_until("검색 엔진", is("degraded", json!("database"))).await;
        site.cut("primary", "whole").await;
        site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    }
    site.search_until("검색 엔진", is("cached", Value::Null)).await;
    site.cut("primary", "refused").await;
    site.cut("fallback", "refused").await;
    let stale = site.search_until("검색 엔진", is("stale", Value::Null)).await;
    assert!(stale["age_ms"].is_u64(), "{stale}");
    let (status, problem) = site.ask(Method::GET, "/search?q=tantivy", Nobody, None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let (status, problem) = site.ask(Method::GET, "/readyz", Nobody, None).await;
    assert_eq!(
        (status, &problem["down"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(["search", "primary", "fallback"]))
    );
    site.cut("fallback", "whole").await;
    site.cut("primary", "whole").await;
    site.search_until("검색 엔진", is("fresh", json!("engine"))).await;
    let metrics = site.client.get(site.service.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for told in [
        "pumasi_breaker_state{name=\"posts/engine\"} 0",
        "pumasi_search_documents{engine=\"engine\"} 45",
        "pumasi_fallback_seconds_bucket{name=\"posts\",le=\"0.5\"}",
    ] {
        assert!(metrics.contains(told), "{told} is not in {metrics}");
    }
}

#[tokio::test]
async fn one_box_finds_every_kind_with_typos_initials_and_counts_and_walks_on_over_a_failover() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let found = site.search(&[("limit", "1")]).await;
    let kinds: Vec<_> = found["kinds"].as_array().unwrap().iter().map(|kind| kind["count"].clone()).collect();
    assert_eq!((found["total"].as_u64(), kinds), (Some(45), vec![json!(30), json!(6), json!(5), json!(4)]));
    let found = site.search(&[("q", "kubernets")]).await;
    assert_eq!(
        (ids(&found), marked(&found["hits"][0]["title"])),
        (vec!["l03".to_owned()], "Kubernetes".into())
    );
    let found = site.search(&[("q", "ㄹㅅㅌ"), ("typing", "true"), ("kind", "lecture")]).await;
    assert_eq!(ids(&found), ["l01"]);
    let found = site.search(&[("q", "검색"), ("category", "search"), ("lang", "ko")]).await;
    assert!(ids(&found).contains(&"l04".to_owned()) && ids(&found).contains(&"r04".to_owned()), "{found}");
    assert_eq!(found["categories"].as_array().unwrap().len(), 1, "{found}");

    let (mut walked, mut after) = (Vec::new(), None::<String>);
    for page in 0.. {
        site.cut("primary", if page % 2 == 0 { "whole" } else { "refused" }).await;
        let after_this = after.clone().unwrap_or_default();
        let mut asked = vec![("order", "likes"), ("limit", "7")];
        if after.is_some() {
            asked.push(("after", &after_this));
        }
        let found = site.search(&asked).await;
        walked.extend(ids(&found));
        after = found["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((walked.len(), walked.iter().collect::<BTreeSet<_>>().len()), (45, 45), "{walked:?}");
    site.cut("primary", "whole").await;

    let next = site.search(&[("order", "likes"), ("limit", "7")]).await["next"].as_str().unwrap().to_owned();
    let mut forged = next.clone().into_bytes();
    forged[10] = if forged[10] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for (path, status) in [
        (format!("/search?order=likes&after={forged}"), StatusCode::BAD_REQUEST),
        (format!("/search?after={next}"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(site.ask(Method::GET, &path, Nobody, None).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn what_is_written_while_an_engine_is_away_is_found_in_it_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    for line in ["refused", "silent"] {
        site.cut("primary", line).await;
        let title = format!("고래가 {line} 바다를 헤엄친다");
        let (status, entry) = site.ask(Method::POST, "/entries", Member("민수"), Some(post(&title))).await;
        assert_eq!(status, StatusCode::CREATED, "{entry}");
        let id = entry["id"].as_str().unwrap().to_owned();
        site.search_until(&title, |found| ids(found).first() == Some(&id)).await;
        site.cut("primary", "whole").await;
        site.search_until(&title, |found| found["served"] == "fresh" && ids(found).first() == Some(&id))
            .await;
        let path = format!("/entries/{id}");
        assert_eq!(site.ask(Method::DELETE, &path, Member("Jane"), None).await.0, StatusCode::FORBIDDEN);
        assert_eq!(site.ask(Method::DELETE, &path, Member("민수"), None).await.0, StatusCode::NO_CONTENT);
        assert_eq!(site.ask(Method::DELETE, &path, Member("민수"), None).await.0, StatusCode::NOT_FOUND);
        site.search_until(&title, |found| !ids(found).contains(&id)).await;
    }
}

#[tokio::test]
async fn how_the_engines_stand_is_shown_also_while_nobody_searches() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let primary = |is: fn(&Value) -> bool| move |engines: &Value| is(&engines[0]);
    site.until("/engines", Nobody, primary(|row| row["documents"] == 45)).await;
    site.cut("primary", "refused").await;
    let written = site.ask(Method::POST, "/entries", Member("민수"), Some(post("고래"))).await;
    assert_eq!(written.0, StatusCode::CREATED, "{}", written.1);
    let lags = |row: &Value| row["lag_ms"].as_u64().is_some_and(|lag| lag > 0) && row["documents"] == 45;
    site.until("/engines", Nobody, primary(lags)).await;
    site.cut("primary", "whole").await;
    site.until("/engines", Nobody, primary(|row| row["lag_ms"] == 0 && row["documents"] == 46)).await;
    let metrics = site
        .metrics(&[
            "pumasi_search_documents{engine=\"engine\"} 46\n",
            "pumasi_search_lag_seconds{engine=\"engine\"} 0\n",
        ])
        .await;
    assert!(!metrics.contains("pumasi_fallback_answers_total"), "somebody searched: {metrics}");
}

#[tokio::test]
async fn what_no_event_tells_of_is_read_from_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    site.search_until("검색 엔진", |found| found["served"] == "fresh").await;
    let board = SqliteConnectOptions::new().filename(folder.path().join("board.sqlite"));
    let mut board = SqliteConnection::connect_with(&board).await.unwrap();
    let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let insert = "INSERT INTO entries (id, kind, category, lang, title, body, author, likes, price_krw, places, at) \
                  VALUES ('lost', 'post', 'backend', 'ko', '코뿔소를 찾아서', '본문', '민수', 0, 0, 0, $1)";
    sqlx::query(insert).bind(now()).execute(&mut board).await.unwrap();
    let is_found = |found: &Value| found["served"] == "fresh" && ids(found) == ["lost"];
    site.search_until("코뿔소", is_found).await;
    site.cut("primary", "refused").await;
    site.search_until("코뿔소", |found| found["engine"] == "database" && ids(found) == ["lost"]).await;
    site.cut("primary", "whole").await;
    let removed = "INSERT INTO removed_entries (id, at) VALUES ('lost', $1)";
    sqlx::query(removed).bind(now()).execute(&mut board).await.unwrap();
    sqlx::query("DELETE FROM entries WHERE id = 'lost'").execute(&mut board).await.unwrap();
    site.search_until("코뿔소", |found| found["served"] == "fresh" && ids(found).is_empty()).await;
    site.until("/readyz", Nobody, |ready| ready["dependencies"]["following"] == "up").await;
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_lacks_in_no_fresh_answer_after_it() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let site = Site::start(folder.path(), &[]);
        let title = format!("코뿔소 {round}마리가 헤엄친다");
        let (status, entry) = site.ask(Method::POST, "/entries", Member("민수"), Some(post(&title))).await;
        assert_eq!(status, StatusCode::CREATED, "{entry}");
        site.service.signal("-KILL").unwrap();
        let site = Site::start(folder.path(), &[]);
        let claims = |found: &Value| found["served"] == "fresh" || found["served"] == "cached";
        let found = site.search_until(&title, claims).await;
        assert!(ids(&found).iter().any(|id| entry["id"] == **id), "{round}: {found}");
    }
}

#[tokio::test]
async fn while_the_table_cannot_be_compared_no_answer_is_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    site.search_until("검색 엔진", |found| found["served"] == "fresh").await;
    let board = SqliteConnectOptions::new().filename(folder.path().join("board.sqlite"));
    let mut board = SqliteConnection::connect_with(&board).await.unwrap();
    sqlx::query("ALTER TABLE removed_entries RENAME TO gone").execute(&mut board).await.unwrap();
    let late = |found: &Value| found["served"] == "degraded" && found["cause"] == "lagging";
    let found = site.search_until("검색 엔진", late).await;
    assert!(found["engine"] == "engine" && found["lag_ms"].as_u64() > Some(5_000), "{found}");
    site.until("/readyz", Nobody, |ready| ready["dependencies"]["following"] == "down").await;
    sqlx::query("ALTER TABLE gone RENAME TO removed_entries").execute(&mut board).await.unwrap();
    site.search_until("검색 엔진", |found| found["served"] == "fresh").await;
}

#[tokio::test]
async fn an_engine_or_a_partner_that_is_away_is_named_and_the_search_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &["--partner", "well"]);
    let whole = site.get("/readyz", Nobody).await;
    assert_eq!((&whole["status"], whole.get("down")), (&json!("ready"), None), "{whole}");
    for line in ["refused", "silent"] {
        site.cut("primary", line).await;
        let degraded = site.until("/readyz", Nobody, |ready| ready["status"] == "degraded").await;
        assert_eq!(degraded["down"], json!(["primary"]));
        assert!(!ids(&site.search(&[("q", "검색")]).await).is_empty());
        site.cut("primary", "whole").await;
        site.until("/readyz", Nobody, |ready| ready["status"] == "ready").await;
    }
    site.partner("away").await;
    let degraded = site.until("/readyz", Nobody, |ready| ready["status"] == "degraded").await;
    assert_eq!(degraded["down"], json!(["partner"]));
    assert!(!ids(&site.search(&[("q", "검색")]).await).is_empty());
    site.partner("well").await;
    site.until("/readyz", Nobody, |ready| ready["status"] == "ready").await;
}

#[tokio::test]
async fn an_operator_sees_which_changes_no_engine_could_take_and_hands_them_over_again() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &[]);
    let bus = SqliteBus::open(folder.path().join("events.sqlite")).await.unwrap();
    let odd = Envelope::new("entries", "odd", State::Created, 1).with_payload(&json!("하늘")).unwrap();
    bus.publish(&[odd]).await.unwrap();
    let both = |rows: &Value| rows.as_array().unwrap().len() == 2;
    let rows = site.until("/put-aside", Operator, both).await;
    assert!(!rows.to_string().contains("하늘"), "{rows}");
    let groups: BTreeSet<&str> =
        rows.as_array().unwrap().iter().map(|row| row["group"].as_str().unwrap()).collect();
    assert!(groups.len() == 2 && groups.iter().all(|group| group.starts_with("search.")), "{rows}");
    assert_eq!(site.ask(Method::GET, "/put-aside", Tutor, None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(site.ask(Method::GET, "/put-aside", Nobody, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.ask(Method::GET, "/put-aside?after=x", Operator, None).await.0, StatusCode::BAD_REQUEST);

    // Page by page: the engines' groups one after the other.
    let first = site.send(Method::GET, "/put-aside?limit=1", Operator, None, None).await.unwrap();
    let next = first.headers()["link"].to_str().unwrap().to_owned();
    let next = next.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(site.get(next, Operator).await, json!([rows[1]]));

    let again = json!({"ids": [rows[0]["id"]]});
    let (status, told) = site.ask(Method::POST, "/put-aside/deliver-again", Operator, Some(again)).await;
    assert_eq!((status, told), (StatusCode::OK, json!({"delivered": 2})));
    // Nothing was mended: they come back.
    site.until("/put-aside", Operator, both).await;
    let listed = desk::put_aside("dev_search", folder.path(), &[]);
    assert!(listed.contains("2 are put aside"), "{listed}");
}

#[test]
fn nodes_of_a_cluster_that_are_no_urls_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let started = Running::start("dev_search", |command| {
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        command.env(servers::OPENSEARCH, "somebody:secret@cluster");
    });
    let told = started.unwrap_err().to_string();
    assert!(told.contains(servers::OPENSEARCH) && !told.contains("secret"), "{told}");
}

#[test]
fn events_are_not_looked_for_in_a_folder_of_no_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(support::child::example("dev_search").unwrap());
    for variable in [servers::POSTGRES, servers::REDIS, servers::KAFKA, servers::OPENSEARCH] {
        command.env_remove(variable);
    }
    let done = command.args(["put-aside", "--data"]).arg(folder.path()).output().unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && told.contains("is no folder of dev_search"), "{told}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were made in it");
}
