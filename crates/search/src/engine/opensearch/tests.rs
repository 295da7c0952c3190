//! What a cluster's trouble looks like from here; what it answers is the stand-in's.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pumasi_core::time::Timestamp;

use super::*;
use crate::{Document, MemoryEngine, Query, Search, TextField};

/// How a node answers.
#[derive(Clone, Copy)]
enum Node {
    Well,
    Hangs,
    Refuses,
    /// Keeps when its documents were changed.
    Keeps,
}

fn schema() -> Schema {
    Schema::new("posts").with_text(TextField::new("title"))
}

/// Starts a node; returns its address and how often it was asked.
fn node(kind: Node) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (counted, kept) = (Arc::clone(&asked), Kept::default());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(std::result::Result::ok) {
            let (counted, kept) = (Arc::clone(&counted), Arc::clone(&kept));
            std::thread::spawn(move || serve(stream, kind, &counted, &kept));
        }
    });
    (url, asked)
}

/// The moments of documents.
type Kept = Arc<Mutex<HashMap<String, i64>>>;

fn keep(kept: &Kept, request: &str) -> Json {
    let lines: Vec<Json> = request.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let items = lines.chunks_exact(2).map(|pair| {
        let id = pair[0]["index"]["_id"].as_str().unwrap().to_owned();
        kept.lock().unwrap().insert(id, pair[1]["at"].as_i64().unwrap_or(0));
        json!({"index": {"status": 200}})
    });
    json!({"items": items.collect::<Vec<_>>()})
}

fn serve(mut stream: TcpStream, kind: Node, asked: &AtomicUsize, kept: &Kept) -> Option<()> {
    let (mut read, mut buffer) = (Vec::new(), vec![0_u8; 65_536]);
    loop {
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let length =
            text.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let head = text.find("\r\n\r\n").filter(|head| read.len() >= head + 4 + length.unwrap_or(0));
        let Some(head) = head else {
            let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
            read.extend_from_slice(&buffer[..count]);
            continue;
        };
        let request: Vec<u8> = read.drain(..head + 4 + length.unwrap_or(0)).collect();
        asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match kind {
            Node::Hangs => continue,
            Node::Refuses => {
                let cause = json!([{"type": "too_many_clauses"}]);
                let error = json!({"type": "search_phase_execution_exception", "root_cause": cause});
                ("400 Bad Request", json!({"error": error, "status": 400}))
            }
            Node::Well | Node::Keeps if text.contains("_alias/") => {
                ("200 OK", json!({"pumasi_posts_g1": {}}))
            }
            Node::Keeps if text.contains("/_bulk") => {
                ("200 OK", keep(kept, &String::from_utf8_lossy(&request[head + 4..])))
            }
            Node::Keeps => {
                let newest = kept.lock().unwrap().values().max().copied();
                ("200 OK", json!({"aggregations": {"at": {"value": newest}}}))
            }
            Node::Well => {
                let hit = json!({"_source": {"id": "1", "version": 1, "source": "{}"}, "sort": [1.0, "1"], "_score": 1.0});
                let hits = json!({"total": {"value": 1}, "hits": [hit]});
                let aggregations = json!({"live": {"doc_count": 1}, "at": {"value": null}});
                let shards = json!({"total": 1, "failed": 0});
                let body = json!({"_shards": shards, "timed_out": false, "aggregations": aggregations, "hits": hits});
                ("200 OK", body)
            }
        };
        let (body, kind) = (body.to_string(), "content-type: application/json");
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}");
        // at once: what comes in pieces waits for the reader
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

async fn search(urls: &[String]) -> Search {
    let database = MemoryEngine::new(schema()).with_name("database");
    let post = Change::upsert(Document::new("1", json!({"title": "러닝"})), 1);
    database.apply(&[post]).await.unwrap();
    let engine = OpenSearchEngine::new(schema(), urls).unwrap();
    Search::builder("posts").primary(engine).fallback(database).build().unwrap()
}

#[tokio::test]
async fn a_node_that_hangs_gets_its_share_of_the_time_and_is_left_alone_then() {
    let ((hangs, asked), (well, _)) = (node(Node::Hangs), node(Node::Well));
    let engine = OpenSearchEngine::new(schema(), &[hangs, well]).unwrap();
    engine.search(&Query::new("러닝"), Duration::from_secs(6)).await.unwrap();
    engine.search(&Query::new("러닝"), Duration::from_secs(6)).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_is_given_up_counts_against_the_node_that_hangs() {
    let ((hangs, _), (well, _)) = (node(Node::Hangs), node(Node::Well));
    let nodes = Nodes::new(Client::new(), &[hangs, well]).unwrap();
    let call = || nodes.call(Method::GET, "_alias/x", &Body::None, Duration::from_secs(20));
    assert!(tokio::time::timeout(Duration::from_millis(200), call()).await.is_err());
    let began = Instant::now();
    call().await.unwrap();
    call().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_query_that_the_cluster_refuses_is_answered_by_another_engine() {
    let search = search(&[node(Node::Refuses).0]).await;
    let served = search.search(Query::new("러닝")).await.unwrap();
    assert_eq!(served.backend(), Some("database"));
}

#[tokio::test]
async fn a_repair_by_one_process_does_not_take_back_how_far_another_has_come() {
    let (url, asked) = node(Node::Keeps);
    let [one, other] = [(); 2].map(|()| OpenSearchEngine::new(schema(), std::slice::from_ref(&url)).unwrap());
    let write = async |engine: &OpenSearchEngine, id: &str, version, at: Option<i64>| {
        let change = Change::upsert(Document::new(id, json!({"title": "러닝"})), version);
        let change = at.map_or(change.clone(), |at| change.with_at(Timestamp::from_micros(at)));
        assert_eq!(engine.apply(&[change]).await.unwrap().remove(0).unwrap(), Applied::Done);
    };
    write(&other, "1", 1, Some(50)).await;
    let before = asked.load(Ordering::SeqCst);
    write(&other, "2", 1, Some(60)).await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        before + 1,
        "what is newer than all is written without a question"
    );
    write(&one, "3", 1, Some(100)).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    write(&other, "3", 2, None).await;
    assert_eq!(one.status().await.unwrap().applied, Some(Timestamp::from_micros(100)));
}
