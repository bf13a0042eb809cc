//! The log of record: what is asked of it is found, what is old leaves, and a person can be taken out of it.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use grantor_domain::audit::{Action, Actor, Event, Origin, Person, Target};
use grantor_domain::ids::{AuditEventId, ClientId, TenantId};
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_keys::uuid_v7_millis;
use grantor_storage::audit_events::{self, AuditFilter, LoggedEvent};
use grantor_storage::partitions::keep;
use grantor_storage::retention::{self, Days};
use grantor_storage::{Change, ReadTx, Scope, StorageError, migrate};
use grantor_test_support::builders;
use serde_json::json;

use crate::support::{Fixture, now, texts, wait_for};

fn search(
    fixture: &Fixture,
    tenant: TenantId,
    filter: &AuditFilter,
    newest_first: bool,
    after: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StorageError> {
    let filter = filter.clone();
    wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                audit_events::search(tx, tenant, &filter, newest_first, after, limit)
            }),
    )
}

fn all(fixture: &Fixture, tenant: TenantId, filter: &AuditFilter) -> Vec<LoggedEvent> {
    search(fixture, tenant, filter, false, None, 1_000).unwrap()
}

/// Logs an event of a client at a time, by a client.
fn log(fixture: &Fixture, at: DateTime<Utc>, by: ClientId, event: Event) {
    let tenant = event.tenant;
    let origin = Origin {
        actor: Actor::Client { tenant, client: by },
        ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("curl/8".to_owned()),
        request_id: Some("req_1".to_owned()),
    };
    let logged: Result<(), StorageError> = wait_for(fixture.database.change(
        Scope::Tenant(tenant),
        origin,
        at,
        move |_tx| Ok(Change::made((), event)),
    ));
    logged.unwrap();
}

fn refused(tenant: TenantId, client: ClientId) -> Event {
    Event::new(tenant, Action::AccessRefused, Target::Client(client))
}

/// Two clients, each of which was told of the other in turns, an hour apart.
struct Scene {
    fixture: Fixture,
    tenant: TenantId,
    one: ClientId,
    other: ClientId,
}

fn scene() -> Scene {
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let (one, other) = (fixture.id(), fixture.id());
    for hour in 0..6 {
        let (by, on) = if hour % 2 == 0 {
            (one, other)
        } else {
            (other, one)
        };
        let event = if hour < 3 {
            refused(tenant, on)
        } else {
            builders::client_event(tenant, on)
        };
        log(&fixture, now() + TimeDelta::hours(1 + hour), by, event);
    }
    Scene {
        fixture,
        tenant,
        one,
        other,
    }
}

fn hours(events: &[LoggedEvent]) -> Vec<i64> {
    events
        .iter()
        .map(|event| (event.at - now()).num_hours())
        .collect()
}

#[test]
fn audit_2_events_are_found_by_what_they_say() {
    let Scene {
        fixture,
        tenant,
        one,
        other,
    } = scene();
    let found = |filter: &AuditFilter| hours(&all(&fixture, tenant, filter));
    let everything = AuditFilter::default();
    // The first is that of the tenant's making.
    assert_eq!(found(&everything), [0, 1, 2, 3, 4, 5, 6]);
    let by_one = AuditFilter {
        actor: Some(one.to_string()),
        ..everything.clone()
    };
    assert_eq!(found(&by_one), [1, 3, 5]);
    let refusals = AuditFilter {
        action: Some("access.refused".to_owned()),
        ..everything.clone()
    };
    assert_eq!(found(&refusals), [1, 2, 3]);
    let on_other = AuditFilter {
        target: Some(other.to_string()),
        ..everything.clone()
    };
    assert_eq!(found(&on_other), [1, 3, 5]);
    let all_of_it = AuditFilter {
        actor: Some(other.to_string()),
        action: Some("client.created".to_owned()),
        target: Some(one.to_string()),
        from: Some(now() + TimeDelta::hours(4)),
        until: Some(now() + TimeDelta::hours(6)),
    };
    assert_eq!(found(&all_of_it), [4]);
    let nobody = AuditFilter {
        actor: Some("%".to_owned()),
        ..everything
    };
    assert_eq!(found(&nobody), [0; 0]);
}

