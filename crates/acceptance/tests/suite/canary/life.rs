//! Everything that is done with secrets where they belong.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use grantor_acceptance::{Answer, Credentials, World};
use grantor_domain::ids::TenantId;
use grantor_keys::SealContext;
use grantor_storage::{ReadTx, Scope, StorageError, signing_keys};
use grantor_test_support::TestDatabase;
use serde_json::json;

use super::Canaries;
use crate::asking::{path_of, send, send_to, wait_for};
use crate::operations::{SUBJECT, Scene};

/// A whole life through the API.
pub fn live(scene: &Scene, canaries: &mut Canaries) {
    make_a_tenant(scene, canaries);
    let made = make_a_client(scene, canaries);
    rotate(scene, canaries);
    come_by_further_secrets(scene, canaries);
    let rotated = go_on_in_bulk(scene, canaries, &made);
    use_tokens(scene, canaries, &rotated);
    sign_with_each_algorithm(scene, canaries);
    follow_a_link(scene, canaries);
    pause_and_end(scene, &made);
}

/// Sends a request twice with one key: the second answer shows the same again.
fn twice(
    canaries: &mut Canaries,
    key: &str,
    status: u16,
    ask: impl Fn(&[(&str, &str)]) -> Answer,
) -> Answer {
    canaries.keep("an Idempotency-Key", key);
    let headers = [("idempotency-key", key)];
    let (first, again) = (ask(&headers), ask(&headers));
    assert_eq!(first.status, status, "{}", first.body);
    assert_eq!(again.status, status, "{}", again.body);
    first
}

fn make_a_tenant(scene: &Scene, canaries: &mut Canaries) {
    let world = &scene.world;
    let operator = world.as_operator();
    let token = operator.trim_start_matches("Bearer ");
    canaries.keep("the operator's token", token);
    let body = json!({ "name": "Canary", "admin_client": true,
        "owner": { "name": "Ada", "email": "ada@example.com" } })
    .to_string();
    let key = "canary-tenant-0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11";
    let made = twice(canaries, key, 201, |headers| {
        let url = world.api("/v1/tenants");
        send_to(world, "POST", &url, &operator, headers, &body)
    });
    let secret = made.text("/admin_client/client_secret");
    canaries.keep("an administrator's secret", secret);
}

fn make_a_client(scene: &Scene, canaries: &mut Canaries) -> Credentials {
    let body = json!({ "name": "Made", "allowed_scopes": ["grantor:clients.read"],
        "profile": "service", "owner_contact": { "email": "owner@example.com", "name": "Owner" } })
    .to_string();
    let key = "canary-create-71a4c0de-5f1b-4f0e-9d0e-8a0c7f5e2b42";
    let made = twice(canaries, key, 201, |headers| {
        send(scene, "POST", "/clients", headers, &body)
    });
    let made = Credentials {
        client_id: made.text("/id"),
        client_secret: made.text("/secret/value"),
    };
    canaries.keep("a client's secret", &made.client_secret);
    let rehearsed = send(scene, "POST", "/clients?dry_run=true", &[], &body);
    assert_eq!(rehearsed.status, 201, "{}", rehearsed.body);
    made
}

fn rotate(scene: &Scene, canaries: &mut Canaries) {
    let path = format!("{}/secrets/rotate", path_of(&scene.subject));
    let body = json!({ "confirm_name": SUBJECT }).to_string();
    let key = "canary-rotate-c2b7f3aa-6d0c-4b51-8f2e-1c9e0f8b93a4";
    let rotated = twice(canaries, key, 200, |headers| {
        send(scene, "POST", &path, headers, &body)
    });
    canaries.keep("a rotated secret", rotated.text("/secret/value"));
}

/// Secrets beside the first one: made, chosen, let end, listed and revoked.
fn come_by_further_secrets(scene: &Scene, canaries: &mut Canaries) {
    let secrets = format!("{}/secrets", path_of(&scene.subject));
    let key = "canary-generate-4b42b51a-8f2e-4c9e-8f8b-93a40f8b1c9e";
    let made = twice(canaries, key, 201, |headers| {
        send(scene, "POST", &secrets, headers, "")
    });
    canaries.keep("a further secret", made.text("/secret/value"));
    let chosen = canaries.misplaced("a secret of somebody's choice", "");
    let body = json!({ "value": chosen }).to_string();
    let key = "canary-choose-93a40f8b-1c9e-4f0e-8a55-2f6f6a6f1d11";
    let choose = format!("{secrets}/choose");
    let made = twice(canaries, key, 201, |headers| {
        send(scene, "POST", &choose, headers, &body)
    });
    let by = Credentials {
        client_id: scene.subject.client_id.clone(),
        client_secret: chosen,
    };
    for _ in 0..2 {
        let (world, tenant) = (&scene.world, &scene.tenant.id);
        assert_eq!(world.introspect(tenant, &by, "x").status, 200);
        assert_eq!(world.revoke(tenant, &by, "x").status, 200);
    }
    // What is refused is no less secret.
    let weak = canaries.misplaced("a weak choice", "gsec_");
    for body in [
        json!({ "value": weak }),
        json!({ "value": [weak] }),
        json!({ weak.as_str(): weak }),
        json!({ "value": weak, "expires_at": weak }),
    ] {
        let refused = send(scene, "POST", &choose, &[], &body.to_string());
        assert_eq!(refused.status, 422, "{}", refused.body);
    }
    let rotation =
        json!({ "confirm_name": SUBJECT, "grace_seconds": 60, "revoke_tokens": true }).to_string();
    let rotate = format!("{secrets}/rotate");
    let rotated = send(scene, "POST", &rotate, &[], &rotation);
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    canaries.keep(
        "a secret with others that end",
        rotated.text("/secret/value"),
    );
    send(scene, "GET", &secrets, &[], "").expect(200);
    let one = format!("{secrets}/{}", made.text("/id"));
    assert_eq!(send(scene, "DELETE", &one, &[], "").status, 204);
}

