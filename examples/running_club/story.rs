//! The story: two weeks of a club, the same each time.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pumasi_core::event::Shutdown;
use pumasi_core::idempotency::{Fingerprint, IdempotencyKey, IdempotentRequest};
use pumasi_core::schedule::{RunStatus, Schedule};
use pumasi_core::slack::SlackClient;
use pumasi_core::time::{Clock as _, ManualClock, Timestamp};
use pumasi_search::leaderboard::Movement;
use support::once::Keyed;
use support::ready::Health;
use support::say;
use support::slack::{FakeSlack, Post, TOKEN};

use crate::Told;
use crate::boards::{Asked, Row};
use crate::calendar::{Calendar, Span};
use crate::club::{Club, JOBS, Setup};
use crate::notices::{Channel, kilometres};
use crate::runs::NewRun;
use crate::statistics::{all, statistic};

const ZONE: &str = "Asia/Seoul";
/// How long the story waits for what follows from a run.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many acknowledged runs are waited for before the process is killed.
const ACKNOWLEDGED: usize = 40;

type Line = (&'static str, &'static str, i64, i64);

const LAST_WEEK: [Line; 6] = [
    ("민지", "2026-11-17T06:30:00+09:00", 10_000, 3_300),
    ("Alex", "2026-11-17T07:00:00+09:00", 8_000, 2_400),
    ("지훈", "2026-11-18T20:00:00+09:00", 12_000, 4_200),
    ("Sora", "2026-11-19T06:00:00+09:00", 5_000, 1_500),
    ("민지", "2026-11-20T06:30:00+09:00", 3_000, 1_100),
    // On Monday at 01:40 it is still last week.
    ("Sora", "2026-11-23T01:40:00+09:00", 6_000, 2_000),
];

const THIS_WEEK: [Line; 8] = [
    ("Alex", "2026-11-24T07:00:00+09:00", 21_097, 6_540),
    ("민지", "2026-11-24T05:30:00+09:00", 10_000, 3_200),
    ("하늘", "2026-11-25T19:00:00+09:00", 10_000, 3_150),
    ("지훈", "2026-11-25T19:00:00+09:00", 4_000, 1_000),
    ("Sora", "2026-11-26T06:00:00+09:00", 5_000, 1_450),
    ("민지", "2026-11-26T06:30:00+09:00", 1_000, 500),
    ("하늘", "2026-11-26T20:00:00+09:00", 1_000, 330),
    // Of last week, and too late for it.
    ("지훈", "2026-11-22T09:00:00+09:00", 30_000, 9_000),
];

/// Tells the story.
pub(crate) async fn tell() -> Told {
    let folder = tempfile::tempdir()?;
    let (clock, slack) = (ManualClock::new(), FakeSlack::start().await?);
    turn_to(&clock, "2026-11-23T03:00:00+09:00")?;
    let mut setup = setup(folder.path().join("club"))?;
    // A statistic of this club's own, beside those that come with it.
    setup.statistics.push(statistic("before_seven", |ran| {
        let early = ran.runs.iter().filter(|run| {
            let day = ran.calendar.day(run.began_at).ok();
            day.is_some_and(|day| run.began_at.saturating_since(day.start()) < Duration::from_hours(5))
        });
        i64::try_from(early.count()).ok()
    }));
    setup.notices = Some(Channel {
        slack: SlackClient::at(slack.url(), TOKEN)?,
        channel: "C-CLUB".to_owned(),
        posting: Health::default(),
    });
    let shutdown = Shutdown::new();
    let club = Club::open(&setup, Some(Arc::new(clock.clone())), shutdown.clone()).await?;
    let work = tokio::spawn(club.clone().work(setup));
    for (job, _) in JOBS {
        let schedule = Arc::clone(&club.schedule);
        until("the jobs", async || Ok(schedule.state(job).await.is_ok())).await?;
    }

    let told = weeks(&club, &clock, &slack).await;
    shutdown.trigger();
    work.await??;
    told?;
    kill(&folder.path().join("killed")).await
}

fn setup(folder: PathBuf) -> pumasi_core::Result<Setup> {
    Ok(Setup {
        folder,
        calendar: Calendar::in_zone(ZONE)?,
        statistics: all(),
        weekly: Schedule::cron(Setup::WEEKLY, ZONE)?,
        monthly: Schedule::cron(Setup::MONTHLY, ZONE)?,
        notices: None,
    })
}

