//! The API of boards.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use support::auth::Caller;
use support::paging::PageOf;
use support::problem::Problem;
use support::query::{Id, Known, bad};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Service;
use super::api::{Answer, Shared};
use super::input::{BoardQuery, MineQuery, moment};
use super::view::{BoardView, FollowerView, MineView};
use crate::boards::{Asked, KINDS, Kind, Of};
use crate::followed::{ALL, BOARDS};

/// How many neighbours on each side there are, unless it is said, and at most.
const USUAL: u8 = 5;
const MOST: u8 = 50;

pub(super) fn router() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(names))
        .routes(routes!(board))
        .routes(routes!(mine))
        .routes(routes!(followers))
}

/// Names the boards.
#[utoipa::path(get, path = "/boards", responses((status = 200, body = Vec<String>)))]
async fn names() -> Json<Vec<&'static str>> {
    Json(KINDS.iter().map(|kind| kind.name).collect())
}

/// Lists a board of a week or a month, with how places moved: since the week before, or since the month's last week was closed.
///
/// The header `Link` with `rel="next"` leads to the next page, if there is one.
#[utoipa::path(get, path = "/boards/{board}", params(("board" = String, Path, example = "runners.distance"), BoardQuery), responses(
    (status = 200, body = BoardView), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn board(
    State(service): Shared,
    caller: Option<Extension<Caller>>,
    Id(name): Id,
    PageOf(paging, query): PageOf<BoardQuery>,
) -> Answer<(HeaderMap, Json<BoardView>)> {
    let (boards, kind) = (&service.club.boards, kind(&name)?);
    let now = boards.now();
    let (skip, limit) = (paging.after_number()?.map_or(0, i64::unsigned_abs), paging.limit() as u64);
    let asked = Asked {
        name: kind.name,
        span: query.span,
        at: moment(&service.club.calendar, query.on.as_deref(), now)?,
    };
    // Before the board: what waited then may be on it.
    let lag = service.club.followed.known_lag(BOARDS);
    let page = boards.page(asked, skip, limit).await?;
    let last = skip.saturating_add(limit);
    let last = (page.total > last && !page.rows.is_empty()).then(|| last.to_string());
    let link = paging.link(last.as_deref());
    let me = match &caller {
        Some(Extension(caller)) => service.member(kind, caller).await?,
        None => None,
    };
    Ok((link, Json(BoardView::of(asked, page, me.as_deref(), now, lag))))
}

/// Shows where the caller stands, or the caller's crew, and who stands before and after.
#[utoipa::path(get, path = "/boards/{board}/mine", params(("board" = String, Path, example = "runners.distance"), MineQuery),
    security(("bearer" = [])), responses((status = 200, body = MineView), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 404, body = Problem)))]
async fn mine(
    State(service): Shared,
    caller: Caller,
    Id(name): Id,
    Known(query): Known<MineQuery>,
) -> Answer<Json<MineView>> {
    let (boards, kind) = (&service.club.boards, kind(&name)?);
    let now = boards.now();
    let neighbours = query.neighbours.unwrap_or(USUAL);
    if neighbours > MOST {
        return Err(bad(format!("neighbours are 0 to {MOST}")));
    }
    let asked = Asked {
        name: kind.name,
        span: query.span,
        at: moment(&service.club.calendar, query.on.as_deref(), now)?,
    };
    let me = service.member(kind, &caller).await?;
    let lag = service.club.followed.known_lag(BOARDS);
    let found = match &me {
        Some(me) => boards.around(asked, me, u64::from(neighbours)).await?,
        None => None,
    };
    let Some((page, around)) = found else {
        let mut page = boards.page(asked, 0, 1).await?;
        page.rows.clear();
        let board = BoardView::of(asked, page, None, now, lag);
        return Ok(Json(MineView { rank: None, percentile: None, board }));
    };
    let (rank, percentile) = (Some(around.place.rank), Some(around.percentile()));
    Ok(Json(MineView { rank, percentile, board: BoardView::of(asked, page, me.as_deref(), now, lag) }))
}

/// Tells how far boards and achievements are behind the runs that were recorded or taken back.
#[utoipa::path(get, path = "/followers", responses((status = 200, body = Vec<FollowerView>)))]
async fn followers(State(service): Shared) -> Answer<Json<Vec<FollowerView>>> {
    let mut followers = Vec::new();
    for follower in ALL {
        followers.push(FollowerView::of(follower, service.club.followed.lag(follower).await?));
    }
    Ok(Json(followers))
}

fn kind(name: &str) -> Answer<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| Problem::not_found("board"))
}

impl Service {
    /// Whom a board ranks for a caller.
    async fn member(&self, kind: &Kind, caller: &Caller) -> Answer<Option<String>> {
        Ok(match kind.of {
            Of::Runners => Some(caller.name().as_ref().to_owned()),
            Of::Crews => self.club.crews.of(caller.name()).await?,
        })
    }
}
