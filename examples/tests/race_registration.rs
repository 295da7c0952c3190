//! The service, from outside: nobody acts for somebody else, nothing acknowledged is lost, and what cannot be is undone.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pumasi_saga::capacity::{Draw, Entrants};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::auth::Keys;
use support::child::Running;
use support::webhook::Secret;

const KEY: &str = "a key of the tests, of more than 32 bytes";
const SECRET: &str = "a secret of the tests, of more than 24 bytes";

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Nobody,
    Organiser,
    OtherOrganiser,
    Runner(&'static str),
}
use Who::{Nobody, Organiser, OtherOrganiser, Runner};

struct Desk {
    service: Running,
    client: Client,
}

impl Desk {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_with(data, arguments, Some(SECRET))
    }

    fn start_with(data: &Path, arguments: &[&str], secret: Option<&str>) -> Self {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
            if !arguments.contains(&"--requests-per-second") {
                command.args(["--requests-per-second", "2000"]);
            }
            command.env("PUMASI_TOKEN_KEY", KEY);
            command.env("PAYMENT_WEBHOOK_SECRET", secret.unwrap_or_default());
        };
        Self { service: Running::start("race_registration", serve).unwrap(), client: Client::new() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        who: Who,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let keys = Keys::new(KEY, "race_registration").unwrap();
        let token = |name, role| keys.issue(name, role, Duration::from_mins(1)).unwrap();
        let mut request = self.client.request(method, self.service.url(path));
        request = match who {
            Nobody => request,
            Organiser => request.bearer_auth(token("지영", "organiser")),
            OtherOrganiser => request.bearer_auth(token("서연", "organiser")),
            Runner(name) => request.bearer_auth(token(name, "runner")),
        };
        body.into_iter().fold(request, |request, body| request.json(&body)).send().await
    }

    async fn ask(&self, method: Method, path: &str, who: Who, body: Option<Value>) -> (StatusCode, Value) {
        let answer = self.send(method, path, who, body).await.unwrap();
        let status = answer.status();
        if !status.is_success() {
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        }
        (status, answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str, who: Who) -> Value {
        let (status, value) = self.ask(Method::GET, path, who, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    async fn post(&self, path: &str, who: Who, body: Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, who, Some(body)).await;
        assert!(status.is_success(), "{path}: {value}");
        value
    }

    async fn race(&self, kind: &str, places: u32) -> String {
        let race = json!({"name": "서울마라톤", "kind": kind, "places": places, "price_krw": 35_000});
        self.post("/races", Organiser, race).await["id"].as_str().unwrap().to_owned()
    }

    /// Answers everything that a runner is asked, and returns the last view.
    async fn answer_all(&self, race: &str, runner: &'static str, email: Option<&str>) -> Value {
        let path = format!("/races/{race}/registration");
        let mut address = json!({"city": "서울"});
        if let Some(email) = email {
            address["email"] = json!(email);
        }
        for (answer, value) in
            [("agree_terms", json!({"agreed": true})), ("choose_souvenir", json!({"souvenir": "티셔츠 M"}))]
        {
            self.post(&path, Runner(runner), json!({"answer": answer, "value": value})).await;
        }
        self.post(&path, Runner(runner), json!({"answer": "shipping_address", "value": address})).await
    }

    /// What the gateway sends.
    async fn paid(&self, event: &str, payment: &Value, amount_krw: u64) -> reqwest::Result<Response> {
        let body =
            json!({"type": "payment.completed", "payment": payment, "amount_krw": amount_krw}).to_string();
        self.webhook(Secret::new(SECRET).unwrap().sign(event, now(), body.as_bytes()), body).await
    }

    async fn webhook(&self, headers: HeaderMap, body: String) -> reqwest::Result<Response> {
        self.client.post(self.service.url("/payments/webhook")).headers(headers).body(body).send().await
    }

    /// Waits until the registration stands so.
    async fn until(&self, race: &str, runner: &'static str, status: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let view = self.get(&format!("/races/{race}/registration"), Runner(runner)).await;
            if view["status"] == status {
                return view;
            }
            assert!(Instant::now() < deadline, "not {status}: {view}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until the payment of the registration stands so.
    async fn until_payment(&self, race: &str, runner: &'static str, state: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let view = self.get(&format!("/races/{race}/registration"), Runner(runner)).await;
            if view["payment"]["state"] == state {
                return;
            }
            assert!(Instant::now() < deadline, "not {state}: {view}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn places(&self, race: &str) -> (u64, u64) {
        let race = self.get(&format!("/races/{race}"), Nobody).await;
        (race["held"].as_u64().unwrap(), race["confirmed"].as_u64().unwrap())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn looks(view: &Value) -> Vec<(&str, &str)> {
    let steps = view["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["name"].as_str().unwrap(), step["look"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_runner_is_led_from_the_terms_to_the_bib_by_one_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let race = desk.race("first_come", 2).await;
    let path = format!("/races/{race}/registration");
    assert_eq!(desk.ask(Method::GET, &path, Runner("민수"), None).await.0, StatusCode::NOT_FOUND);
    let view = desk.post(&path, Runner("민수"), json!({})).await;
    assert_eq!((&view["status"], &view["next"]), (&json!("waiting"), &json!("agree_terms")));
    assert!(view["deadline"].is_string());
    let id = view["id"].clone();

    // what is refused is not recorded
    let refused = json!({"answer": "agree_terms", "value": {"agreed": false}});
    let (status, problem) = desk.ask(Method::POST, &path, Runner("민수"), Some(refused)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("nobody runs without agreeing"), "{problem}");
    assert_eq!(desk.get(&path, Runner("민수")).await["next"], "agree_terms");

    let view = desk.answer_all(&race, "민수", Some("minsu@example.com")).await;
    assert_eq!((&view["next"], &view["payment"]["state"]), (&json!("payment_completed"), &json!("started")));
    assert_eq!(desk.places(&race).await, (1, 0));
    // the same application again is the same registration, and holds one place
    let again = desk.answer_all(&race, "민수", Some("minsu@example.com")).await;
    assert_eq!((&again["id"], &again["payment"]["id"]), (&id, &view["payment"]["id"]));
    assert_eq!(desk.places(&race).await, (1, 0));

    // the gateway's event is answered alike however often it comes
    let payment = view["payment"]["id"].clone();
    let pay = format!("/payments/{}/pay", payment.as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = desk.paid("evt-1", &payment, 35_000).await.unwrap();
        answers.push((answer.status(), answer.text().await.unwrap()));
    }
    assert!(
        answers.iter().all(|answer| *answer == (StatusCode::OK, "{\"received\":true}".to_owned())),
        "{answers:?}"
    );
    let view = desk.until(&race, "민수", "completed").await;
    assert_eq!((&view["bib"], &view["payment"]["state"]), (&json!(1), &json!("paid")));
    assert!(looks(&view).iter().all(|(_, look)| *look == "done"), "{view}");
    assert_eq!(desk.places(&race).await, (0, 1));
    // money that comes twice is given back, and changes nothing
    assert_eq!(desk.paid("evt-2", &payment, 35_000).await.unwrap().status(), StatusCode::OK);
    assert_eq!(desk.get(&path, Runner("민수")).await["payment"]["state"], "paid");

    let listed = desk.get("/registrations?status=completed", Organiser).await;
    assert_eq!((&listed[0]["id"], &listed[0]["runner"]), (&id, &json!("민수")));
    let detail = desk.get(&format!("/registrations/{}", id.as_str().unwrap()), Organiser).await;
    assert!(
        detail["mermaid"].as_str().unwrap().contains("class u0,u1,u2,u3,u4,u5,u6,u7,u8 done"),
        "{detail}"
    );
    assert!(detail["history"].as_array().unwrap().len() > 5, "{detail}");
    // after the confirmation there is no way back
    assert_eq!(desk.ask(Method::DELETE, &path, Runner("민수"), None).await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_organiser_decides_about_the_own_races_alone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let (race, lottery) = (desk.race("first_come", 2).await, desk.race("lottery", 1).await);
    desk.answer_all(&race, "민수", None).await;
    let rows = desk.get("/registrations", Organiser).await;
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(desk.get("/registrations", OtherOrganiser).await, json!([]));
    let why = Some(json!({"why": "a false name"}));
    let cancel = Some(json!({"decision": "cancel", "why": "no"}));
    for (method, path, body) in [
        (Method::GET, format!("/registrations/{id}"), None),
        (Method::POST, format!("/registrations/{id}/decisions"), cancel),
        (Method::PUT, format!("/races/{race}/barred/민수"), why.clone()),
        (Method::DELETE, format!("/races/{race}/barred/민수"), None),
        (Method::GET, format!("/races/{race}/barred"), None),
        (Method::POST, format!("/races/{lottery}/draw"), None),
    ] {
        let (status, problem) = desk.ask(method, &path, OtherOrganiser, body).await;
        assert_eq!(
            (status, problem["detail"].as_str()),
            (StatusCode::FORBIDDEN, Some("this is another organiser's race"))
        );
    }

    let long = format!("/races/{race}/barred/{}", "가".repeat(101));
    assert_eq!(
        desk.ask(Method::PUT, &long, Organiser, why.clone()).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let nul = format!("/races/{race}/barred/a%00");
    assert_eq!(desk.ask(Method::PUT, &nul, Organiser, why.clone()).await.0, StatusCode::NOT_FOUND);
    let barred = format!("/races/{race}/barred/Jane");
    assert_eq!(desk.ask(Method::PUT, &barred, Organiser, why).await.0, StatusCode::NO_CONTENT);
    let bars = json!([{"runner": "Jane", "who": "지영", "why": "a false name"}]);
    assert_eq!(desk.get(&format!("/races/{race}/barred"), Organiser).await, bars);
    assert_eq!(desk.ask(Method::DELETE, &barred, Organiser, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(desk.ask(Method::DELETE, &barred, Organiser, None).await.0, StatusCode::NOT_FOUND);
    let view = desk.get(&format!("/races/{race}/registration"), Runner("민수")).await;
    assert_eq!(view["status"], "waiting", "nobody else has decided");
}

#[tokio::test]
async fn where_no_gateway_knows_the_secret_nobody_pays_unless_the_page_is_told_to_play_it() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start_with(folder.path(), &[], None);
    assert_eq!(desk.get("/about", Nobody).await["plays_gateway"], false);
    let race = desk.race("first_come", 1).await;
    let view = desk.answer_all(&race, "민수", None).await;
    let pay = format!("/payments/{}/pay", view["payment"]["id"].as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_page_that_plays_the_gateway_lets_nobody_pay_for_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start_with(folder.path(), &["--play-gateway"], None);
    let race = desk.race("first_come", 2).await;
    let view = desk.answer_all(&race, "민수", None).await;
    let pay = format!("/payments/{}/pay", view["payment"]["id"].as_str().unwrap());
    assert_eq!(desk.ask(Method::POST, &pay, Runner("Jane"), None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.ask(Method::POST, &pay, Nobody, None).await.0, StatusCode::UNAUTHORIZED);
    for _ in 0..2 {
        assert_eq!(desk.post(&pay, Runner("민수"), json!({})).await["state"], "paid");
    }
    assert_eq!(desk.until(&race, "민수", "completed").await["bib"], 1);
}

#[tokio::test]
async fn a_full_race_a_failed_check_and_a_late_payment_are_undone() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &["--payment-seconds", "6"]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    let jane = desk.answer_all(&race, "Jane", None).await;
    let alex = desk.answer_all(&race, "Alex", None).await;
    assert_eq!((&alex["status"], &alex["reason"]), (&json!("compensated"), &json!("the race is full")));

    // barred after the place is held: found out after the payment, and undone in reverse order
    let bar = Some(json!({"why": "a false name"}));
    let barred = format!("/races/{race}/barred/Jane");
    assert_eq!(desk.ask(Method::PUT, &barred, Runner("Alex"), bar.clone()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(desk.ask(Method::PUT, &barred, Organiser, bar).await.0, StatusCode::NO_CONTENT);
    desk.paid("evt-1", &jane["payment"]["id"], 35_000).await.unwrap();
    let view = desk.until(&race, "Jane", "compensated").await;
    assert_eq!((&view["reason"], &view["payment"]["state"]), (&json!("not eligible"), &json!("refunded")));
    let looks = looks(&view);
    for (step, look) in [
        ("hold_place", "undone"),
        ("start_payment", "undone"),
        ("check_eligibility", "failed"),
        ("confirm", "ahead"),
    ] {
        assert!(looks.contains(&(step, look)), "{looks:?}");
    }
    let detail = desk.get(&format!("/registrations/{}", view["id"].as_str().unwrap()), Organiser).await;
    let undone: Vec<&str> = detail["history"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry["changed"].as_array().unwrap())
        .filter(|changed| changed["look"] == "undone")
        .map(|changed| changed["step"].as_str().unwrap())
        .collect();
    let order: Vec<&str> =
        undone.iter().copied().filter(|step| ["hold_place", "start_payment"].contains(step)).collect();
    assert_eq!(order, ["start_payment", "hold_place"]);
    assert_eq!(desk.places(&race).await, (0, 0));

    // the place is free again: who was turned away tries again, pays too late, and has the money back
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let view = desk.answer_all(&race, "Alex", None).await;
    assert_eq!((&view["run"], &view["next"]), (&json!(1), &json!("payment_completed")));
    desk.until(&race, "Alex", "compensated").await;
    desk.until_payment(&race, "Alex", "cancelled").await;
    for _ in 0..2 {
        assert_eq!(
            desk.paid("evt-2", &view["payment"]["id"], 35_000).await.unwrap().status(),
            StatusCode::OK
        );
    }
    desk.until_payment(&race, "Alex", "refunded").await;
    assert_eq!(desk.places(&race).await, (0, 0));

    // a payment that was cancelled is not taken for the one that came after it
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let cancelled = desk.answer_all(&race, "Alex", None).await;
    assert_eq!(desk.ask(Method::DELETE, &path, Runner("Alex"), None).await.0, StatusCode::OK);
    desk.post(&path, Runner("Alex"), json!({"again": true})).await;
    let anew = desk.answer_all(&race, "Alex", None).await;
    assert_ne!(anew["payment"]["id"], cancelled["payment"]["id"]);
    for (event, payment) in [("evt-3", &cancelled["payment"]["id"]), ("evt-4", &anew["payment"]["id"])] {
        assert_eq!(desk.paid(event, payment, 35_000).await.unwrap().status(), StatusCode::OK);
    }
    let done = desk.until(&race, "Alex", "completed").await;
    assert_eq!((&done["payment"]["id"], &done["payment"]["state"]), (&anew["payment"]["id"], &json!("paid")));

    // something else than the price is no payment
    let race = desk.race("first_come", 1).await;
    let view = desk.answer_all(&race, "하나", None).await;
    desk.paid("evt-5", &view["payment"]["id"], 1).await.unwrap();
    let view = desk.until(&race, "하나", "compensated").await;
    assert_eq!((&view["payment"]["state"], desk.places(&race).await), (&json!("refunded"), (0, 0)));
}

#[tokio::test]
async fn an_operator_decides_with_who_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let race = desk.race("first_come", 5).await;
    // the mailbox cannot exist: after the confirmation nothing is undone, and a person has to decide
    let view = desk.answer_all(&race, "Jane", Some("jane@mail.invalid")).await;
    desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap();
    let view = desk.until(&race, "Jane", "needs_operator").await;
    assert_eq!((&view["step"], &view["reason"]), (&json!("notify"), &json!("the mailbox does not exist")));
    let stuck = desk.get("/registrations?status=needs_operator", Organiser).await;
    assert_eq!(stuck.as_array().unwrap().len(), 1);
    let decisions = format!("/registrations/{}/decisions", view["id"].as_str().unwrap());
    let decide = |decision: &str| Some(json!({"decision": decision, "why": "전화로 알렸음"}));
    assert_eq!(
        desk.ask(Method::POST, &decisions, Runner("Jane"), decide("skip")).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(desk.ask(Method::POST, &decisions, Organiser, decide("cancel")).await.0, StatusCode::CONFLICT);
    let blank = Some(json!({"decision": "skip", "why": " "}));
    assert_eq!(
        desk.ask(Method::POST, &decisions, Organiser, blank).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let retried = desk.post(&decisions, Organiser, decide("retry").unwrap()).await;
    assert_eq!(retried["status"], "needs_operator");
    let detail = desk.post(&decisions, Organiser, decide("skip").unwrap()).await;
    assert_eq!(detail["status"], "completed");
    let told: Vec<_> = detail["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["decision"].as_str().unwrap(),
                one["who"].as_str().unwrap(),
                one["why"].as_str().unwrap(),
                one["step"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("retry", "지영", "전화로 알렸음", "notify"), ("skip", "지영", "전화로 알렸음", "notify")]
    );

    // back to before the place, and on again with a new payment
    let view = desk.answer_all(&race, "민수", None).await;
    let decisions = format!("/registrations/{}/decisions", view["id"].as_str().unwrap());
    desk.post(&decisions, Organiser, decide("place_anew").unwrap()).await;
    let anew = desk.until(&race, "민수", "waiting").await;
    assert_ne!(anew["payment"]["id"], view["payment"]["id"]);
    assert_eq!(desk.places(&race).await, (1, 1));
    // undone by the organiser, and by the runner
    let cancelled = desk.post(&decisions, Organiser, decide("cancel").unwrap()).await;
    assert_eq!(
        (&cancelled["status"], &cancelled["payment"]["state"]),
        (&json!("compensated"), &json!("cancelled"))
    );
    desk.answer_all(&race, "지우", None).await;
    let (status, view) =
        desk.ask(Method::DELETE, &format!("/races/{race}/registration"), Runner("지우"), None).await;
    assert_eq!((status, &view["status"]), (StatusCode::OK, &json!("compensated")));
    assert_eq!(desk.places(&race).await, (0, 1));
}

#[tokio::test]
async fn lots_are_drawn_once_anybody_can_draw_again_and_the_next_is_called_up() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let race = desk.race("lottery", 2).await;
    let before = desk.get(&format!("/races/{race}"), Nobody).await;
    assert!(before["commitment"].is_string());
    let runners = ["민수", "Jane", "지우", "Alex"];
    for runner in runners {
        let view = desk.answer_all(&race, runner, None).await;
        assert_eq!(view["next"], "drawn");
    }
    // nobody is drawn by saying so
    let said = json!({"answer": "drawn", "value": {"rank": 1}});
    let path = format!("/races/{race}/registration");
    assert_eq!(
        desk.ask(Method::POST, &path, Runner("민수"), Some(said)).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let at = format!("/races/{race}/draw");
    assert_eq!(desk.ask(Method::GET, &at, Nobody, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(desk.ask(Method::POST, &at, Runner("민수"), None).await.0, StatusCode::FORBIDDEN);
    let draw = desk.post(&at, Organiser, json!({})).await;
    assert_eq!(draw, desk.post(&at, Organiser, json!({})).await);
    assert_eq!(draw, desk.get(&at, Nobody).await);

    let entrants = Entrants::new(draw["entrants"].as_str().unwrap().lines()).unwrap();
    assert_eq!(entrants.names().len(), 4);
    let published: Draw = serde_json::from_value(json!({
        "algorithm": draw["algorithm"], "seed": draw["seed"], "entrants": draw["digest"],
        "places": draw["places"], "winners": draw["winners"], "waiting": draw["waiting"],
    }))
    .unwrap();
    published.verify(&entrants).unwrap();
    assert_eq!(published.seed.commitment(), before["commitment"]);

    // two are asked to pay, two wait
    let deadline = Instant::now() + Duration::from_secs(30);
    let paying = loop {
        let mut paying = Vec::new();
        for runner in runners {
            if desk.get(&path, Runner(runner)).await["next"] == "payment_completed" {
                paying.push(runner);
            }
        }
        if paying.len() == 2 {
            break paying;
        }
        assert!(Instant::now() < deadline, "{paying:?} are called up");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    // who comes after the draw is too late
    let late = desk.answer_all(&race, "늦은이", None).await;
    assert_eq!(
        (&late["status"], &late["reason"]),
        (&json!("compensated"), &json!("the lots are drawn already"))
    );
    // one gives up, and the first who waits is called up without anybody asking
    desk.ask(Method::DELETE, &path, Runner(paying[0]), None).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let next = published.waiting[0].clone();
    loop {
        let detail = desk.get(&format!("/registrations/{next}"), Organiser).await;
        if detail["next"] == "payment_completed" {
            break;
        }
        assert!(Instant::now() < deadline, "nobody is called up: {detail}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(desk.places(&race).await, (2, 0));
}

#[tokio::test]
async fn who_has_no_right_and_what_makes_no_sense_get_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let race = desk.race("first_come", 1).await;
    let path = format!("/races/{race}/registration");
    let runner = Runner("민수");
    let body = |text: &str| Some(serde_json::from_str::<Value>(text).unwrap());
    let new_race = r#"{"name": "서울마라톤", "kind": "first_come", "places": 1, "price_krw": 1}"#;
    for (method, path, who, body, status) in [
        (Method::POST, path.as_str(), Nobody, body("{}"), StatusCode::UNAUTHORIZED),
        (Method::GET, &path, Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations/events", Nobody, None, StatusCode::UNAUTHORIZED),
        (Method::GET, "/registrations", runner, None, StatusCode::FORBIDDEN),
        (Method::GET, "/registrations/none", runner, None, StatusCode::FORBIDDEN),
        (Method::POST, "/races", runner, body(new_race), StatusCode::FORBIDDEN),
        (Method::POST, "/races", Nobody, body(new_race), StatusCode::UNAUTHORIZED),
        (
            Method::POST,
            "/tokens",
            Nobody,
            body(r#"{"name": "x", "role": "organiser"}"#),
            StatusCode::FORBIDDEN,
        ),
        (Method::GET, "/registrations/none", Organiser, None, StatusCode::NOT_FOUND),
        (Method::GET, "/races/none", Nobody, None, StatusCode::NOT_FOUND),
        (Method::POST, "/races/none/registration", runner, body("{}"), StatusCode::NOT_FOUND),
        (Method::GET, "/nowhere", Nobody, None, StatusCode::NOT_FOUND),
        (Method::PATCH, "/races", Nobody, None, StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, &path, runner, body("[]"), StatusCode::UNPROCESSABLE_ENTITY),
        (
            Method::POST,
            &path,
            runner,
            body(r#"{"answer": "payment_completed", "value": {}}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &path, runner, body(r#"{"answer": "agree_terms"}"#), StatusCode::UNPROCESSABLE_ENTITY),
        (
            Method::POST,
            &path,
            runner,
            body(r#"{"answer": "agree_terms", "value": {"agreed": "yes"}}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &path, runner, body(r#"{"anser": "agree_terms"}"#), StatusCode::UNPROCESSABLE_ENTITY),
        (Method::POST, &path, runner, body(r#"{"again": true}"#), StatusCode::NOT_FOUND),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": " ", "kind": "lottery", "places": 1, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": "x", "kind": "lottery", "places": 0, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Method::POST,
            "/races",
            Organiser,
            body(r#"{"name": "x", "kind": "auction", "places": 1, "price_krw": 1}"#),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (Method::POST, &format!("/races/{race}/draw"), Organiser, None, StatusCode::CONFLICT),
        (Method::GET, "/registrations?status=odd", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?limit=0", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?after=x", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/registrations?color=red", Organiser, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/about?x=1", Nobody, None, StatusCode::BAD_REQUEST),
        (Method::GET, "/races/%ff", Nobody, None, StatusCode::BAD_REQUEST),
    ] {
        let (got, problem) = desk.ask(method.clone(), path, who, body.clone()).await;
        assert_eq!(got, status, "{method} {path} {body:?}: {problem}");
        assert!(problem["detail"].is_string(), "{method} {path}: {problem}");
    }

    let client = &desk.client;
    let raw = |body: String| {
        client.post(desk.service.url(&path)).header("content-type", "application/json").body(body)
    };
    let token =
        Keys::new(KEY, "race_registration").unwrap().issue("민수", "runner", Duration::from_mins(1)).unwrap();
    for (body, status) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(64 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("x".repeat(800_000), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(raw(body).bearer_auth(&token).send().await.unwrap().status(), status);
    }
    let forged = Keys::new("another key, of more than 32 bytes too", "race_registration").unwrap();
    let forged = forged.issue("민수", "organiser", Duration::from_mins(1)).unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", token.split('.').nth(1).unwrap());
    for bad in [forged.as_str(), &unsigned, "x", ""] {
        let answer = raw("{}".to_owned()).bearer_auth(bad).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{bad}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }

    // webhooks
    let body = json!({"type": "payment.completed", "payment": "none", "amount_krw": 1}).to_string();
    let (secret, other) = (Secret::new(SECRET).unwrap(), Secret::new("another secret of 24 bytes").unwrap());
    for (headers, body, status) in [
        (HeaderMap::new(), body.clone(), StatusCode::UNAUTHORIZED),
        (other.sign("e", now(), body.as_bytes()), body.clone(), StatusCode::UNAUTHORIZED),
        (secret.sign("e", now() - 600, body.as_bytes()), body.clone(), StatusCode::UNAUTHORIZED),
        (secret.sign("e", now(), body.as_bytes()), body.clone() + " ", StatusCode::UNAUTHORIZED),
        (secret.sign("e", now(), body.as_bytes()), body, StatusCode::NOT_FOUND),
        (secret.sign("e", now(), b"{}"), "{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(desk.webhook(headers, body).await.unwrap().status(), status);
    }

    let document = desk.get("/openapi.json", Nobody).await;
    assert!(document["paths"]["/races/{id}/registration"]["post"]["security"][0]["bearer"].is_array());
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for path in ["/", "/app.js", "/style.css", "/base.css", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            client.get(desk.service.url(path)).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    // no secret and nobody's name in the logs
    let logs = desk.service.logs();
    assert!(
        !logs.contains(KEY) && !logs.contains(SECRET) && !logs.contains(&token) && !logs.contains("민수"),
        "{logs}"
    );
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &["--requests-per-second", "1"]);
    let asked = (0..10).map(|_| desk.send(Method::GET, "/races", Runner("민수"), None));
    let answers = futures_util::future::join_all(asked).await;
    let limited = answers
        .into_iter()
        .map(Result::unwrap)
        .filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS)
        .inspect(|answer| assert_eq!(answer.headers()["retry-after"], "1"))
        .count();
    assert!(limited > 0, "10 requests at once pass a limit of 1 a second");
    assert_eq!(desk.ask(Method::GET, "/races", Runner("Jane"), None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_payment_that_was_acknowledged_is_confirmed_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let slow = ["--partner-delay-ms", "1500"];
    let desk = Desk::start(folder.path(), &slow);
    let race = desk.race("first_come", 3).await;
    let view = desk.answer_all(&race, "하나", None).await;
    assert_eq!(view["next"], "payment_completed");
    assert_eq!(desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap().status(), StatusCode::OK);
    let between = desk.until(&race, "하나", "running").await;
    assert_eq!(between["step"], "check_eligibility");
    desk.service.signal("-KILL").unwrap();
    drop(desk);

    let desk = Desk::start(folder.path(), &[]);
    let view = desk.until(&race, "하나", "completed").await;
    assert_eq!((&view["bib"], &view["payment"]["state"]), (&json!(1), &json!("paid")));
    // the gateway sends it again, as it must if it did not hear the answer
    assert_eq!(desk.paid("evt-1", &view["payment"]["id"], 35_000).await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        (desk.places(&race).await, &desk.until(&race, "하나", "completed").await["bib"]),
        ((0, 1), &json!(1))
    );
}

#[tokio::test]
async fn whatever_is_killed_everybody_who_paid_runs_once() {
    const NAMES: [&str; 40] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29",
        "r30", "r31", "r32", "r33", "r34", "r35", "r36", "r37", "r38", "r39",
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(folder.path(), &["--partner-delay-ms", "20"]);
    let race = desk.race("first_come", 40).await;
    let path = format!("/races/{race}/registration");
    let (mut acknowledged, mut kills) = (HashSet::new(), 0);
    let paid = AtomicU64::new(0);
    for round in 0..4_u64 {
        let registering = async {
            for name in NAMES.iter().skip(usize::try_from(round).unwrap() * 10).take(10) {
                let mut view = Value::Null;
                for (answer, value) in [
                    ("agree_terms", json!({"agreed": true})),
                    ("choose_souvenir", json!({"souvenir": "M"})),
                    ("shipping_address", json!({"city": "서울"})),
                ] {
                    let said = json!({"answer": answer, "value": value});
                    let Ok(answer) = desk.send(Method::POST, &path, Runner(name), Some(said)).await else {
                        return;
                    };
                    let Ok(value) = answer.json().await else { return };
                    view = value;
                }
                let event = format!("evt-{name}");
                let Ok(answer) = desk.paid(&event, &view["payment"]["id"], 35_000).await else { return };
                if answer.status() == StatusCode::OK {
                    acknowledged.insert(*name);
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let killing = async {
            // in the middle of whatever comes after two more were acknowledged
            while paid.load(Ordering::Relaxed) < 2 * (round + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(11 + 23 * round)).await;
            desk.service.signal("-KILL").unwrap();
            kills += 1;
        };
        tokio::join!(registering, killing);
        desk = Desk::start(folder.path(), &["--partner-delay-ms", "20"]);
    }
    let mut bibs = HashSet::new();
    for name in &acknowledged {
        let view = desk.until(&race, name, "completed").await;
        assert_eq!(view["payment"]["state"], "paid");
        assert!(bibs.insert(view["bib"].as_u64().unwrap()), "bib {} twice", view["bib"]);
    }
    println!("killed {kills} times: {} payments acknowledged, {} bibs", acknowledged.len(), bibs.len());
    assert!(acknowledged.len() > 4, "the service acknowledged too little for a test");
    let (held, confirmed) = desk.places(&race).await;
    // also those whose acknowledgement was lost with the process
    assert!(confirmed >= acknowledged.len() as u64, "{confirmed} run");
    assert!(held + confirmed <= 40);
}

#[tokio::test]
async fn news_reach_the_organiser_and_each_runner_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::start(folder.path(), &[]);
    let race = desk.race("first_come", 3).await;
    let mut all = desk.send(Method::GET, "/registrations/events", Organiser, None).await.unwrap();
    let mut own = desk.send(Method::GET, "/registrations/events", Runner("Jane"), None).await.unwrap();
    desk.answer_all(&race, "민수", None).await;
    desk.answer_all(&race, "Jane", None).await;
    let until = async |stream: &mut Response, mark: &str| {
        let mut told = String::new();
        while !told.contains(mark) {
            let piece = tokio::time::timeout(Duration::from_secs(20), stream.chunk()).await;
            let Ok(Ok(Some(piece))) = piece else { panic!("{mark} is not told: {told}") };
            told.push_str(std::str::from_utf8(&piece).unwrap());
        }
        told
    };
    let told =
        until(&mut all, "\"runner\":\"Jane\",\"status\":\"waiting\",\"step\":\"payment_completed\"").await;
    assert!(told.contains("event: changed") && told.contains("\"runner\":\"민수\""), "{told}");
    let told = until(&mut own, "\"step\":\"payment_completed\"").await;
    assert!(told.contains("Jane") && !told.contains("민수"), "{told}");
}

#[tokio::test]
async fn asked_to_stop_it_finishes_and_ends_in_peace() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::start(folder.path(), &[]);
    let _listening = desk.send(Method::GET, "/registrations/events", Organiser, None).await.unwrap();
    desk.service.signal("-TERM").unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    let status = loop {
        if let Some(status) = desk.service.ended().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    assert!(status.success(), "{status}");
    while !desk.service.logs().contains("\"stopped\"") {
        assert!(Instant::now() < deadline, "its last words are not heard: {}", desk.service.logs());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[test]
fn a_token_is_printed_where_the_key_is_known() {
    let run = |key: Option<&str>| {
        let mut command = Command::new(support::child::example("race_registration").unwrap());
        command.args(["token", "--role", "organiser", "지영"]).env_remove("PUMASI_TOKEN_KEY");
        let output = key
            .into_iter()
            .fold(&mut command, |command, key| command.env("PUMASI_TOKEN_KEY", key))
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, token, _) = run(Some(KEY));
    assert_eq!((status, token.trim().split('.').count()), (Some(0), 3));
    let (status, _, told) = run(None);
    assert!(status == Some(1) && told.contains("is not set"), "{told}");
    let (status, _, told) = run(Some("short"));
    assert!(status == Some(1) && told.contains("at least 32 bytes"), "{told}");
}
