//! What looks at a real Prometheus cost, with many rollouts: CPU of this process and of Prometheus, requests, time.
//!
//! Each rollout has two revisions of one replica each, which a process of its own plays and Prometheus scrapes every 10 s. Every
//! 10 s each rollout looks: requests, durations and critical alerts of both revisions since the look before. Once all of them look at
//! the same moment, once spread evenly over the 10 s. `N` is the number of rollouts, `TICKS` that of looks of each.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "it measures, or says why not")]

#[path = "../tests/support/program.rs"]
#[allow(
    dead_code,
    clippy::missing_panics_doc,
    missing_docs,
    unreachable_pub,
    reason = "shared with the tests"
)]
mod program;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{Counted, HealthQuery, HealthSource, Increase, Mark, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
use lifecycle_prom::{PrometheusConfig, PrometheusSource, Target};
use program::{Running, program};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

const TICK: Duration = Duration::from_secs(10);
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match std::env::args().any(|arg| arg == "--replicas") {
        true => runtime.block_on(replicas()),
        false => runtime.block_on(measure()),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
}

/// Shows what every replica has counted, which grows with time.
async fn replicas() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            // Prometheus keeps its connections
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let requests = begun.elapsed().as_secs() * 50;
                let mut text = format!("http_requests_total{{code=\"200\"}} {requests}\n");
                writeln!(text, "http_requests_total{{code=\"500\"}} {}", requests / 100).unwrap();
                for (at, le) in BOUNDS.iter().enumerate() {
                    let count = requests * (at as u64 + 1) / BOUNDS.len() as u64;
                    writeln!(text, "http_request_duration_seconds_bucket{{le=\"{le}\"}} {count}").unwrap();
                }
                text.push_str("process_start_time_seconds 1700000000\n");
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
                let head = format!("{head}Content-Length: {}\r\n\r\n", text.len());
                if stream.write_all(format!("{head}{text}").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The process that plays the replicas, and where.
async fn start_replicas() -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--replicas")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut addr = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut addr).await.unwrap();
    (child, addr.trim().to_owned())
}

async fn start_prometheus(rollouts: u64, replicas: &str) -> Running {
    let mut text = "global: {scrape_interval: 10s, scrape_timeout: 5s}\nscrape_configs:\n  - job_name: pods\n    static_configs:\n".to_owned();
    for n in 0..rollouts {
        for revision in ["aaa", "bbb"] {
            let labels = format!("namespace: n{}, agent: agent-{n}, revision: {revision}{n}", n % 20);
            let labels =
                format!("{{{labels}, instance: agent-{n}-{revision}, __metrics_path__: /{n}/{revision}}}");
            writeln!(text, "      - {{targets: [\"{replicas}\"], labels: {labels}}}").unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), text).unwrap();
    let args = |dir: &Path, addr: SocketAddr| {
        vec![
            format!("--config.file={}", dir.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", dir.join("data").display()),
            format!("--web.listen-address={addr}"),
        ]
    };
    Running::start(&program("prometheus", "prometheus"), dir, args, "Server is ready to receive web requests")
        .await
}

/// One rollout: its source of health, and up to when it has counted.
struct Rollout {
    health: Arc<dyn HealthSource>,
    hashes: [String; 2],
    marks: [Option<Mark>; 2],
}

/// What looks have brought.
#[derive(Default)]
struct Seen {
    took: Vec<Duration>,
    counted: u64,
    uncounted: u64,
    no_data: u64,
    errors: Vec<String>,
}

impl Rollout {
    async fn look(&mut self) -> Seen {
        let revision =
            |hash: &String| Revision::new(RevisionNumber(1), &**hash, parse_version("1.5.0").unwrap());
        let over = |signal: Signal, hash: &String, span| HealthQuery::over(signal, revision(hash), span);
        let mut queries = Vec::new();
        for (at, signal) in [Signal::Requests, Signal::Latency].into_iter().enumerate() {
            queries.extend(
                self.hashes.iter().map(|hash| over(signal.clone(), hash, Span::Since(self.marks[at]))),
            );
        }
        let window = Span::Window(Millis::from_secs(60));
        queries.push(over(Signal::CriticalAlerts, &self.hashes[0], window));
        let begun = Instant::now();
        let answers = self.health.measure(&queries).await;
        let mut seen = Seen { took: vec![begun.elapsed()], ..Seen::default() };
        for (at, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(Reading::Increase(Increase { until, counted, .. })) => {
                    let first = self.marks[at / 2].replace(until).is_none();
                    match counted {
                        Some(Counted::Requests(counts)) => seen.counted += u64::from(counts.requests > 0),
                        Some(Counted::Durations(counts)) => seen.counted += u64::from(counts.total() > 0),
                        _ => seen.uncounted += u64::from(!first),
                    }
                }
                Ok(Reading::NoData) => seen.no_data += 1,
                Ok(_) => {}
                Err(error) => seen.errors.push(error.to_string()),
            }
        }
        seen
    }
}

/// All rollouts look `ticks` times, spread over this time.
async fn run(rollouts: Vec<Rollout>, ticks: u64, spread: Duration) -> (Vec<Rollout>, Seen) {
    let (begun, all) = (Instant::now(), u32::try_from(rollouts.len()).unwrap());
    let mut looking = tokio::task::JoinSet::new();
    for (n, mut rollout) in rollouts.into_iter().enumerate() {
        let offset = spread * u32::try_from(n).unwrap() / all;
        looking.spawn(async move {
            let mut looks = Vec::new();
            for tick in 0..ticks {
                sleep_until(begun + offset + TICK * u32::try_from(tick).unwrap()).await;
                looks.push(rollout.look().await);
            }
            sleep_until(begun + TICK * u32::try_from(ticks).unwrap()).await;
            (rollout, looks)
        });
    }
    let (mut back, mut sum) = (Vec::new(), Seen::default());
    for (rollout, looks) in looking.join_all().await {
        back.push(rollout);
        for look in looks {
            sum.took.extend(look.took);
            sum.counted += look.counted;
            sum.uncounted += look.uncounted;
            sum.no_data += look.no_data;
            sum.errors.extend(look.errors);
        }
    }
    sum.took.sort_unstable();
    (back, sum)
}

/// CPU time that a process has used.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // its name may hold spaces; the fields behind it are numbered from 3 in proc(5)
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |at: usize| fields[at - 3].parse::<u64>().unwrap();
    // 100 ticks a second, on every Linux that there is
    Duration::from_millis((ticks(14) + ticks(15)) * 10)
}

