//! Whether the time of a refusal tells who exists: unknown clients and wrong secrets, asked in turn, thousands of times.
//!
//! All kinds take turns within one run, each round in another order, so that what else the machine does concerns them
//! alike. Told are medians, and for each kind how far its ranks among those of a wrong secret lie from the middle, in
//! standard deviations (Mann and Whitney): within 3 is what chance does. The last line, a client that is told more because
//! it is known, shows that a difference would be seen.
//! `cargo run --release -p grantor-acceptance --example alike_in_time [ROUNDS]`
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement tells its numbers, and ends when something is wrong"
)]

use std::time::{Duration, Instant};

use grantor_acceptance::{Credentials, World};

const FORM: &str = "grant_type=client_credentials&scope=grantor:clients.read";
/// Rounds that are not counted: connections are made, statements prepared.
const WARMING_UP: usize = 50;

/// Who asks, and what came of it.
struct Kind {
    name: &'static str,
    by: Credentials,
    status: u16,
    took: Vec<Duration>,
}

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .map_or(3_000, |text| text.parse().unwrap());
    let world = World::new();
    let tenant = world.tenant("Acme");
    let known = world.client(&tenant, "Known", &["grantor:clients.read"]);
    let disabled = world.client(&tenant, "Disabled", &["grantor:clients.read"]);
    let deleted = world.client(&tenant, "Deleted", &["grantor:clients.read"]);
    let admin = world.as_admin(&tenant);
    for (method, path) in [
        ("POST", format!("{}/disable", disabled.client_id)),
        (
            "DELETE",
            format!("{}?confirm_name=Deleted", deleted.client_id),
        ),
    ] {
        let url = world.api(&format!("/v1/tenants/{}/clients/{path}", tenant.id));
        let done = world
            .http
            .send(method, &url, &[("authorization", &admin)], b"");
        assert!(done.status < 300, "{}", done.body);
    }
    let wrong = deleted.client_secret.clone();
    let kind = |name, client_id: &str, client_secret: &str, status| Kind {
        name,
        by: Credentials {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
        },
        status,
        took: Vec::new(),
    };
    let mut kinds = [
        kind("a wrong secret", &known.client_id, &wrong, 401),
        kind("a wrong secret, again", &known.client_id, &wrong, 401),
        kind("disabled, a wrong secret", &disabled.client_id, &wrong, 401),
        kind("deleted", &deleted.client_id, &wrong, 401),
        kind(
            "never existed",
            "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
            &wrong,
            401,
        ),
        kind("not an id", "nobody_by_that_name_anywhere_xx", &wrong, 401),
        kind(
            "known, and gets a token",
            &known.client_id,
            &known.client_secret,
            200,
        ),
    ];
    let url = world.endpoint(&tenant.id, "token");
    // Coprime to the number of kinds: each round goes through all of them, from another one and in another order.
    let number = kinds.len();
    for round in 0..WARMING_UP + rounds {
        let step = 1 + round % (number - 1);
        for turn in 0..number {
            let kind = &mut kinds[(round + turn * step) % number];
            let by = kind.by.basic();
            let (answer, took) = loop {
                let begun = Instant::now();
                let answer = world.http.post_form(&url, &[("authorization", &by)], FORM);
                let took = begun.elapsed();
                if answer.status != 429 {
                    break (answer, took);
                }
                // So many noes are not confirmed at once; nothing is measured until they have come back.
            };
            assert_eq!(answer.status, kind.status, "{}", answer.body);
            if round >= WARMING_UP {
                kind.took.push(took);
            }
        }
    }
    println!("{rounds} of each kind, in turn\n");
    println!(
        "{:<28} {:>10} {:>10} {:>8}",
        "", "lower 10 %", "median", "z"
    );
    let first = kinds[0].took.clone();
    for kind in &mut kinds {
        let z = rank_sum(&first, &kind.took);
        kind.took.sort_unstable();
        let at = |tenth: usize| kind.took[tenth * kind.took.len() / 10].as_micros();
        println!("{:<28} {:>7} us {:>7} us {z:>8.1}", kind.name, at(1), at(5));
    }
}

/// How many standard deviations the ranks of `other` lie above the middle, all ranked together.
fn rank_sum(one: &[Duration], other: &[Duration]) -> f64 {
    let mut all: Vec<(Duration, bool)> = one.iter().map(|took| (*took, false)).collect();
    all.extend(other.iter().map(|took| (*took, true)));
    all.sort_unstable();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let ranks: f64 = all
        .iter()
        .enumerate()
        .filter(|(_, (_, is_other))| *is_other)
        .map(|(place, _)| place as f64 + 1.0)
        .sum();
    let middle = m * (n + m + 1.0) / 2.0;
    (ranks - middle) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}
