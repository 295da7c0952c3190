//! The service, from outside: an admin stores knowledge, a runner asks and hears where the answer comes from.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod desk;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::child::Running;

fn start(folder: &Path) -> Running {
    start_with(folder, |_| ())
}

fn start_with(folder: &Path, configure: impl FnOnce(&mut Command)) -> Running {
    desk::start("running_coach", &folder.join("knowledge.sqlite"), &[], configure)
}

fn token(role: &str) -> String {
    desk::token("running_coach", "지영", role)
}

/// The events of an answer: ids, names, data.
fn events(body: &str) -> Vec<(String, String, Value)> {
    let field = |frame: &str, name: &str| {
        frame.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("{}").to_owned()
    };
    let frames = body.split("\n\n").filter(|frame| frame.contains("data: "));
    frames
        .map(|frame| {
            (
                field(frame, "id: "),
                field(frame, "event: "),
                serde_json::from_str(&field(frame, "data: ")).unwrap(),
            )
        })
        .collect()
}

async fn ask(client: &Client, service: &Running, question: &str) -> Vec<(String, String, Value)> {
    let body = json!({"question": question});
    let answer =
        client.post(service.url("/answers")).json(&body).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    events(&answer.text().await.unwrap())
}

#[tokio::test]
async fn what_an_admin_stores_is_answered_from_at_once_and_not_after_it_is_removed() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    let url = service.url("/knowledge/ko%2Ftape");
    let document =
        json!({"title": "테이핑", "text": "스포츠 테이프는 여섯 시간 뒤에 뗍니다.", "topic": "gear"});
    let question = "스포츠 테이프는 언제 떼나요?";
    let outcome =
        |events: &[(String, String, Value)]| events.last().unwrap().2["outcome"].as_str().unwrap().to_owned();
    assert_eq!(outcome(&ask(&client, &service, question).await), "not_found");

    for (token, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("another token".to_owned()), StatusCode::UNAUTHORIZED),
        (Some(token("runner")), StatusCode::FORBIDDEN),
    ] {
        let request = client.put(&url).json(&document);
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let stored = client.put(&url).bearer_auth(token("admin")).json(&document).send().await.unwrap();
    assert_eq!(stored.status(), StatusCode::CREATED);

    let answer = ask(&client, &service, question).await;
    assert_eq!((answer[0].1.as_str(), outcome(&answer).as_str()), ("retrieved", "extracted"));
    assert_eq!(answer[0].2["sources"][0]["document"], "ko/tape");
    assert!(answer.iter().any(|(_, name, data)| name == "citation" && data["verdict"] == "quoted"));

    // the connection broke after the first event
    let rest =
        client.get(service.url("/answers")).header("last-event-id", &answer[0].0).send().await.unwrap();
    assert_eq!(events(&rest.text().await.unwrap()), answer[1..]);
    let over = client.get(service.url("/answers")).header("last-event-id", &answer.last().unwrap().0);
    assert_eq!(over.send().await.unwrap().status(), StatusCode::NO_CONTENT);

    assert_eq!(
        client.delete(&url).bearer_auth(token("admin")).send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(outcome(&ask(&client, &service, question).await), "not_found");
}

/// The samples of the page one after the other, as a person presses them, and a question in another language.
#[tokio::test]
async fn a_conversation_that_changes_its_subject_is_answered_about_that() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    let mut outcomes = Vec::new();
    for question in [
        "계단 내려갈 때 무릎 앞쪽이 아파요",
        "하프 마라톤은 몇 주 준비하나요?",
        "김치찌개는 어떻게 끓이나요?",
        "When should I take gels in a race?",
    ] {
        let body = json!({"question": question, "conversation": "a-runner's-conversation"});
        let answer = client.post(service.url("/answers")).json(&body).send().await.unwrap();
        let answer = events(&answer.text().await.unwrap());
        let source = answer[0].2["sources"][0]["document"].as_str().unwrap_or("none").to_owned();
        outcomes.push((source, answer.last().unwrap().2["outcome"].as_str().unwrap().to_owned()));
    }
    let outcomes: Vec<_> = outcomes.iter().map(|(source, outcome)| (&**source, &**outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("ko/knee-front", "extracted"),
            ("ko/half-plan", "extracted"),
            ("none", "not_found"),
            ("en/gels", "extracted"),
        ]
    );
}