#[test]
fn times_include_their_beginning_and_exclude_their_end() {
    let fixture = Fixture::new();
    let (tenant, client) = (fixture.home.id, fixture.id());
    let begun = now() + TimeDelta::seconds(10);
    for micros in 0..4 {
        let at = begun + TimeDelta::microseconds(micros * 600);
        log(&fixture, at, client, refused(tenant, client));
    }
    let between = |from: i64, until: i64| {
        let filter = AuditFilter {
            from: Some(begun + TimeDelta::microseconds(from)),
            until: Some(begun + TimeDelta::microseconds(until)),
            ..AuditFilter::default()
        };
        let found = all(&fixture, tenant, &filter);
        let micros = found
            .iter()
            .map(|event| (event.at - begun).num_microseconds().unwrap());
        micros.collect::<Vec<_>>()
    };
    assert_eq!(between(0, 1_800), [0, 600, 1_200]);
    assert_eq!(between(1, 1_801), [600, 1_200, 1_800]);
    assert_eq!(between(600, 600), [0; 0]);
    assert_eq!(between(600, 601), [600]);
    assert_eq!(between(-5_000_000, 5_000_000).len(), 4);
}

#[test]
fn pages_follow_one_another_in_both_directions() {
    let Scene {
        fixture, tenant, ..
    } = scene();
    for newest_first in [true, false] {
        let filter = AuditFilter::default();
        let whole = search(&fixture, tenant, &filter, newest_first, None, 100).unwrap();
        let mut read: Vec<AuditEventId> = Vec::new();
        loop {
            let after = read.last().copied();
            let page = search(&fixture, tenant, &filter, newest_first, after, 2).unwrap();
            if page.is_empty() {
                break;
            }
            read.extend(page.iter().map(|event| event.id));
        }
        let ids: Vec<AuditEventId> = whole.iter().map(|event| event.id).collect();
        assert_eq!(read, ids);
        assert_eq!(ids.is_sorted(), !newest_first);
    }
}

#[test]
fn one_event_is_found_by_its_id_and_in_its_tenant_alone() {
    let Scene {
        fixture, tenant, ..
    } = scene();
    let other = fixture.tenant("Other").id;
    let find = |tenant: TenantId, id: AuditEventId| {
        let found: Result<_, StorageError> = wait_for(
            fixture
                .database
                .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                    audit_events::find(tx, tenant, id)
                }),
        );
        found.unwrap()
    };
    let last = all(&fixture, tenant, &AuditFilter::default())
        .pop()
        .unwrap();
    let found = find(tenant, last.id).unwrap();
    assert_eq!((found.at, found.version), (last.at, 1));
    assert_eq!(found.erased_at, None);
    assert!(find(other, last.id).is_none());
    assert!(find(tenant, fixture.id()).is_none());
}

