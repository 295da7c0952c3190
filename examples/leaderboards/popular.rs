//! Posts: votes that are exact however many vote at once, views that refreshing does not inflate, and what is trending.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::time::{Clock, ManualClock};
use pumasi_search::reactions::{Reaction, Reactions, SqliteReactions, Vote};
use pumasi_search::trending::Trending;
use pumasi_search::views::{MemoryViews, ViewCounter, Viewer};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use support::say;

pub(crate) async fn tell(folder: &Path) -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    votes(folder, &clock).await?;
    views(&clock).await?;
    trending(&clock);
    Ok(())
}

async fn votes(folder: &Path, clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("reactions.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let reactions = SqliteReactions::new(sqlx::SqlitePool::connect_with(options).await?);
    reactions.migrate().await?;
    // 25 people like a post at the same time, change their minds, and every fifth takes it back; each vote comes twice.
    let now = clock.now();
    let voting: Vec<_> = (0..25)
        .map(|person| {
            let reactions = reactions.clone();
            tokio::spawn(async move {
                let steps = [Reaction::Like, Reaction::Dislike, Reaction::Like, Reaction::None];
                for (at, reaction) in (1..).zip(&steps).take(if person % 5 == 0 { 4 } else { 3 }) {
                    let at = now.saturating_add(Duration::from_secs(at));
                    let vote = Vote::new("한강 야경 코스", format!("회원 {person}"), *reaction, at);
                    reactions.cast(std::slice::from_ref(&vote)).await?;
                    reactions.cast(&[vote]).await?;
                }
                Ok::<(), pumasi_core::Error>(())
            })
        })
        .collect();
    for vote in voting {
        vote.await??;
    }
    let counts = reactions.counts(&["한강 야경 코스"]).await?;
    let counts = counts.first().copied().unwrap_or_default();
    say!("\nvotes of 25 people at once · 25명이 동시에 투표");
    say!("  likes · 좋아요: {}, dislikes · 싫어요: {}", counts.likes, counts.dislikes);
    Ok(())
}

async fn views(clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    let views = ViewCounter::new(MemoryViews::new(), b"a long random secret of the club")?
        .with_clock(Arc::new(clock.clone()));
    let post = "How to pace a half · 하프 페이스";
    let reader = Viewer::Anonymous { address: "203.0.113.7".parse()?, agent: "Firefox" };
    for _ in 0..10 {
        views.see(post, reader).await?;
    }
    views.see(post, Viewer::Member("민지")).await?;
    views.see(post, Viewer::Anonymous { address: "198.51.100.9".parse()?, agent: "SearchBot/2" }).await?;
    clock.advance(Duration::from_hours(1));
    let seen = views.see(post, reader).await?;
    say!("\nviews · 조회수");
    say!(
        "  10 refreshes, a member, a robot, and the reader again after an hour · 새로고침 10번, 회원, 로봇, 1시간 뒤 다시: {}",
        seen.total
    );
    Ok(())
}

fn trending(clock: &ManualClock) {
    let trending = Trending::new(Duration::from_hours(12)).with_clock(Arc::new(clock.clone()));
    let trending = trending.with_signal("like", 3.0).with_signal("view", 1.0);
    trending.add_many("마라톤 후기 (어제)", "like", 20, clock.now());
    trending.add_many("마라톤 후기 (어제)", "view", 60, clock.now());
    clock.advance(Duration::from_hours(24));
    trending.add_many("Tonight's route", "like", 8, clock.now());
    trending.add_many("Tonight's route", "view", 9, clock.now());
    trending.add_many("신발 추천", "view", 12, clock.now());
    say!("\ntrending · 인기글 (half as much after 12 hours · 12시간마다 절반)");
    for trend in trending.top(5, clock.now()) {
        say!("  {:.1}  {}", trend.score, trend.item);
    }
    if let Some(why) = trending.explain("마라톤 후기 (어제)", clock.now()) {
        let shares: Vec<_> = why
            .signals
            .iter()
            .map(|share| format!("{} × {:.0} {}", share.weight, share.count, share.signal))
            .collect();
        say!("  why · 이유: {:.1} = {} (마라톤 후기)", why.score, shares.join(" + "));
    }
}
