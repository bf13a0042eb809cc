//! The change feed: every change that was answered with success is there once and in order, for every follower,
//! whatever happens meanwhile.

mod away;
mod positions;
mod writers;

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Credentials, EventStream, Heard, Http, Replica, Tenant, World};
use grantor_domain::ids::ClientId;
use serde_json::{Value, json};

use writers::{Made, SharedClient, Writer};

/// How many write at once.
const WRITERS: usize = 32;
/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A tenant of a world of its own, and whoever administers it.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) tenant: Tenant,
    pub(crate) admin: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let tenant = world.tenant("Acme");
        let admin = world.as_admin(&tenant);
        Self {
            world,
            tenant,
            admin,
        }
    }

    pub(crate) fn url(&self, replica: &Replica, path: &str) -> String {
        format!("{}/v1/tenants/{}{path}", replica.api, self.tenant.id)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let url = self.url(&self.world.replica, path);
        self.world.http.get(&url, &[("authorization", &self.admin)])
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let url = self.url(&self.world.replica, path);
        self.world
            .http
            .post_json(&url, &[("authorization", &self.admin)], body)
    }

    /// Does what no request can, as somebody whom row-level security does not hold.
    pub(crate) fn sql(&self, sql: &str) {
        let mut connection = self.world.database.superuser();
        connection.batch_execute(sql).expect("SQL that works");
    }

    /// A client that administers the tenant too, and its authorization. Its role comes straight out of SQL.
    pub(crate) fn deputy(&self, name: &str, scopes: &[&str]) -> (Credentials, String) {
        let (world, tenant) = (&self.world, &self.tenant);
        let client = world.client(tenant, name, scopes);
        let id: ClientId = client.client_id.parse().expect("a client's id");
        let admin: ClientId = tenant.admin.client_id.parse().expect("a client's id");
        self.sql(&format!(
            "INSERT INTO role_assignments (tenant_id, id, client_id, role, organization_id, created_at) \
             SELECT tenant_id, gen_random_uuid(), '{}', role, organization_id, created_at \
             FROM role_assignments WHERE client_id = '{}'",
            id.uuid(),
            admin.uuid(),
        ));
        let token = world.token(&tenant.id, &client, &scopes.join(" "));
        (client, World::bearer(&token))
    }

    /// Makes a client on a replica; tells its id.
    #[track_caller]
    pub(crate) fn create_on(&self, replica: &Replica, name: &str) -> String {
        let body = json!({ "name": name, "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        let url = self.url(replica, "/clients");
        let made = self
            .world
            .http
            .post_json(&url, &[("authorization", &self.admin)], &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    #[track_caller]
    pub(crate) fn create(&self, name: &str) -> String {
        self.create_on(&self.world.replica, name)
    }

    /// The position of the newest change.
    pub(crate) fn newest(&self) -> String {
        self.get("/changes?after=now").expect(200)["position"]
            .as_str()
            .expect("a position")
            .to_owned()
    }

    /// Opens the feed as a stream, on a replica.
    pub(crate) fn stream(
        &self,
        replica: &Replica,
        authorization: &str,
        after: &str,
    ) -> EventStream {
        let url = self.url(replica, &format!("/changes?after={after}"));
        EventStream::open(&url, &[("authorization", authorization)])
    }
}

/// Whom a change is about.
pub(crate) fn target(event: &Value) -> &str {
    event["target"]["id"].as_str().expect("a target")
}

/// Whom each of some changes is about.
pub(crate) fn targets(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().expect("items");
    items.iter().map(target).collect()
}

/// Checks a change against what the document says of its kind.
pub(crate) fn assert_documented(document: &Value, event: &Value) {
    let kind = event["type"].as_str().expect("a type");
    let mapping = &document["components"]["schemas"]["Change"]["discriminator"]["mapping"];
    let reference = mapping[kind]
        .as_str()
        .unwrap_or_else(|| panic!("{kind} is not in the document"));
    let pointer = reference.strip_prefix('#').expect("a reference");
    let schema = document
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} leads nowhere"));
    for name in ["type", "version"] {
        let only = &schema["properties"][name]["enum"];
        assert_eq!(*only, json!([event[name]]), "{name} of {kind}");
    }
    let required: Vec<_> = schema["required"]
        .as_array()
        .expect("required fields")
        .iter()
        .map(|name| name.as_str().expect("a name"))
        .collect();
    let fields = event.as_object().expect("an object");
    for name in &required {
        assert!(fields.contains_key(*name), "{kind} lacks {name}");
    }
    for name in fields.keys() {
        assert!(required.contains(&name.as_str()), "{kind} has {name}");
    }
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("no text: {event}"));
        assert!(!text.is_empty(), "{event}");
        text.to_owned()
    };
    assert!(text(&event["audit_event_id"]).starts_with("aud_"));
    chrono::DateTime::parse_from_rfc3339(&text(&event["at"])).expect("a time");
    text(&event["position"]);
    text(&event["target"]["kind"]);
    text(&event["target"]["id"]);
    assert_eq!(
        event["target"].as_object().map(serde_json::Map::len),
        Some(2)
    );
    let touched = event["touched"].as_array().expect("what it touched");
    assert!(!touched.is_empty(), "{event}");
    for id in touched {
        assert_eq!(text(id).find('_'), Some(3), "{event}");
    }
}

