//! Ending a client with a million tokens writes nothing to them: it weighs what it weighs with none.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use grantor_acceptance::Credentials;
use grantor_domain::ids::ClientId;
use grantor_test_support::TestDatabase;
use serde_json::{Value, json};

use super::fleet::{Fleet, Setup};
use super::lane::FORMATS;
use super::report::{Report, is_full, rounds};
use super::talk::{Said, Talk, at_last};

/// How often each call is measured in a full run.
const MEASURED: usize = 15;

#[derive(QueryableByName, Debug, PartialEq, Eq)]
struct Rows {
    #[diesel(sql_type = BigInt)]
    count: i64,
    /// Of where each row is, and who wrote or locked it last.
    #[diesel(sql_type = Text)]
    sum: String,
}

fn rows(connection: &mut PgConnection) -> Rows {
    diesel::sql_query(
        "SELECT count(*) AS count, coalesce(sum(hashtextextended( \
           concat(tableoid, ctid, xmin, xmax), 0)::numeric), 0)::text AS sum FROM access_tokens",
    )
    .get_result(connection)
    .unwrap()
}

#[derive(QueryableByName)]
struct Columns {
    #[diesel(sql_type = Text)]
    names: String,
}

/// Copies the one token of a client so often; the copies are told apart by their ids.
fn multiply(connection: &mut PgConnection, client: &Credentials, count: u32) {
    let client: ClientId = client.client_id.parse().unwrap();
    let client = client.uuid();
    // Whatever columns there are: a copy differs in none but its id.
    let Columns { names } = diesel::sql_query(
        "SELECT string_agg(quote_ident(attname), ', ') AS names FROM pg_attribute \
         WHERE attrelid = 'access_tokens'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'id'",
    )
    .get_result(connection)
    .unwrap();
    connection
        .batch_execute(&format!(
            "INSERT INTO access_tokens (id, {names}) \
             SELECT overlay(id::text PLACING lpad(to_hex(number), 12, '0') FROM 25 FOR 12)::uuid, {names} \
             FROM access_tokens, generate_series(1, {count}) number WHERE client_id = '{client}'"
        ))
        .unwrap();
}

/// A client with so many tokens, and one of them.
fn client_with(
    talk: &Talk<'_>,
    connection: &mut PgConnection,
    name: &str,
    count: u32,
) -> (Credentials, String) {
    let client = talk.make_client(name, &["signed.api:read", "grantor:clients.read"]);
    let token = talk.token_at_last(0, &client, FORMATS[0]);
    if count > 0 {
        multiply(connection, &client, count);
    }
    (client, token)
}

/// The calls that end tokens, and what undoes the first.
const CALLS: [&str; 5] = ["disable", "enable", "tokens/remove-all", "rotate", "delete"];

/// Does one of them; tells how long it took.
fn call(talk: &Talk<'_>, client: &Credentials, name: &str, call: &str) -> Duration {
    let path = format!("/clients/{}", client.client_id);
    let begun = Instant::now();
    let done = match call {
        "rotate" => {
            let body = json!({ "confirm_name": name, "revoke_tokens": true });
            talk.change("POST", &format!("{path}/secrets/rotate"), &body)
        }
        "delete" => {
            let path = format!("{path}?confirm_name={name}");
            talk.change("DELETE", &path, &Value::Null)
        }
        verb => talk.change("POST", &format!("{path}/{verb}"), &Value::Null),
    };
    let took = begun.elapsed();
    assert!(matches!(done.status, 200 | 204), "{}", done.body);
    took
}

#[test]
fn pause_3_ending_all_tokens_of_a_client_writes_none_of_them_however_many_there_are() {
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let talk = Talk::new(&fleet.ground);
    let mut connection = database.superuser();
    let mut report = Report::begin("ending many tokens");
    let many = rounds(1_000_000);
    let (client, token) = client_with(&talk, &mut connection, "Many", many);
    let before = rows(&mut connection);
    assert!(before.count >= i64::from(many));
    for verb in CALLS {
        if verb == "tokens/remove-all" {
            // It was enabled again just before.
            assert!(at_last(|| talk.active(0, &token)).is_yes());
        }
        call(&talk, &client, "Many", verb);
        if verb != "enable" {
            let said = at_last(|| talk.active(1, &token));
            assert_eq!(said, Said::No, "{verb}");
        }
        assert_eq!(rows(&mut connection), before, "{verb} wrote to the tokens");
    }
    report.tell("tokens", many);
    if is_full() {
        measure(&talk, &mut connection, many, &mut report);
    }
    report.end();
}

/// Of tokens so many are counted for an answer that tells of its client; beyond that they cost nothing more.
const COUNTED: u32 = 1_000;

/// Measures every call, at clients with many tokens, with as many as are counted, and with one, in turn.
fn measure(talk: &Talk<'_>, connection: &mut PgConnection, many: u32, report: &mut Report) {
    let clients = [("Laden", many), ("Some", COUNTED), ("Bare", 0)]
        .map(|(name, count)| (name, client_with(talk, connection, name, count).0));
    for verb in ["disable", "enable", "tokens/remove-all", "rotate"] {
        let mut took = [const { Vec::new() }; 3];
        for _ in 0..MEASURED {
            for ((name, client), took) in clients.iter().zip(&mut took) {
                if verb == "disable" {
                    call(talk, client, name, "enable");
                } else if verb == "enable" {
                    call(talk, client, name, "disable");
                }
                took.push(call(talk, client, name, verb));
            }
        }
        tell(report, verb, took);
    }
    // Each dies but once, so of these there are several, with fewer tokens.
    let mut took = [const { Vec::new() }; 3];
    for number in 0..MEASURED {
        for (took, count) in took.iter_mut().zip([many / 10, COUNTED, 0]) {
            let name = format!("Dying{number}x{count}");
            let (client, _) = client_with(talk, connection, &name, count);
            took.push(call(talk, &client, &name, "delete"));
        }
    }
    tell(report, "delete", took);
    let (name, laden) = &clients[0];
    let took = call(talk, laden, name, "delete");
    report.tell(
        "delete, with all of them,",
        format!("{:.2} ms", took.as_secs_f64() * 1e3),
    );
}

/// Tells the median with many, and its ratios.
fn tell(report: &mut Report, verb: &str, took: [Vec<Duration>; 3]) {
    let [laden, some, bare] = took.map(|mut took| {
        took.sort();
        took[took.len() / 2].as_secs_f64()
    });
    let figure = format!(
        "{:.2} ms, × {:.2} of that with {COUNTED}, × {:.2} of that without",
        laden * 1e3,
        laden / some,
        laden / bare
    );
    report.tell(verb, figure);
}
