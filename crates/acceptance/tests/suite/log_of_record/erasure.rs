//! A person is taken out of the log; that something happened, and by whom, stays.

use grantor_domain::ids::TenantId;
use serde_json::{Value, json};

use super::{Scene, items};

/// How many events one call goes over.
const AT_ONCE: usize = 2_000;
/// How many there are of the person.
const MANY: usize = 4_500;

/// Puts events into a tenant's log that a client did: each names a person beside something else.
fn many_events(scene: &Scene, tenant: &str, client: &str) {
    let tenant: TenantId = tenant.parse().expect("a tenant's id");
    scene.sql(&format!(
        "INSERT INTO audit_events (tenant_id, id, at, actor_kind, actor_tenant_id, actor_name, action, \
             target_kind, target_id, before_change, after_change, ip, user_agent, request_id) \
         SELECT '{tenant}', (left(uuid_floor(at)::text, 14) || '7' || left(digits, 3) || '-8' \
                 || substr(digits, 4, 3) || '-' || substr(digits, 7, 12))::uuid, \
             at, 'client', '{tenant}', '{client}', 'client.updated', 'client', 'cli_00000000000000000000000000', \
             '{{\"person\": {{\"name\": \"Ada\"}}, \"status\": \"active\"}}', \
             '{{\"person\": {{\"name\": \"Ada Lovelace\", \"email\": \"ada@acme.example\"}}}}', \
             '192.0.2.7', 'Ada''s laptop', 'request-' || number \
         FROM (SELECT number, md5('{client}{tenant}' || number) AS digits, \
                 timestamptz '2025-06-01 10:00:00Z' + number * interval '1 ms' AS at \
             FROM generate_series(1, {MANY}) AS number) AS numbered",
        tenant = tenant.uuid(),
    ));
}