/// What `OpenAPI` says of the API.
pub(crate) fn document(world: &World) -> Value {
    world.http.get(&world.api("/openapi.json"), &[]).expect(200)
}

/// Follows a tenant's feed by asking again and again, until the change of a client that is made last is there.
struct Poller<'a> {
    http: &'a Http,
    url: String,
    authorization: &'a str,
    limit: usize,
    last: &'a OnceLock<String>,
}

impl Poller<'_> {
    fn follow(&self, begin: &str) -> Vec<Value> {
        let (mut position, mut seen) = (begin.to_owned(), Vec::new());
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(
                Instant::now() < until,
                "{} changes, and no last",
                seen.len()
            );
            let url = format!("{}?after={position}&limit={}", self.url, self.limit);
            let answer = self
                .http
                .get(&url, &[("authorization", self.authorization)]);
            if answer.status == 503 {
                continue;
            }
            let mut page = answer.expect(200);
            let Value::Array(items) = page["items"].take() else {
                panic!("no items")
            };
            assert!(items.len() <= self.limit);
            if let Some(item) = items.last() {
                // Where a page ends with more to come one goes on from its last change.
                assert!(page["has_more"] == false || item["position"].is_string());
            }
            seen.extend(items);
            page["position"]
                .as_str()
                .expect("a position")
                .clone_into(&mut position);
            if page["has_more"] == false {
                if is_over(&seen, self.last) {
                    return seen;
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
    }
}

fn is_over(seen: &[Value], last: &OnceLock<String>) -> bool {
    let (Some(event), Some(last)) = (seen.last(), last.get()) else {
        return false;
    };
    target(event) == last
}

fn listen(mut stream: EventStream, last: &OnceLock<String>) -> Vec<Value> {
    let mut seen = Vec::new();
    let until = Instant::now() + PATIENCE;
    while !is_over(&seen, last) {
        assert!(Instant::now() < until, "{} events, and no last", seen.len());
        match stream.next(Duration::from_millis(100)) {
            Heard::Event(event) => {
                assert_eq!(event.data["type"], event.kind);
                assert_eq!(event.data["position"], event.id);
                seen.push(event.data);
            }
            Heard::Ended | Heard::Broken => panic!("the stream ended"),
            _ => {}
        }
    }
    seen
}

/// Of each thing its changes in their order.
fn by_thing(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut things: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        let kind = event["type"].as_str().expect("a type").to_owned();
        things
            .entry(target(event).to_owned())
            .or_default()
            .push(kind);
    }
    things
}

/// The same out of what was answered with success.
fn answered(mut made: Vec<Made>) -> BTreeMap<String, Vec<String>> {
    made.sort_by_key(|change| change.revision);
    let mut things: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for Made { thing, action, .. } in made {
        things.entry(thing).or_default().push(action.to_owned());
    }
    things
}

fn order(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["audit_event_id"].as_str().expect("an event's id"))
        .collect()
}

/// A tenant in which much happens, and those who follow it.
struct Busy<'a> {
    tenant: &'a Tenant,
    admin: String,
    shared: Mutex<Vec<SharedClient>>,
    last: OnceLock<String>,
}

impl<'a> Busy<'a> {
    fn new(world: &World, tenant: &'a Tenant) -> Self {
        let shared = (0..3)
            .map(|number| SharedClient {
                id: world
                    .client(tenant, &format!("Shared {number}"), &[])
                    .client_id,
                revision: 1,
                is_disabled: false,
            })
            .collect();
        Self {
            tenant,
            admin: world.as_admin(tenant),
            shared: Mutex::new(shared),
            last: OnceLock::new(),
        }
    }

    fn poller<'b>(&'b self, http: &'b Http, replica: &Replica, limit: usize) -> Poller<'b> {
        Poller {
            http,
            url: format!("{}/v1/tenants/{}/changes", replica.api, self.tenant.id),
            authorization: &self.admin,
            limit,
            last: &self.last,
        }
    }
}

