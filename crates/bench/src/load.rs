//! Connections that ask for tokens as fast as they are answered.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// What to ask, where, by how many, for how long.
pub(crate) struct Load {
    pub(crate) address: String,
    /// Whole requests, as they go over the wire.
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// How long each answer took, the quickest first.
    took: Vec<Duration>,
    time: Duration,
}

impl Load {
    /// Asks until the time is over.
    pub(crate) fn run(&self) -> Measured {
        let begun = Instant::now();
        let took = thread::scope(|scope| {
            let asking: Vec<_> = (0..self.connections)
                .map(|number| scope.spawn(move || self.ask(number, begun)))
                .collect();
            let all = asking.into_iter().map(thread::ScopedJoinHandle::join);
            all.flat_map(|took| took.expect("answers")).collect()
        });
        Measured::of(took, begun.elapsed())
    }

    fn ask(&self, number: usize, begun: Instant) -> Vec<Duration> {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut buffer = Vec::with_capacity(4096);
        let mut took = Vec::new();
        for request in self.requests.iter().cycle().skip(number) {
            let asked = Instant::now();
            if asked - begun >= self.time {
                break;
            }
            stream.write_all(request).expect("a request");
            read_answer(&mut stream, &mut buffer);
            took.push(asked.elapsed());
        }
        took
    }
}

/// Reads one answer to its end. One that is no 200 ends everything: its figure would mean nothing.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).expect("an answer");
        assert!(read > 0, "the connection was closed");
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let (head, body) = buffer.split_at(head + 4);
        let head = String::from_utf8_lossy(head);
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length
            .and_then(|(_, length)| length.parse().ok())
            .expect("a length");
        if body.len() >= length {
            let body = String::from_utf8_lossy(body);
            assert!(head.starts_with("HTTP/1.1 200"), "{head}{body}");
            return;
        }
    }
}

impl Measured {
    fn of(mut took: Vec<Duration>, time: Duration) -> Self {
        took.sort_unstable();
        Self { took, time }
    }

    /// The one in the middle, by its rate.
    pub(crate) fn median(all: &[Self]) -> Self {
        let mut all: Vec<&Self> = all.iter().collect();
        all.sort_by(|one, other| one.per_second().total_cmp(&other.per_second()));
        let middle = all.get(all.len() / 2).copied();
        middle.expect("at least one round").clone()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate needs no more than 52 bits"
    )]
    pub(crate) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.time.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let took = self.took.get(self.took.len() * percent / 100);
        took.copied().unwrap_or_default().as_secs_f64() * 1e3
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.0} tokens/s, p50 {:.2} ms, p99 {:.2} ms",
            self.per_second(),
            self.percentile(50),
            self.percentile(99)
        )
    }
}
