//! The club: its parts on files or on servers, and the work that goes on behind the requests.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use pumasi_core::database::failed;
use pumasi_core::event::{
    Consumer, Envelope, EventBus, EventId, Handler, Relay, Shutdown, State, Subscription,
};
use pumasi_core::resilience::Backoff;
use pumasi_core::schedule::{Job, Missed, Run as DueRun, Schedule, ScheduleStore, Scheduler, job_fn};
use pumasi_core::time::{Clock, Timestamp};
use pumasi_core::{Error, ErrorKind, Result};
use support::database::{Database, Sql};
use support::on;
use support::once::{Keyed, Made, Once};
use support::outbox::Outbox;
use support::servers;
use tokio::task::JoinSet;

use super::badges::{ACHIEVEMENTS, Badges};
use super::boards::Boards;
use super::calendar::{Calendar, Span};
use super::crews::Crews;
use super::followed::{ACHIEVEMENTS as EARNING, BOARDS as RANKING, Followed};
use super::notices::{Channel, Notices};
use super::recaps::{RECAPPED, Recaps, WANTED, Wanted};
use super::runs::{NewRun, RUNS, Run, Runs, TakenBack};
use super::statistics::Statistic;

/// After how long what a killed process was at is begun again.
const LEASE: Duration = Duration::from_secs(5);

/// Through how many weeks, or months, a schedule is looked for a time that closes one.
const LOOKED_AHEAD: usize = 60;

const SCHEMA: Sql = Sql::both(include_str!("sql/schema.sql"));

/// How a club is set up.
pub(crate) struct Setup {
    /// Where everything is kept that is on no server.
    pub(crate) folder: PathBuf,
    pub(crate) calendar: Calendar,
    pub(crate) statistics: Vec<Arc<dyn Statistic>>,
    /// When weeks and months are closed and recapped.
    pub(crate) weekly: Schedule,
    pub(crate) monthly: Schedule,
    pub(crate) notices: Option<Channel>,
}

impl Setup {
    /// Mondays, and firsts of a month, at nine: an hour after nothing more counts.
    pub(crate) const WEEKLY: &str = "0 9 * * MON";
    pub(crate) const MONTHLY: &str = "0 9 1 * *";

