//! The story: one day of the community, the same each time.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use pumasi_core::filter::{Circle, GeoPoint};
use pumasi_core::idempotency::{Fingerprint, IdempotencyKey, IdempotentRequest};
use pumasi_core::room::NewMessage;
use pumasi_core::time::{Clock as _, ManualClock, SystemClock};
use pumasi_search::reactions::{Counts, Reaction, Vote};
use pumasi_search::views::Viewer;
use support::once::Keyed;
use support::say;

use crate::Told;
use crate::community::Community;
use crate::posts::NewPost;
use crate::region::{Danger, Region, Sky};

/// The city hall of Seoul.
const HERE: GeoPoint = GeoPoint::new(37.5665, 126.978);
const COUPONS: u32 = 40;
const ASKERS: usize = 100;

/// Tells the story.
pub(crate) async fn tell() -> Told {
    let folder = tempfile::tempdir()?;
    let clock = ManualClock::new();
    let community = Community::open(&folder.path().join("day"), None, Arc::new(clock.clone())).await?;
    nearby(&community).await?;
    votes(&community, &clock).await?;
    views(&community, &clock).await?;
    warning(&community).await?;
    mission(&community).await?;
    drop_of_coupons(&folder.path().join("drop")).await
}

async fn nearby(community: &Community) -> Told {
    say!("== Posts within 5 km of Seoul's city hall");
    let posts = [
        ("민지", Sky::Rain, "여의도에 소나기가 옵니다", 37.528, 126.933),
        ("Jane", Sky::Cloudy, "Grey over Namsan", 37.5512, 126.9882),
        ("지우", Sky::Sunny, "청계천은 아직 맑아요", 37.5696, 126.9784),
        ("하나", Sky::Wind, "해운대 바람이 셉니다", 35.1587, 129.1604),
        ("서연", Sky::Rain, "잠실도 비", 37.5133, 127.1002),
    ];
    for (author, sky, text, lat, lon) in posts {
        let new = NewPost {
            author: author.to_owned(),
            sky: sky.as_str().to_owned(),
            text: text.to_owned(),
            at: GeoPoint::new(lat, lon),
        };
        let posts = community.posts.clone();
        let asked = request(author, text)?;
        let made = community.once.run(&asked, move |connection| {
            async move { Ok(posts.insert(connection, new).await?.id) }.boxed()
        });
        made.await?;
    }
    let found = community.posts.within(Circle::new(HERE, 5_000.0), None, 10).await?;
    for post in found {
        let km = HERE.distance_m(post.place) / 1_000.0;
        say!("  {km:.1} km  {} ({}): {}", post.author, post.sky, post.text);
    }
    Ok(())
}

async fn votes(community: &Community, clock: &ManualClock) -> Told {
    say!("\n== 50 people vote four times each on 지우's post, all at once");
    clock.advance(Duration::from_secs(1));
    let at = clock.now();
    let voting = (0..200).map(|number| async move {
        let person = number % 50;
        // Each time the same: every fifth person dislikes it.
        let reaction = if person % 5 == 0 { Reaction::Dislike } else { Reaction::Like };
        community.reactions.cast(&[Vote::new("3", format!("person {person}"), reaction, at)]).await
    });
    join_all(voting).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    for Counts { likes, dislikes, .. } in community.reactions.counts(&["3"]).await? {
        say!("  {likes} like it, {dislikes} dislike it");
    }
    clock.advance(Duration::from_secs(1));
    let back = Vote::new("3", "person 7", Reaction::None, clock.now());
    let tally = community.reactions.cast(&[back]).await?;
    for Counts { likes, dislikes, .. } in tally.iter().map(|tally| tally.counts) {
        say!("  person 7 takes the like back: {likes} like it, {dislikes} dislike it");
    }
    Ok(())
}

async fn views(community: &Community, clock: &ManualClock) -> Told {
    say!("\n== Views count once an hour a person");
    for minutes in [0, 10, 10, 50] {
        clock.advance(Duration::from_mins(minutes));
        let seen = community.views.see("3", Viewer::Member("민지")).await?;
        let counted = if seen.counted { "counts" } else { "is not counted again" };
        say!("  {} 민지 looks: {counted}; {} in all", clock.now(), seen.total);
    }
    Ok(())
}

