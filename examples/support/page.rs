//! A page of three files, and what all pages share: the head and the foot, the form by which people come in, the style and the
//! script `page/base.js`. No build step, nothing from elsewhere.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing but the page's own files: no inline script, no frame, no form that leaves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `/`, `/style.css` and `/app.js` are; `/base.css` and `/base.js` come with them.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// HTML: the title, and the body but for its foot; `<!-- entrance -->` is where people come in.
    pub index: &'static str,
    /// What they are asked there.
    pub entrance: Entrance,
    /// CSS, beside what all pages share.
    pub style: &'static str,
    /// JavaScript, a module.
    pub script: &'static str,
}

/// What people are asked who come in where the service hands out tokens; elsewhere they have one.
#[derive(Clone, Copy, Debug)]
pub enum Entrance {
    /// A name, and which of these roles is theirs, the first unless they say; the name alone where there is no choice.
    Name(&'static [&'static str]),
    /// What these fields ask for, as HTML.
    Fields(&'static str),
}

const NAME: &str = r#"        <label for="name" data-t="name"></label>
        <input id="name" name="name" maxlength="100" autocomplete="username">"#;

impl Entrance {
    fn html(self) -> String {
        let asked = match self {
            Self::Fields(fields) => fields.trim_end().to_owned(),
            Self::Name([] | [_]) => NAME.to_owned(),
            Self::Name(roles) => choice(roles) + NAME,
        };
        include_str!("page/entrance.html").replace("<!-- asked -->", &asked)
    }
}

/// A radio button for each role, whose name is the key of its text.
fn choice(roles: &[&str]) -> String {
    let mut html = String::from("        <fieldset>\n          <legend data-t=\"side\"></legend>\n");
    for (place, role) in roles.iter().enumerate() {
        let checked = if place == 0 { " checked" } else { "" };
        html.extend(["          <label><input type=\"radio\" name=\"role\" value=\"", role, "\"", checked]);
        html.extend(["> <span data-t=\"", role, "\"></span></label>\n"]);
    }
    html + "        </fieldset>\n"
}

impl Page {
    fn html(self) -> String {
        let body = self.index.replace("  <!-- entrance -->\n", &self.entrance.html());
        [include_str!("page/head.html"), &body, include_str!("page/foot.html")].concat()
    }

    /// Serves the files.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let index = Bytes::from(self.html());
        Router::new()
            .route("/", get(move || async move { file("text/html; charset=utf-8", index) }))
            .route("/style.css", get(move || async move { file("text/css; charset=utf-8", self.style) }))
            .route("/app.js", get(move || async move { file("text/javascript; charset=utf-8", self.script) }))
            .route(
                "/base.js",
                get(|| async { file("text/javascript; charset=utf-8", include_str!("page/base.js")) }),
            )
            .route(
                "/base.css",
                get(|| async { file("text/css; charset=utf-8", include_str!("page/base.css")) }),
            )
    }
}

fn file(kind: &'static str, text: impl Into<Bytes>) -> impl IntoResponse {
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(entrance: Entrance) -> String {
        let index = "<main>\n  <!-- entrance -->\n</main>\n";
        Page { index, entrance, style: "", script: "" }.html()
    }

    #[test]
    fn the_entrance_asks_for_what_the_service_wants_to_know() {
        let choice = page(Entrance::Name(&["member", "tutor"]));
        assert!(choice.contains("<main>\n  <section id=\"enter\"") && choice.contains("</section>\n</main>"));
        for part in [
            r#"value="member" checked> <span data-t="member"></span>"#,
            r#"value="tutor"> <span data-t="tutor"></span>"#,
            r#"<label for="name""#,
            r#"<label for="token""#,
        ] {
            assert_eq!(choice.matches(part).count(), 1, "{part}");
        }
        let alone = page(Entrance::Name(&[]));
        assert!(alone.contains(r#"<label for="name""#) && !alone.contains("radio"));
        let own = page(Entrance::Fields("<input name=\"who\">\n"));
        assert!(own.contains("<input name=\"who\">\n      </div>") && !own.contains(r#"name="name""#));
        assert!(!own.contains("<!--"));
    }
}
