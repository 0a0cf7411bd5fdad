//! Rounds in which everybody takes turns.
//!
//! What disturbs a round makes it slower, and comes and goes. So the best rate counts, and the median says how much was
//! disturbed. Processor time is summed up over all rounds, because its parts are sampled: see [`Cpu`].

use std::io;
use std::time::Duration;

use crate::contestant::{Server, Usage};
use crate::count::Counts;
use crate::cpu::Cpu;
use crate::load::{Client, Scenario, Until};
use crate::machine::as_client;
use crate::median::median;
use crate::progress::progress;

#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub until: Until,
}

const WARM_UP: Until = Until::Elapsed(Duration::from_millis(100));

/// One contestant.
pub struct Entry {
    pub who: &'static str,
    pub rounds: Vec<Round>,
    pub counts: Counts,
    /// Why there are no more rounds.
    pub failure: Option<io::Error>,
}

/// One server, from its start to its end.
pub struct Round {
    pub messages: u64,
    pub time: Duration,
    pub cpu: Cpu,
    /// In KiB, while all connections are open.
    pub resident: u64,
    /// In KiB, before there was any.
    pub resident_before: u64,
    pub p50: Duration,
    pub p99: Duration,
}

pub fn measure(contestants: &[&'static str], scenario: &Scenario, effort: Effort) -> Vec<Entry> {
    let new = |who: &&'static str| Entry {
        who,
        rounds: Vec::new(),
        counts: Counts::default(),
        failure: None,
    };
    let mut entries: Vec<Entry> = contestants.iter().map(new).collect();
    for round in 1..=effort.rounds {
        for entry in entries.iter_mut().filter(|entry| entry.failure.is_none()) {
            progress(&format!(
                "round {round} of {}: {}",
                effort.rounds, entry.who
            ));
            match run(entry.who, scenario, effort.until) {
                Ok(round) => entry.rounds.push(round),
                Err(error) => entry.failure = Some(error),
            }
        }
    }
    progress("");
    entries
}

fn run(who: &str, scenario: &Scenario, until: Until) -> io::Result<Round> {
    let mut server = Server::start(who)?;
    let round = as_client(|| load(&mut server, scenario, until))?;
    server.end()?;
    Ok(round)
}

fn load(server: &mut Server, scenario: &Scenario, until: Until) -> io::Result<Round> {
    let resident_before = server.usage()?.resident;
    let mut client = Client::connect(server.address(), scenario)?;
    let mut latencies = Vec::new();
    client.run(WARM_UP, &mut latencies)?;
    latencies.clear();
    let before = server.usage()?;
    let time = client.run(until, &mut latencies)?;
    let Usage { cpu, resident } = server.usage()?;
    client.wake_idle()?;
    latencies.sort_unstable();
    let at = |percent: usize| {
        let at = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        Duration::from_nanos(latencies.get(at).copied().unwrap_or_default().into())
    };
    Ok(Round {
        messages: latencies.len() as u64,
        time,
        cpu: cpu.since(before.cpu),
        resident,
        resident_before,
        p50: at(50),
        p99: at(99),
    })
}

impl Round {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.time.as_secs_f64()
    }

    /// How much of the time the server's threads were running. With one core, it is 1 at most.
    pub fn busy(&self) -> f64 {
        self.cpu.total().as_secs_f64() / self.time.as_secs_f64()
    }
}

impl Entry {
    /// The middle of all rounds.
    pub fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(figure))
    }

    pub fn best_rate(&self) -> f64 {
        self.rounds.iter().map(Round::rate).fold(f64::NAN, f64::max)
    }

    /// Of a message, in microseconds: in the program, and in the kernel.
    pub fn cpu(&self) -> (f64, f64) {
        let messages: u64 = self.rounds.iter().map(|round| round.messages).sum();
        let of = |part: fn(&Cpu) -> Duration| {
            let sum: Duration = self.rounds.iter().map(|round| part(&round.cpu)).sum();
            sum.as_secs_f64() * 1e6 / messages as f64
        };
        (of(|cpu| cpu.user), of(|cpu| cpu.system))
    }
}