async fn weeks(club: &Club, clock: &ManualClock, slack: &FakeSlack) -> Told {
    for (crew, runners) in
        [("한강러너스", ["민지", "지훈", "하늘"].as_slice()), ("Seoul Striders", &["Alex", "Sora"])]
    {
        for runner in runners {
            club.crews
                .found(crew, runner, clock.now())
                .await
                .map(drop)
                .or(club.crews.join(runner, crew).await)?;
        }
    }
    for (number, run) in (1..).zip(LAST_WEEK) {
        record(club, clock, number, run).await?;
    }
    counted(club, &LAST_WEEK).await?;
    let last_week = clock.now().as_micros() - 3 * 3_600_000_000;
    let last_week = Timestamp::from_micros(last_week);
    say!("== Last week · 지난주 (Monday, 03:00: late runs still count · 월요일 새벽 3시)");
    for board in ["runners.distance", "runners.time", "runners.pace", "crews.attendance"] {
        show(club, board, Span::Week, last_week).await?;
    }
    let mut heard = slack.wait_for(4).await;
    say!("\n== Slack hears of achievements · 업적 알림");
    tell_posts(&mut heard);

    turn_to(clock, "2026-11-23T09:00:00+09:00")?;
    done(club, "weekly-recap", 1).await?;
    say!("\n== Monday, 09:00: the week is closed and recapped · 월요일 9시, 주간 마감과 결산");
    tell_posts(&mut slack.wait_for(5).await.split_off(4));
    recap(club, "민지", Span::Week).await?;

    turn_to(clock, "2026-11-26T21:00:00+09:00")?;
    for (number, run) in (11..).zip(THIS_WEEK) {
        record(club, clock, number, run).await?;
    }
    say!("\n== This week · 이번 주");
    let [first, second, ..] = THIS_WEEK;
    record(club, clock, 11, first).await?;
    say!("  the phone sends run 11 again: it is the one that is recorded");
    let other = record(club, clock, 11, (first.0, first.1, second.2, second.3)).await;
    say!("  another run under its key: {}", other.err().map(|error| error.to_string()).unwrap_or_default());
    let all: Vec<Line> = LAST_WEEK.into_iter().chain(THIS_WEEK).collect();
    counted(club, &all).await?;
    for board in ["runners.distance", "runners.pace", "crews.distance", "crews.attendance"] {
        show(club, board, Span::Week, clock.now()).await?;
    }
    say!("  the month, and how it moved since Monday's closing · 이번 달, 월요일 마감 뒤의 변동");
    show(club, "runners.distance", Span::Month, clock.now()).await?;
    let asked = Asked { name: "runners.distance", span: Span::Week, at: clock.now() };
    let Some((_, around)) = club.boards.around(asked, &"하늘".to_owned(), 1).await? else {
        return Err("nobody is there".into());
    };
    let names = |places: &[pumasi_search::leaderboard::Place<String>]| {
        places.iter().map(|place| place.member.clone()).collect::<Vec<_>>().join(", ")
    };
    say!(
        "  around 하늘 · 하늘의 앞뒤: after {}, before {}; {} of {}, percentile {:.1}",
        names(&around.before),
        names(&around.after),
        around.place.rank,
        around.total,
        around.percentile()
    );
    say!("\n== Achievements · 업적");
    tell_posts(&mut slack.wait_for(9).await.split_off(5));

    turn_to(clock, "2026-12-01T09:00:00+09:00")?;
    done(club, "weekly-recap", 2).await?;
    done(club, "monthly-recap", 1).await?;
    say!("\n== The first of December, 09:00: the month · 12월 1일 9시, 월간 결산");
    tell_posts(&mut slack.wait_for(11).await.split_off(9));
    recap(club, "지훈", Span::Month).await
}

fn turn_to(clock: &ManualClock, moment: &str) -> Told {
    let moment: Timestamp = moment.parse()?;
    clock.advance(moment.saturating_since(clock.now()));
    Ok(())
}

async fn record(club: &Club, clock: &ManualClock, number: u32, run: Line) -> Told {
    let (runner, began_at, distance_m, time_s) = run;
    let new = NewRun { began_at: began_at.parse()?, distance_m, time_s };
    clock.advance(Duration::from_millis(1));
    let sent = format!("{began_at} {distance_m} {time_s}");
    let key = IdempotencyKey::new(&number.to_string())?;
    let keyed = IdempotentRequest::new(runner, &key, Fingerprint::of(&[sent.as_bytes()])).into();
    let run = club.record(&keyed, &runner.into(), new).await?.value;
    if !club.counts(&run)? {
        say!(
            "  {} of {runner} comes after its week was closed: it counts in the month",
            kilometres(distance_m)
        );
    }
    Ok(())
}

