//! How people come by a token: from whoever holds the key, or in development by their name alone.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::path::Paths;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, Schema};
use utoipa::{PartialSchema, Path as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{self, Keys, Token};
use crate::body::Object;
use crate::problem::Problem;

/// For how long a token is good, unless a service says otherwise.
pub const LIFETIME: Duration = Duration::from_hours(12);

/// What a token lets one do: each service has [`roles!`](crate::roles) of its own.
pub trait Role: ValueEnum + Copy + Default + DeserializeOwned + ToSchema + Send + Sync + 'static {
    /// The name that stands in tokens.
    fn as_str(self) -> &'static str;
}

/// Makes the roles of a service by their [`names!`](crate::names): a word each, which stands in tokens and on the command line, too.
/// The default is whose a token is that is printed for a name alone.
#[macro_export]
macro_rules! roles {
    ($(#[$about:meta])* $visible:vis enum $type:ident { $($(#[$of:meta])* $role:ident => $name:tt),+ $(,)? }) => {
        $crate::names! {
            $(#[$about])*
            #[derive(Default, clap::ValueEnum)]
            $visible enum $type { $($(#[$of])* $role => $name),+ }
        }

        impl $crate::tokens::Role for $type {
            fn as_str(self) -> &'static str {
                Self::as_str(self)
            }
        }
    };
}

/// Whom a token is for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options<R: Role> {
    /// The name.
    name: String,
    /// What it lets one do.
    #[arg(long, value_enum, default_value_t)]
    role: R,
}

impl<R: Role> Options<R> {
    /// Prints the token, good for so long.
    ///
    /// # Errors
    ///
    /// As [`auth::print_token`].
    pub fn print(&self, service: &str, lifetime: Duration) -> Result<(), Box<dyn Error>> {
        Ok(auth::print_token(service, &self.name, self.role.as_str(), lifetime)?)
    }
}

/// Who wants a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "R: Role")]
pub struct WantsToken<R> {
    /// The name.
    pub name: String,
    /// What the token shall let one do, if that was said.
    #[serde(default, deserialize_with = "said")]
    pub role: Option<R>,
}

/// What stands there is a role: `null` is none.
fn said<'de, R: Role, D: Deserializer<'de>>(deserializer: D) -> Result<Option<R>, D::Error> {
    R::deserialize(deserializer).map(Some)
}

impl<R: Role> WantsToken<R> {
    /// Tells what the token shall let one do.
    ///
    /// # Errors
    ///
    /// A 422 if that was not said.
    pub fn role(&self) -> Result<R, Problem> {
        self.role.ok_or_else(|| Problem::invalid("missing field `role`"))
    }

    fn form(is_role_needed: bool) -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(100));
        let form = ObjectBuilder::new()
            .description(Some("Who wants a token."))
            .property("name", name)
            .required("name")
            .property("role", Ref::from_schema_name(R::name()))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        if is_role_needed { form.required("role").into() } else { form.into() }
    }
}

impl<R: Role> PartialSchema for WantsToken<R> {
    fn schema() -> RefOr<Schema> {
        Self::form(true)
    }
}

impl<R: Role> ToSchema for WantsToken<R> {
    fn name() -> Cow<'static, str> {
        "WantsToken".into()
    }

    fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
        all.push((R::name().into_owned(), R::schema()));
    }
}

#[derive(Clone)]
struct Desk<R> {
    keys: Keys,
    usual: Option<R>,
}

/// Hands out tokens at `/tokens` to whoever gives a name and a role.
pub fn router<R: Role, S: Clone + Send + Sync + 'static>(keys: &Keys) -> OpenApiRouter<S> {
    route(Desk::<R> { keys: keys.clone(), usual: None })
}

/// As [`router`], where a token for a name alone is for this role.
pub fn router_with_usual<R: Role, S>(keys: &Keys, usual: R) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    route(Desk { keys: keys.clone(), usual: Some(usual) })
}

fn route<R: Role, S: Clone + Send + Sync + 'static>(desk: Desk<R>) -> OpenApiRouter<S> {
    // What roles there are, the attribute of a function that serves them all cannot say.
    let mut operation = __path_token::operation();
    let form = Content::new(Some(Ref::from_schema_name(WantsToken::<R>::name())));
    let body = RequestBodyBuilder::new().content("application/json", form).required(Some(Required::True));
    operation.request_body = Some(RefOr::T(body.build()));
    let mut paths = Paths::new();
    paths.add_path_operation(__path_token::path(), __path_token::methods(), operation);
    let mut schemas = vec![
        (Token::name().into_owned(), Token::schema()),
        (WantsToken::<R>::name().into_owned(), WantsToken::<R>::form(desk.usual.is_none())),
    ];
    WantsToken::<R>::schemas(&mut schemas);
    OpenApiRouter::new().routes((schemas, paths, post(token::<R>))).with_state(desk)
}