fn go_on_in_bulk(scene: &Scene, canaries: &mut Canaries, made: &Credentials) -> Credentials {
    let items = json!({ "items": [
        { "operation": "createClient", "body": { "name": "In bulk",
          "profile": "service", "owner_contact": { "email": "owner@example.com" } } },
        { "operation": "rotateClientSecret", "path": { "client": made.client_id },
          "body": { "confirm_name": "Made" } },
        { "operation": "updateClient", "path": { "client": made.client_id },
          "body": { "description": "Changed" } },
    ] })
    .to_string();
    let key = "canary-bulk-9d0e8a0c-7f5e-4b42-b51a-8f2e1c9e0f8b";
    let done = twice(canaries, key, 200, |headers| {
        send(scene, "POST", "/bulk", headers, &items)
    });
    assert_eq!(done.json()["succeeded"], 3, "{}", done.body);
    let secret = done.text("/results/0/body/secret/value");
    canaries.keep("a secret made in bulk", secret);
    let secret = done.text("/results/1/body/secret/value");
    canaries.keep("a secret rotated in bulk", &secret);
    Credentials {
        client_id: made.client_id.clone(),
        client_secret: secret,
    }
}

fn use_tokens(scene: &Scene, canaries: &mut Canaries, client: &Credentials) {
    let (world, tenant) = (&scene.world, &scene.tenant.id);
    let token = world.token(tenant, client, "grantor:clients.read");
    canaries.keep("a token", &token);
    let signature = token.rsplit('.').next().unwrap();
    canaries.keep("a token's signature", signature);
    world.introspect(tenant, client, &token).expect(200);
    let by = World::bearer(&token);
    let refused = send_to(world, "GET", &scene.url("/clients"), &by, &[], "");
    assert_eq!(refused.status, 403, "the client has no role");
    assert_eq!(world.revoke(tenant, client, &token).status, 200);
}

/// Has a key of each algorithm made, and keeps what is private of it.
fn sign_with_each_algorithm(scene: &Scene, canaries: &mut Canaries) {
    let world = &scene.world;
    let server = json!({ "key": "canary.api", "identifier": "https://canary.example", "name": "Canary",
        "signing_algorithm": "EdDSA", "scopes": [{ "name": "sing" }] });
    send(scene, "POST", "/resource-servers", &[], &server.to_string()).expect(201);
    let singer = world.client(&scene.tenant, "Singer", &["canary.api:sing"]);
    canaries.keep("a singer's secret", &singer.client_secret);
    let token = world.token(&scene.tenant.id, &singer, "canary.api:sing");
    canaries.keep("a token of Ed25519", &token);
    let signature = token.rsplit('.').next().unwrap();
    canaries.keep("a signature of Ed25519", signature);
    let tenant: TenantId = scene.tenant.id.parse().unwrap();
    let storage = world.storage();
    let read = storage.read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
        signing_keys::all(tx, tenant)
    });
    let keys: Result<Vec<_>, StorageError> = wait_for(read);
    let keys = keys.unwrap();
    assert_eq!(keys.len(), 2, "one of each algorithm");
    for key in keys {
        let place = SealContext {
            tenant: Some(tenant.uuid()),
            table: signing_keys::TABLE,
            row: key.id,
        };
        let private = TestDatabase::keyring().open(&place, &key.sealed).unwrap();
        // In PKCS#8 the private part is 32 bytes within a string of octets.
        let begins = private.windows(2).position(|two| two == [0x04, 0x20]);
        let begins = begins.unwrap() + 2;
        let private = &private[begins..begins + 32];
        let hex = private.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        canaries.keep("a private key in hexadecimal", hex);
        canaries.keep("a private key in base64", STANDARD_NO_PAD.encode(private));
        canaries.keep(
            "a private key in base64url",
            URL_SAFE_NO_PAD.encode(private),
        );
    }
}

/// Good or not, what a link's token and a password are sent with is the same.
fn follow_a_link(scene: &Scene, canaries: &mut Canaries) {
    let http = &scene.world.http;
    let page = scene.world.endpoint(&scene.tenant.id, "credentials");
    let token = canaries.misplaced("a link's token", "glk_");
    let password = canaries.misplaced("a password", "my password is ");
    let opened = http.get(&format!("{page}?token={token}"), &[]);
    assert_eq!(opened.status, 410, "{}", opened.body);
    let password_form = password.replace(' ', "+");
    let form = format!("token={token}&password={password_form}&password_again={password_form}");
    assert_eq!(http.post_form(&page, &[], &form).status, 410);
    let body = json!({ "token": token, "password": password });
    assert_eq!(http.post_json(&page, &[], &body).status, 410);
}

fn pause_and_end(scene: &Scene, made: &Credentials) {
    let path = path_of(&scene.subject);
    let reason = json!({ "reason": "It hammers the orders API" }).to_string();
    let ask = |method: &str, path: &str, body: &str| send(scene, method, path, &[], body);
    ask("POST", &format!("{path}/disable"), &reason).expect(200);
    ask("POST", &format!("{path}/enable"), "").expect(200);
    let end = format!("{}?confirm_name=Made", path_of(made));
    assert_eq!(ask("DELETE", &end, "").status, 204);
    assert!(ask("GET", "/changes", "").body.contains("client.deleted"));
}
