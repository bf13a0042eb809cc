//! The feed as server-sent events: the same as by asking, without asking; and no longer than one may.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_acceptance::{Credentials, EventStream, Heard, Replica, ServerSettings};
use grantor_domain::ids::{ClientId, TenantId};
use serde_json::{Value, json};

use crate::feed::{PATIENCE, Scene, target, targets};
use crate::outages::site::until;

/// How many streams one process has at most.
const PLACES: usize = 512;
/// More than the time between two signs of life.
const A_SIGN_OF_LIFE: Duration = Duration::from_secs(30);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Scene {
    /// A client that may follow the changes, and its authorization.
    fn listener(&self, name: &str) -> (Credentials, String) {
        self.deputy(name, &["grantor:changes.read"])
    }

    fn listen(&self, authorization: &str) -> EventStream {
        self.stream(&self.world.replica, authorization, "now")
    }
}

fn position(answer: &Value) -> &str {
    answer["position"].as_str().expect("a position")
}

#[test]
fn positions_are_the_same_for_a_stream_and_for_asking_and_the_last_event_id_counts_first() {
    let scene = Scene::new();
    let replica = &scene.world.replica;
    let start = scene.newest();
    let made: Vec<String> = ["One", "Two", "Three", "Four"]
        .iter()
        .map(|name| scene.create(name))
        .collect();
    // From asking to a stream …
    let first = scene
        .get(&format!("/changes?after={start}&limit=1"))
        .expect(200);
    assert_eq!(targets(&first), [made[0].as_str()]);
    assert_eq!(first["has_more"], true);
    let mut stream = scene.stream(replica, &scene.admin, position(&first));
    let two = stream.event();
    assert_eq!(target(&two.data), made[1]);
    assert_eq!(
        (two.kind.as_str(), &two.data["position"]),
        ("client.created", &two.id.clone().into())
    );
    // … and back, by the id of an event and by the position in it alike.
    let rest = scene.get(&format!("/changes?after={}", two.id)).expect(200);
    assert_eq!(targets(&rest), [made[2].as_str(), &made[3]]);
    let three = rest["items"][0]["position"].as_str().expect("a position");

    let url = scene.url(replica, &format!("/changes?after={start}"));
    let headers = [
        ("authorization", scene.admin.as_str()),
        ("last-event-id", three),
    ];
    let mut again = EventStream::open(&url, &headers);
    assert_eq!(target(&again.event().data), made[3]);
    let asked = scene.world.http.get(&url, &headers).expect(200);
    assert_eq!(targets(&asked), [made[3].as_str()]);
}

#[test]
fn a_stream_tells_what_is_made_on_another_replica_without_being_asked_again() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let mut stream = scene.stream(&other, &scene.admin, "now");
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.header("cache-control"), Some("no-store"));
    assert_eq!(stream.next(PATIENCE), Heard::Retry(1000));
    // Where one stands, although nothing has happened: after a break one goes on from here.
    let Heard::Position(stood) = stream.next(PATIENCE) else {
        panic!("no position")
    };
    for round in 0..3 {
        let made = scene.create(&format!("Made {round}"));
        let event = stream.event();
        assert_eq!(target(&event.data), made);
        assert_eq!(event.data["touched"][0], made.as_str());
        let asked = scene.get(&format!("/changes?after={stood}")).expect(200);
        assert_eq!(targets(&asked).last(), Some(&made.as_str()));
    }
    // What happens in another tenant wakes nobody here.
    let elsewhere = scene.world.tenant("Elsewhere");
    scene.world.client(&elsewhere, "Strange", &[]);
    let made = scene.create("The next");
    assert_eq!(target(&stream.event().data), made);
}

