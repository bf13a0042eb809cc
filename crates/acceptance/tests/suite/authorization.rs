//! Who may do what: every operation without a token, with a bad one, without the permission, and from another tenant.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::RunQueryDsl as _;
use diesel::sql_types::Text;
use grantor_acceptance::{Answer, World};
use serde_json::{Value, json};

use crate::operations::{OPERATIONS, SUBJECT, Scene, events, expect_problem, without_request_id};

const UNKNOWN_TENANT: &str = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// Every scope of the management API.
const EVERY_SCOPE: [&str; 8] = [
    "grantor:tenants.create",
    "grantor:tenants.read",
    "grantor:clients.read",
    "grantor:clients.write",
    "grantor:clients.disable",
    "grantor:clients.delete",
    "grantor:secrets.write",
    "grantor:audit.read",
];

#[track_caller]
fn expect_unauthenticated(world: &World, answer: &Answer, with_error: bool) {
    expect_problem(world, answer, 401, "unauthenticated");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer"), "{challenge}");
    assert_eq!(
        challenge.contains("error=\"invalid_token\""),
        with_error,
        "{challenge}"
    );
    assert_eq!(challenge.contains("error="), with_error, "{challenge}");
}

#[test]
fn rfc6750_3_1_without_a_token_no_error_code_is_told() {
    let scene = Scene::new();
    let basic = scene.subject.basic();
    for operation in &OPERATIONS {
        for headers in [
            &[][..],
            &[("authorization", basic.as_str())],
            &[("authorization", "Digest x")],
            &[("authorization", "")],
            &[("x-authorization", scene.admin.as_str())],
        ] {
            let answer = operation.send(
                &scene.world,
                &scene.tenant.id,
                &scene.subject.client_id,
                headers,
            );
            expect_unauthenticated(&scene.world, &answer, false);
        }
        // RFC 9700 §4.3.2: no token in a query or a body.
        let token = scene.admin.trim_start_matches("Bearer ");
        let path = operation.path(&scene.tenant.id, &scene.subject.client_id);
        let answer = scene.world.http.send(
            operation.method,
            &format!("{}?access_token={token}", scene.world.api(&path)),
            &[],
            b"",
        );
        expect_unauthenticated(&scene.world, &answer, false);
    }
}

#[test]
fn rfc6750_3_1_a_token_that_is_not_good_is_an_invalid_token() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        admin,
        subject,
    } = &scene;
    world.advance(TimeDelta::seconds(1));
    world.orders_api(tenant, &[subject]);
    let machine = world.client(tenant, "Machine", &["orders.api:read"]);
    let paused = world.client(tenant, "Paused", &["grantor:clients.read"]);
    let gone = world.client(tenant, "Gone", &["grantor:clients.read"]);

    let other_audience = World::bearer(&world.token(&tenant.id, &machine, "orders.api:read"));
    let of_paused = World::bearer(&world.token(&tenant.id, &paused, "grantor:clients.read"));
    let of_gone = World::bearer(&world.token(&tenant.id, &gone, "grantor:clients.read"));
    let revoked = world.token(&tenant.id, &tenant.admin, "grantor:clients.read");
    assert_eq!(
        world.revoke(&tenant.id, &tenant.admin, &revoked).status,
        200
    );
    let pause = scene.call(
        "POST",
        &format!("/clients/{}/disable", paused.client_id),
        "",
    );
    assert_eq!(pause.status, 200);
    let delete = scene.call(
        "DELETE",
        &format!("/clients/{}?confirm_name=Gone", gone.client_id),
        "",
    );
    assert_eq!(delete.status, 204);

    let good = admin.trim_start_matches("Bearer ");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let mut bad: Vec<String> = vec![
        other_audience,
        of_paused,
        of_gone,
        World::bearer(&revoked),
        "Bearer x".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer a.b.c".to_owned(),
        "Bearer e30.e30.e30".to_owned(),
        format!("Bearer {good}x"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good},"),
        format!("Bearer {}", &good[..good.len() - 1]),
        format!("Bearer {head}."),
        format!("Bearer {head}"),
        format!(
            "Bearer eyJhbGciOiJub25lIn0.{}.{signature}",
            head.split_once('.').unwrap().1
        ),
        format!("Bearer {}", "x".repeat(7_000)),
        format!("Bearer {}", subject.client_secret),
    ];
    let expired = admin.clone();
    for operation in &OPERATIONS {
        for authorization in &bad {
            let answer = operation.call(world, &tenant.id, &subject.client_id, authorization);
            expect_unauthenticated(world, &answer, true);
        }
        let answer = operation.send(
            world,
            &tenant.id,
            &subject.client_id,
            &[("authorization", admin), ("authorization", admin)],
        );
        expect_unauthenticated(world, &answer, true);
    }
    // At the second at which it expires it is over.
    world.advance(TimeDelta::seconds(3_598));
    assert_eq!(scene.call("GET", "/clients", "").status, 200);
    world.advance(TimeDelta::seconds(1));
    bad = vec![expired];
    for operation in &OPERATIONS {
        let answer = operation.call(world, &tenant.id, &subject.client_id, &bad[0]);
        expect_unauthenticated(world, &answer, true);
    }
}

