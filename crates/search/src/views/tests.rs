use super::*;
use pumasi_core::time::ManualClock;

const KEY: &[u8] = b"a key of 16 bytes";

#[test]
fn a_short_key_is_refused() {
    for key in [&b""[..], b"fifteen bytes.."] {
        let refused = ViewCounter::new(MemoryViews::new(), key).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(ErrorKind::InvalidInput));
    }
}

fn anonymous(address: &str, agent: &'static str) -> Viewer<'static> {
    Viewer::Anonymous { address: address.parse().unwrap(), agent }
}

#[tokio::test]
async fn a_viewer_counts_once_an_hour() {
    let clock = ManualClock::new();
    let views = ViewCounter::new(MemoryViews::new(), KEY).unwrap().with_clock(Arc::new(clock.clone()));
    let mut totals = Vec::new();
    for _ in 0..7 {
        totals.push(views.see("글 1", anonymous("203.0.113.7", "Firefox")).await.unwrap().total);
        clock.advance(Duration::from_mins(20));
    }
    assert_eq!(totals, [1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(views.totals(&["글 1", "글 2"]).await.unwrap(), [3, 0]);
}

#[tokio::test]
async fn viewers_are_told_apart_and_robots_are_not_counted() {
    let views = ViewCounter::new(MemoryViews::new(), KEY).unwrap().with_clock(Arc::new(ManualClock::new()));
    for (viewer, counted) in [
        (anonymous("203.0.113.7", "Firefox"), true),
        (anonymous("203.0.113.7", "Safari"), true),
        (anonymous("::ffff:203.0.113.7", "Safari"), false),
        (anonymous("2001:db8:1:2:aaaa::1", "Safari"), true),
        (anonymous("2001:db8:1:2:bbbb::9", "Safari"), false),
        (anonymous("2001:db8:1:3::1", "Safari"), true),
        (anonymous("203.0.113.8", "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)"), false),
        (anonymous("203.0.113.8", ""), false),
        (Viewer::Member("민지"), true),
        (Viewer::Member("민지"), false),
    ] {
        let seen = views.see("post", viewer).await.unwrap();
        assert_eq!(seen.counted, counted, "{viewer:?}");
    }
    let strict = views.clone().with_robots(|viewer| matches!(viewer, Viewer::Anonymous { .. }));
    assert!(!strict.see("other", anonymous("203.0.113.7", "Firefox")).await.unwrap().counted);
}

#[test]
fn robots_are_known_by_what_they_really_call_themselves_and_people_are_not_taken_for_them() {
    for (agent, is_robot) in [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
        ("Mozilla/5.0 (compatible; Yeti/1.1; +http://naver.me/spd)", true),
        ("Mozilla/5.0 (compatible; Daum/4.1; +http://cs.daum.net/faq/15/4118.html?faqId=28966)", true),
        ("Mozilla/5.0 (compatible; Daumoa/4.0)", true),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", true),
        ("WhatsApp/2.23.20.0", true),
        ("Go-http-client/2.0", true),
        ("okhttp/4.12.0", true),
        ("axios/1.6.0", true),
        ("Apache-HttpClient/4.5.13 (Java/17.0.1)", true),
        ("Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)", true),
        ("Mediapartners-Google", true),
        ("ia_archiver", true),
        ("curl/8.5.0", true),
        (
            "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 KAKAOTALK 10.4.5",
            false,
        ),
        ("Mozilla/5.0 (Linux; Android 14) NAVER(inapp; search; 1000; 12.4.0)", false),
        ("Mozilla/5.0 (Linux; Android 14) DaumApps/7.0 DaumDevice/mobile", false),
    ] {
        assert_eq!(calls_itself_a_robot(&anonymous("203.0.113.8", agent)), is_robot, "{agent}");
    }
}

#[test]
fn marks_of_one_viewer_have_nothing_in_common() {
    let views = ViewCounter::new(MemoryViews::new(), KEY).unwrap();
    let other = ViewCounter::new(MemoryViews::new(), b"another key of 16 bytes").unwrap();
    let viewer = Viewer::Member("민지");
    let window = |number| ViewWindow::new(number, Duration::ZERO);
    let marks = [
        views.mark("a", window(1), viewer),
        views.mark("a", window(2), viewer),
        views.mark("b", window(1), viewer),
        other.mark("a", window(1), viewer),
    ];
    let different: std::collections::HashSet<_> = marks.iter().collect();
    assert_eq!(different.len(), 4);
    assert_eq!(views.mark("a", window(1), viewer), marks[0]);
    let shown = format!("{viewer:?} {views:?}");
    assert!(!shown.contains("민지") && !shown.contains("key"), "{shown}");
}
