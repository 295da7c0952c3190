//! The command without a service.

use super::*;

#[test]
fn the_command_leaves_foreign_files_alone_and_says_what_is_no_post() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(support::child::example("every_task").unwrap())
            .env_remove("OPENAI_API_KEY")
            .env_remove("PUMASI_LLM_URL")
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let posts = path(
        "posts.jsonl",
        "{\"id\": \"\", \"kind\": \"story\", \"body\": \"I read a book.\"}\n\
         {\"id\": \"b\", \"kind\": \"story\", \"body\": \" \"}\n\
         {\"id\": \"c\", \"kind\": \"story\", \"body\": \"I read a book.\"}\n",
    );
    let (status, told, printed) = run(&[posts.as_os_str()]);
    assert_eq!(status, Some(1));
    assert!(told.contains("line 1: the id is empty") && told.contains("line 2: the body of post"), "{told}");
    assert!(printed.contains("STORY    c"), "{printed}");

    // a file of the person's own, which even lacks its last line's end
    let notes = path("notes.txt", "do not lose this");
    let (status, told, _) = run(&["--journal".as_ref(), notes.as_os_str(), posts.as_os_str()]);
    assert!(status == Some(1) && told.contains("is no journal"), "{told}");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "do not lose this");

    let diary =
        path("diary.txt", "I want to log every night.\n{\"kind\":\"story\",\"title\":\"x\"}\n- Run 5 km\n");
    let (status, told, printed) = run(&[diary.as_os_str()]);
    assert_eq!((status, told.as_str()), (Some(0), ""), "a text may quote a line of JSON");
    assert!(printed.contains("1 post, 0 failed"), "{printed}");

    let one =
        path("one.json", "{\n  \"id\": \"d\",\n  \"kind\": \"story\",\n  \"body\": \"I read a book.\"\n}\n");
    let (status, told, printed) = run(&[one.as_os_str()]);
    assert_eq!((status, told.as_str()), (Some(0), ""), "one object on several lines is a post");
    assert!(printed.contains("STORY    d"), "{printed}");
    let none = path("none.json", "{\n  \"id\": \"d\",\n  \"kind\": \"story\"\n}\n");
    let (status, told, _) = run(&[none.as_os_str()]);
    assert!(status == Some(1) && told.contains("missing field `body`"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    let escapes = path(
        "escapes.jsonl",
        "{\"id\": \"e\\u001b[2J\", \"kind\": \"story\", \"title\": \"\\u001b]0;x\\u0007\\r\", \"body\": \"- Run \\u001b[31m5 km\"}\n\
         {\"id\": \"f\", \"kind\": \"\\u001b[31m\", \"body\": \"x\"}\n",
    );
    let (_, told, printed) = run(&[escapes.as_os_str()]);
    for text in [told, printed] {
        let raw = text.chars().find(|letter| *letter != '\n' && letter.is_control());
        assert!(raw.is_none() && text.contains(r"\u{1b}"), "{raw:?} in {text}");
    }

    for (filter, words) in [
        (r#"{"exists": {"field": "titel"}}"#, "no field titel"),
        (r#"{"eq": {"field": "difficulty", "value": "hrad"}}"#, "one of easy, medium, hard"),
    ] {
        let (status, told, _) = run(&["--only".as_ref(), filter.as_ref(), posts.as_os_str()]);
        assert!(status == Some(2) && told.contains(words), "{told}");
    }
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let posts = folder.path().join("posts.jsonl");
    let line = |id: usize| format!("{{\"id\": \"{id}\", \"kind\": \"story\", \"body\": \"- Run 5 km\"}}\n");
    std::fs::write(&posts, (0..9).map(line).collect::<String>()).unwrap();
    // Every write to a file fails from here on, as on a full disk.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --journal \"$1\" \"$2\""])
        .arg(support::child::example("every_task").unwrap())
        .args([folder.path().join("journal"), posts])
        .env_remove("OPENAI_API_KEY")
        .env_remove("PUMASI_LLM_URL")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("stopped after 0 of 9 posts") && told.contains("append"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !String::from_utf8(output.stdout).unwrap().contains("STORY"),
        "what could not be kept is not handed out"
    );
}