#[test]
fn role_3_audit_1_without_the_permission_every_operation_is_refused_and_the_refusal_told() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        subject,
        ..
    } = &scene;
    // It has every scope that an administrator can give, and no role.
    let roleless = world.client(tenant, "No role", &EVERY_SCOPE[2..]);
    let roleless = World::bearer(&world.token(&tenant.id, &roleless, &EVERY_SCOPE[2..].join(" ")));
    for operation in &OPERATIONS {
        let other_scopes: Vec<_> = EVERY_SCOPE[2..]
            .iter()
            .copied()
            .filter(|scope| !scope.ends_with(operation.permission))
            .collect();
        let fewer = World::bearer(&world.token(&tenant.id, &tenant.admin, &other_scopes.join(" ")));
        for (who, authorization) in [("fewer scopes", &fewer), ("no role", &roleless)] {
            let before = events(world, tenant);
            world.advance(TimeDelta::milliseconds(1));
            let answer = operation.call(world, &tenant.id, &subject.client_id, authorization);
            assert_eq!(answer.status, 403, "{operation} {who}: {}", answer.body);
            let problem = expect_problem(world, &answer, 403, "forbidden");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(operation.permission), "{detail}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(
                challenge.contains("error=\"insufficient_scope\""),
                "{challenge}"
            );
            assert!(
                challenge.contains(&format!("scope=\"grantor:{}\"", operation.permission)),
                "{challenge}"
            );
            let after = events(world, tenant);
            assert_eq!(after.len(), before.len() + 1, "{operation} {who}");
            assert_eq!(after[0]["action"], "access.refused");
            assert_eq!(
                after[0]["after"]["missing_permission"],
                operation.permission
            );
            assert_eq!(after[0]["request_id"], problem["request_id"]);
        }
    }
    let clients = scene.call("GET", "/clients", "").expect(200);
    assert_eq!(
        clients["items"].as_array().unwrap().len(),
        3,
        "none was made or deleted"
    );
    assert_eq!(world.introspect(&tenant.id, subject, "x").status, 200);
}

#[test]
fn tenant_1_a_foreign_tenant_answers_like_one_that_never_existed() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.tenant("Globex");
    let theirs = world.client(&other, SUBJECT, &[]);
    let log = events(world, &other).len();
    let operator =
        World::bearer(&world.token(&world.platform_id, &world.operator, &EVERY_SCOPE.join(" ")));
    for operation in OPERATIONS
        .iter()
        .filter(|operation| !operation.is_for_operators())
    {
        for authorization in [&scene.admin, &operator] {
            let unknown = operation.call(world, UNKNOWN_TENANT, &theirs.client_id, authorization);
            expect_problem(world, &unknown, 404, "not-found");
            let foreign = operation.call(world, &other.id, &theirs.client_id, authorization);
            assert_eq!(
                without_request_id(&foreign),
                without_request_id(&unknown),
                "{operation}"
            );
        }
    }
    assert_eq!(
        events(world, &other).len(),
        log,
        "nothing in their log either"
    );
    assert_eq!(world.introspect(&other.id, &theirs, "x").status, 200);
    // A token of one tenant is worth nothing at the issuer of another.
    let token = scene.admin.trim_start_matches("Bearer ");
    assert!(!world.is_active(&other.id, &theirs, token));
}

