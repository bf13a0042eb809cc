//! Clients of every kind: from profiles, by type and grants, with whatever can be set of them; and what is refused.

use serde_json::{Value, json};

use crate::members::acme::{Acme, NO_ORGANIZATION};
use crate::operations::expect_problem;

fn contact() -> Value {
    json!({ "email": "owner@example.com" })
}

/// A web client with every setting.
fn shop() -> Value {
    json!({ "name": "Web shop", "profile": "web", "description": "Sells things",
        "homepage": "https://shop.example/", "logo": "https://shop.example/logo.png",
        "redirect_uris": ["https://shop.example/cb", "http://localhost:3000/cb"],
        "post_logout_redirect_uris": ["https://shop.example/bye"],
        "token_endpoint_auth_method": "client_secret_post", "require_pkce": false,
        "allowed_scopes": ["openid", "profile"], "require_requested_scopes": false,
        "allowed_ips": ["203.0.113.7", "2001:db8::/32"],
        "access_token_lifetime_seconds": 900, "refresh_token_lifetime_seconds": 86400,
        "owner_contact": { "name": "Shop team", "email": "shop@example.com" } })
}

fn with(mut body: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn client(id: &str, what: &str) -> String {
    format!("/clients/{id}{what}")
}

#[track_caller]
fn made(acme: &Acme, body: &Value) -> Value {
    let made = acme.send("POST", "/clients", body);
    assert_eq!(made.status, 201, "{body}: {}", made.body);
    made.json()
}

/// The fields at fault when a client is made of this body.
#[track_caller]
fn faults(acme: &Acme, body: &Value) -> Vec<String> {
    let refused = acme.send("POST", "/clients", body);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn client_1_every_setting_is_kept_and_a_put_of_what_was_read_changes_nothing() {
    let acme = Acme::new();
    let made = made(&acme, &shop());
    let id = made["id"].as_str().unwrap();
    for (name, value) in shop().as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["type"], json!("confidential"));
    assert_eq!(
        made["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    let read = acme.get(&client(id, ""));
    let events = acme.events("client.updated").len();
    let put = acme.send("PUT", &client(id, ""), &read).expect(200);
    assert_eq!(put, read);
    let patched = acme.send("PATCH", &client(id, ""), &read).expect(200);
    assert_eq!(patched, read);
    assert_eq!(acme.events("client.updated").len(), events);

    // A patch touches what it names, and nothing else.
    let patch = json!({ "homepage": null, "allowed_ips": ["198.51.100.0/24"] });
    let mut expected = read.clone();
    expected["homepage"] = Value::Null;
    expected["allowed_ips"] = json!(["198.51.100.0/24"]);
    expected["revision"] = json!(2);
    let patched = acme.send("PATCH", &client(id, ""), &patch).expect(200);
    assert_eq!(patched, expected);
    let event = &acme.events("client.updated")[0];
    assert_eq!(event["before"]["homepage"], json!("https://shop.example/"));
    assert_eq!(event["after"]["homepage"], Value::Null);
    assert_eq!(event["after"]["person"]["email"], json!("shop@example.com"));
}

#[test]
fn client_2_name_type_grant_redirect_uri_and_contact_are_mandatory() {
    let acme = Acme::new();
    let body = json!({ "name": "Bare", "owner_contact": contact() });
    assert_eq!(faults(&acme, &body), ["/type", "/grant_types"]);
    let code = with(
        body.clone(),
        &json!({ "type": "confidential", "grant_types": ["authorization_code"] }),
    );
    assert_eq!(faults(&acme, &code), ["/redirect_uris"]);
    let none = with(
        body.clone(),
        &json!({ "type": "confidential", "grant_types": [] }),
    );
    assert_eq!(faults(&acme, &none), ["/grant_types"]);
    let twice = with(
        body.clone(),
        &json!({ "type": "confidential", "grant_types": ["client_credentials", "client_credentials"] }),
    );
    assert_eq!(faults(&acme, &twice), ["/grant_types"]);
    let whole = with(
        body,
        &json!({ "type": "confidential", "grant_types": ["client_credentials"] }),
    );
    assert_eq!(made(&acme, &whole)["profile"], json!("service"));
}

#[test]
fn client_1_a_profile_prefills_and_forbids() {
    let acme = Acme::new();
    let url = acme.world().api("/v1/client-profiles");
    let headers = [("authorization", acme.scene.admin.as_str())];
    let listed = acme.world().http.get(&url, &headers).expect(200);
    let profiles = listed["items"].as_array().unwrap();
    assert_eq!(profiles.len(), 4);
    for profile in profiles {
        let name = &profile["name"];
        let mut body =
            json!({ "name": "From a profile", "profile": name, "owner_contact": contact() });
        if profile["allows"]["redirect_uris"] == json!(true) {
            body["redirect_uris"] = json!(["https://shop.example/cb"]);
        }
        let made = made(&acme, &body);
        for (field, value) in profile["prefills"].as_object().unwrap() {
            assert_eq!(&made[field], value, "{name} {field}");
        }
        let is_public = made["type"] == json!("public");
        assert_eq!(made["secret"].is_null(), is_public, "{name}");
        assert_eq!(made["secret_updated_at"].is_null(), is_public, "{name}");
        // Whatever it does not allow is refused.
        for (field, word, fault) in [
            ("types", "confidential", "/type"),
            ("types", "public", "/type"),
            ("grant_types", "client_credentials", "/grant_types"),
        ] {
            let allowed = profile["allows"][field].as_array().unwrap();
            if allowed.contains(&json!(word)) {
                continue;
            }
            let change = if field == "types" {
                json!({ "type": word })
            } else {
                json!({ "grant_types": ["authorization_code", word] })
            };
            let told = faults(&acme, &with(body.clone(), &change));
            assert!(told.contains(&fault.to_owned()), "{name} {word}: {told:?}");
        }
    }
}

#[test]
fn client_3_redirect_uris_are_absolute_exact_and_go_nowhere_unsafe() {
    let acme = Acme::new();
    let at = |uris: &Value, profile: &str| json!({ "name": "R", "profile": profile, "redirect_uris": uris, "owner_contact": contact() });
    for bad in [
        "https://*.shop.example/cb",
        "https://shop.example/*",
        "https://shop.example/cb#x",
        "https://shop.example/cb#",
        "https://user@shop.example/cb",
        "https://user:pass@shop.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://shop.example/cb",
        "http://127.0.0.2/cb",
        "http://localhost.evil.example/cb",
        "http://[::1]/cb",
        "com.example.app:/cb",
        "myapp:/cb",
        "https://shop.example./cb",
        "https://SHOP.example/cb",
        "https://bücher.example/cb",
        "https://shop.example:443/cb",
        "https://shop.example/a/../cb",
        "https://shop.example\\cb",
        "https://shop.example/c\u{202e}b",
        "https://shop.example/c\u{0}b",
        "https://shop.example/c b",
        "/cb",
        "//shop.example/cb",
        "https://",
        "",
    ] {
        let told = faults(&acme, &at(&json!(["https://shop.example/ok", bad]), "web"));
        assert_eq!(told, ["/redirect_uris/1"], "{bad:?}");
    }
    let huge = format!("https://shop.example/{}", "x".repeat(2_100));
    assert_eq!(
        faults(&acme, &at(&json!([huge]), "web")),
        ["/redirect_uris/0"]
    );
    let many: Vec<String> = (0..51)
        .map(|n| format!("https://shop.example/{n}"))
        .collect();
    assert_eq!(faults(&acme, &at(&json!(many), "web")), ["/redirect_uris"]);
    let native = json!([
        "http://[::1]/cb",
        "http://127.0.0.1/cb",
        "com.example.app:/cb",
        "https://shop.example/cb"
    ]);
    assert_eq!(made(&acme, &at(&native, "native"))["redirect_uris"], native);
    // What only a native client may have can't be brought along into another profile.
    let id = made(&acme, &at(&native, "native"))["id"].clone();
    let path = client(id.as_str().unwrap(), "");
    let refused = acme.send("PATCH", &path, &json!({ "profile": "web" }));
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/redirect_uris/0"));
}

#[test]
fn client_13_and_14_addresses_and_lifetimes_are_within_their_bounds() {
    let acme = Acme::new();
    for bad in [
        "0.0.0.0/33",
        "::/129",
        "::ffff:1.2.3.4",
        "::ffff:1.2.3.0/120",
        "203.0.113.7/24",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4:80",
        "localhost",
        "",
        " 1.2.3.4",
    ] {
        let body = with(shop(), &json!({ "allowed_ips": ["203.0.113.7", bad] }));
        assert_eq!(faults(&acme, &body), ["/allowed_ips/1"], "{bad:?}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("10.0.0.{n}")).collect();
    let body = with(shop(), &json!({ "allowed_ips": many }));
    assert_eq!(faults(&acme, &body), ["/allowed_ips"]);
    for (field, least, most) in [
        ("access_token_lifetime_seconds", 60_i64, 86_400),
        ("refresh_token_lifetime_seconds", 3_600, 31_536_000),
    ] {
        for bad in [
            json!(-1),
            json!(0),
            json!(least - 1),
            json!(most + 1),
            json!(1_u64 << 31),
            json!(1_u64 << 63),
            json!(1e99),
            json!(60.5),
            json!("60"),
        ] {
            let refused = acme.send("POST", "/clients", &with(shop(), &json!({ field: bad })));
            assert!([400, 422].contains(&refused.status), "{field} {bad}");
            let told = refused.json()["errors"][0]["pointer"].clone();
            assert_eq!(told, json!(format!("/{field}")), "{bad}: {}", refused.body);
        }
        for good in [least, most] {
            let made = made(&acme, &with(shop(), &json!({ field: good })));
            assert_eq!(made[field], json!(good));
        }
    }
    let service = json!({ "name": "S", "profile": "service", "owner_contact": contact(),
        "refresh_token_lifetime_seconds": 86_400 });
    assert_eq!(faults(&acme, &service), ["/refresh_token_lifetime_seconds"]);
}

#[test]
fn client_1_names_and_pages_are_harmless() {
    let acme = Acme::new();
    for (field, bad) in [
        ("name", json!("x".repeat(60_000))),
        ("name", json!("a\u{202e}b")),
        ("name", json!("a\u{7}b")),
        ("name", json!("  ")),
        ("homepage", json!("javascript:alert(1)")),
        ("homepage", json!("http://shop.example/")),
        ("homepage", json!("https://u:p@shop.example/")),
        ("logo", json!("https://shop.example/#x")),
        ("logo", json!("data:image/png;base64,AAAA")),
    ] {
        let told = faults(&acme, &with(shop(), &json!({ field: bad })));
        assert_eq!(told, [format!("/{field}")], "{bad}");
    }
    // A megabyte is more than a body may have.
    let huge = with(shop(), &json!({ "name": "x".repeat(1024 * 1024) }));
    let refused = acme.send("POST", "/clients", &huge);
    expect_problem(acme.world(), &refused, 413, "too-large");
}

#[test]
fn client_4_and_5_a_public_client_has_no_secret_and_always_pkce() {
    let acme = Acme::new();
    let spa = json!({ "name": "SPA", "profile": "spa", "redirect_uris": ["https://app.example/"],
        "owner_contact": contact() });
    let made = made(&acme, &spa);
    assert_eq!(made["secret"], Value::Null);
    assert_eq!(
        (&made["require_pkce"], &made["token_endpoint_auth_method"]),
        (&json!(true), &json!("none"))
    );
    assert!(
        acme.events("secret.shown")
            .iter()
            .all(|event| { event["after"]["client_id"] != made["id"] })
    );
    let with_spa = |change: Value| faults(&acme, &with(spa.clone(), &change));
    assert_eq!(
        with_spa(json!({ "require_pkce": false })),
        ["/require_pkce"]
    );
    assert_eq!(
        with_spa(json!({ "token_endpoint_auth_method": "client_secret_basic" })),
        ["/token_endpoint_auth_method"]
    );
    let public = json!({ "type": "public", "profile": null,
        "grant_types": ["authorization_code", "client_credentials"] });
    assert_eq!(with_spa(public), ["/grant_types"]);
}

#[test]
fn client_6_becoming_public_removes_every_secret_and_back_again_leaves_it_without_one() {
    let acme = Acme::new();
    let both = with(
        shop(),
        &json!({ "allowed_ips": [], "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
            "allowed_scopes": ["grantor:clients.read"] }),
    );
    let made = made(&acme, &both);
    let id = made["id"].as_str().unwrap();
    let secret = made["secret"]["value"].as_str().unwrap();
    let token = |secret: &str| {
        let form = format!(
            "grant_type=client_credentials&scope=grantor:clients.read&client_id={id}&client_secret={secret}"
        );
        let url = acme.world().endpoint(&acme.scene.tenant.id, "token");
        acme.world().http.post_form(&url, &[], &form).status
    };
    assert_eq!(token(secret), 200);
    let change = |body: &Value| acme.send("POST", &client(id, "/change-type"), body);
    let public = json!({ "type": "public", "confirm_name": "Web shop" });

    // Not by a patch, not under another name, and not while it acts for itself.
    let patch = acme.send("PATCH", &client(id, ""), &json!({ "type": "public" }));
    let problem = expect_problem(acme.world(), &patch, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/type"));
    let wrong = change(&with(
        public.clone(),
        &json!({ "confirm_name": "web shop" }),
    ));
    expect_problem(acme.world(), &wrong, 422, "confirmation-mismatch");
    let refused = change(&public);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/grant_types"));
    assert_eq!(token(secret), 200, "nothing was changed");

    let without = with(
        public,
        &json!({ "grant_types": ["authorization_code", "refresh_token"] }),
    );
    let dry = acme.send("POST", &client(id, "/change-type?dry_run=true"), &without);
    assert_eq!((dry.status, token(secret)), (200, 200), "{}", dry.body);
    let changed = change(&without).expect(200);
    assert_eq!(
        (
            &changed["type"],
            &changed["token_endpoint_auth_method"],
            &changed["require_pkce"]
        ),
        (&json!("public"), &json!("none"), &json!(true))
    );
    assert_eq!(token(secret), 401);
    let event = &acme.events("client.type_changed")[0];
    assert_eq!(
        event["after"]["removed_secret_ids"],
        json!([made["secret"]["id"]])
    );
    let count = format!(
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM grantor.client_secrets WHERE tenant_id = '{}') = 2; END $$",
        acme.tenant_uuid()
    );
    acme.sql(&count);

    // What it is already changes nothing; and back it has no secret, the old one least of all.
    let again = change(&json!({ "type": "public", "confirm_name": "Web shop" })).expect(200);
    assert_eq!(again["revision"], changed["revision"]);
    let back = json!({ "type": "confidential", "confirm_name": "Web shop",
        "grant_types": ["authorization_code", "client_credentials", "refresh_token"] });
    let back = change(&back).expect(200);
    assert_eq!(
        (&back["type"], &back["token_endpoint_auth_method"]),
        (&json!("confidential"), &json!("client_secret_basic"))
    );
    assert_eq!(token(secret), 401);
    assert_eq!(acme.events("client.type_changed").len(), 2);
}

#[test]
fn client_14_grants_that_change_with_the_type_come_once_each_and_bring_their_lifetime() {
    let acme = Acme::new();
    let without = with(
        shop(),
        &json!({ "grant_types": ["authorization_code", "client_credentials"],
            "refresh_token_lifetime_seconds": null }),
    );
    let made = made(&acme, &without);
    assert_eq!(made["refresh_token_lifetime_seconds"], Value::Null);
    let path = client(made["id"].as_str().unwrap(), "/change-type");
    let to = |grants: Value| {
        let body = json!({ "type": "public", "confirm_name": "Web shop", "grant_types": grants });
        acme.send("POST", &path, &body)
    };
    let twice = to(json!(["authorization_code", "authorization_code"]));
    let problem = expect_problem(acme.world(), &twice, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/grant_types"));
    let changed = to(json!(["authorization_code", "refresh_token"])).expect(200);
    assert_eq!(changed["refresh_token_lifetime_seconds"], json!(2_592_000));
}

#[test]
fn org_1_a_client_lives_where_it_is_put_and_whoever_puts_it_manages_both_places() {
    let acme = Acme::new();
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let service = json!({ "name": "In A", "profile": "service", "owner_contact": contact() });
    let in_a = with(service.clone(), &json!({ "organization_id": acme.a }));
    let made = acme.send_as(&admin_a, "POST", "/clients", &in_a);
    assert_eq!(made.status, 201, "{}", made.body);
    let path = client(&made.text("/id"), "");
    // An organization out of reach is told like one that is not there.
    let at = |who: &str, organization: &str| {
        let body = json!({ "organization_id": organization });
        acme.send_as(who, "PATCH", &path, &body)
    };
    let (far, never) = (at(&admin_a, &acme.b), at(&admin_a, NO_ORGANIZATION));
    crate::members::acme::alike(&far, &never);
    let problem = expect_problem(acme.world(), &far, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/organization_id"));
    let (far, never) = (
        acme.send_as(
            &admin_a,
            "POST",
            "/clients",
            &with(service.clone(), &json!({ "organization_id": acme.b })),
        ),
        acme.send_as(
            &admin_a,
            "POST",
            "/clients",
            &with(service, &json!({ "organization_id": NO_ORGANIZATION })),
        ),
    );
    crate::members::acme::alike(&far, &never);

    let moved = at(&admin_a, &acme.a1).expect(200);
    assert_eq!(moved["organization_id"], json!(acme.a1));
    let event = &acme.events("client.updated")[0];
    assert_eq!(
        (
            &event["before"]["organization_id"],
            &event["after"]["organization_id"]
        ),
        (&json!(acme.a), &json!(acme.a1))
    );
    let moved = acme.send("PATCH", &path, &json!({ "organization_id": acme.b }));
    assert_eq!(moved.status, 200, "{}", moved.body);
    let gone = acme.send_as(&admin_a, "GET", &path, &Value::Null);
    expect_problem(acme.world(), &gone, 404, "not-found");
    // A PUT without it leaves it where it is.
    let whole = json!({ "name": "In B", "profile": "service", "owner_contact": contact() });
    let put = acme.send("PUT", &path, &whole).expect(200);
    assert_eq!(put["organization_id"], json!(acme.b));
}

#[test]
fn client_9_the_detail_has_the_urls_of_its_flows() {
    let acme = Acme::new();
    let id = made(&acme, &shop())["id"].as_str().unwrap().to_owned();
    let endpoints = acme.get(&client(&id, "/endpoints"));
    let issuer = &acme.scene.tenant.issuer;
    assert_eq!(endpoints["issuer"], json!(issuer));
    assert_eq!(endpoints["client_id"], json!(id));
    for (name, path) in [
        ("openid_configuration", "/.well-known/openid-configuration"),
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
        ("jwks_uri", "/jwks"),
    ] {
        assert_eq!(endpoints[name], json!(format!("{issuer}{path}")), "{name}");
    }
    // Those that serve machines answer, and the metadata says the same.
    let base = acme.world().endpoint(&acme.scene.tenant.id, "");
    let url = format!("{base}.well-known/openid-configuration");
    let metadata = acme.world().http.get(&url, &[]).expect(200);
    for name in [
        "issuer",
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "jwks_uri",
    ] {
        assert_eq!(metadata[name], endpoints[name], "{name}");
    }
    let machine = client(&acme.scene.subject.client_id, "/endpoints");
    assert_eq!(acme.get(&machine)["authorization_endpoint"], Value::Null);
}

#[test]
fn client_7_an_id_is_never_used_again_and_nothing_of_it_works() {
    let acme = Acme::new();
    let id = &acme.scene.subject.client_id;
    let wrong = acme.send("DELETE", &client(id, "?confirm_name=subject"), &Value::Null);
    expect_problem(acme.world(), &wrong, 422, "confirmation-mismatch");
    acme.send("DELETE", &client(id, "?confirm_name=Subject"), &Value::Null)
        .expect(204);
    for (method, what, body) in [
        ("GET", "", Value::Null),
        ("GET", "/endpoints", Value::Null),
        ("GET", "/enablements", Value::Null),
        ("GET", "/service-roles", Value::Null),
        ("PATCH", "", json!({ "name": "Again" })),
        ("POST", "/enable", Value::Null),
        (
            "POST",
            "/change-type",
            json!({ "type": "public", "confirm_name": "Subject" }),
        ),
        ("POST", "/service-roles", json!({ "role": "support" })),
    ] {
        let gone = acme.send(method, &client(id, what), &body);
        expect_problem(acme.world(), &gone, 404, "not-found");
    }
    let token = acme
        .world()
        .request_token(&acme.scene.tenant.id, &acme.scene.subject, "openid");
    assert_eq!(token.status, 401);
}