#[test]
fn whoever_may_listen_no_more_hears_nothing_more() {
    type Ending = (&'static str, fn(&Scene, &Credentials, &str));
    let scene = Scene::new();
    let endings: [Ending; 5] = [
        ("revoked", |scene, client, authorization| {
            let token = authorization.trim_start_matches("Bearer ");
            let tenant = &scene.tenant.id;
            assert_eq!(scene.world.revoke(tenant, client, token).status, 200);
        }),
        ("disabled", |scene, client, _| {
            let path = format!("/clients/{}/disable", client.client_id);
            scene.post(&path, &json!({})).expect(200);
        }),
        ("not allowed its address any more", |scene, client, _| {
            let id: ClientId = client.client_id.parse().expect("a client's id");
            scene.sql(&format!(
                "UPDATE clients SET allowed_ips = '{{192.0.2.1}}' WHERE id = '{}'",
                id.uuid()
            ));
        }),
        ("without a role", |scene, client, _| {
            let id: ClientId = client.client_id.parse().expect("a client's id");
            scene.sql(&format!(
                "DELETE FROM role_assignments WHERE client_id = '{}'",
                id.uuid()
            ));
        }),
        ("in a tenant that is suspended", |scene, _, _| {
            let id: TenantId = scene.tenant.id.parse().expect("a tenant's id");
            scene.sql(&format!(
                "INSERT INTO tenant_suspensions (tenant_id, paused_by_operator_at) \
                 VALUES ('{}', now())",
                id.uuid()
            ));
        }),
    ];
    for (what, end) in endings {
        let (client, authorization) = scene.listener(what);
        let mut stream = scene.listen(&authorization);
        let heard = scene.create("Still heard");
        assert_eq!(target(&stream.event().data), heard, "{what}");
        end(&scene, &client, &authorization);
        if what.contains("suspended") {
            // No change can be made by the API any more: one is put on the feed.
            scene.sql(
                "INSERT INTO changes SELECT tenant_id, nextval('changes_sequence'), audit_event_id, action, \
                 schema_version, target_kind, target_id, touched, subjects, at \
                 FROM changes ORDER BY sequence DESC LIMIT 1",
            );
        } else {
            scene.create("Not heard");
        }
        let (events, ending) = stream.rest();
        assert_eq!(events, [], "{what}");
        assert_eq!(ending, Heard::Ended, "{what}");
    }
}

#[test]
fn a_stream_ends_with_its_token() {
    let scene = Scene::new();
    let (client, authorization) = scene.listener("Listener");
    let mut stream = scene.listen(&authorization);
    scene.create("Heard");
    stream.event();
    scene.world.advance(TimeDelta::hours(1));
    let admin = scene.world.as_admin(&scene.tenant);
    let path = format!("/clients/{}", client.client_id);
    let url = scene.url(&scene.world.replica, &path);
    let headers = [
        ("authorization", admin.as_str()),
        ("content-type", "application/json"),
    ];
    let changed = scene
        .world
        .http
        .send("PATCH", &url, &headers, br#"{"description":"Late"}"#);
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(stream.rest(), (vec![], Heard::Ended));
}

#[test]
fn what_is_made_after_a_pause_is_not_told_although_the_reading_had_begun_before() {
    let scene = Scene::new();
    let (client, authorization) = scene.listener("Listener");
    let mut stream = scene.listen(&authorization);
    while !matches!(stream.next(PATIENCE), Heard::Position(_)) {}
    // Who reads the feed waits for this lock; who changes something does not.
    let mut holding = scene.world.database.superuser();
    holding
        .batch_execute("BEGIN; LOCK TABLE change_feed IN ACCESS EXCLUSIVE MODE")
        .expect("a lock");
    scene.create("Before");
    let mut looking = scene.world.database.superuser();
    until("the stream reads the feed", || {
        let waiting: Count = diesel::sql_query(
            "SELECT count(*) AS count FROM pg_locks \
             WHERE relation = 'change_feed'::regclass AND NOT granted",
        )
        .get_result(&mut looking)
        .expect("a count");
        waiting.count > 0
    });
    let path = format!("/clients/{}/disable", client.client_id);
    scene.post(&path, &json!({})).expect(200);
    scene.create("After");
    holding.batch_execute("COMMIT").expect("the lock let go");
    assert_eq!(stream.rest(), (vec![], Heard::Ended));
}

#[test]
fn a_server_that_stops_ends_its_streams_at_once() {
    let scene = Scene::new();
    let mut replica = scene.world.another_replica_with(&ServerSettings {
        drain_seconds: Some(40),
        ..ServerSettings::default()
    });
    let mut streams: Vec<_> = (0..3)
        .map(|_| scene.stream(&replica, &scene.admin, "now"))
        .collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| replica.stop());
        for stream in &mut streams {
            assert_eq!(stream.rest(), (vec![], Heard::Ended));
        }
        drop(streams);
        stopping.join().expect("a stop");
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_quiet_stream_gives_signs_of_life_and_ends_when_its_token_is_gone() {
    let scene = Scene::new();
    let (client, authorization) = scene.listener("Listener");
    let mut revoked = scene.listen(&authorization);
    let mut quiet = scene.listen(&scene.admin);
    let token = authorization.trim_start_matches("Bearer ");
    let answer = scene.world.revoke(&scene.tenant.id, &client, token);
    assert_eq!(answer.status, 200);
    assert_eq!(quiet.next(PATIENCE), Heard::Retry(1000));
    assert!(matches!(quiet.next(PATIENCE), Heard::Position(_)));
    assert_eq!(
        quiet.next(A_SIGN_OF_LIFE),
        Heard::Comment("still here".to_owned())
    );
    assert_eq!(revoked.rest(), (vec![], Heard::Ended));
    let made = scene.create("Heard");
    assert_eq!(target(&quiet.event().data), made);
}

#[test]
fn head_on_the_feed_is_answered_and_opens_no_stream() {
    let scene = Scene::new();
    let address = scene.world.replica.api.trim_start_matches("http://");
    let path = format!("/v1/tenants/{}/changes?after=now", scene.tenant.id);
    for accept in ["application/json", "text/event-stream"] {
        let mut connection = TcpStream::connect(address).expect("a connection");
        connection
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout");
        // The second is answered only when the first is over, and nothing of a body is in between.
        for (method, status) in [("HEAD", "200 OK"), ("DELETE", "405 Method Not Allowed")] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nAccept: {accept}\r\n\r\n",
                scene.admin
            );
            connection
                .write_all(request.as_bytes())
                .expect("it is sent");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                connection.read_exact(&mut byte).expect("an answer");
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).expect("a head");
            let begin = format!("HTTP/1.1 {status}\r\n");
            assert!(head.starts_with(&begin), "{accept}: {head}");
            if method == "HEAD" {
                let kind = format!("content-type: {accept}\r\n");
                assert!(head.contains(&kind), "{accept}: {head}");
            }
        }
    }
}