/// All events with this actor or target.
fn events_of(scene: &Scene, what: &str, id: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/audit-events?limit=200&{what}={id}{cursor}");
        let page = scene.get(&path).expect(200);
        all.extend(items(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What stays of an event.
fn trail(event: &Value) -> Value {
    let mut trail = event.clone();
    for gone in ["ip", "user_agent", "erased_at"] {
        trail[gone] = Value::Null;
    }
    for side in ["before", "after"] {
        if let Some(particulars) = trail[side].as_object_mut() {
            particulars.remove("person");
        }
    }
    trail
}

/// From where and by what program goes where the subject acted, and stays where somebody else did.
fn assert_erased(event: &Value, subject: &str) {
    if event["actor"]["id"] == *subject {
        assert_eq!(event["ip"], Value::Null, "{event}");
        assert_eq!(event["user_agent"], Value::Null, "{event}");
    }
    assert!(event["erased_at"].is_string(), "{event}");
    for side in ["before", "after"] {
        let person = &event[side]["person"];
        assert!(
            person.is_null() || *person == json!({ "erased": true }),
            "{event}"
        );
    }
}

#[test]
fn audit_2_a_person_is_erased_in_bounded_steps_and_the_trail_stays() {
    let scene = Scene::new();
    let (subject, authorization) = scene.deputy("Subject", &["grantor:clients.write"]);
    let subject = subject.client_id;
    // Something that the subject does, and something that is done to it, by requests as they are.
    let body = json!({ "name": "Made", "profile": "service", "owner_contact": { "email": "owner@example.com" } });
    let url = scene.url(&scene.world.replica, "/clients");
    let headers = [("authorization", authorization.as_str())];
    let made = scene.world.http.post_json(&url, &headers, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let disabled = scene.post(&format!("/clients/{subject}/disable"), &json!({}));
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    many_events(&scene, &scene.tenant.id, &subject);
    let bystander = scene.create("Bystander");
    many_events(&scene, &scene.tenant.id, &bystander);
    let other = scene.world.tenant("Other");
    many_events(&scene, &other.id, &subject);

    let (did, suffered) = (
        events_of(&scene, "actor", &subject),
        events_of(&scene, "target", &subject),
    );
    assert_eq!(did.len(), MANY + 2);
    assert!(did.iter().all(|event| event["ip"].is_string()));
    assert!(
        suffered
            .iter()
            .any(|event| event["action"] == "client.disabled")
    );
    let of_others = events_of(&scene, "actor", &bystander);

    let ask = json!({ "subject": subject });
    let rehearsed = scene
        .post("/audit-events/erase?dry_run=true", &ask)
        .expect(200);
    assert_eq!(rehearsed, json!({ "erased": AT_ONCE, "complete": false }));
    assert_eq!(events_of(&scene, "actor", &subject), did);

    let mut steps = Vec::new();
    loop {
        let step = scene.post("/audit-events/erase", &ask).expect(200);
        let erased = step["erased"].as_u64().expect("a number");
        steps.push(usize::try_from(erased).expect("a number"));
        assert!(steps.len() <= 5, "{steps:?}");
        if step["complete"] == true {
            break;
        }
    }
    assert_eq!(steps[..2], [AT_ONCE, AT_ONCE]);
    assert_eq!(steps.len(), 3, "{steps:?}");

    let erased = events_of(&scene, "actor", &subject);
    for event in &erased {
        assert_erased(event, &subject);
    }
    let trails = |events: &[Value]| events.iter().map(trail).collect::<Vec<_>>();
    assert_eq!(trails(&erased), trails(&did));
    let told = json!(erased).to_string();
    assert!(!told.contains("Ada") && !told.contains("192.0.2.7"));
    // Each step is on record itself: who asked, and how many events it was. The last of them stands untouched.
    let now = events_of(&scene, "target", &subject);
    let (records, before): (Vec<&Value>, Vec<&Value>) = now
        .iter()
        .partition(|event| event["action"] == "audit.person_erased");
    for event in &before {
        assert_erased(event, &subject);
    }
    let places = |events: &[&Value]| -> Vec<(Value, Value)> {
        let place = |event: &&Value| (event["ip"].clone(), event["user_agent"].clone());
        let by_others = |event: &&&Value| event["actor"]["id"] != *subject;
        events.iter().filter(by_others).map(place).collect()
    };
    let suffered: Vec<&Value> = suffered.iter().collect();
    assert_eq!(places(&before), places(&suffered));
    assert_eq!(before.len(), suffered.len());
    assert_eq!(records.len(), steps.len());
    for (record, step) in records.iter().rev().zip(&steps) {
        assert_eq!(record["after"], json!({ "events": step }));
        assert_eq!(record["actor"]["id"], scene.tenant.admin.client_id.as_str());
    }
    assert!(records[0]["ip"].is_string());

    assert_eq!(events_of(&scene, "actor", &bystander), of_others);
    let admin = scene.world.as_admin(&other);
    let strange = scene.world.api(&format!(
        "/v1/tenants/{}/audit-events?actor={subject}&limit=200",
        other.id
    ));
    let strange = scene.world.http.get(&strange, &[("authorization", &admin)]);
    assert!(
        items(&strange.expect(200)).iter().all(|event| {
            event["ip"] == "192.0.2.7" && event["before"]["person"]["name"] == "Ada"
        })
    );
}

#[test]
fn to_erase_needs_its_own_permission_and_somebody_to_erase() {
    let scene = Scene::new();
    let subject = scene.create("Subject");
    let url = scene.url(&scene.world.replica, "/audit-events/erase");
    let ask = json!({ "subject": subject });
    let scopes = "grantor:audit.read grantor:clients.write grantor:clients.delete";
    let token = scene
        .world
        .token(&scene.tenant.id, &scene.tenant.admin, scopes);
    let headers = [("authorization", format!("Bearer {token}"))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let refused = scene.world.http.post_json(&url, &headers, &ask);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.text("/detail").contains("audit.erase"));
    let events = events_of(&scene, "target", &subject);
    assert!(
        events
            .iter()
            .all(|event| event["erased_at"].is_null() && event["ip"].is_string())
    );

    for bad in ["", "Ada", "%", "ten_01kb2q3r4s5t6v7w8x9y0z1a2b", "cli_x"] {
        let answer = scene.post("/audit-events/erase", &json!({ "subject": bad }));
        assert_eq!(answer.status, 422, "{bad}: {}", answer.body);
        assert_eq!(answer.text("/errors/0/pointer"), "/subject");
    }
    let unknown = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let nobody = scene.post("/audit-events/erase", &json!({ "subject": unknown }));
    assert_eq!(nobody.expect(200), json!({ "erased": 0, "complete": true }));
}
