//! Partitions over time: made ahead, dropped behind, and never under a token that lives.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_domain::suspension::Position;
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use grantor_protocol::scope::Scopes;
use grantor_storage::partitions::{Kept, keep};
use grantor_storage::{StorageError, installation, tokens};
use grantor_test_support::builders;
use uuid::Uuid;

use crate::support::{EPOCH, Fixture, now, texts, wait_for};

/// Long over by any clock, and before what the template holds.
fn long_ago() -> DateTime<Utc> {
    DateTime::from_timestamp(1_577_883_600, 0).unwrap()
}

fn kept(fixture: &Fixture, at: DateTime<Utc>) -> Kept {
    wait_for(keep(&fixture.database, at)).unwrap()
}

/// Puts tokens on record that expire then.
fn issue(fixture: &Fixture, expiries: &[DateTime<Utc>]) -> Result<Vec<TokenId>, StorageError> {
    let issued: Vec<AccessToken> = expiries
        .iter()
        .map(|expires_at| AccessToken {
            tenant: TenantId::from_uuid(Uuid::nil()),
            client: ClientId::from_uuid(Uuid::nil()),
            id: builders::id_at(*expires_at, fixture.entropy.as_ref()),
            member: None,
            scopes: Scopes::parse("orders.api:read").unwrap(),
            audiences: Vec::new(),
            issued_at: *expires_at,
            expires_at: *expires_at,
            revoked_at: None,
            position: Position {
                epoch: EPOCH,
                sequence: 0,
            },
            ip: None,
        })
        .collect();
    let ids = issued.iter().map(|token| token.id).collect();
    wait_for(fixture.database.flow(move |tx| {
        issued
            .iter()
            .try_for_each(|token| tokens::insert(tx, token, TokenHash::of("token")))
    }))
    .map(|()| ids)
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    live: i64,
    #[diesel(sql_type = BigInt)]
    in_all: i64,
}

fn counts(connection: &mut PgConnection, at: DateTime<Utc>) -> Counts {
    diesel::sql_query(
        "SELECT count(*) FILTER (WHERE id >= uuid_floor($1)) AS live, count(*) AS in_all FROM access_tokens",
    )
    .bind::<Timestamptz, _>(at)
    .get_result(connection)
    .unwrap()
}

/// How many partitions a round makes at a time where there are none, over all tables that are parted by time.
fn wanted(at: DateTime<Utc>) -> i32 {
    let spans_and_aheads = [
        (TimeDelta::hours(6), TimeDelta::days(8)),
        (TimeDelta::days(30), TimeDelta::days(180)),
        (TimeDelta::hours(6), TimeDelta::days(8)),
        (TimeDelta::days(1), TimeDelta::days(8)),
        (TimeDelta::days(1), TimeDelta::days(8)),
        (TimeDelta::days(5), TimeDelta::days(37)),
        (TimeDelta::days(7), TimeDelta::days(8)),
        (TimeDelta::days(30), TimeDelta::days(372)),
    ];
    let origin = DateTime::from_timestamp(946_684_800, 0).unwrap();
    let number = spans_and_aheads.iter().map(|(span, ahead)| {
        let begun = (at - origin).num_seconds() % span.num_seconds();
        let seconds = begun + ahead.num_seconds();
        (seconds + span.num_seconds() - 1) / span.num_seconds()
    });
    i32::try_from(number.sum::<i64>()).unwrap()
}

fn parts(connection: &mut PgConnection) -> Vec<String> {
    texts(
        connection,
        "SELECT relname FROM pg_class WHERE relnamespace = 'grantor_parts'::regnamespace AND relkind = 'r' ORDER BY 1",
    )
}

fn is_live(connection: &mut PgConnection, id: TokenId) -> bool {
    crate::support::number(
        connection,
        &format!(
            "SELECT count(*) FROM access_tokens WHERE id = '{}'",
            id.uuid()
        ),
    ) == 1
}

/// Moves the clock in steps of a day, and looks at every step who is live and what is kept.
fn move_through(fixture: &Fixture, days: i64, span: TimeDelta) {
    let mut behind = fixture.test.superuser();
    let of_tokens = || {
        let mut parts = parts(&mut fixture.test.superuser());
        parts.retain(|part| part.starts_with("access_tokens_"));
        parts.len()
    };
    let others = of_tokens();
    let mut expiries: Vec<DateTime<Utc>> = Vec::new();
    for day in 0..days {
        let at = long_ago() + TimeDelta::days(day);
        assert_eq!(kept(fixture, at).postponed, 0, "day {day}");
        // The shortest and the longest lifetime, and the farthest that partitions are made for.
        let issued = [
            at + TimeDelta::seconds(60),
            at + TimeDelta::hours(5 + day % 19),
            at + TimeDelta::days(1),
            at + TimeDelta::days(8) - TimeDelta::milliseconds(1),
        ];
        issue(fixture, &issued).unwrap();
        expiries.extend(issued);
        let Counts { live, in_all } = counts(&mut behind, at);
        let should_live = expiries.iter().filter(|expiry| **expiry >= at).count();
        assert_eq!(usize::try_from(live), Ok(should_live), "day {day}");
        // What expired stays until its partition is over.
        let may_stay = expiries
            .iter()
            .filter(|expiry| **expiry >= at - span)
            .count();
        assert!(
            usize::try_from(in_all).is_ok_and(|all| all <= may_stay),
            "day {day}: {in_all}"
        );
    }
    // Eight days and what has begun; the template's own lie in the future of this clock.
    let ahead = 1 + TimeDelta::days(8).num_hours() / span.num_hours();
    assert_eq!(i64::try_from(of_tokens() - others), Ok(ahead));
}