#[tokio::test]
async fn what_the_model_does_not_answer_is_not_counted_and_told_as_what_it_is() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let status = Arc::new(AtomicUsize::new(503));
    let (url, asked) = desk::model_with_status(Arc::clone(&status)).await;
    let data = folder.path().join("knowledge.sqlite");
    let service = desk::start("running_coach", &data, &["--model-questions-per-address", "2"], |command| {
        command.env("PUMASI_LLM_URL", &url).env("NO_PROXY", "*");
    });
    let request = |question: &str| {
        let request = client.post(service.url("/answers")).header("accept-language", "ko");
        request.json(&json!({"question": question}))
    };
    let last = async |question: &str| {
        let answer = request(question).send().await.unwrap().error_for_status().unwrap();
        events(&answer.text().await.unwrap()).pop().unwrap().2
    };
    let (knee, half) = ("계단 내려갈 때 무릎 앞쪽이 아파요", "하프 마라톤은 몇 주 준비하나요?");
    for _ in 0..2 {
        let done = last(knee).await;
        assert_eq!((&done["outcome"], &done["unreachable"]), (&json!("extracted"), &json!("unavailable")));
    }
    status.store(400, Ordering::Relaxed);
    for _ in 0..2 {
        let broke = last(knee).await;
        assert_eq!(broke["type"], "error", "{broke}");
        let message = broke["message"].as_str().unwrap();
        assert!(message.chars().any(|letter| ('가'..='힣').contains(&letter)), "{message}");
        assert!(!message.contains("127.0.0.1") && !message.contains("http"), "{message}");
    }
    status.store(0, Ordering::Relaxed);
    let before = asked.load(Ordering::Relaxed);
    let unheard = tokio::spawn(request(knee).send());
    while asked.load(Ordering::Relaxed) == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(unheard.await.unwrap().unwrap());
    status.store(200, Ordering::Relaxed);
    // The model was called for the one that nobody heard, and costs what it costs: one of the two is left.
    assert_eq!(last(knee).await["outcome"], "answered");
    let spent = last(half).await;
    assert_eq!((&spent["outcome"], &spent["unreachable"]), (&json!("extracted"), &Value::Null), "{spent}");
    let again = last(knee).await;
    assert_eq!((&again["outcome"], &again["is_cached"]), (&json!("answered"), &json!(true)), "{again}");
}