/// Asks again until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> pumasi_core::Result<bool>) -> Told {
    let begun = Instant::now();
    while !is_so().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the story waited in vain for {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until the runs count on the boards.
async fn counted(club: &Club, runs: &[Line]) -> Told {
    let metres: i64 = runs.iter().map(|run| run.2).sum();
    for name in ["runners.distance", "crews.distance"] {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse()?;
        let asked = Asked { name, span: Span::Month, at };
        until("the boards", async || {
            let page = club.boards.page(asked, 0, 100).await?;
            Ok(page.rows.iter().filter_map(|row| row.place.values.first()).sum::<i64>() == metres)
        })
        .await?;
    }
    Ok(())
}

async fn done(club: &Club, job: &str, times: usize) -> Told {
    until("a scheduled job", async || {
        let history = club.schedule.history(job, 10).await?;
        Ok(history.iter().filter(|run| run.status == RunStatus::Done).count() == times)
    })
    .await
}

async fn show(club: &Club, name: &str, span: Span, at: Timestamp) -> Told {
    let page = club.boards.page(Asked { name, span, at }, 0, 10).await?;
    say!("  {name} ({})", page.window.name());
    for Row { place, moved } in &page.rows {
        let moved = match moved {
            Some(Movement::Up(ranks)) => format!("▲{ranks}"),
            Some(Movement::Down(ranks)) => format!("▼{ranks}"),
            Some(Movement::Same) => "=".to_owned(),
            _ => "new".to_owned(),
        };
        let values = page.kind.values.iter().zip(&place.values);
        let values: Vec<String> = values.map(|(name, value)| format!("{name} {value}")).collect();
        say!("    {}. {}  {}  {moved}", place.rank, place.member, values.join(", "));
    }
    Ok(())
}

/// Prints what Slack has heard; achievements of different runners come in any order.
fn tell_posts(posts: &mut [Post]) {
    posts.sort_by(|one, other| one.text.cmp(&other.text));
    for post in posts {
        say!("  {}: {}", post.channel, post.text.replace('\n', "\n    "));
    }
}

async fn recap(club: &Club, runner: &str, span: Span) -> Told {
    for recap in club.recaps.of(runner, span, None, 1).await? {
        let figures: Vec<String> =
            recap.figures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        say!("  {runner}, {}: {}", recap.window.name(), figures.join(", "));
    }
    Ok(())
}

async fn kill(folder: &Path) -> Told {
    say!("\n== A process that records runs is killed · 기록 중에 강제 종료");
    let mut process = Command::new(std::env::current_exe()?);
    let mut process = process.arg("until-killed").arg(folder).stdout(Stdio::piped()).spawn()?;
    let said = process.stdout.take().ok_or("the process says nothing")?;
    let mut acknowledged = 0;
    for line in BufReader::new(said).lines() {
        acknowledged = line?.parse()?;
        if acknowledged == ACKNOWLEDGED {
            process.kill()?;
        }
    }
    say!("  it ended: {}; {ACKNOWLEDGED} runs and more were acknowledged", process.wait()?);

    let setup = setup(folder.to_owned())?;
    let shutdown = Shutdown::new();
    let club = Club::open(&setup, None, shutdown.clone()).await?;
    let work = tokio::spawn(club.clone().work(setup));
    let recorded = club.runs.newest("민지", None, usize::MAX).await?.len();
    let lost = acknowledged.saturating_sub(recorded);
    let asked = Asked { name: "runners.distance", span: Span::Month, at: club.boards.now() };
    let metres = i64::try_from(recorded)? * 1_000;
    let on_board = async || {
        let page = club.boards.page(asked, 0, 1).await?;
        Ok::<i64, pumasi_core::Error>(
            page.rows.first().and_then(|row| row.place.values.first().copied()).unwrap_or(0),
        )
    };
    until("the boards", async || Ok(on_board().await? >= metres)).await?;
    say!("  lost · 유실: {lost}; counted twice · 중복: {}", (on_board().await? - metres) / 1_000);
    shutdown.trigger();
    work.await??;
    Ok(())
}

/// The process that is killed: records runs, and says how many it has.
pub(crate) async fn until_killed(folder: PathBuf) -> Told {
    let (setup, runner) = (setup(folder)?, "민지".into());
    let club = Club::open(&setup, None, Shutdown::new()).await?;
    let work = tokio::spawn(club.clone().work(setup));
    for number in 1_usize.. {
        let new = NewRun { began_at: club.boards.now(), distance_m: 1_000, time_s: 300 };
        club.record(&Keyed::default(), &runner, new).await?;
        say!("{number}");
    }
    work.await??;
    Ok(())
}
