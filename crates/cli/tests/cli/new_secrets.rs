//! New credentials for clients that meanwhile were deleted or disabled.

use serde_json::Value;

use crate::database::{Database, new_master_key};
use crate::demo::Demo;
use crate::place::Place;
use crate::program::{Running, dev, succeed};

const CREATE: &str = "grantor:tenants.create";
const DISABLE: &str = "grantor:clients.disable";

fn id(basic: &str) -> &str {
    basic.split_once(':').unwrap().0
}

#[track_caller]
fn token(demo: &Demo, issuer: &str, basic: &str, scope: &str) -> String {
    let (status, body) = demo.token_at(issuer, basic, scope).unwrap();
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_refused(demo: &Demo, issuer: &str, basic: &str, scope: &str) {
    let (status, body) = demo.token_at(issuer, basic, scope).unwrap();
    assert_eq!((status, &body["error"]), (401, &"invalid_client".into()));
}

/// The operator disables its own client, whose secret is good for nothing from then on.
#[track_caller]
fn lock_oneself_out(demo: &Demo, issuer: &str, operator: &str) {
    let pass = token(demo, issuer, operator, DISABLE);
    let (_, tenant) = issuer.rsplit_once("/t/").unwrap();
    let url = format!(
        "{}/v1/tenants/{tenant}/clients/{}/disable",
        demo.api,
        id(operator)
    );
    let (status, body) = demo.post(&url, &pass).unwrap();
    assert_eq!(status, 200, "{body}");
    assert_refused(demo, issuer, operator, CREATE);
}

#[test]
fn a_deleted_client_of_the_demo_is_named_and_the_others_get_new_secrets() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    let pass = token(&demo, &demo.issuer, &demo.admin, "grantor:clients.delete");
    let machine = id(&demo.machine);
    let url = format!("{}/{machine}?confirm_name=Nightly%20export", demo.clients());
    let (status, body) = demo.delete(&url, &pass).unwrap();
    assert_eq!(status, 204, "{body}");
    assert_refused(&demo, &demo.issuer, &demo.machine, "orders.api:read");
    running.stop(&place);

    let running = Running::start(dev(&place).arg("--new-secrets"));
    let told = format!("\n# MACHINE ({machine}) was deleted, so it has no secret\n");
    assert!(running.welcome.contains(&told), "{}", running.welcome);
    // Neither its credentials nor lines to paste that would use them.
    for absent in ["MACHINE='", "$MACHINE"] {
        assert!(!running.welcome.contains(absent), "{}", running.welcome);
    }
    let new = Demo::without_machine(&running.welcome);
    assert_eq!((&new.tenant, &new.issuer), (&demo.tenant, &demo.issuer));
    for (old, new) in [
        (&demo.operator, &new.operator),
        (&demo.admin, &new.admin),
        (&demo.checker, &new.checker),
    ] {
        assert_eq!(id(old), id(new));
        assert_ne!(old, new);
    }
    token(&new, &new.platform, &new.operator, CREATE);
    assert_refused(&new, &new.platform, &demo.operator, CREATE);
    assert_refused(&new, &new.issuer, &demo.admin, "grantor:clients.read");
    let made = new.try_client(&new.admin_token(), "Reports").unwrap();
    let made = format!("{}:{}", made.id, made.secret);
    let pass = new.try_token(&made, "orders.api:read").unwrap();
    assert!(new.is_active(&pass));
    assert!(!new.client_ids().contains(machine));
    running.stop(&place);
}

#[test]
fn an_operator_who_disabled_their_own_client_comes_back_by_a_new_bootstrap_secret() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    let bootstrap = |arguments: &[&str]| -> (String, String) {
        let mut command = database.command_with(&key, &["bootstrap", "--json"]);
        let issuers = format!("http://127.0.0.1:{}", place.ports.token);
        command.env("GRANTOR_ISSUER_BASE", issuers).args(arguments);
        let told: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let basic = format!("{}:{}", text("client_id"), text("client_secret"));
        (text("issuer"), basic)
    };
    let (issuer, first) = bootstrap(&[]);
    let running = Running::start(&mut database.dev(&place, &key));
    let demo = Demo::without_operator(&running.welcome);
    lock_oneself_out(&demo, &issuer, &first);

    let (same, second) = bootstrap(&["--new-secret"]);
    assert_eq!((same.as_str(), id(&second)), (issuer.as_str(), id(&first)));
    token(&demo, &issuer, &second, CREATE);
    assert_refused(&demo, &issuer, &first, CREATE);
    running.stop_beside_a_database();
}

#[test]
fn an_operator_who_disabled_their_own_client_comes_back_by_new_secrets_of_the_demo() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    lock_oneself_out(&demo, &demo.platform, &demo.operator);
    running.stop(&place);

    let running = Running::start(dev(&place).arg("--new-secrets"));
    let new = Demo::read(&running.welcome);
    assert_eq!(id(&new.operator), id(&demo.operator));
    token(&new, &new.platform, &new.operator, CREATE);
    assert_refused(&new, &new.platform, &demo.operator, CREATE);
    running.stop(&place);
}