#[tokio::test]
async fn the_model_answers_so_many_questions_a_day_and_then_the_sources_do() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let (url, asked) = desk::model().await;
    let limits = ["--model-questions-per-address", "2", "--model-questions", "3"];
    let serve = || {
        desk::start("running_coach", &folder.path().join("knowledge.sqlite"), &limits, |command| {
            command.env("PUMASI_LLM_URL", &url).env("PUMASI_TRUSTED_PROXIES", "1");
        })
    };
    let mut service = serve();
    let about: Value = client.get(service.url("/about")).send().await.unwrap().json().await.unwrap();
    assert_eq!(about["model_questions"], json!({"per_address": 2, "in_all": 3}));
    let outcome = async |service: &Running, address: &str, question: &str| {
        let request = client.post(service.url("/answers")).header("x-forwarded-for", address);
        let answer = request.json(&json!({"question": question})).send().await.unwrap();
        let events = events(&answer.error_for_status().unwrap().text().await.unwrap());
        events.last().unwrap().2["outcome"].as_str().unwrap().to_owned()
    };
    let (knee, half, gels) = (
        "계단 내려갈 때 무릎 앞쪽이 아파요",
        "하프 마라톤은 몇 주 준비하나요?",
        "When should I take gels in a race?",
    );
    // What was answered before, and what nothing is known of, cost nothing.
    for (address, question, expected) in [
        ("2001:db8::1", knee, "answered"),
        ("2001:db8::2", knee, "answered"),
        ("2001:db8::3", "김치찌개는 어떻게 끓이나요?", "not_found"),
        ("2001:db8::4", half, "answered"),
        ("2001:db8::5", gels, "extracted"),
        ("203.0.113.7", gels, "answered"),
        ("203.0.113.8", "처음 달리기는 어떻게 시작하나요?", "extracted"),
    ] {
        assert_eq!(outcome(&service, address, question).await, expected, "{address}: {question}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    service.signal("-TERM").unwrap();
    desk::ended(&mut service).await;
    let service = serve();
    assert_eq!(outcome(&service, "203.0.113.9", half).await, "extracted", "after a restart");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_says_what_is_wrong() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    for (body, status) in [
        (json!({"question": " "}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"question": "가".repeat(2_001)}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"question": "왜?", "conversation": "short"}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = client.post(service.url("/answers")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let empty = json!({"title": "x", "text": " "});
    let answer = client
        .put(service.url("/knowledge/x"))
        .bearer_auth(token("admin"))
        .json(&empty)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(client.get(service.url("/answers")).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let unknown = client.get(service.url("/answers")).header("last-event-id", "x.1").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert_eq!(unknown.headers()["content-type"], "application/problem+json");
    for (method, path, status) in [
        (Method::GET, "/nowhere", StatusCode::NOT_FOUND),
        (Method::GET, "/knowledge/nothing", StatusCode::NOT_FOUND),
        (Method::DELETE, "/knowledge/nothing", StatusCode::NOT_FOUND),
        (Method::PATCH, "/knowledge", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/knowledge?limit=0", StatusCode::BAD_REQUEST),
        (Method::GET, "/knowledge?after=%00", StatusCode::BAD_REQUEST),
        (Method::GET, "/knowledge?offset=1", StatusCode::BAD_REQUEST),
        (Method::GET, "/knowledge/%ff", StatusCode::BAD_REQUEST),
    ] {
        let answer =
            client.request(method, service.url(path)).bearer_auth(token("admin")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        assert!(answer.json::<Value>().await.unwrap()["hint"].is_string(), "{path}");
    }
    let large = "가".repeat(40_000);
    let large = client.put(service.url("/knowledge/x")).header("content-type", "text/plain").body(large);
    assert_eq!(large.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE, "of a stranger");

    for path in ["/", "/app.js", "/base.js", "/healthz", "/readyz", "/metrics"] {
        assert_eq!(client.get(service.url(path)).send().await.unwrap().status(), StatusCode::OK, "{path}");
    }
    let ready: Value = client.get(service.url("/readyz")).send().await.unwrap().json().await.unwrap();
    assert_eq!(ready, json!({"status": "ready", "dependencies": {"cache": "up", "store": "up"}}));
    let openapi: Value = client.get(service.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    let files = &openapi["paths"]["/knowledge/{id}"]["put"]["requestBody"]["content"];
    assert!(files["application/pdf"].is_object() && files["text/html"].is_object(), "{openapi}");
}

/// Puts a document with its path as it is: clients take a path that goes up for the one above.
fn put(service: &Running, path: &str, body: &Value) -> u16 {
    let (host, body) = (service.url("").replace("http://", ""), body.to_string());
    let mut stream = TcpStream::connect(&host).unwrap();
    let (token, length) = (token("admin"), body.len());
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn what_no_path_names_and_nobody_sees_is_refused_and_only_one_makes_a_document() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    let document = json!({"title": "물", "text": "물은 20분마다 마십니다."});
    for path in ["/knowledge/%2E%2E", "/knowledge/%2E"] {
        assert_eq!(put(&service, path, &document), 422, "{path}");
    }
    assert_eq!(put(&service, "/knowledge/x", &json!({"title": "\u{200B}", "text": "물"})), 422);
    let made = std::thread::scope(|scope| {
        let putting = [(); 8].map(|()| scope.spawn(|| put(&service, "/knowledge/water", &document)));
        putting.map(|putting| putting.join().unwrap())
    });
    assert_eq!(made.iter().filter(|status| **status == 201).count(), 1, "{made:?}");
}

#[test]
fn logs_are_json_and_show_no_token_though_no_key_is_set() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["running_coach", "slack_bot"] {
        let serve = |command: &mut Command| {
            command.args(["serve", "--listen", "127.0.0.1:0"]).env_remove("PUMASI_TOKEN_KEY");
            command.env("SLACK_SIGNING_SECRET", "a secret").env("SLACK_BOT_TOKEN", "xoxb-none");
            command.arg("--data").arg(folder.path().join(name));
        };
        let service = Running::start(name, serve).unwrap();
        let logs = service.logs();
        assert!(logs.contains("nobody has a token") && !logs.contains("eyJ"), "{logs}");
        assert!(logs.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{logs}");
    }
}

#[tokio::test]
async fn a_model_that_is_down_is_named_and_leaves_the_service_ready() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    // Nobody listens there.
    let service = start_with(folder.path(), |command| {
        command.env("PUMASI_LLM_URL", "http://127.0.0.1:1/v1").env("NO_PROXY", "*");
    });
    let ready =
        async || client.get(service.url("/readyz")).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(ready().await["status"], "ready", "no call was made");
    let events = ask(&client, &service, "발목이 아픈데 뛰어도 되나요?").await;
    assert_eq!(events.last().unwrap().2["unreachable"], "unavailable", "{events:?}");
    // What was asked a moment ago counts for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let degraded = ready().await;
    assert_eq!(
        (&degraded["status"], &degraded["down"]),
        (&json!("degraded"), &json!(["model"])),
        "{degraded}"
    );
    assert_eq!(client.get(service.url("/readyz")).send().await.unwrap().status(), StatusCode::OK);
}

/// A PDF of one page that says this, in Helvetica; the reader finds objects where the table of places is wrong.
fn pdf(text: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    let (mut file, mut places) = ("%PDF-1.4\n".to_owned(), Vec::new());
    for (number, object) in objects.iter().enumerate() {
        places.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", number + 1).unwrap();
    }
    let table = file.len();
    file.push_str("xref\n0 6\n0000000000 65535 f \n");
    for place in places {
        writeln!(file, "{place:010} 00000 n ").unwrap();
    }
    write!(file, "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").unwrap();
    file.into_bytes()
}

#[tokio::test]
async fn text_markdown_html_and_pdf_are_answered_from_and_each_source_opens_its_passage() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    let page = "<html><head><title>Shoe glue</title></head><body><h1>Repairs</h1><script>alert('glue')</script>\
                <p>Shoe glue dries for nine hours before a run.</p></body></html>";
    let markdown = "# 준비물\n\n## 허리 전등\n\n허리 전등은 새벽 달리기에 씁니다. 전등은 두 개를 챙깁니다.";
    for (id, kind, body, question, quoted) in [
        (
            "en%2Fblister",
            "text/plain",
            b"A blister patch stays on for two days.".to_vec(),
            "How long does a blister patch stay on?",
            "blister patch",
        ),
        (
            "ko%2Flamp",
            "text/markdown; charset=utf-8",
            markdown.into(),
            "허리 전등은 언제 쓰나요?",
            "허리 전등은 새벽",
        ),
        (
            "ko%2Ftape",
            "text/plain; charset=euc-kr",
            // in CP949: "테이프는 닷새마다 새로 감습니다."
            b"\xC5\xD7\xC0\xCC\xC7\xC1\xB4\xC2 \xB4\xE5\xBB\xF5\xB8\xB6\xB4\xD9 \xBB\xF5\xB7\xCE \xB0\xA8\xBD\xC0\xB4\xCF\xB4\xD9.".to_vec(),
            "테이프는 얼마마다 새로 감나요?",
            "테이프는 닷새마다",
        ),
        (
            "en%2Fglue",
            "text/html",
            page.into(),
            "How long does shoe glue dry before a run?",
            "Shoe glue dries",
        ),
        (
            "en%2Fvest",
            "application/pdf",
            pdf("A reflective vest is washed at thirty degrees."),
            "How is a reflective vest washed?",
            "reflective vest",
        ),
    ] {
        let request = client.put(service.url(&format!("/knowledge/{id}"))).header("content-type", kind);
        let stored = request.bearer_auth(token("admin")).body(body).send().await.unwrap();
        let status = stored.status();
        assert_eq!(status, StatusCode::CREATED, "{id}: {}", stored.text().await.unwrap());
        let answer = ask(&client, &service, question).await;
        let document = id.replace("%2F", "/");
        let sources = answer[0].2["sources"].as_array().unwrap();
        let source = sources.iter().find(|source| source["document"] == document.as_str());
        let source = source.unwrap_or_else(|| panic!("{document} is no source: {sources:?}"));

        // The passage, found in the whole document by its bytes.
        let url = service.url(&format!("/knowledge/{id}"));
        let whole: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        let at = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let (start, end) = (at(&source["span"]["start"]), at(&source["span"]["end"]));
        let section = whole["sections"].as_array().unwrap().iter().find(|section| {
            let text = section["text"].as_str().unwrap();
            (at(&section["start"])..at(&section["start"]) + text.len()).contains(&start)
        });
        let section = section.unwrap();
        let text = section["text"].as_str().unwrap();
        let passage = &text[start - at(&section["start"])..end - at(&section["start"])];
        assert_eq!(passage, source["text"].as_str().unwrap());
        assert!(passage.contains(quoted), "{passage}");
        assert!(!whole.to_string().contains("alert"), "a script became knowledge");
    }
    // A book is more than what others may send.
    let book = format!("<!-- {} --><p>달리기는 즐겁습니다.</p>", "x".repeat(3 << 20));
    let request =
        client.put(service.url("/knowledge/ko%2Fbook?title=책")).header("content-type", "text/html");
    let stored = request.bearer_auth(token("admin")).body(book).send().await.unwrap();
    assert_eq!(stored.status(), StatusCode::CREATED);
    let rows: Value =
        client.get(service.url("/knowledge?limit=500")).send().await.unwrap().json().await.unwrap();
    let title =
        |id: &str| rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()["title"].clone();
    assert_eq!((title("en/glue"), title("en/blister")), (json!("Shoe glue"), json!("blister")));

    for (kind, body, status) in [
        ("application/zip", b"PK".to_vec(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/pdf", b"%PDF-1.4 and no more".to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("application/pdf", pdf(""), StatusCode::UNPROCESSABLE_ENTITY),
        ("application/json", br#"["title", "text", "topic"]"#.to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", vec![0xff, 0xfe], StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", b"  ".to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("text/html", b"<p> </p>".to_vec(), StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", vec![b'x'; (16 << 20) + 1], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = client.put(service.url("/knowledge/bad")).header("content-type", kind);
        let answer = request.bearer_auth(token("admin")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{kind}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{kind}");
    }
}

#[tokio::test]
async fn who_goes_on_trying_tokens_is_slowed_down_and_who_never_ends_a_request_is_left() {
    let (client, folder) = (Client::new(), tempfile::tempdir().unwrap());
    let service = start(folder.path());
    let address = service.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut endless = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut endless, b"GET /healthz HTTP/1.1\r\nhost: x").await.unwrap();

    let mut answers = Vec::new();
    for _ in 0..60 {
        let guess = client.get(service.url("/knowledge")).bearer_auth("guess").send().await.unwrap();
        answers.push(guess.status());
    }
    assert_eq!(answers[..30], [StatusCode::UNAUTHORIZED; 30]);
    assert!(answers.contains(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
    let known = client.get(service.url("/knowledge")).bearer_auth(token("admin")).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::OK, "who is known is not held up by others' guesses");

    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut endless, &mut rest);
    tokio::time::timeout(Duration::from_secs(40), read).await.expect("the connection is closed").unwrap();
}