#[test]
fn token_7_a_month_in_steps_of_a_day_drops_nothing_live_and_keeps_nothing_dead() {
    move_through(&Fixture::new(), 31, TimeDelta::hours(6));
}

/// With a span of a day, to be quick.
#[test]
fn token_7_so_does_a_year() {
    let fixture = Fixture::new();
    fixture.superuser_runs("UPDATE parted_tables SET span = '1 day' WHERE name = 'access_tokens'");
    move_through(&fixture, 366, TimeDelta::days(1));
}

#[test]
fn a_round_made_twice_does_nothing_the_second_time() {
    let fixture = Fixture::new();
    assert_eq!(kept(&fixture, long_ago()).made, wanted(long_ago()));
    let nothing = Kept {
        made: 0,
        dropped: 0,
        postponed: 0,
    };
    assert_eq!(kept(&fixture, long_ago()), nothing);
    assert_eq!(kept(&fixture, long_ago() + TimeDelta::hours(4)), nothing);
}

#[test]
fn a_clock_that_is_ahead_drops_nothing_that_lives_by_postgresqls() {
    let fixture = Fixture::new();
    let mut behind = fixture.test.superuser();
    let clock = wait_for(installation::health(&fixture.database))
        .unwrap()
        .clock;
    kept(&fixture, clock);
    let ids = issue(
        &fixture,
        &[clock + TimeDelta::minutes(5), clock + TimeDelta::days(2)],
    )
    .unwrap();
    for days in [1, 30, 3650] {
        kept(&fixture, clock + TimeDelta::days(days));
        assert!(
            ids.iter().all(|id| is_live(&mut behind, *id)),
            "{days} days ahead"
        );
    }
}

#[test]
fn a_clock_that_is_behind_drops_nothing_that_lives_by_it() {
    let fixture = Fixture::new();
    let mut behind = fixture.test.superuser();
    kept(&fixture, long_ago());
    let ids = issue(&fixture, &[long_ago() + TimeDelta::days(2)]).unwrap();
    kept(&fixture, long_ago() + TimeDelta::days(1));
    kept(&fixture, long_ago() - TimeDelta::days(1));
    assert!(is_live(&mut behind, ids[0]));
}

#[test]
fn of_keepers_at_once_one_makes_each_partition_and_who_finds_one_at_it_leaves() {
    let fixture = Fixture::new();
    let all: Vec<Kept> = std::thread::scope(|scope| {
        let keepers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| kept(&fixture, long_ago())))
            .collect();
        keepers
            .into_iter()
            .map(|keeper| keeper.join().unwrap())
            .collect()
    });
    // Between two rounds of one, another may go on with it.
    let made: i32 = all.iter().map(|kept| kept.made).sum();
    assert_eq!(made, wanted(long_ago()), "{all:?}");
    assert!(all.iter().all(|kept| kept.postponed == 0), "{all:?}");

    let mut other = fixture.test.superuser();
    diesel::sql_query("SELECT pg_advisory_lock(7105013120164717)")
        .execute(&mut other)
        .unwrap();
    let later = kept(&fixture, long_ago() + TimeDelta::days(3));
    assert_eq!(
        later,
        Kept {
            made: 0,
            dropped: 0,
            postponed: 0
        }
    );
}

/// How many of the 33 partitions of tokens that were made at a time are gone.
fn of_tokens_dropped(fixture: &Fixture, at: DateTime<Utc>) -> i64 {
    33 - fixture.number(&format!(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'access_tokens'::regclass \
           AND obj_description(inhrelid, 'pg_class')::timestamptz > '{at}' \
           AND obj_description(inhrelid, 'pg_class')::timestamptz < '{at}'::timestamptz + '9 days'"
    ))
}

/// Whoever waits for a lock longer than keepers do fails. Waiting for the processor doesn't count.
const HELD_UP_NO_LONGER: &str = "SET lock_timeout = '1s'";

/// A statement that puts a token on record.
fn one_more(fixture: &Fixture) -> String {
    let id: TokenId = builders::id_at(now() + TimeDelta::hours(1), fixture.entropy.as_ref());
    format!(
        "INSERT INTO access_tokens (tenant_id, client_id, id, token_hash, scopes, audiences, issued_at, epoch, decided_at) \
         VALUES (uuid_floor('epoch'), uuid_floor('epoch'), '{}', '', '{{}}', '{{}}', now(), {EPOCH}, 0)",
        id.uuid()
    )
}