#[test]
fn a_process_has_512_streams_and_tells_the_next_one_to_come_again() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    let elsewhere = world.tenant("Elsewhere");
    let other = world.another_replica();
    let strange = world.as_admin(&elsewhere);
    let open = |replica: &Replica, tenant: &str, authorization: &str| {
        let url = format!("{}/v1/tenants/{tenant}/changes?after=now", replica.api);
        EventStream::try_open(&url, &[("authorization", authorization)])
    };
    let mut last = open(&world.replica, &elsewhere.id, &strange).expect("a stream");
    let mut held: Vec<_> = (1..PLACES)
        .map(|number| {
            open(&world.replica, &tenant.id, &scene.admin)
                .unwrap_or_else(|head| panic!("stream {number}: {head}"))
        })
        .collect();
    let Err(refused) = open(&world.replica, &tenant.id, &scene.admin) else {
        panic!("one too many")
    };
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    // Asking goes on, and so does another process.
    assert_eq!(scene.get("/changes?after=now").status, 200);
    assert!(open(&other, &tenant.id, &scene.admin).is_ok());
    // A change wakes them all, and nobody else waits for them.
    let made = scene.create("Wakes all");
    for _ in 0..20 {
        assert_eq!(scene.get("/clients").status, 200);
    }
    for stream in &mut held {
        assert_eq!(target(&stream.event().data), made);
    }
    // A place that is given up is had again.
    let token = strange.trim_start_matches("Bearer ");
    let revoked = world.revoke(&elsewhere.id, &elsewhere.admin, token);
    assert_eq!(revoked.status, 200);
    world.client(&elsewhere, "Wakes", &[]);
    assert_eq!(last.rest(), (vec![], Heard::Ended));
    until("a place is free", || {
        open(&world.replica, &tenant.id, &scene.admin).is_ok()
    });
}

#[test]
fn who_does_not_read_is_sent_no_more_than_fits_on_the_way_and_holds_up_nobody() {
    /// Together far more than the sockets of both sides hold.
    const CHANGES: usize = 12_000;
    const TOUCHED: usize = 60;
    let scene = Scene::new();
    let (client, authorization) = scene.listener("Slow");
    let start = scene.newest();
    let id: TenantId = scene.tenant.id.parse().expect("a tenant's id");
    scene.sql(&format!(
        "INSERT INTO changes SELECT tenant_id, nextval('changes_sequence'), audit_event_id, action, \
         schema_version, target_kind, target_id, touched, array_fill(target_id, ARRAY[{TOUCHED}]), at \
         FROM (SELECT * FROM changes WHERE tenant_id = '{}' ORDER BY sequence DESC LIMIT 1) AS one, \
         generate_series(1, {CHANGES})",
        id.uuid()
    ));
    let url = scene.url(&scene.world.replica, &format!("/changes?after={start}"));
    let mut slow = EventStream::ask(&url, &[("authorization", &authorization)]);
    // By the time that this one has had all, the slow one would have been sent all as well.
    let mut quick = EventStream::open(&url, &[("authorization", &scene.admin)]);
    for _ in 0..CHANGES {
        quick.event();
    }
    let begun = Instant::now();
    let made = scene.create("In time");
    assert_eq!(target(&quick.event().data), made);
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Its token gone, what it reads now is what had been on its way before.
    let token = authorization.trim_start_matches("Bearer ");
    let revoked = scene.world.revoke(&scene.tenant.id, &client, token);
    assert_eq!(revoked.status, 200);
    slow.read_head().expect("a stream");
    let (events, ending) = slow.rest();
    assert_eq!(ending, Heard::Ended);
    assert!(
        !events.is_empty() && events.len() < CHANGES * 3 / 4,
        "{} events were kept for it",
        events.len()
    );
}
