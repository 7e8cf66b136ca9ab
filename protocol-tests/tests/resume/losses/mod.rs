//! The table of losses: pages whose connections fail in every way that networks know, with a token and, beside them and
//! by the same faults, without.

mod faults;
mod judge;
mod observer;
mod publisher;
mod users;

use std::sync::Arc;
use std::time::Duration;

use protocol_tests::names::unique;
use protocol_tests::random::{Random, number_from};
use protocol_tests::subject::Endpoint;
use protocol_tests::{AppConfig, Skipped, TestServer, eventually};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::page::{OWN, Page, Plan};
use crate::road::Road;
use crate::session::{Kind, token};

use self::faults::Faults;
use self::judge::{Evidence, Verdict};
use self::observer::Observer;
use self::publisher::{Ledger, Publishers};
use self::users::Friends;

const CHANNELS: [&str; 10] = [
    "public-a-",
    "public-b-",
    "public-c-",
    "public-d-",
    "private-a-",
    "private-b-",
    "private-c-",
    "presence-a-",
    "presence-b-",
    "presence-c-",
];
/// Events a second, on all channels together.
const RATE: u32 = 100;
/// How long everybody may take to be back when nothing fails any more: an attempt that fails takes 15 s.
const RETURN: Duration = Duration::from_secs(120);
/// How long the last events may be on their way.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How much happens, and for how long.
#[derive(Clone, Copy)]
struct Scale {
    /// Pages with a token.
    pages: usize,
    /// Pages without: as many at most.
    plain: usize,
    /// How long faults begin.
    time: Duration,
    /// Activity and pong timeout, in seconds.
    patience: u32,
}

impl Scale {
    fn from_environment() -> Scale {
        let seconds = number_from("PROTOCOL_TESTS_LOSSES_SECONDS", 15);
        let pages = number_from("PROTOCOL_TESTS_LOSSES_PAGES", 100);
        Scale {
            pages,
            plain: number_from("PROTOCOL_TESTS_LOSSES_PLAIN", pages).min(pages),
            time: Duration::from_secs(seconds as u64),
            patience: if seconds < 120 { 2 } else { 5 },
        }
    }
}

#[tokio::test]
async fn pages_with_a_token_lose_nothing_whatever_breaks() {
    let scale = Scale::from_environment();
    let app = AppConfig::new("10001").set("resume.sessions", 10_000);
    if let Some([with_token, without]) = run(scale, app).await {
        with_token.expect_nothing_lost();
        without.expect_losses();
    }
}

#[tokio::test]
async fn pages_that_miss_more_than_is_kept_know_how_much() {
    let mut scale = Scale::from_environment();
    scale.pages = scale.pages.div_ceil(2);
    scale.plain = scale.plain.div_ceil(2);
    scale.time /= 2;
    let app = AppConfig::new("10001").set("resume.session_bytes", 2 << 10);
    if let Some([with_token, without]) = run(scale, app).await {
        with_token.expect_losses_to_be_reported();
        without.expect_losses();
    }
}

/// Lets things fail for pages with a token and for pages without. `None`: the server under test is a foreign one.
async fn run(scale: Scale, app: AppConfig) -> Option<[Verdict; 2]> {
    let mut random = Random::from_environment();
    let server = match start(scale, app).await {
        Ok(server) => server,
        Err(skipped) => {
            skipped.report("losses::run");
            return None;
        }
    };
    let road = Road::start(&server.endpoint().authority).await;
    let channels: Vec<String> = CHANNELS
        .iter()
        .map(|prefix| server.channel(prefix))
        .collect();
    let friends = Friends::new();
    let ledger = Arc::new(Ledger::new(channels.len() + scale.pages + scale.plain));
    let mut observers = Vec::new();
    for (number, channel) in channels.iter().enumerate() {
        observers.push(Observer::start(&server, number, channel, &ledger).await);
    }
    let plans = Plans {
        server: &server,
        road: &road,
        channels: &channels,
        friends: &friends,
        scale,
    };
    let with_token = plans.open(Some(token));
    let without = plans.open(None);
    everybody_is_back(&[&with_token, &without]).await;
    // Each page is a member of one channel, and observers see each of them come.
    eventually("the observers to know everybody", || async {
        let seen = observers.iter().map(|observer| observer.transitions_of(""));
        (seen.sum::<usize>() >= scale.pages + scale.plain).then_some(())
    })
    .await;
    observers.iter().for_each(Observer::begin);

    let publishers = Publishers::start(&server, &channels, &ledger, &with_token, &mut random);
    let faults = Faults::new(scale.patience, [&with_token, &without], &road);
    let groups = [&with_token, &without];
    let [for_friends, for_users] = [0; 2].map(|_| Random::new(random.below(1 << 30) as u64));
    let (stop, stopped) = watch::channel(false);
    let faults = async {
        let counted = faults.go_on_for(scale.time, &mut random).await;
        stop.send_replace(true);
        counted
    };
    let (counted, online, ()) = tokio::join!(
        faults,
        friends.come_and_go(&server, for_friends, stopped.clone()),
        users::publish_to_users(&server, groups, &ledger, for_users, stopped),
    );
    everybody_is_back(&groups).await;
    let mut last = publishers.stop().await;
    users::publish_last(&server, groups, &ledger, &mut last).await;
    everything_has_come(&groups, &last, &friends).await;

    let evidence = Evidence {
        ledger: &ledger,
        friends: &friends,
        observers: &observers,
        standstill: counted.standstill,
    };
    let verdicts = [
        Verdict::on("with a token", &with_token, &evidence),
        Verdict::on("without", &without, &evidence),
    ];
    let Scale { pages, plain, .. } = scale;
    eprintln!("{pages} pages with a token, {plain} without, {counted}");
    eprintln!("{}", Verdict::table(&verdicts));
    for pages in [with_token, without] {
        let pages = Arc::into_inner(pages).expect("nobody else holds the pages any more");
        for page in pages {
            page.leave().await;
        }
    }
    drop((observers, online));
    nothing_is_parked(&server).await;
    drop(road);
    server.finish().await;
    Some(verdicts)
}

