//! Names of containers: how many questions are answered, and how soon. Asked from within a container's network namespace by this program
//! itself, over one socket, as a busy resolver would.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tests::{Cli, IMAGE, OwnNetwork};

use crate::table::Table;
use crate::{Field, memory};

/// Questions on the way at once, when as many as possible are asked.
const WINDOW: u16 = 64;
/// Questions a second, when it is measured how long each takes.
const RATE: u32 = 20_000;
/// What has no answer after this long never will.
const LOST: Duration = Duration::from_secs(1);

/// By whom datagrams are answered.
struct Measured {
    /// Answers a second when all that can be are asked for.
    rate: f64,
    /// Answers in a second of the answering process's processor time.
    per_core: f64,
    times: Times,
    /// Of somebody who sends back what comes, in the same namespace at the same time: what the machine takes for it.
    floor: Times,
}

struct Times {
    /// Of single questions, one after the other.
    alone: Percentiles,
    /// At [`RATE`] questions a second.
    at_rate: Percentiles,
}

struct Percentiles {
    half: Duration,
    most: Duration,
}

pub(crate) fn answers(field: &Field<'_>, table: &mut Table) {
    let keeper = || memory::child(field.daemon.pid(), "tare-keeper");
    let mut all = vec![("tare", measure(field, &field.tare, keeper))];
    if let (Some(peer), Some(host)) = (&field.peer, &field.peer_host) {
        let socket = host.trim_start_matches("unix://");
        let dockerd = || memory::find(socket);
        all.push(("Docker", measure(field, peer, dockerd)));
    }
    let values = |of: &dyn Fn(&Measured) -> f64| -> Vec<(&str, f64)> {
        all.iter().map(|(who, one)| (*who, of(one))).collect()
    };
    table.rates(
        "names: answers, 64 asked for at once",
        "a second",
        &values(&|one| one.rate),
    );
    table.rates(
        "names: answers by processor time",
        "a second",
        &values(&|one| one.per_core),
    );
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let floor = all.first().map(|(_, one)| ("an echo", &one.floor));
    let times = all.iter().map(|(who, one)| (*who, &one.times));
    let times: Vec<_> = floor.into_iter().chain(times).collect();
    let values = |of: &dyn Fn(&Times) -> f64| -> Vec<(&str, f64)> {
        times.iter().map(|(who, one)| (*who, of(one))).collect()
    };
    for (what, of) in [
        (
            "one after the other",
            (|one| &one.alone) as fn(&Times) -> &Percentiles,
        ),
        ("at 20,000 a second", |one| &one.at_rate),
    ] {
        let half = values(&|one| us(of(one).half));
        table.values(&format!("names: an answer, {what}"), "us", &half);
        let most = values(&|one| us(of(one).most));
        table.values(
            &format!("names: the same, 99th percentile, {what}"),
            "us",
            &most,
        );
    }
}

fn measure(field: &Field<'_>, cli: &Cli, server: impl FnOnce() -> Option<u32>) -> Measured {
    let name = |what: &str| field.daemon.name(what);
    let (network, asked, asks) = (name("names"), name("asked"), name("asks"));
    cli.ok(&["network", "create", &network]);
    for name in [&asked, &asks] {
        let line = ["run", "-d", "--network", &network, "--name", name];
        cli.ok(&[&line, &[IMAGE, "sleep", "100000"][..]].concat());
    }
    let pid = cli.ok(&["inspect", "-f", "{{.State.Pid}}", &asks]);
    let inside = OwnNetwork::of(pid.parse().expect("a pid"));
    let time = Duration::from_secs(if field.quick { 1 } else { 4 });
    let query = query(&asked);
    let server = server();
    let processor = || server.map_or(0.0, processor_time);
    let measured = inside.inside(|| {
        // Whoever asks stays on one core: on two he would at times have the one that answers, and wait for himself.
        tests::stay_on_core(0);
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket.connect("127.0.0.11:53").expect("connect");
        let asker = Asker { socket, query };
        // Warms up.
        asker.as_many_as_possible(time / 10);
        let before = processor();
        let (answers, took) = asker.as_many_as_possible(time);
        let used = processor() - before;
        Measured {
            rate: f64::from(answers) / took.as_secs_f64(),
            per_core: f64::from(answers) / used.max(0.01),
            times: asker.times(time),
            floor: echo(&asker.query, time),
        }
    });
    cli.ok(&["rm", "-f", &asked, &asks]);
    cli.ok(&["network", "rm", &network]);
    measured
}