/// Whoever asks for a time is not held up by what happens to the partitions of another.
#[test]
fn a_time_that_is_asked_for_leaves_other_partitions_alone() {
    let fixture = Fixture::new();
    let (tenant, client) = (fixture.home.id, fixture.id());
    let later = now() + TimeDelta::days(70);
    log(&fixture, later, client, refused(tenant, client));
    let mut behind = fixture.test.superuser();
    let parts = texts(
        &mut behind,
        "SELECT DISTINCT tableoid::regclass FROM audit_events ORDER BY 1",
    );
    assert_eq!(parts.len(), 2, "{parts:?}");
    behind
        .batch_execute(&format!(
            "BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
            parts[0]
        ))
        .unwrap();
    let quick = |filter: &AuditFilter| {
        let short = Fixture::reopened(&fixture.test, std::time::Duration::from_secs(2));
        let filter = filter.clone();
        let found: Result<Vec<LoggedEvent>, StorageError> = wait_for(
            short.read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                audit_events::search(tx, tenant, &filter, true, None, 10)
            }),
        );
        found
    };
    let since = AuditFilter {
        from: Some(later - TimeDelta::hours(1)),
        ..AuditFilter::default()
    };
    assert_eq!(quick(&since).unwrap().len(), 1);
    // Without the time it is waited for: so the lock is where it matters.
    quick(&AuditFilter::default()).unwrap_err();
    behind.batch_execute("ROLLBACK").unwrap();
    let before = AuditFilter {
        until: Some(now() + TimeDelta::hours(1)),
        ..AuditFilter::default()
    };
    behind
        .batch_execute(&format!(
            "BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
            parts[1]
        ))
        .unwrap();
    assert_eq!(quick(&before).unwrap().len(), 1);
}

#[test]
fn each_filter_has_an_index_in_the_order_of_the_answer() {
    let fixture = Fixture::new();
    let mut behind = fixture.test.superuser();
    for column in ["actor_name", "action", "target_id"] {
        let plan = texts(
            &mut behind,
            &format!(
                "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'audit_events'::regclass \
                 AND pg_get_indexdef(indexrelid) LIKE '%(tenant_id, {column}, id)'"
            ),
        );
        assert_eq!(plan.len(), 1, "{column}");
    }
}

#[test]
fn ids_go_up_with_the_events_of_one_process() {
    let fixture = Fixture::with(16, std::time::Duration::from_secs(30));
    let (tenant, client) = (fixture.home.id, fixture.id());
    for _ in 0..30 {
        log(&fixture, now(), client, refused(tenant, client));
    }
    let ids: Vec<AuditEventId> = all(&fixture, tenant, &AuditFilter::default())
        .iter()
        .map(|event| event.id)
        .collect();
    assert_eq!(ids.len(), 31);
    let in_order_of_writing = texts(
        &mut fixture.test.superuser(),
        "SELECT id FROM audit_events ORDER BY ctid",
    );
    let listed: Vec<String> = ids.iter().map(|id| id.uuid().to_string()).collect();
    assert_eq!(listed, in_order_of_writing);
}

#[test]
fn events_are_kept_for_their_time_and_no_longer() {
    let fixture = Fixture::new();
    let owner = fixture.test.owner_url();
    let what = retention::Kept::AuditEvents;
    assert_eq!(retention::get(&owner, what).unwrap(), "400 days");
    let count = || fixture.number("SELECT count(*) FROM audit_events");
    // By PostgreSQL's clock too it must be over: the tests' clock stands long before it.
    retention::set(&owner, what, Days::new(60).unwrap()).unwrap();
    wait_for(keep(&fixture.database, now() + TimeDelta::days(60))).unwrap();
    assert_eq!(count(), 1, "the partition holds younger ones");
    wait_for(keep(&fixture.database, now() + TimeDelta::days(91))).unwrap();
    assert_eq!(count(), 0);
}

fn person() -> Person {
    Person {
        name: Some(PersonName::parse("Ada").unwrap()),
        email: Some(EmailAddress::parse("ada@example.com").unwrap()),
    }
}

fn erase(fixture: &Fixture, tenant: TenantId, subject: &str, limit: i64) -> i64 {
    let subject = subject.to_owned();
    let erased: Result<i64, StorageError> = wait_for(fixture.database.change(
        Scope::Tenant(tenant),
        builders::origin(),
        now() + TimeDelta::days(1),
        move |tx| {
            let rows = audit_events::erase(tx, tenant, &subject, limit)?;
            let told = Event::new(tenant, Action::PersonErased, Target::Tenant(tenant));
            Ok(Change::made(rows, told))
        },
    ));
    erased.unwrap()
}