/// Requests to the query API, as Prometheus itself counts them.
async fn requests(client: &reqwest::Client, prometheus: &str) -> f64 {
    let text = client.get(format!("{prometheus}/metrics")).send().await.unwrap().text().await.unwrap();
    let counts = text.lines().filter(|line| {
        line.starts_with("prometheus_http_requests_total") && line.contains("handler=\"/api/v1/query\"")
    });
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

async fn measure() {
    let (n, ticks) = (setting("N", 1000), setting("TICKS", 6));
    let (_replicas, addr) = start_replicas().await;
    let prometheus = start_prometheus(n, &addr).await;
    let (url, pid) = (prometheus.url(), prometheus.pid());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let source = PrometheusSource::new(PrometheusConfig::new(&url).unwrap()).unwrap();
    let rollout = |n: u64| Rollout {
        health: source.for_target(Target::new(format!("n{}", n % 20), format!("agent-{n}"))),
        hashes: [format!("aaa{n}"), format!("bbb{n}")],
        marks: [None; 2],
    };
    let mut rollouts: Vec<Rollout> = (0..n).map(rollout).collect();
    println!("{n} rollouts with 2 revisions each, scraped every 10 s; {ticks} looks of each, one every 10 s");
    // every replica is scraped twice before anybody looks
    sleep_until(Instant::now() + TICK * 5 / 2).await;
    let before = cpu(pid);
    sleep_until(Instant::now() + TICK * 3).await;
    let idle = (cpu(pid) - before).as_secs_f64() / (TICK * 3).as_secs_f64();
    println!("Prometheus by itself: {:.1} % of a core", idle * 100.0);
    for (name, spread) in [("all at once", Duration::ZERO), ("spread over 10 s", TICK)] {
        // the marks begin
        (rollouts, _) = run(rollouts, 1, spread).await;
        let (begun, ours, theirs) = (Instant::now(), cpu(std::process::id()), cpu(pid));
        let asked = requests(&client, &url).await;
        let (back, seen) = run(rollouts, ticks, spread).await;
        rollouts = back;
        let seconds = begun.elapsed().as_secs_f64();
        let share = |now: Duration, before: Duration| (now - before).as_secs_f64() / seconds * 100.0;
        let asked = requests(&client, &url).await - asked;
        let at =
            |per_mille: usize| seen.took[(seen.took.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
        println!("\n{name}");
        println!("  this process    {:8.1} % of a core", share(cpu(std::process::id()), ours));
        println!("  Prometheus      {:8.1} % of a core more", share(cpu(pid), theirs) - idle * 100.0);
        println!("  HTTP requests   {asked:8.0}, {:.1} a second", asked / seconds);
        println!(
            "  a look          {:8.1} ms (p50), {:.1} ms (p99), {:.1} ms (most)",
            at(500),
            at(990),
            at(1000)
        );
        let Seen { counted, uncounted, no_data, errors, .. } = &seen;
        println!(
            "  answers         {counted} counted, {uncounted} without a count, {no_data} no data, {} errors",
            errors.len()
        );
        if let Some(error) = errors.first() {
            println!("  an error        {error}");
        }
    }
}