/// The times of somebody who only sends back, but for the bits that make it an answer.
fn echo(query: &[u8], time: Duration) -> Times {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let at = server.local_addr().expect("its address");
    socket.connect(at).expect("connect");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut message = [0; 512];
            while let Ok((length, from)) = server.recv_from(&mut message)
                && length > 0
            {
                message[7] = 1;
                server.send_to(&message[..length], from).expect("answer");
            }
        });
        let query = query.to_vec();
        let asker = Asker { socket, query };
        let times = asker.times(time);
        asker.socket.send(&[]).expect("end it");
        times
    })
}

/// Seconds that a process has used, of all its threads.
fn processor_time(pid: u32) -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let times = fields.skip(11).take(2);
    times
        .filter_map(|text| text.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// A question for an IPv4 address.
fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.push(u8::try_from(name.len()).expect("a label"));
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

struct Asker {
    socket: UdpSocket,
    query: Vec<u8>,
}

impl Asker {
    fn ask(&self, number: u16) {
        let mut query = self.query.clone();
        query[..2].copy_from_slice(&number.to_be_bytes());
        self.socket.send(&query).expect("ask");
    }

    /// The number of the question that has been answered.
    fn hear(&self) -> Option<u16> {
        let mut reply = [0; 512];
        let length = self.socket.recv(&mut reply).ok()?;
        let [high, low, _, flags, _, _, _, count, ..] = reply;
        assert!(length > 12 && flags & 0x0f == 0 && count == 1, "an answer");
        Some(u16::from_be_bytes([high, low]))
    }

    fn as_many_as_possible(&self, time: Duration) -> (u32, Duration) {
        self.socket.set_nonblocking(false).expect("wait");
        self.socket.set_read_timeout(Some(LOST)).expect("a timeout");
        let begun = Instant::now();
        (0..WINDOW).for_each(|number| self.ask(number));
        let mut answers = 0;
        while begun.elapsed() < time {
            match self.hear() {
                Some(number) => {
                    answers += 1;
                    self.ask(number);
                }
                // Some were lost on the way.
                None => (0..WINDOW).for_each(|number| self.ask(number)),
            }
        }
        let took = begun.elapsed();
        self.drain();
        (answers, took)
    }

    /// Takes what still comes.
    fn drain(&self) {
        self.socket
            .set_read_timeout(Some(LOST / 10))
            .expect("a timeout");
        while self.hear().is_some() {}
    }

    fn times(&self, time: Duration) -> Times {
        Times {
            alone: self.one_by_one(time),
            at_rate: self.at_rate(time),
        }
    }

    fn one_by_one(&self, time: Duration) -> Percentiles {
        self.socket.set_nonblocking(false).expect("wait");
        self.socket.set_read_timeout(Some(LOST)).expect("a timeout");
        let begun = Instant::now();
        let mut times = Vec::new();
        for number in (0..=u16::MAX).cycle() {
            if begun.elapsed() > time {
                break;
            }
            let asked = Instant::now();
            self.ask(number);
            while self.hear().is_some_and(|heard| heard != number) {}
            times.push(asked.elapsed());
        }
        percentiles(times)
    }

    /// Asks when it is time, whether there was an answer or not; so an answer that takes long delays none of the questions behind it. Nobody
    /// here spins: on two cores that would take one from who answers.
    fn at_rate(&self, time: Duration) -> Percentiles {
        self.socket.set_nonblocking(false).expect("wait");
        self.socket.set_read_timeout(Some(LOST)).expect("a timeout");
        let count = (time.as_secs_f64() * f64::from(RATE)) as usize;
        let begun = Instant::now();
        let due = |index: usize| begun + Duration::from_secs(1) / RATE * index as u32;
        // By when each was due, not by when it was sent: who asks late must not hide it.
        let mut times = vec![LOST; count];
        std::thread::scope(|scope| {
            scope.spawn(|| self.ask_when_due(count, due));
            let (mut missing, mut last) = (count, 0usize);
            while missing > 0
                && let Some(number) = self.hear()
            {
                // The question of that number that is nearest to the last one.
                let step = number.wrapping_sub(last as u16).cast_signed();
                last = last.saturating_add_signed(isize::from(step));
                if let Some(time) = times.get_mut(last) {
                    *time = due(last).elapsed();
                }
                missing -= 1;
            }
        });
        percentiles(times)
    }

    #[expect(clippy::disallowed_methods, reason = "what is due is a matter of time")]
    fn ask_when_due(&self, count: usize, due: impl Fn(usize) -> Instant) {
        for index in 0..count {
            let left = due(index).saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left);
            }
            self.ask(index as u16);
        }
    }
}

fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied();
    Percentiles {
        half: at(50).unwrap_or(LOST),
        most: at(99).unwrap_or(LOST),
    }
}