#[test]
fn audit_2_a_person_is_erased_and_the_trail_stays() {
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let (subject, other): (ClientId, ClientId) = (fixture.id(), fixture.id());
    let hour = |number: i64| now() + TimeDelta::hours(number);
    let about = Event::about_person(
        tenant,
        Action::ClientCreated,
        Target::Client(subject),
        &person(),
    );
    log(&fixture, hour(1), other, about);
    let both = Event::new(tenant, Action::ClientDisabled, Target::Client(subject))
        .before(json!({ "person": { "name": "Ada" }, "status": "active" }))
        .after(json!(["person"]));
    log(&fixture, hour(2), other, both);
    log(&fixture, hour(3), subject, refused(tenant, other));
    let bystander = refused(tenant, other).after(json!({ "person": { "name": "Bob" } }));
    log(&fixture, hour(4), other, bystander);

    assert_eq!(erase(&fixture, tenant, &subject.to_string(), 100), 3);
    let events = all(&fixture, tenant, &AuditFilter::default());
    let [_made, one, two, three, four, _erasure] = &events[..] else {
        panic!("the trail stays: {events:?}");
    };
    let gone = json!({ "erased": true });
    assert_eq!(one.after, Some(json!({ "person": gone })));
    assert_eq!(
        two.before,
        Some(json!({ "person": gone, "status": "active" }))
    );
    // What only looks like the key is let be.
    assert_eq!(two.after, Some(json!(["person"])));
    // From where and by what program tells of who acted, not of whom it was done to.
    assert_eq!((&three.ip, &three.user_agent), (&None, &None));
    for kept in [one, two] {
        assert_eq!(kept.ip.as_deref(), Some("192.0.2.7"));
        assert!(kept.user_agent.is_some());
    }
    for erased in [one, two, three] {
        assert_eq!(erased.erased_at, Some(now() + TimeDelta::days(1)));
        assert_eq!(erased.request_id.as_deref(), Some("req_1"));
        assert_eq!(erased.actor_kind, "client");
    }
    assert_eq!(three.actor, subject.to_string());
    assert_eq!(four.ip.as_deref(), Some("192.0.2.7"));
    assert_eq!(four.erased_at, None);
    assert_eq!(four.after, Some(json!({ "person": { "name": "Bob" } })));
    let left =
        fixture.number("SELECT count(*) FROM audit_events WHERE audit_events::text LIKE '%Ada%'");
    assert_eq!(left, 0);
    assert_eq!(erase(&fixture, tenant, &subject.to_string(), 100), 0);
}

#[test]
fn an_erasure_goes_in_steps_the_newest_first() {
    let fixture = Fixture::new();
    let (tenant, subject) = (fixture.home.id, fixture.id());
    for hour in 1..6 {
        log(
            &fixture,
            now() + TimeDelta::hours(hour),
            subject,
            refused(tenant, subject),
        );
    }
    let erased = || {
        let mut events = all(&fixture, tenant, &AuditFilter::default());
        events.retain(|event| event.erased_at.is_some());
        hours(&events)
    };
    assert_eq!(erase(&fixture, tenant, &subject.to_string(), 2), 2);
    assert_eq!(erased(), [4, 5]);
    assert_eq!(erase(&fixture, tenant, &subject.to_string(), 2), 2);
    assert_eq!(erase(&fixture, tenant, &subject.to_string(), 2), 1);
    assert_eq!(erased(), [1, 2, 3, 4, 5]);
    for nobody in ["", "%", "cli_"] {
        assert_eq!(erase(&fixture, tenant, nobody, 10), 0, "{nobody}");
    }
}