/// Hands out a token, in development: where the key is known to others, they sign.
#[utoipa::path(post, path = "/tokens", responses(
    (status = 201, body = Token), (status = 400, body = Problem), (status = 403, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem)))]
async fn token<R: Role>(
    State(desk): State<Desk<R>>,
    Object(wanted): Object<WantsToken<R>>,
) -> Result<Token, Problem> {
    let role = desk.usual.filter(|_| wanted.role.is_none()).map_or_else(|| wanted.role(), Ok)?;
    desk.keys.hand_out(&wanted.name, role.as_str(), LIFETIME)
}

/// Tells at `/about` whether the service hands out tokens, where there is nothing else to tell.
pub fn about<S: Clone + Send + Sync + 'static>(keys: &Keys) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(is_development)).with_state(keys.clone())
}

/// How the service is set up.
#[derive(Serialize, ToSchema)]
struct About {
    /// Whether it hands out tokens to whoever asks.
    development: bool,
}

/// Tells how the service is set up.
#[utoipa::path(get, path = "/about", operation_id = "about", responses((status = 200, body = About)))]
async fn is_development(State(keys): State<Keys>) -> Json<About> {
    Json(About { development: keys.hands_out() })
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::roles! {
        /// Those of a test.
        enum Part {
            #[default]
            Member => "member",
            Host => "host",
        }
    }

    fn read(body: &str) -> Result<(String, Part), String> {
        let wanted: WantsToken<Part> = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let role = wanted.role().map_err(|problem| problem.detail)?;
        Ok((wanted.name, role))
    }

    #[test]
    fn a_role_is_one_of_the_services_and_is_said() {
        assert_eq!(read(r#"{"name": "민지", "role": "host"}"#), Ok(("민지".to_owned(), Part::Host)));
        for (body, why) in [
            (r#"{"name": "민지"}"#, "missing field `role`"),
            (r#"{"name": "민지", "role": null}"#, "expected"),
            (r#"{"name": "민지", "role": "admin"}"#, "unknown variant `admin`"),
            (r#"{"name": "민지", "role": "host", "more": 1}"#, "unknown field `more`"),
            (r#"{"role": "host"}"#, "missing field `name`"),
        ] {
            assert!(read(body).is_err_and(|error| error.contains(why)), "{body}");
        }
    }

    #[tokio::test]
    async fn a_token_is_handed_out_to_be_kept_by_nobody_and_only_where_nobody_else_signs() {
        let keys = Keys::from_random("races").unwrap();
        for (keys, status, kept) in
            [(keys.clone(), 201, Some("no-store")), (keys.without_handing_out(), 403, None)]
        {
            let (router, _) = router::<Part, ()>(&keys).split_for_parts();
            let request = axum::extract::Request::post("/tokens").header("content-type", "application/json");
            let request =
                request.body(axum::body::Body::from(r#"{"name": "민지", "role": "host"}"#)).unwrap();
            let answer = tower_service::Service::call(&mut router.into_service(), request).await.unwrap();
            let told = answer.headers().get("cache-control").map(|value| value.to_str().unwrap());
            assert_eq!((answer.status().as_u16(), told), (status, kept));
        }
    }

    #[test]
    fn the_document_names_the_roles_and_whether_one_has_to_be_named() {
        let keys = Keys::new(&auth::random_secret(), "races").unwrap();
        let form = |router: OpenApiRouter<()>| {
            let document = serde_json::to_value(router.into_openapi()).unwrap();
            let schemas = &document["components"]["schemas"];
            assert_eq!(schemas["Part"]["enum"], serde_json::json!(["member", "host"]));
            assert_eq!(schemas["WantsToken"]["properties"]["role"]["$ref"], "#/components/schemas/Part");
            let body = &document["paths"]["/tokens"]["post"]["requestBody"]["content"];
            assert_eq!(body["application/json"]["schema"]["$ref"], "#/components/schemas/WantsToken");
            schemas["WantsToken"]["required"].clone()
        };
        assert_eq!(form(router::<Part, _>(&keys)), serde_json::json!(["name", "role"]));
        assert_eq!(form(router_with_usual(&keys, Part::Member)), serde_json::json!(["name"]));
    }
}
