//! The service is killed, left by its clients, or asked to stop.

use super::*;

#[tokio::test]
async fn what_was_accepted_before_a_kill_is_there_after_it_once() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let (mut accepted, mut sent, mut kills) = (HashSet::new(), 0, 0);
    let counted = AtomicUsize::new(0);
    for round in 0..4_usize {
        let service = start(folder.path());
        let posting = async {
            loop {
                sent += 1;
                let answer = client.post(service.url("/posts")).json(&post(sent)).send().await;
                let Ok(answer) = answer else { break };
                if answer.status() != StatusCode::ACCEPTED {
                    break;
                }
                let Ok(body) = answer.json::<Value>().await else { break };
                accepted.insert(body["id"].as_str().unwrap().to_owned());
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let killing = async {
            // in the middle of whatever comes after two more were accepted
            while counted.load(Ordering::Relaxed) < 2 * (round + 1) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(60 + 110 * round as u64)).await;
            service.signal("-KILL").unwrap();
            kills += 1;
        };
        tokio::join!(posting, killing);
    }
    let service = start(folder.path());
    let posts = settled(&client, &service).await;
    let ids: Vec<&str> = posts.iter().map(|post| post["id"].as_str().unwrap()).collect();
    let known: HashSet<&str> = ids.iter().copied().collect();
    println!("killed {kills} times: {sent} posts sent, {} accepted, {} found", accepted.len(), ids.len());
    assert!(accepted.len() > 4, "the service accepted too little for a test");
    assert_eq!(known.len(), ids.len(), "a post stands twice");
    let lost: Vec<&String> = accepted.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{} accepted posts are lost", lost.len());
    assert!(posts.iter().all(|post| post["state"] == "extracted" && post["tasks"] == 1));
}

#[tokio::test]
async fn clients_that_go_away_before_the_answer_leave_nothing_half_done() {
    const CLIENTS: usize = 100;
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let service = start(folder.path());
    let mut listening = client.get(service.url("/events")).send().await.unwrap();
    let address = service.url("").trim_start_matches("http://").to_owned();
    let bearer = bearer();
    let send_and_leave = async |method: &str, path: &str, body: &str, after: Duration| {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nContent-Type: application/json"
        );
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(after).await;
    };
    let begun = Instant::now();
    for number in CLIENTS..CLIENTS + 5 {
        client.post(service.url("/posts")).json(&post(number)).send().await.unwrap();
    }
    let answer = begun.elapsed() / 5;
    // Most leave soon, and the last ones after twice the time that an answer takes on this machine.
    let patience = |place: usize, of: usize| {
        let part = f64::from(u32::try_from(place).unwrap()) / f64::from(u32::try_from(of).unwrap());
        answer.mul_f64(2.0 * part.powi(4))
    };
    // On a machine that is busier by now, more come and stay for longer.
    let (mut posts, mut longer) = (Vec::new(), 1);
    while posts.len() < 10 && longer < 100 {
        for number in 0..CLIENTS {
            let patience = patience(number, CLIENTS) * longer;
            send_and_leave("POST", "/posts", &post(number).to_string(), patience).await;
        }
        posts = settled(&client, &service).await;
        longer *= 2;
    }
    assert!(posts.len() > 9, "the clients left too early for a test");
    let left = async || get(&client, &service.url("/posts?limit=500")).await.as_array().unwrap().len();
    longer = 1;
    while left().await == posts.len() && longer < 100 {
        for (number, listed) in posts.iter().enumerate() {
            let path = format!("/posts/{}", listed["id"].as_str().unwrap());
            send_and_leave("DELETE", &path, "", patience(number, posts.len()) * longer).await;
        }
        longer *= 2;
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut told = String::new();
    loop {
        let left = left().await;
        let withdrawn = told.matches("event: withdrawn").count();
        println!("{} posts, {left} left, {withdrawn} told as withdrawn", posts.len());
        if withdrawn > 0 && withdrawn + left == posts.len() {
            break;
        }
        assert!(Instant::now() < deadline, "deletions stay untold");
        while let Ok(piece) = tokio::time::timeout(Duration::from_millis(500), listening.chunk()).await {
            told.push_str(std::str::from_utf8(&piece.unwrap().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn it_stops_when_asked_even_while_a_page_listens() {
    let (folder, client) = (tempfile::tempdir().unwrap(), member());
    let mut service = start(folder.path());
    let mut listening = client.get(service.url("/events")).send().await.unwrap();
    service.signal("-TERM").unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), listening.chunk()).await;
    assert!(end.is_ok(), "the stream of events goes on");
    let status = desk::ended(&mut service).await;
    assert!(status.success());
}