#[test]
fn nothing_is_erased_in_another_tenant() {
    let fixture = Fixture::new();
    let other = fixture.tenant("Other").id;
    let (home, subject) = (fixture.home.id, fixture.id());
    log(&fixture, now(), subject, refused(other, subject));
    for scope in [
        Scope::Tenant(home),
        Scope::Platform(Some(home)),
        Scope::Platform(None),
    ] {
        let rows: Result<i64, StorageError> = fixture.change(scope, move |tx| {
            let rows = audit_events::erase(tx, other, &subject.to_string(), 10)?;
            Ok(Change::Nothing(rows))
        });
        assert_eq!(rows.unwrap(), 0, "{scope:?}");
    }
    assert_eq!(erase(&fixture, other, &subject.to_string(), 10), 1);
}

/// No server can do more to the log than to add to it and to have persons erased.
#[test]
fn nobody_rewrites_the_log() {
    use diesel::prelude::*;
    let fixture = Fixture::new();
    let mut server = PgConnection::establish(&fixture.test.url()).unwrap();
    for role in ["grantor_tenant", "grantor_platform", "grantor_fast"] {
        for sql in [
            "UPDATE audit_events SET ip = NULL",
            "UPDATE audit_events SET erased_at = NULL",
            "DELETE FROM audit_events",
            "SET LOCAL ROLE grantor_erasure",
        ] {
            server
                .batch_execute(&format!(
                    "BEGIN; SET LOCAL search_path = grantor; SET LOCAL grantor.tenant = '{}'; SET LOCAL ROLE {role}",
                    fixture.home.id.uuid()
                ))
                .unwrap();
            let refusal = server.batch_execute(sql).unwrap_err().to_string();
            assert!(refusal.contains("permission denied"), "{sql}: {refusal}");
            server.batch_execute("ROLLBACK").unwrap();
        }
    }
}

const ROWS: &str = "SELECT concat_ws(' ', tenant_id, id, at, actor_kind, actor_tenant_id, actor_name, action, \
                    target_kind, target_id, before_change, after_change, ip, user_agent, request_id, touched, cuts) \
                    FROM audit_events ORDER BY 1";

#[test]
fn down_and_up_again_keep_events_of_any_age_and_the_feed_goes_on() {
    let Scene {
        fixture,
        tenant,
        one,
        ..
    } = scene();
    wait_for(keep(&fixture.database, now() - TimeDelta::days(3_000))).unwrap();
    log(
        &fixture,
        now() - TimeDelta::days(3_000),
        one,
        refused(tenant, one),
    );
    log(
        &fixture,
        now() + TimeDelta::days(100),
        one,
        refused(tenant, one),
    );
    let rows = texts(&mut fixture.test.superuser(), ROWS);
    assert_eq!(rows.len(), 9);
    let changes = fixture.number("SELECT count(*) FROM changes");
    for version in ["00000000000010", "00000000000009"] {
        while migrate::down(&fixture.test.owner_url()).unwrap().unwrap() != version {}
        assert_eq!(
            texts(&mut fixture.test.superuser(), ROWS),
            rows,
            "down {version}"
        );
        migrate::up(&fixture.test.owner_url()).unwrap();
        assert_eq!(
            texts(&mut fixture.test.superuser(), ROWS),
            rows,
            "up {version}"
        );
        assert_eq!(fixture.number("SELECT count(*) FROM changes"), changes);
    }
    // Without a round of keeping: servers that are at work write on.
    let clock = wait_for(grantor_storage::installation::health(&fixture.database))
        .unwrap()
        .clock;
    log(&fixture, clock, one, refused(tenant, one));
    let newest = all(&fixture, tenant, &AuditFilter::default())
        .pop()
        .unwrap();
    let millis = u64::try_from(clock.timestamp_millis()).unwrap();
    assert_eq!(uuid_v7_millis(newest.id.uuid()), millis);
    let client = fixture.client(&fixture.home.clone(), "Client");
    assert_eq!(fixture.number("SELECT count(*) FROM changes"), changes + 1);
    assert!(
        all(&fixture, tenant, &AuditFilter::default())
            .iter()
            .any(|event| event.target == client.to_string())
    );
}
