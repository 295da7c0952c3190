//! In which language people are answered: in Korean or in English, as they ask for.

mod korean;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Serialize, Serializer};

/// A language that services speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// What services are written in.
    #[default]
    English,
    /// What [`say`](Self::say) translates into.
    Korean,
}

impl Language {
    /// The one that `Accept-Language` prefers (RFC 9110, 12.5.4); English if it says nothing of either.
    pub fn of(headers: &HeaderMap) -> Self {
        let (mut korean, mut english, mut other) = (None, None, 0.0);
        let values = headers.get_all(header::ACCEPT_LANGUAGE);
        let ranges =
            values.into_iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        for (place, range) in ranges.enumerate() {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight.trim().strip_prefix(['q', 'Q']).and_then(|weight| weight.strip_prefix('='));
            let weight = weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
            // Of two that are wanted alike, the one that is named first.
            let wanted = Some((weight, Reverse(place)));
            match tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "ko" if korean < wanted => korean = wanted,
                "en" if english < wanted => english = wanted,
                "*" => other = weight,
                _ => {}
            }
        }
        let last = Some((other, Reverse(usize::MAX)));
        let (korean, english): (Option<(f32, _)>, _) = (korean.or(last), english.or(last));
        let is_wanted = korean.is_some_and(|(weight, _)| weight > 0.0);
        if is_wanted && korean > english { Self::Korean } else { Self::English }
    }

    /// The one in which the request is answered that is being answered, which is then said in it; English where there is none.
    pub fn spoken() -> Self {
        let speak = |asked: &Asked| {
            asked.spoken.store(true, Ordering::Relaxed);
            asked.language
        };
        REQUEST.try_with(speak).unwrap_or_default()
    }

    /// Says what `saying` says in this language, where no request is being answered any more: the events of a stream.
    pub fn speak<T>(self, saying: impl FnOnce() -> T) -> T {
        REQUEST.sync_scope(Asked { language: self, spoken: Arc::default() }, saying)
    }

    /// Its tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }

    /// Says in this language what services and their parts say in English: details, hints, reasons. What there are no words for
    /// stays as it is.
    pub fn say(self, english: &str) -> Cow<'_, str> {
        match self {
            Self::English => Cow::Borrowed(english),
            Self::Korean => Self::korean(english).map_or(Cow::Borrowed(english), Cow::Owned),
        }
    }

    /// The same in Korean; `None` if there are no words for it.
    pub fn korean(english: &str) -> Option<String> {
        korean::of(english)
    }
}

tokio::task_local! {
    static REQUEST: Asked;
}

/// What is known while a request is answered.
#[derive(Clone)]
struct Asked {
    language: Language,
    /// Whether something was said in it.
    spoken: Arc<AtomicBool>,
}

/// Answers a request in the language that it asks for: what says something looks here for [the language](Language::spoken). Such an
/// answer tells its language, and that it depends on what was asked for.
pub async fn in_language(request: Request, next: Next) -> Response {
    let asked = Asked { language: Language::of(request.headers()), spoken: Arc::default() };
    let mut response = REQUEST.scope(asked.clone(), next.run(request)).await;
    if asked.spoken.load(Ordering::Relaxed) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(asked.language.tag()));
        headers.append(header::VARY, HeaderValue::from_static("accept-language"));
    }
    response
}

/// What a service or a part of it says in English; written in the [language](Language::spoken) of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(pub String);

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Language::spoken().say(&self.0))
    }
}

/// The same in both languages; written in the [language](Language::spoken) of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// In English.
    pub english: &'static str,
    /// In Korean.
    pub korean: &'static str,
}

impl Words {
    /// In one of them.
    pub const fn within(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Korean => self.korean,
        }
    }
}

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.within(Language::spoken()))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use axum::{Json, Router, middleware};

    use super::*;

    #[test]
    fn the_language_is_the_one_that_is_preferred() {
        for (wanted, language) in [
            ("", Language::English),
            ("ko", Language::Korean),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean),
            ("en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("en;q=0.3, KO ; q=0.4", Language::Korean),
            ("fr, ko;q=0.1", Language::Korean),
            ("fr", Language::English),
            ("*", Language::English),
            ("*, en;q=0.5", Language::Korean),
            ("ko;q=0", Language::English),
            ("ko;Q=0", Language::English),
            ("ko;q=nonsense", Language::English),
            ("ko, en", Language::Korean),
            ("en, ko", Language::English),
            ("kok", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, wanted.parse().unwrap())]);
            assert_eq!(Language::of(&headers), language, "{wanted}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }

    #[tokio::test]
    async fn what_says_something_is_answered_in_the_language_and_tells_so() {
        async fn asked(language: &'static str, path: &str) -> (Option<String>, Option<String>, String) {
            let words = Words { english: "rain", korean: "비" };
            let router = Router::new()
                .route("/said", get(|| async { Json(Said("the race is full".to_owned())) }))
                .route("/words", get(move || async move { Json(words) }))
                .route("/number", get(|| async { Json(1) }))
                .layer(middleware::from_fn(in_language));
            let request = Request::get(path).header(header::ACCEPT_LANGUAGE, language).body(Body::empty());
            let mut router = router.into_service::<Body>();
            let answer = tower_service::Service::call(&mut router, request.unwrap()).await.unwrap();
            let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let (spoken, vary) = (header(header::CONTENT_LANGUAGE), header(header::VARY));
            let body = to_bytes(answer.into_body(), 1_000).await.unwrap();
            (spoken, vary, String::from_utf8(body.to_vec()).unwrap())
        }
        let vary = || Some("accept-language".to_owned());
        let in_korean = |said: &str| (Some("ko".to_owned()), vary(), said.to_owned());
        let in_english = |said: &str| (Some("en".to_owned()), vary(), said.to_owned());
        assert_eq!(asked("ko", "/said").await, in_korean("\"자리가 없습니다\""));
        assert_eq!(asked("ko", "/words").await, in_korean("\"비\""));
        assert_eq!(asked("en", "/said").await, in_english("\"the race is full\""));
        assert_eq!(asked("fr", "/words").await, in_english("\"rain\""));
        assert_eq!(asked("ko", "/number").await, (None, None, "1".to_owned()));
        let late = || serde_json::to_string(&Said("not eligible".to_owned())).unwrap();
        assert_eq!(
            (Language::Korean.speak(late), late()),
            ("\"참가 자격이 없습니다\"".to_owned(), "\"not eligible\"".to_owned())
        );
        assert_eq!(serde_json::to_string(&Said("no answer".to_owned())).unwrap(), "\"no answer\"");
    }

    #[test]
    fn what_there_are_no_words_for_stays() {
        assert_eq!(Language::Korean.say("there is no such race"), "찾으시는 대회가 없습니다");
        assert_eq!(Language::English.say("there is no such race"), "there is no such race");
        assert_eq!(Language::Korean.say("지영 said so"), "지영 said so");
    }
}