#[test]
fn role_1_operators_alone_manage_tenants() {
    let scene = Scene::new();
    let world = &scene.world;
    let operator = world.as_operator();
    for operation in OPERATIONS
        .iter()
        .filter(|operation| operation.is_for_operators())
    {
        let done = operation.call(world, &scene.tenant.id, "", &operator);
        assert!(
            matches!(done.status, 200 | 201),
            "{operation}: {}",
            done.body
        );
        let refused = operation.call(world, &scene.tenant.id, "", &scene.admin);
        expect_problem(world, &refused, 403, "forbidden");
    }
    // The scopes themselves are out of reach of a tenant's administrator.
    for scope in &EVERY_SCOPE[..2] {
        let answer = world.request_token(&scene.tenant.id, &scene.tenant.admin, scope);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.text("/error"), "invalid_scope");
    }
}

#[test]
fn role_3_nobody_grants_what_they_do_not_hold() {
    let scene = Scene::new();
    let world = &scene.world;
    let make = |authorization: &str, scopes: &[&str]| {
        world.http.post_json(
            &scene.url("/clients"),
            &[("authorization", authorization)],
            &json!({ "name": "Made", "allowed_scopes": scopes,
                "profile": "service", "owner_contact": { "email": "ada@example.com" } }),
        )
    };
    for scope in &EVERY_SCOPE[..2] {
        let answer = make(&scene.admin, &["grantor:audit.read", scope]);
        let problem = expect_problem(world, &answer, 422, "invalid-field");
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/allowed_scopes/"), "{pointer}");
    }
    assert_eq!(make(&scene.admin, &EVERY_SCOPE[2..]).status, 201);
    // What counts is what the token carries, not what the role behind it would permit.
    let narrow = World::bearer(&world.token(
        &scene.tenant.id,
        &scene.tenant.admin,
        "grantor:clients.write",
    ));
    assert_eq!(make(&narrow, &["grantor:clients.write"]).status, 201);
    for scope in &EVERY_SCOPE[4..] {
        expect_problem(world, &make(&narrow, &[scope]), 422, "invalid-field");
    }
}

#[test]
fn role_3_the_fault_points_at_the_scope_as_it_was_sent() {
    let scene = Scene::new();
    let body = json!({ "name": "Made", "profile": "service", "owner_contact": { "email": "ada@example.com" },
        "allowed_scopes": ["grantor:tenants.create", "grantor:audit.read", "grantor:clients.read"] });
    let problem = expect_problem(
        &scene.world,
        &scene.create(&body.to_string()),
        422,
        "invalid-field",
    );
    assert_eq!(problem["errors"][0]["pointer"], "/allowed_scopes/0");
}

#[test]
fn audit_1_every_change_leaves_an_event_of_who_what_and_from_where() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        admin,
        subject,
    } = &scene;
    let operator = world.as_operator();
    for (number, operation) in OPERATIONS.iter().enumerate() {
        let operators = operation.is_for_operators();
        let authorization = if operators { &operator } else { admin };
        let before = events(world, tenant).len();
        let request_id = format!("audit-case-{number}");
        let answer = operation.send(
            world,
            &tenant.id,
            &subject.client_id,
            &[
                ("authorization", authorization),
                ("user-agent", "acceptance/1.0 (audit)"),
                ("x-request-id", &request_id),
                // RFC 9700 §4.13: no proxy is trusted here, so these are just what somebody wrote.
                ("x-forwarded-for", "203.0.113.9"),
                ("forwarded", "for=203.0.113.9"),
            ],
        );
        assert!(answer.status < 300, "{operation}: {}", answer.body);
        // What an operator does to a tenant stands in that tenant's own log, and in the platform's.
        let log = if operators && !operation.action.is_empty() {
            let platform = World::bearer(&world.token(
                &world.platform_id,
                &world.operator,
                "grantor:audit.read",
            ));
            let url = world.api(&format!("/v1/tenants/{}/audit-events", world.platform_id));
            world
                .http
                .get(&url, &[("authorization", &platform)])
                .expect(200)["items"]
                .as_array()
                .unwrap()
                .clone()
        } else {
            events(world, tenant)
        };
        if operation.action.is_empty() {
            assert_eq!(
                events(world, tenant).len(),
                before,
                "{operation} only reads"
            );
            continue;
        }
        let event = log
            .iter()
            .find(|event| {
                event["request_id"] == json!(request_id) && event["action"] == operation.action
            })
            .unwrap_or_else(|| panic!("{operation} left no event: {log:?}"));
        let actor = if operators {
            json!({ "kind": "client", "id": world.operator.client_id, "tenant_id": world.platform_id })
        } else {
            json!({ "kind": "client", "id": tenant.admin.client_id, "tenant_id": tenant.id })
        };
        assert_eq!(event["actor"], actor);
        assert_eq!(event["ip"], "127.0.0.1");
        assert_eq!(event["user_agent"], "acceptance/1.0 (audit)");
        assert_eq!(event["at"], "2025-06-01T12:00:00Z");
        let target = match operation.action {
            "tenant.created" | "client.created" => answer.text("/id"),
            _ => subject.client_id.clone(),
        };
        assert_eq!(event["target"]["id"], json!(target), "{operation}");
    }
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every row of every table of the installation, as text; bytes show as hexadecimal digits.
fn everything_at_rest(world: &World) -> Vec<(String, String)> {
    let mut database = world.database.superuser();
    let tables: Vec<Line> = diesel::sql_query(
        "SELECT format('%I.%I', schemaname, tablename) AS line FROM pg_tables \
         WHERE schemaname IN ('grantor', 'grantor_parts') ORDER BY 1",
    )
    .load(&mut database)
    .unwrap();
    assert!(tables.len() > 10, "the tables were found");
    let mut rows = Vec::new();
    for Line { line: table } in tables {
        let found: Vec<Line> =
            diesel::sql_query(format!("SELECT t::text AS line FROM {table} AS t"))
                .load(&mut database)
                .unwrap();
        rows.extend(found.into_iter().map(|row| (table.clone(), row.line)));
    }
    rows
}