async fn nothing_is_parked(server: &TestServer) {
    eventually("no session to be parked", || async {
        let parked = server.metrics().await.sum("fanfare_parked_sessions", &[]);
        (parked == 0.0).then_some(())
    })
    .await;
}

async fn start(scale: Scale, app: AppConfig) -> Result<TestServer, Skipped> {
    let app = app
        .set("resume.window", 60)
        .set("watchlist", true)
        .set("watchlist_grace", 0)
        .limit("presence_members", 10_000);
    TestServer::builder()
        .app(app)
        .set("server.activity_timeout", i64::from(scale.patience))
        .set("server.pong_timeout", i64::from(scale.patience))
        .start()
        .await
}

/// What pages are made of.
struct Plans<'a> {
    server: &'a TestServer,
    road: &'a Road,
    channels: &'a [String],
    friends: &'a Friends,
    scale: Scale,
}

impl Plans<'_> {
    /// Opens pages, each on four channels of all kinds. Some sign in.
    fn open(&self, token: Option<fn() -> String>) -> Arc<Vec<Page>> {
        let count = match token {
            Some(_) => self.scale.pages,
            None => self.scale.plain,
        };
        let pages = (0..count).map(|number| Page::open(self.page(number, token)));
        Arc::new(pages.collect())
    }

    fn page(&self, number: usize, token: Option<fn() -> String>) -> Plan {
        let mut chosen = vec![
            number % 4,
            (number / 4 + number + 1) % 4,
            4 + number % 3,
            7 + number / 3 % 3,
        ];
        chosen.dedup();
        let (prefix, group) = match token {
            Some(_) => (judge::KEPT, 0),
            None => (judge::PLAIN, 1),
        };
        let user = unique(prefix);
        let named = |channel: usize| (channel, self.channels[channel].clone());
        let mut channels: Vec<_> = chosen.into_iter().map(named).collect();
        let watchlist = users::signs_in(number).then(|| self.friends.names().to_vec());
        if watchlist.is_some() {
            let own = self.channels.len() + group * self.scale.pages + number;
            channels.push((own, format!("{OWN}{user}")));
        }
        Plan {
            user,
            endpoint: Endpoint {
                authority: self.road.authority().to_owned(),
                prefix: String::new(),
            },
            app: self.server.app().clone(),
            token: token.map(|token| token()),
            channels,
            watchlist,
            kind: if number % 4 == 3 {
                Kind::Other
            } else {
                Kind::Page
            },
            pong_timeout: Duration::from_secs(self.scale.patience.into()),
        }
    }
}

async fn everybody_is_back(groups: &[&Arc<Vec<Page>>]) {
    let deadline = Instant::now() + RETURN;
    loop {
        let pages = groups.iter().flat_map(|pages| pages.iter());
        let away = pages.filter(|page| !matches!(page.diary().connected, Some((_, Some(_)))));
        let away = away.count();
        if away == 0 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{away} pages are not back {RETURN:?} after the last fault"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the last event of each channel has come to everybody on it. What has not come in time is lost.
async fn everything_has_come(groups: &[&Arc<Vec<Page>>], last: &[u32], friends: &Friends) {
    let deadline = Instant::now() + ARRIVAL;
    let has_all = |page: &Page| {
        let diary = page.diary();
        let mut channels = page.plan.channels.iter();
        let has_all = channels.all(|(channel, _)| diary.streams[channel].highest >= last[*channel]);
        drop(diary);
        has_all && (page.plan.watchlist.is_none() || friends.unknown_to(page) == 0)
    };
    while Instant::now() < deadline {
        if groups.iter().all(|pages| pages.iter().all(has_all)) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
