//! Tokens as records (`token_1`, `token_3`, `token_7`): there before anybody has them, gone with their partition.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz, Uuid};
use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_storage::partitions;
use ring::digest::{SHA256, digest};

use crate::asking::{end_who_waits, number, wait_for, while_it_waits};
use crate::oauth::{GRANT, Orders, RECORDS, expect_error};

#[derive(QueryableByName)]
struct Record {
    #[diesel(sql_type = Uuid)]
    tenant_id: uuid::Uuid,
    #[diesel(sql_type = Uuid)]
    client_id: uuid::Uuid,
    #[diesel(sql_type = Nullable<Uuid>)]
    member_id: Option<uuid::Uuid>,
    #[diesel(sql_type = Binary)]
    token_hash: Vec<u8>,
    #[diesel(sql_type = Array<Text>)]
    scopes: Vec<String>,
    #[diesel(sql_type = Array<Text>)]
    audiences: Vec<String>,
    #[diesel(sql_type = Timestamptz)]
    issued_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    ip: String,
    #[diesel(sql_type = Text)]
    program: String,
}

/// The record of the token of this id.
fn record(orders: &Orders, id: TokenId) -> Record {
    diesel::sql_query(format!("{RECORDS} WHERE access_tokens.id = $1"))
        .bind::<Uuid, _>(id.uuid())
        .get_result(&mut orders.world.database.superuser())
        .unwrap()
}

/// How many tokens of the machine are on record.
fn recorded(orders: &Orders) -> i64 {
    let client: ClientId = orders.machine.client_id.parse().unwrap();
    let sql = format!(
        "SELECT count(*) FROM access_tokens WHERE client_id = '{}'",
        client.uuid()
    );
    number(&orders.world, &sql)
}

#[test]
fn token_1_the_record_holds_everything_that_was_decided_and_only_the_hash_of_the_token() {
    let orders = Orders::new();
    let headers = [
        ("authorization", orders.machine.basic()),
        ("user-agent", "exporter/2.1".to_owned()),
    ];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let form = "grant_type=client_credentials&scope=orders.api:write+orders.api:read";
    let answer = orders.post("token", &headers, form);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = answer.text("/access_token");
    let told = orders
        .world
        .introspect(&orders.tenant.id, &orders.checker, &token)
        .expect(200);
    let id: TokenId = told["jti"].as_str().unwrap().parse().unwrap();
    let record = record(&orders, id);
    let tenant: TenantId = orders.tenant.id.parse().unwrap();
    let client: ClientId = orders.machine.client_id.parse().unwrap();
    assert_eq!(
        (record.tenant_id, record.client_id, record.member_id),
        (tenant.uuid(), client.uuid(), None)
    );
    assert_eq!(
        record.token_hash,
        digest(&SHA256, token.as_bytes()).as_ref()
    );
    assert_eq!(record.scopes, ["orders.api:read", "orders.api:write"]);
    assert_eq!(record.audiences, ["https://orders.example"]);
    assert_eq!(record.issued_at, orders.world.now());
    assert_eq!(
        (record.ip.as_str(), record.program.as_str()),
        ("127.0.0.1", "exporter/2.1")
    );
    // When it expires is the time in its id.
    let (seconds, _) = id.uuid().get_timestamp().unwrap().to_unix();
    assert_eq!(
        i64::try_from(seconds).unwrap(),
        told["exp"].as_i64().unwrap()
    );
}

#[test]
fn token_1_no_token_leaves_before_its_record_and_none_without() {
    const LOCK: &str = "LOCK TABLE access_tokens IN EXCLUSIVE MODE";
    let orders = Orders::new();
    let answered = AtomicBool::new(false);
    let ask = || {
        let answer = orders.ask(GRANT);
        answered.store(true, Ordering::SeqCst);
        answer
    };
    let answer = while_it_waits(&orders.world, LOCK, ask, || {
        assert!(
            !answered.load(Ordering::SeqCst),
            "it was told before it was recorded"
        );
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(recorded(&orders), 1);
    // Where the record can't be written, nothing is told.
    let failed = while_it_waits(
        &orders.world,
        LOCK,
        || orders.ask(GRANT),
        || {
            end_who_waits(&orders.world);
        },
    );
    expect_error(&failed, 503, "temporarily_unavailable");
    assert!(failed.header("retry-after").is_some());
    assert_eq!(recorded(&orders), 1);
}

#[test]
fn token_3_a_token_that_is_gone_stops_neither_its_client_nor_its_siblings() {
    let orders = Orders::new();
    let other = orders.world.another_replica();
    let (gone, sibling) = (
        orders.token("orders.api:read"),
        orders.token("orders.api:read"),
    );
    for _ in 0..2 {
        let revoked = orders
            .world
            .revoke(&orders.tenant.id, &orders.machine, &gone);
        assert_eq!(revoked.status, 200);
    }
    for replica in [&orders.world.replica, &other] {
        let next = orders.post_at(replica, "token", &orders.machine, GRANT);
        assert_eq!(next.status, 200, "{}", next.body);
        assert!(orders.is_active(&next.text("/access_token")));
    }
    assert!(orders.is_active(&sibling));
    assert!(!orders.is_active(&gone), "and nothing brought it back");
}

#[test]
fn token_7_expired_tokens_leave_with_their_partition_and_are_never_swept() {
    let orders = Orders::new();
    let Orders { world, .. } = &orders;
    let keep = || wait_for(partitions::keep(&world.storage(), world.now())).unwrap();
    let early: Vec<String> = (0..3).map(|_| orders.token("orders.api:read")).collect();
    assert_eq!(recorded(&orders), 3);
    // Over, but its partition isn't: it stays, and is worth nothing.
    world.advance(TimeDelta::hours(1));
    keep();
    assert!(early.iter().all(|token| !orders.is_active(token)));
    // A partition is of six hours: by then that of the early ones is over, however it lay.
    world.advance(TimeDelta::hours(6));
    let late = orders.token("orders.api:read");
    assert_eq!(recorded(&orders), 4);
    assert!(keep().dropped > 0);
    assert_eq!(recorded(&orders), 1);
    assert!(orders.is_active(&late));
    assert!(
        !orders.is_active(&early[0]),
        "what is not there is as inactive"
    );
    // Nobody who serves could sweep row by row.
    let able = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'grantor\\_%' AND NOT rolsuper \
                AND rolname IN ('grantor_server', 'grantor_tenant', 'grantor_platform', 'grantor_fast') \
                AND has_table_privilege(oid, 'access_tokens', 'DELETE')";
    assert_eq!(number(world, able), 0);
}