    /// Refuses a schedule by which nothing is ever closed.
    fn check(&self, now: Timestamp) -> Result<()> {
        for ((name, span), schedule) in JOBS.into_iter().zip([&self.weekly, &self.monthly]) {
            if !self.closes(span, schedule, now)? {
                let message = format!(
                    "{name} would close nothing: \"{schedule}\" is only due while runs still count, which is until six \
                     hours after the {}'s end at two in the morning",
                    span.as_str(),
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Ok(())
    }

    /// Tells whether a schedule is ever due when nothing more counts in the window before.
    fn closes(&self, span: Span, schedule: &Schedule, now: Timestamp) -> Result<bool> {
        let mut at = now;
        for _ in 0..LOOKED_AHEAD {
            let Some(due) = schedule.next_after(at) else { return Ok(false) };
            let window = self.calendar.before(span, &self.calendar.window(span, due)?)?;
            let closes = Calendar::closes(&window);
            if due >= closes {
                return Ok(true);
            }
            // What is due before that is too early, too.
            at = Timestamp::from_micros(closes.as_micros().saturating_sub(1));
        }
        Ok(false)
    }
}

/// A club; clones share it.
#[derive(Clone)]
pub(crate) struct Club {
    pub(crate) runs: Runs,
    pub(crate) crews: Crews,
    pub(crate) boards: Boards,
    pub(crate) badges: Badges,
    pub(crate) followed: Followed,
    pub(crate) recaps: Recaps,
    pub(crate) calendar: Calendar,
    pub(crate) schedule: Arc<dyn ScheduleStore>,
    pub(crate) bus: Arc<dyn EventBus>,
    /// The last run that boards may have without what it takes to take it back.
    kept_after: Timestamp,
    once: Once,
    outbox: Outbox,
    database: Database,
    clock: Arc<dyn Clock>,
    turned: Option<Arc<dyn Clock>>,
    shutdown: Shutdown,
}

/// The file of the events, where they are not on a server.
pub(crate) const EVENTS: &str = "events.sqlite";
const ON_BOARDS: &str = "club-boards";
const EARNED: &str = "club-badges";
const RECAPS: &str = "club-recaps";
const NOTICES: &str = "club-notices";
/// The groups that work on events.
pub(crate) const GROUPS: [&str; 4] = [ON_BOARDS, EARNED, RECAPS, NOTICES];

/// The names of the scheduled jobs.
pub(crate) const JOBS: [(&str, Span); 2] = [("weekly-recap", Span::Week), ("monthly-recap", Span::Month)];

impl Club {
    /// Opens the club; `turned` is a clock that somebody turns, in place of the machine's and the servers'.
    pub(crate) async fn open(
        setup: &Setup,
        turned: Option<Arc<dyn Clock>>,
        shutdown: Shutdown,
    ) -> Result<Self> {
        let clock = turned.clone().unwrap_or_else(|| Arc::new(pumasi_core::time::SystemClock));
        setup.check(clock.now())?;
        std::fs::create_dir_all(&setup.folder).map_err(|error| {
            Error::new(ErrorKind::Storage, "the folder cannot be made").with_source(error)
        })?;
        let calendar = setup.calendar.clone();
        let postgres = servers::postgres("running_club").await?;
        let bus = servers::bus(&setup.folder.join(EVENTS)).await?;
        let database =
            Database::open(&setup.folder.join("club.sqlite"), Clone::clone(&postgres), SCHEMA).await?;
        stays_in(&database, calendar.zone()).await?;
        let kept_after = kept_after(&database).await?;
        let boards = servers::boards(&setup.folder.join("boards.sqlite"), postgres).await?;
        let outbox = Outbox::open(&database).await?;
        let once = Once::open(&database, Arc::clone(&clock)).await?;
        let schedule = schedule(&database, turned.clone()).await?;
        let boards = Boards::new(&boards, calendar.clone(), Arc::clone(&clock))?;
        let recaps = Recaps::new(
            &database,
            &boards,
            &calendar,
            setup.statistics.clone(),
            turned.clone(),
            shutdown.clone(),
        );
        Ok(Self {
            runs: Runs(database.clone()),
            crews: Crews(database.clone()),
            badges: Badges::new(database.clone(), outbox.clone(), calendar.clone()),
            followed: Followed::new(database.clone(), Arc::clone(&clock)),
            boards,
            recaps,
            calendar,
            schedule,
            bus,
            kept_after,
            once,
            outbox,
            database,
            clock,
            turned,
            shutdown,
        })
    }

    /// Records a run, once for each request; what it means for boards, badges and Slack follows from its event.
    pub(crate) async fn record(&self, keyed: &Keyed, runner: &Arc<str>, new: NewRun) -> Result<Made<Run>> {
        let run = Run {
            id: EventId::random().to_string(),
            runner: runner.as_ref().to_owned(),
            crew: self.crews.of(runner).await?,
            began_at: new.began_at,
            distance_m: new.distance_m,
            time_s: new.time_s,
            recorded_at: self.clock.now(),
        };
        let outbox = self.outbox.clone();
        self.once
            .run(keyed, move |connection| async move { Runs::insert(connection, &outbox, run).await }.boxed())
            .await
    }

    /// Takes a run of a runner's back; what that means for boards and badges follows from its event.
    pub(crate) async fn take_back(&self, runner: &str, id: &str) -> Result<TakenBack> {
        let when = (self.clock.now(), self.kept_after);
        self.runs.take_back(&self.outbox, (runner, id), &self.calendar, when).await
    }

    /// Asks for recaps, once for each request, and tells which are made: whoever works on them makes them, though this process
    /// may die.
    pub(crate) async fn ask_for_recaps(&self, keyed: &Keyed, wanted: Wanted) -> Result<Wanted> {
        let event = Envelope::new(WANTED, wanted.span.as_str(), State::Created, 1).with_payload(&wanted)?;
        let (event, outbox) = (event.in_context(), self.outbox.clone());
        let note = self.once.run(keyed, move |connection| {
            async move { outbox.write(connection, &[event]).await.map(|()| wanted) }.boxed()
        });
        Ok(note.await?.value)
    }

    /// Tells whether a run still counts in its week.
    pub(crate) fn counts(&self, run: &Run) -> Result<bool> {
        let week = self.calendar.window(Span::Week, run.began_at)?;
        Ok(run.recorded_at < Calendar::closes(&week))
    }

    /// Tells whether its runner can take a run back.
    pub(crate) fn can_be_taken_back(&self, run: &Run) -> Result<bool> {
        Ok(run.can_be_taken_back(&self.calendar, self.clock.now())?
            && run.is_kept(&self.calendar, self.kept_after)?)
    }

    /// Tells whether the tables answer.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.crews.list("", 1).await.map(drop)
    }

    /// Does what follows from what was recorded, until the club's shutdown: relays events, feeds the boards, finds achievements,
    /// makes recaps and posts notices.
    pub(crate) async fn work(self, setup: Setup) -> Result<()> {
        let stop = self.shutdown.clone();
        let mut parts: JoinSet<Result<()>> = JoinSet::new();
        let relay =
            Relay::new(self.outbox.store(), Arc::clone(&self.bus)).with_name("club").with_lease(LEASE);
        parts.spawn(whole(relay.run(stop.clone())));
        let feed = self.followed.by(RANKING, self.boards.feed());
        let badges = self.followed.by(EARNING, self.badges.clone());
        parts.spawn(whole(self.consumer(ON_BOARDS, &[RUNS], feed).run(stop.clone())));
        parts.spawn(whole(self.consumer(EARNED, &[RUNS], badges).run(stop.clone())));
        parts.spawn(whole(self.consumer(RECAPS, &[WANTED], self.recaps.clone()).run(stop.clone())));
        parts.spawn(whole(self.scheduler(&setup).run(stop.clone())));
        if let Some(to) = setup.notices {
            let notices = Notices {
                database: self.database.clone(),
                boards: self.boards.clone(),
                calendar: self.calendar.clone(),
                clock: Arc::clone(&self.clock),
                to,
            };
            // Slack takes one message a second for a channel, and says when to come back.
            let consumer = self.consumer(NOTICES, &[ACHIEVEMENTS, RECAPPED], notices);
            let patient = Backoff::new(Duration::from_millis(200), Duration::from_mins(1));
            let consumer =
                consumer.with_concurrency(NonZeroUsize::MIN).with_max_attempts(3_000).with_backoff(patient);
            parts.spawn(whole(consumer.run(stop.clone())));
        }
        let mut ended = Ok(());
        while let Some(part) = parts.join_next().await {
            // Runs that nobody would count must not be accepted.
            stop.trigger();
            let part = part
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, "a part of the club's work panicked")));
            ended = ended.and(part);
        }
        ended
    }

    fn consumer(&self, group: &str, topics: &[&str], handler: impl Handler + 'static) -> Consumer {
        let subscription = Subscription::new(group, topics.iter().copied()).with_lease(LEASE);
        Consumer::new(Arc::clone(&self.bus), subscription, handler)
            .with_backoff(Backoff::new(Duration::from_millis(200), Duration::from_mins(1)))
            .with_max_attempts(100)
    }

    fn scheduler(&self, setup: &Setup) -> Scheduler {
        let mut scheduler = Scheduler::new(Arc::clone(&self.schedule));
        if let Some(clock) = &self.turned {
            scheduler = scheduler.with_clock(Arc::clone(clock));
        }
        for ((name, span), schedule) in JOBS.into_iter().zip([&setup.weekly, &setup.monthly]) {
            let club = self.clone();
            let work = job_fn(move |run: DueRun| {
                let club = club.clone();
                async move { club.end_of(span, &run).await }
            });
            // What came due while nothing ran is made up for, as far as a month back.
            let at_most = NonZeroU32::MIN.saturating_add(3);
            let job = Job::new(name, schedule.clone(), work).with_missed(Missed::CatchUp { at_most });
            scheduler = scheduler.with_job(job);
        }
        scheduler
    }

    /// Closes the week, or month, that was over when the run was due, and makes its recaps.
    async fn end_of(&self, span: Span, run: &DueRun) -> Result<()> {
        let window = self.calendar.before(span, &self.calendar.window(span, run.due)?)?;
        if run.due < Calendar::closes(&window) {
            tracing::warn!(
                job = run.job,
                window = window.name(),
                "due while runs still count: nothing is closed"
            );
            return Ok(());
        }
        self.boards.close_last(span).await?;
        self.recaps.make(Wanted::of(span, &window, run.due)).await
    }
}

