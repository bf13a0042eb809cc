//! How many plain tokens a second the token server issues, and how that compares with what this machine could do:
//! the same HTTP server that only parses, signs once and answers.
//!
//! `cargo run --release -p grantor-bench`; it brings a PostgreSQL of its own, without fsync.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that can't be made should end at once, and its report is what it is for"
)]

mod floor;
mod load;
mod site;

use std::env;
use std::time::Duration;

use clap::Parser;

use load::{Load, Measured};
use site::Site;

/// Measures plain tokens per second.
#[derive(Debug, Parser)]
struct Options {
    /// Connections that ask all the time, each for the next token once it has one
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Clients that they ask for, in turn
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often everything is measured; the median is told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

fn main() {
    let system = actix_web::rt::System::new;
    // Servers are this program too, as processes of their own.
    match env::args().nth(1).as_deref() {
        Some("token" | "api") => system().block_on(grantor_acceptance::program::main()),
        Some(floor::NAME) => system().block_on(floor::main()),
        _ => measure(&Options::parse()),
    }
}

fn measure(options: &Options) {
    let site = Site::make(options.clients);
    let load = |address: &str, format: &'static str| Load {
        address: address.to_owned(),
        requests: site.requests(format),
        connections: options.connections,
        time: Duration::from_secs(options.seconds),
    };
    println!(
        "{} connections, {} clients, {} × {} s each",
        options.connections, options.clients, options.rounds, options.seconds
    );
    for format in site::FORMATS {
        // A short run of each first, for connections and caches. Then in turn, so that what else the machine
        // does hits both.
        let (ours, bare) = (
            load(&site.tokens(), format),
            load(&site.floor(format), format),
        );
        for load in [&ours, &bare] {
            load.run();
        }
        let (ours, bare): (Vec<Measured>, Vec<Measured>) = (0..options.rounds)
            .map(|_| (ours.run(), bare.run()))
            .unzip();
        let (ours, bare) = (Measured::median(&ours), Measured::median(&bare));
        println!("{format:>7}: grantor {ours}");
        println!("{format:>7}: bare    {bare}");
        println!(
            "{format:>7}: ratio   {:.2}",
            ours.per_second() / bare.per_second()
        );
    }
}