#[test]
fn thirty_two_write_at_once_and_each_follower_sees_each_success_once_and_in_order() {
    let world = World::new();
    let other = world.another_replica();
    let replicas = [&world.replica, &other];
    let (acme, globex) = (world.tenant("Acme"), world.tenant("Globex"));
    let busy = [Busy::new(&world, &acme), Busy::new(&world, &globex)];
    let begins: Vec<String> = busy
        .iter()
        .map(|busy| {
            let url = format!(
                "{}/v1/tenants/{}/changes?after=now",
                other.api, busy.tenant.id
            );
            let now = world.http.get(&url, &[("authorization", &busy.admin)]);
            now.text("/position")
        })
        .collect();
    let (seen, made) = work_and_follow(&world, replicas, &busy, &begins);
    let document = document(&world);
    for (seen, made) in seen.iter().zip(made) {
        let count = made.len();
        let expected = answered(made);
        for followed in seen {
            assert_eq!(followed.len(), count);
            assert_eq!(by_thing(followed), expected);
            assert_eq!(order(followed), order(&seen[0]));
        }
        for event in &seen[0] {
            assert_documented(&document, event);
        }
    }
    // Who has the whole feed to read has the same at its end, and nothing of the other tenant.
    for ((busy, seen), strange) in busy.iter().zip(&seen).zip([&globex, &acme]) {
        let url = format!("{}/v1/tenants/{}/changes", other.api, busy.tenant.id);
        let first = world
            .http
            .get(&url, &[("authorization", &busy.admin)])
            .expect(200);
        let mut all = first["items"].as_array().expect("items").clone();
        let position = first["position"].as_str().expect("a position");
        if first["has_more"] == true {
            all.extend(busy.poller(&world.http, &other, 200).follow(position));
        }
        assert!(order(&all).ends_with(&order(&seen[0])));
        assert!(!json!(all).to_string().contains(&strange.id));
        for event in &all {
            assert_documented(&document, event);
        }
    }
}

/// Lets many write, a third of it in vain, and of each tenant three poll and one listen; tells what each of
/// these saw, and what was answered with success.
fn work_and_follow(
    world: &World,
    replicas: [&Replica; 2],
    busy: &[Busy<'_>; 2],
    begins: &[String],
) -> (Vec<Vec<Vec<Value>>>, [Vec<Made>; 2]) {
    std::thread::scope(|scope| {
        let following: Vec<Vec<_>> = busy
            .iter()
            .zip(begins)
            .map(|(busy, begin)| {
                let mut following: Vec<_> = [(1, 0), (7, 1), (200, 0)]
                    .into_iter()
                    .map(|(limit, replica)| {
                        let poller = busy.poller(&world.http, replicas[replica], limit);
                        scope.spawn(move || poller.follow(begin))
                    })
                    .collect();
                let url = format!(
                    "{}/v1/tenants/{}/changes?after={begin}",
                    replicas[1].api, busy.tenant.id
                );
                let stream = EventStream::open(&url, &[("authorization", &busy.admin)]);
                following.push(scope.spawn(|| listen(stream, &busy.last)));
                following
            })
            .collect();
        let writing: Vec<_> = (0..WRITERS)
            .map(|number| {
                let busy = &busy[number % 2];
                let mut writer = Writer::new(
                    world,
                    replicas[number / 2 % 2],
                    busy.tenant,
                    &busy.admin,
                    number,
                );
                scope.spawn(move || {
                    writer.work(&busy.shared);
                    writer
                })
            })
            .collect();
        let (mut made, mut refused, mut sent) = ([Vec::new(), Vec::new()], 0, 0);
        for (number, writing) in writing.into_iter().enumerate() {
            let writer = writing.join().expect("a writer that came to its end");
            refused += writer.refused;
            sent += writer.sent;
            made[number % 2].extend(writer.made);
        }
        assert!(refused * 3 >= sent, "{refused} of {sent} were refused");
        for (busy, made) in busy.iter().zip(&mut made) {
            let last = world.client(busy.tenant, "The last", &[]).client_id;
            made.push(Made {
                thing: last.clone(),
                revision: 1,
                action: "client.created",
            });
            busy.last.set(last).expect("one last");
        }
        let seen: Vec<Vec<_>> = following
            .into_iter()
            .map(|following| {
                let joined = following
                    .into_iter()
                    .map(std::thread::ScopedJoinHandle::join);
                joined.map(|seen| seen.expect("a follower")).collect()
            })
            .collect();
        (seen, made)
    })
}