/// Refuses another zone than the one in which the club's days, and all that is kept by them, have been counted so far.
async fn stays_in(database: &Database, zone: &str) -> Result<()> {
    let insert = "INSERT INTO settings (name, value) VALUES ('zone', $1) ON CONFLICT (name) DO NOTHING";
    let look = "SELECT value FROM settings WHERE name = 'zone'";
    let keeping = |error| failed("keeping the club's zone", error);
    let kept: String = on!(database, pool => {
        sqlx::query(insert).bind(zone).execute(pool).await.map_err(keeping)?;
        sqlx::query_scalar(look).fetch_one(pool).await.map_err(keeping)?
    });
    if kept == zone {
        return Ok(());
    }
    let message = format!(
        "what is kept of the club was counted by the days of {kept}, and --zone says {zone}: start it with --zone {kept}"
    );
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// When the last run was recorded before boards kept what it takes to take one back; of a club that had none then there is no such moment.
async fn kept_after(database: &Database) -> Result<Timestamp> {
    let insert = "INSERT INTO settings (name, value) \
                  SELECT 'kept_after', CAST(coalesce(max(recorded_at), $1) AS TEXT) FROM runs WHERE true \
                  ON CONFLICT (name) DO NOTHING";
    let look = "SELECT value FROM settings WHERE name = 'kept_after'";
    let reading = |error| failed("reading which runs can be taken back", error);
    let kept: String = on!(database, pool => {
        sqlx::query(insert).bind(Timestamp::MIN.as_micros()).execute(pool).await.map_err(reading)?;
        sqlx::query_scalar(look).fetch_one(pool).await.map_err(reading)?
    });
    let damaged = |_| Error::new(ErrorKind::Storage, "the club's settings are damaged");
    kept.parse().map(Timestamp::from_micros).map_err(damaged)
}

async fn whole<T>(part: impl Future<Output = Result<T>>) -> Result<()> {
    part.await.map(drop)
}

async fn schedule(database: &Database, turned: Option<Arc<dyn Clock>>) -> Result<Arc<dyn ScheduleStore>> {
    Ok(match database {
        Database::Sqlite(pool) => {
            let store = pumasi_core::schedule::SqliteSchedule::new(pool.clone()).await?;
            match turned {
                Some(clock) => Arc::new(store.with_clock(clock)),
                None => Arc::new(store),
            }
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(pool) => {
            let store = pumasi_core::schedule::PostgresSchedule::new(pool.clone()).await?;
            match turned {
                Some(clock) => Arc::new(store.with_clock(clock)),
                None => Arc::new(store),
            }
        }
    })
}
