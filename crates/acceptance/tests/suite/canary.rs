//! A whole life through the API with every secret of it remembered, and secrets sent where they don't belong:
//! then none of them may be found in the database, a dump of it, the log of record, the feed, the metrics,
//! the mails or the log lines.

mod places;

use std::fs;

use grantor_acceptance::{Credentials, ServerSettings, Tenant, World};
use serde_json::json;

use crate::asking::{path_of, scene_in, send, send_to, until};
use crate::operations::{SUBJECT, Scene};
use places::{Kept, Log, Places};

/// Secrets that were given out, and made-up ones, each with what it is.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn keep(&mut self, what: &'static str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 30, "{what} is too short to be looked for");
        self.0.push((what, secret));
    }

    /// A made-up secret that looks like one of ours; each is another.
    fn misplaced(&mut self, what: &'static str, prefix: &str) -> String {
        const LETTERS: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.0.len() as u64 + 1);
        let body: String = (0..49)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(LETTERS[(state >> 33) as usize % LETTERS.len()])
            })
            .collect();
        let secret = format!("{prefix}{body}");
        self.keep(what, secret.clone());
        secret
    }
}

/// Everything that is done with secrets where they belong.
fn live(scene: &Scene, canaries: &mut Canaries) {
    let Scene { world, tenant, .. } = scene;
    let path = path_of(&scene.subject);
    let confirmed = json!({ "confirm_name": SUBJECT }).to_string();
    let owner = json!({ "email": "owner@example.com", "name": "Owner" });

    // A tenant, with its administrator's secret shown again to whoever has the key.
    let operator = world.as_operator();
    canaries.keep(
        "the operator's token",
        operator.trim_start_matches("Bearer "),
    );
    let key = "canary-tenant-0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11";
    canaries.keep("the key of a tenant's making", key);
    let body = json!({ "name": "Canary", "admin_client": true,
        "owner": { "name": "Ada", "email": "ada@example.com" } });
    for _ in 0..2 {
        let headers = [("idempotency-key", key)];
        let url = world.api("/v1/tenants");
        let made = send_to(world, "POST", &url, &operator, &headers, &body.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
        canaries.keep(
            "an administrator's secret",
            made.text("/admin_client/client_secret"),
        );
    }

    // A client, made and shown again; rotated and shown again; rehearsed.
    let key = "canary-create-71a4c0de-5f1b-4f0e-9d0e-8a0c7f5e2b42";
    canaries.keep("the key of a client's making", key);
    let body = json!({ "name": "Made", "owner_contact": owner, "allowed_scopes": ["grantor:clients.read"] });
    let mut made = None;
    for _ in 0..2 {
        let headers = [("idempotency-key", key)];
        let answer = send(scene, "POST", "/clients", &headers, &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        canaries.keep("a client's secret", answer.text("/secret/value"));
        made = Some(Credentials {
            client_id: answer.text("/id"),
            client_secret: answer.text("/secret/value"),
        });
    }
    let made = made.unwrap();
    let key = "canary-rotate-c2b7f3aa-6d0c-4b51-8f2e-1c9e0f8b93a4";
    canaries.keep("the key of a rotation", key);
    for _ in 0..2 {
        let rotate = format!("{path}/secrets/rotate");
        let answer = send(
            scene,
            "POST",
            &rotate,
            &[("idempotency-key", key)],
            &confirmed,
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
        canaries.keep("a rotated secret", answer.text("/secret/value"));
    }
    send(
        scene,
        "POST",
        "/clients?dry_run=true",
        &[],
        &body.to_string(),
    )
    .expect(201);

    // In bulk, with a key of the whole.
    let key = "canary-bulk-9d0e8a0c-7f5e-4b42-b51a-8f2e1c9e0f8b";
    canaries.keep("the key of a bulk request", key);
    let items = json!({ "items": [
        { "operation": "createClient", "body": { "name": "In bulk", "owner_contact": owner } },
        { "operation": "rotateClientSecret", "path": { "client": made.client_id },
          "body": { "confirm_name": "Made" } },
        { "operation": "updateClient", "path": { "client": made.client_id },
          "body": { "description": "Changed" } },
    ] });
    let mut rotated = made.clone();
    for _ in 0..2 {
        let headers = [("idempotency-key", key)];
        let answer = send(scene, "POST", "/bulk", &headers, &items.to_string());
        assert_eq!(answer.json()["succeeded"], 3, "{}", answer.body);
        canaries.keep(
            "a secret made in bulk",
            answer.text("/results/0/body/secret/value"),
        );
        rotated.client_secret = answer.text("/results/1/body/secret/value");
        canaries.keep("a secret rotated in bulk", &rotated.client_secret);
    }

    // Tokens: asked for, used, introspected, revoked.
    let token = world.token(&tenant.id, &rotated, "grantor:clients.read");
    canaries.keep("a token", &token);
    canaries.keep("a token's signature", token.rsplit('.').next().unwrap());
    world.introspect(&tenant.id, &rotated, &token);
    send_to(
        world,
        "GET",
        &scene.url("/clients"),
        &World::bearer(&token),
        &[],
        "",
    );
    assert_eq!(world.revoke(&tenant.id, &rotated, &token).status, 200);

    // A mail with a reason; a pause; an end.
    let reason = json!({ "reason": "It hammers the orders API" }).to_string();
    send(scene, "POST", &format!("{path}/disable"), &[], &reason).expect(200);
    send(scene, "POST", &format!("{path}/enable"), &[], "").expect(200);
    let end = format!("/clients/{}?confirm_name=Made", made.client_id);
    assert_eq!(send(scene, "DELETE", &end, &[], "").status, 204);
    assert!(
        send(scene, "GET", "/changes", &[], "")
            .body
            .contains("client.deleted")
    );
}

/// Secrets where they don't belong at the management API: every request fails.
fn misplace(scene: &Scene, canaries: &mut Canaries) {
    let Scene { world, admin, .. } = scene;
    let good = path_of(&scene.subject);
    let mut ask = |what, prefix: &str, request: &dyn Fn(&str) -> u16| {
        let secret = canaries.misplaced(what, prefix);
        let status = request(&secret);
        assert!((400..500).contains(&status), "{what}: {status}");
    };
    let call = |method: &str, path: &str, body: &str| send(scene, method, path, &[], body).status;
    let with = |name: &str, secret: &str| {
        let headers = [(name, secret)];
        send(scene, "GET", "/clients/cli_x", &headers, "").status
    };

    for prefix in ["gsec_", "gat_", "grt_"] {
        ask("a bearer token", prefix, &|secret| {
            send_to(
                world,
                "GET",
                &scene.url("/clients"),
                &World::bearer(secret),
                &[],
                "",
            )
            .status
        });
        ask("another scheme", prefix, &|secret| {
            send_to(world, "GET", &scene.url("/clients"), secret, &[], "").status
        });
        ask("a client's id", prefix, &|secret| {
            call("GET", &format!("/clients/{secret}"), "")
        });
        ask("a tenant's id", prefix, &|secret| {
            send_to(
                world,
                "GET",
                &world.api(&format!("/v1/tenants/{secret}/clients")),
                admin,
                &[],
                "",
            )
            .status
        });
        ask("an event's id", prefix, &|secret| {
            call("GET", &format!("/audit-events/{secret}"), "")
        });
        ask("a path that isn't there", prefix, &|secret| {
            world
                .http
                .get(&world.api(&format!("/{secret}/x")), &[])
                .status
        });
        ask("a written id", prefix, &|secret| {
            call("GET", &format!("/clients/%67{}", &secret[1..]), "")
        });
        ask("a problem's code", prefix, &|secret| {
            world
                .http
                .get(&world.api(&format!("/problems/{secret}")), &[])
                .status
        });
        ask("a parameter's name", prefix, &|secret| {
            call("GET", &format!("/clients?{secret}=1"), "")
        });
        ask("a parameter's value", prefix, &|secret| {
            call("GET", &format!("/clients?status={secret}"), "")
        });
        ask("a cursor", prefix, &|secret| {
            call("GET", &format!("/clients?cursor={secret}"), "")
        });
        ask("a position", prefix, &|secret| {
            call("GET", &format!("/changes?after={secret}"), "")
        });
        ask("a name typed to confirm", prefix, &|secret| {
            call("DELETE", &format!("{good}?confirm_name={secret}"), "")
        });
        ask("a field's name", prefix, &|secret| {
            call("POST", "/clients", &json!({ secret: 1 }).to_string())
        });
        ask("an unknown field's value", prefix, &|secret| {
            call(
                "PATCH",
                &good,
                &json!({ "client_secret": secret }).to_string(),
            )
        });
        ask("a field's value", prefix, &|secret| {
            let body = json!({ "token_endpoint_auth_method": secret, "allowed_scopes": [secret] });
            call("PATCH", &good, &body.to_string())
        });
        ask("a scope", prefix, &|secret| {
            call(
                "PATCH",
                &good,
                &json!({ "allowed_scopes": [secret] }).to_string(),
            )
        });
        ask("a read-only field", prefix, &|secret| {
            call("PATCH", &good, &json!({ "id": secret }).to_string())
        });
        ask("a name typed in a body", prefix, &|secret| {
            call(
                "POST",
                &format!("{good}/secrets/rotate"),
                &json!({ "confirm_name": secret }).to_string(),
            )
        });
        ask("whom to erase", prefix, &|secret| {
            call(
                "POST",
                "/audit-events/erase",
                &json!({ "subject": secret }).to_string(),
            )
        });
        ask("a body that is no JSON", prefix, &|secret| {
            call("POST", "/clients", secret)
        });
        ask("a type of body", prefix, &|secret| {
            send(scene, "POST", "/clients", &[("content-type", secret)], "{}").status
        });
        ask("what program it is", prefix, &|secret| {
            with("user-agent", secret)
        });
        ask("part of what program it is", prefix, &|secret| {
            with("user-agent", &format!("app/1.0 (token={secret}; linux)"))
        });
        ask("a request's id", prefix, &|secret| {
            with("x-request-id", secret)
        });
        for header in [
            "if-match",
            "if-none-match",
            "accept",
            "last-event-id",
            "referer",
            "cookie",
            "x-api-key",
            "x-forwarded-for",
            "forwarded",
            "origin",
            "from",
            "traceparent",
        ] {
            ask("a header", prefix, &|secret| with(header, secret));
        }
        ask("a header's name", prefix, &|secret| {
            with(&secret.to_lowercase(), "1")
        });
        ask("a method", prefix, &|secret| {
            world
                .http
                .send(
                    &secret.replace('_', "-"),
                    &world.api("/v1/tenants"),
                    &[],
                    b"",
                )
                .status
        });
        ask(
            "an idempotency key of a request that fails",
            prefix,
            &|secret| {
                send(
                    scene,
                    "POST",
                    "/clients",
                    &[("idempotency-key", secret)],
                    "{}",
                )
                .status
            },
        );
    }

    // Refusals that stand in the log of record, by a program with a secret in its name.
    let reader = World::bearer(&world.token(
        &scene.tenant.id,
        &scene.tenant.admin,
        "grantor:clients.read",
    ));
    let secret = canaries.misplaced("what a refused program is", "gsec_");
    let headers = [("user-agent", secret.as_str())];
    let refused = send_to(
        world,
        "POST",
        &scene.url("/clients"),
        &reader,
        &headers,
        "{}",
    );
    assert_eq!(refused.status, 403, "{}", refused.body);
    // And a change that goes through, likewise.
    let secret = canaries.misplaced("what a changing program is", "gat_");
    let other = canaries.misplaced("what a change's request is called", "gat_");
    let headers = [("user-agent", secret.as_str()), ("x-request-id", &other)];
    let patched = send(
        scene,
        "PATCH",
        &good,
        &headers,
        r#"{"description":"By a careless program"}"#,
    );
    assert_eq!(patched.status, 200, "{}", patched.body);
    let bulk = canaries.misplaced("an operation", "gsec_");
    let items = json!({ "items": [
        { "operation": bulk },
        { "operation": "disableClient", "path": { "client": bulk } },
        { "operation": "disableClient", "path": { bulk.as_str(): "x" } },
        { "operation": "updateClient", "path": { "client": scene.subject.client_id },
          "if_match": bulk, "body": {} },
    ] });
    assert_eq!(
        send(scene, "POST", "/bulk", &[], &items.to_string()).json()["failed"],
        4
    );
}

/// The same at the token server.
fn misplace_at_the_token_server(scene: &Scene, canaries: &mut Canaries) {
    let Scene { world, tenant, .. } = scene;
    let basic = scene.tenant.admin.basic();
    let post = |name: &str, headers: &[(&str, &str)], form: &str| {
        world
            .http
            .post_form(&world.endpoint(&tenant.id, name), headers, form)
            .status
    };
    let mut ask = |what, request: &dyn Fn(&str) -> u16| {
        let secret = canaries.misplaced(what, "gsec_");
        let status = request(&secret);
        assert!(status < 500, "{what}: {status}");
    };
    let grant = "grant_type=client_credentials";
    ask("a wrong secret", &|secret| {
        let wrong = Credentials {
            client_id: scene.subject.client_id.clone(),
            client_secret: secret.to_owned(),
        };
        post("token", &[("authorization", &wrong.basic())], grant)
    });
    ask("a secret as the client's id", &|secret| {
        post(
            "token",
            &[],
            &format!("{grant}&client_id={secret}&client_secret={secret}"),
        )
    });
    ask("a secret as a scope", &|secret| {
        post(
            "token",
            &[("authorization", &basic)],
            &format!("{grant}&scope={secret}"),
        )
    });
    ask("a secret as a grant", &|secret| {
        post(
            "token",
            &[("authorization", &basic)],
            &format!("grant_type={secret}"),
        )
    });
    ask("a parameter nobody knows", &|secret| {
        let form = format!("{grant}&scope=grantor:clients.read&{secret}={secret}");
        post("token", &[("authorization", &basic)], &form)
    });
    ask("the program that got a token", &|secret| {
        let headers = [("authorization", basic.as_str()), ("user-agent", secret)];
        let form = format!("{grant}&scope=grantor:clients.read");
        let status = post("token", &headers, &form);
        assert_eq!(status, 200);
        status
    });
    ask("a token that is none", &|secret| {
        post(
            "introspect",
            &[("authorization", &basic)],
            &format!("token={secret}"),
        )
    });
    ask("a token that is none, revoked", &|secret| {
        post(
            "revoke",
            &[("authorization", &basic)],
            &format!("token={secret}"),
        )
    });
    ask("a tenant in the path", &|secret| {
        world
            .http
            .get(&format!("{}/t/{secret}/jwks", world.replica.token), &[])
            .status
    });
    ask("a query where none belongs", &|secret| {
        let url = format!(
            "{}?client_secret={secret}",
            world.endpoint(&tenant.id, "token")
        );
        world
            .http
            .post_form(&url, &[("authorization", &basic)], grant)
            .status
    });
}

#[test]
fn secret_2_nothing_secret_is_anywhere_but_with_whom_it_was_given_to() {
    let folder = std::env::temp_dir().join(format!("grantor-canary-{}", std::process::id()));
    let log = Log::begin();
    let mut canaries = Canaries(Vec::new());
    let scene = scene_in(World::with(&ServerSettings {
        mail_folder: Some(folder.clone()),
        ..ServerSettings::default()
    }));
    let Scene { world, subject, .. } = &scene;
    let Tenant { admin, .. } = &scene.tenant;
    canaries.keep("the operator's secret", &world.operator.client_secret);
    canaries.keep("the administrator's secret", &admin.client_secret);
    canaries.keep(
        "the administrator's token",
        scene.admin.trim_start_matches("Bearer "),
    );
    canaries.keep("the first secret of a client", &subject.client_secret);
    live(&scene, &mut canaries);
    misplace(&scene, &mut canaries);
    misplace_at_the_token_server(&scene, &mut canaries);
    let sent = || fs::read_dir(&folder).unwrap().flatten().collect::<Vec<_>>();
    until("the mail is there", || !sent().is_empty());
    let mails: Vec<Kept> = sent()
        .iter()
        .map(|file| Kept::new("a mail", fs::read_to_string(file.path()).unwrap()))
        .collect();
    assert!(
        mails.iter().any(|mail| mail.text.contains("hammers")),
        "{mails:?}"
    );
    let places = Places::all(&scene, mails, log.end());
    fs::remove_dir_all(&folder).unwrap();

    assert!(canaries.0.len() > 150, "{} canaries", canaries.0.len());
    let mut found = Vec::new();
    for (what, secret) in &canaries.0 {
        found.extend(places.with(what, secret));
    }
    found.extend(places.with_anything_like_a_secret());
    assert!(
        found.is_empty(),
        "{} leaks:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_search_for_canaries_finds_what_is_there() {
    let secret = "gsec_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM";
    let found = |text: &str| {
        let places = Places::of(vec![Kept::new("somewhere", text.to_owned())]);
        places.with("a secret", secret).len()
    };
    assert_eq!(found("nothing, not even gsec_0123"), 0);
    for hidden in [
        secret.to_owned(),
        format!("x{}y", &secret[..30]),
        secret[29..].to_owned(),
        places::hexadecimal(secret),
        places::hexadecimal(secret).to_uppercase(),
        places::encoded(secret),
        places::encoded(&format!("a{secret}")),
        places::encoded(&format!("ab{secret}")),
        secret.to_uppercase(),
    ] {
        assert!(found(&hidden) > 0, "{hidden}");
    }
    let like = |text: &str| {
        let places = Places::of(vec![Kept::new("somewhere", text.to_owned())]);
        !places.with_anything_like_a_secret().is_empty()
    };
    assert!(like(&format!("x {secret}")));
    assert!(like(&secret.replace("gsec_", "(gat_")));
    assert!(!like("gsec_0123 gsec_none_this_was_a_dry_run"));
}