async fn warning(community: &Community) -> Told {
    say!("\n== A warning opens a room");
    let (region, danger) = (Region::Seoul.as_str(), Danger::HeavyRain.as_str());
    let (warning, _) = community.warnings.issue(region, danger, "시간당 50mm의 비", "예보관").await?;
    let (again, is_new) = community.warnings.issue(region, danger, "시간당 70mm의 비", "예보관").await?;
    say!("  {} in {}: {}", warning.kind, warning.region, warning.text);
    say!(
        "  issued again: {}",
        if is_new || again.id != warning.id { "another one" } else { "the one that is in force" }
    );
    let room = warning.room();
    for number in 1..=130 {
        community
            .rooms
            .say(&room, &NewMessage::new(number.to_string(), "민지", format!("말 {number}")))
            .await?;
    }
    let history = community.rooms.last(&room, 100).await?;
    let numbers: Vec<u64> = history.iter().map(|message| message.number).collect();
    say!(
        "  Jane comes in and reads {} messages: {} to {}",
        numbers.len(),
        numbers.first().unwrap_or(&0),
        numbers.last().unwrap_or(&0)
    );
    let mut listener = community.rooms.listen(&room, numbers.last().copied().unwrap_or(0))?;
    let speaking = join_all((1..=20).map(|number| {
        let (room, rooms) = (room.clone(), community.rooms.clone());
        async move {
            let message = NewMessage::new(format!("{number}"), format!("person {}", number % 4), "!");
            // The answer got lost: it is sent again.
            rooms.say(&room, &message).await?;
            rooms.say(&room, &message).await
        }
    }));
    let listening = async {
        let mut heard = Vec::new();
        while heard.len() < 20 {
            heard.extend(listener.next().await?.iter().map(|message| message.number));
        }
        Ok::<_, pumasi_core::Error>(heard)
    };
    let (said, heard) = futures_util::future::join(speaking, listening).await;
    said.into_iter().collect::<Result<Vec<_>, _>>()?;
    let heard = heard?;
    let in_order = heard.is_sorted_by(|one, next| one + 1 == *next);
    say!(
        "  20 messages, each sent twice, from four people at once: Jane hears {}, without gap and in order: {in_order}",
        heard.len()
    );
    community.warnings.lift(warning.id).await?;
    let closed = community.warnings.warning(warning.id).await?.must_be_in_force();
    say!("  lifted: {}", closed.err().map(|error| error.message().to_owned()).unwrap_or_default());
    Ok(())
}

async fn mission(community: &Community) -> Told {
    say!("\n== A mission is proven once, by who is there");
    let asked = request("예보관", "mission")?;
    let (missions, circle) = (community.missions.clone(), Circle::new(HERE, 500.0));
    let made = community.once.run(&asked, move |connection| {
        async move { Ok(missions.insert(connection, "청계천 물높이 보기".to_owned(), circle).await?.id) }
            .boxed()
    });
    made.await?;
    for (place, note) in [
        (GeoPoint::new(37.528, 126.933), "안 보여요"),
        (HERE, "난간 아래까지 찼어요"),
        (HERE, "난간 아래까지 찼어요"),
        (HERE, "넘쳤어요"),
    ] {
        match community.missions.prove(1, "민지", place, note).await {
            Ok(proof) if proof.is_new => say!("  민지: {note} – proven"),
            Ok(_) => say!("  민지: {note} – the same again, proven before"),
            Err(error) => say!("  민지: {note} – {}", error.message()),
        }
    }
    Ok(())
}

/// What the process says that is to be killed, before each coupon that it hands out.
const GRANTED: &str = "granted ";

async fn drop_of_coupons(folder: &Path) -> Told {
    say!("\n== {COUPONS} coupons, {ASKERS} people, and a kill in the middle");
    let mut process = Command::new(std::env::current_exe()?);
    let mut process = process.arg("until-killed").arg(folder).stdout(Stdio::piped()).spawn()?;
    let said = process.stdout.take().ok_or("the process says nothing")?;
    let mut before: HashMap<String, String> = HashMap::new();
    for line in BufReader::new(said).lines() {
        let line = line?;
        let granted = line.strip_prefix(GRANTED).and_then(|granted| granted.split_once(": "));
        before.extend(granted.map(|(person, code)| (person.to_owned(), code.to_owned())));
        if before.len() == 10 {
            process.kill()?;
        }
    }
    say!("  the process ended: {}", process.wait()?);

    let community = Community::open(folder, None, Arc::new(SystemClock)).await?;
    let mut coupons: HashMap<String, String> = HashMap::new();
    for _ in 0..2 {
        let granted = join_all((0..ASKERS).map(|number| ask(&community, number))).await;
        for (person, coupon) in granted.into_iter().collect::<Result<Vec<_>, _>>()? {
            let Some(code) = coupon else { continue };
            if coupons.insert(person.clone(), code.clone()).is_some_and(|known| known != code) {
                say!("  {person} was given two coupons");
            }
        }
    }
    let kept = before.iter().all(|(person, code)| coupons.get(person) == Some(code));
    let different: BTreeSet<_> = coupons.values().collect();
    let places = community.drops.places_of(&community.drops.list(None, 1).await?).await?;
    let left = places.into_iter().flatten().map(|places| places.free()).sum::<u64>();
    say!("  everybody asks the next process twice; who had a coupon before the kill has it still: {kept}");
    say!("  {} people have a coupon, {} different ones; {left} left", coupons.len(), different.len());
    Ok(())
}

/// The process that is killed.
pub(crate) async fn until_killed(folder: &Path) -> Told {
    let community = Community::open(folder, None, Arc::new(SystemClock)).await?;
    let (drops, asked) = (community.drops.clone(), request("예보관", "drop")?);
    let made = community.once.run(&asked, move |connection| {
        async move { Ok(drops.insert(connection, "우산".to_owned(), COUPONS).await?.id) }.boxed()
    });
    made.await?;
    for number in 0..ASKERS {
        if let (person, Some(code)) = ask(&community, number).await? {
            say!("{GRANTED}{person}: {code}");
        }
    }
    std::future::pending().await
}

async fn ask(community: &Community, number: usize) -> pumasi_core::Result<(String, Option<String>)> {
    let person = format!("person {number}");
    let coupon = community.drops.ask(1, &person.as_str().into()).await?.map(|(coupon, _)| coupon);
    Ok((person, coupon.map(|coupon| coupon.code)))
}

fn request(who: &str, key: &str) -> pumasi_core::Result<Keyed> {
    let key = IdempotencyKey::new(key)?;
    Ok(IdempotentRequest::new(who, &key, Fingerprint::of(&[])).into())
}