fn hexadecimal(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[test]
fn secret_2_no_secret_and_no_token_is_in_the_log_nor_anywhere_at_rest() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        admin,
        subject,
    } = &scene;
    let operator = world.as_operator();
    let rotated = scene
        .call(
            "POST",
            &format!("/clients/{}/secrets/rotate", subject.client_id),
            &json!({ "confirm_name": SUBJECT }).to_string(),
        )
        .text("/secret/value");
    // A secret in places where it does not belong must not get into the log either.
    let misplaced = "gsec_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ";
    for body in [
        json!({ "name": "x", "client_secret": misplaced }),
        json!({ misplaced: 1 }),
    ] {
        assert_eq!(scene.create(&body.to_string()).status, 422);
    }
    let url = scene.url(&format!("/clients?{misplaced}={misplaced}"));
    world.http.get(&url, &[("authorization", admin)]);
    let shown = [
        subject.client_secret.as_str(),
        &rotated,
        &tenant.admin.client_secret,
        &world.operator.client_secret,
        misplaced,
        admin.trim_start_matches("Bearer "),
        operator.trim_start_matches("Bearer "),
    ];
    let log = serde_json::to_string(&events(world, tenant)).unwrap();
    assert!(log.contains("secret.shown") && log.contains("secret.rotated"));
    let rows = everything_at_rest(world);
    assert!(
        rows.iter().any(|(_, row)| row.contains("secret.rotated")),
        "the log is among what was read"
    );
    for secret in shown {
        // Without what its kind has in common, and the signature alone of a token.
        let core = secret
            .strip_prefix("gsec_")
            .unwrap_or_else(|| secret.rsplit('.').next().unwrap());
        assert!(core.len() > 30, "{secret}");
        // The hint is the first characters and is meant to be kept.
        let tail = &core[core.len() - 24..];
        let hexed = hexadecimal(tail);
        assert!(!log.contains(tail));
        for (table, row) in &rows {
            assert!(!row.contains(tail), "{table} has it");
            assert!(!row.contains(&hexed), "{table} has it as bytes");
        }
    }
    // Read endpoints and lists do not show it either.
    for path in [
        "/clients",
        "/audit-events",
        &format!("/clients/{}", subject.client_id),
    ] {
        let body = scene.call("GET", path, "").body;
        for secret in shown {
            assert!(!body.contains(secret), "{path}");
        }
    }
}

#[test]
fn audit_2_events_are_paged_the_newest_first_and_each_once() {
    let scene = Scene::new();
    for _ in 0..6 {
        for verb in ["disable", "enable"] {
            scene.world.advance(TimeDelta::milliseconds(5));
            let path = format!("/clients/{}/{verb}", scene.subject.client_id);
            assert_eq!(scene.call("POST", &path, "").status, 200);
        }
    }
    let all: Vec<Value> = scene.events();
    let mut walked = Vec::new();
    let mut path = "/audit-events?limit=5".to_owned();
    loop {
        let page = scene.call("GET", &path, "").expect(200);
        walked.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/audit-events?limit=5&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(walked, all);
    let times: Vec<DateTime<Utc>> = all
        .iter()
        .map(|event| event["at"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
}