/// One `lock_timeout` for each round, whatever the number of partitions that could not be made or dropped.
fn postponed_once_a_round(kept: Kept) {
    let rounds = (kept.made + kept.dropped) / 8 + 2;
    assert!((1..=rounds).contains(&kept.postponed), "{kept:?}");
}

#[test]
fn a_reader_that_does_not_end_postpones_dropping_and_holds_nobody_up() {
    let fixture = Fixture::new();
    let begun_at = long_ago();
    kept(&fixture, begun_at);
    let later = begun_at + TimeDelta::days(30);
    let there = fixture.number(&format!(
        "SELECT count(*) FROM parted_tables CROSS JOIN LATERAL ( \
             SELECT obj_description(inhrelid, 'pg_class')::timestamptz AS ends FROM pg_inherits \
             JOIN pg_class ON pg_class.oid = inhrelid AND relkind = 'r' \
             WHERE inhparent = name::regclass OFFSET 0) AS parts \
         WHERE ends > '{later}' AND ends < '{later}'::timestamptz + '1 year'"
    ));
    let to_make = wanted(later) - i32::try_from(there).unwrap();
    let mut reader = fixture.test.superuser();
    reader
        .batch_execute("BEGIN; SELECT FROM access_tokens LIMIT 1")
        .unwrap();
    std::thread::scope(|scope| {
        let keeper = scope.spawn(|| kept(&fixture, later));
        let mut issuing = fixture.test.superuser();
        issuing.batch_execute(HELD_UP_NO_LONGER).unwrap();
        while !keeper.is_finished() {
            issuing.batch_execute(&one_more(&fixture)).unwrap();
        }
        let came_to = keeper.join().unwrap();
        assert_eq!(came_to.made, to_make, "{came_to:?}");
        assert_eq!(of_tokens_dropped(&fixture, begun_at), 0, "{came_to:?}");
        postponed_once_a_round(came_to);
    });
    reader.batch_execute("ROLLBACK").unwrap();
    let mut rounds = 0;
    while kept(&fixture, later).dropped > 0 {
        rounds += 1;
        assert!(rounds < 10, "it comes to an end");
    }
    assert!(rounds > 0);
}

#[test]
fn whoever_alters_the_table_postpones_attaching_and_inserts_go_on() {
    let fixture = Fixture::new();
    let mut altering = fixture.test.superuser();
    altering
        .batch_execute("BEGIN; LOCK TABLE access_tokens IN SHARE UPDATE EXCLUSIVE MODE")
        .unwrap();
    let came_to = kept(&fixture, long_ago());
    // What others need is made all the same.
    assert_eq!(
        (came_to.made, came_to.dropped),
        (wanted(long_ago()) - 33, 0),
        "{came_to:?}"
    );
    postponed_once_a_round(came_to);
    issue(&fixture, &[now() + TimeDelta::hours(1)]).unwrap();
    let orphans = fixture.number(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'grantor_parts'::regnamespace \
         AND relkind = 'r' AND NOT relispartition",
    );
    assert_eq!(orphans, 0, "what could not be attached is not there");
    altering.batch_execute("ROLLBACK").unwrap();
    let rest = kept(&fixture, long_ago());
    assert_eq!((rest.made, rest.postponed), (33, 0));
}

/// After a long time without any server, rounds must stay short: else each fails by its deadline and none
/// ever succeeds.
#[test]
fn a_long_absence_is_caught_up_in_short_rounds() {
    let fixture = Fixture::new();
    for week in 0..6 {
        kept(&fixture, long_ago() + TimeDelta::days(8 * week));
    }
    // Longer than anything was made ahead.
    let later = long_ago() + TimeDelta::days(500);
    let before = parts(&mut fixture.test.superuser()).len();
    let (mut made, mut dropped, mut rounds) = (0, 0, 0);
    loop {
        let round: Kept =
            diesel::sql_query("SELECT made, dropped, postponed FROM keep_partitions($1)")
                .bind::<Timestamptz, _>(later)
                .get_result(&mut fixture.test.superuser())
                .unwrap();
        assert!(round.made <= 8 && round.dropped <= 16, "{round:?}");
        // What will be needed comes first.
        assert!(round.made < 8 || round.dropped == 0, "{round:?}");
        if round.made + round.dropped == 0 {
            break;
        }
        (made, dropped, rounds) = (made + round.made, dropped + round.dropped, rounds + 1);
    }
    assert_eq!(made, wanted(later));
    assert!(rounds > made / 8 && dropped > 3 * 16, "{rounds} {dropped}");
    assert_eq!(
        kept(&fixture, later).dropped,
        0,
        "nothing is left for later"
    );
    let after = parts(&mut fixture.test.superuser()).len();
    let made = usize::try_from(made).unwrap();
    assert_eq!(before + made - usize::try_from(dropped).unwrap(), after);
    assert_eq!(
        issue(&fixture, &[later + TimeDelta::days(1)])
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_id_no_partition_is_for_is_refused_and_not_lost() {
    let fixture = Fixture::new();
    issue(&fixture, &[long_ago()]).unwrap_err();
    issue(&fixture, &[now() + TimeDelta::days(9)]).unwrap_err();
    issue(&fixture, &[now() + TimeDelta::days(7)]).unwrap();
}
