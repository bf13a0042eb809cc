//! What the first start prints, taken by its word.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::demo::Demo;
use crate::place::Place;
use crate::program::{Ended, Running, dev, run};

/// Pastes lines into a shell that stops at the first mistake.
fn paste(place: &Place, lines: &str) -> Ended {
    let script = place.folder().join("pasted");
    std::fs::write(&script, lines).unwrap();
    let mut shell = Command::new("bash");
    shell.arg("-eu").arg(&script).stdin(Stdio::null());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        shell.env_remove(name);
    }
    run(&mut shell)
}

#[test]
fn the_printed_lines_do_what_they_say_when_they_are_pasted() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let welcome = &running.welcome;
    assert!(welcome.contains("Grantor is running. Stop it with Ctrl-C"));
    let lines = &welcome[welcome.find("OPERATOR=").unwrap()..];
    let pasted = paste(&place, lines);
    assert!(pasted.status.success(), "{}", pasted.complaints);
    assert_eq!(pasted.complaints, "");

    let said: Vec<&str> = pasted.output.lines().collect();
    let json = |line: usize| serde_json::from_str::<Value>(said[line]).unwrap();
    // token, introspection, revocation, introspection, client, events, tenant
    assert_eq!(said.len(), 7, "{said:#?}");
    assert_eq!(said[0].split('.').count(), 3, "{}", said[0]);
    assert_eq!(json(1)["active"], true);
    assert_eq!(json(1)["scope"], "orders.api:read");
    assert_eq!(said[3], r#"{"active":false}"#);
    let secret = json(4)["secret"]["value"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("gsec_"), "{secret}");
    let events = json(5)["items"].as_array().unwrap().clone();
    assert_eq!(events.len(), 3);
    assert!(
        events
            .iter()
            .any(|event| event["action"] == "client.created"),
        "{events:#?}"
    );
    let tenant = json(6);
    assert_eq!(tenant["name"], "Acme");
    let client = &tenant["admin_client"];
    assert!(
        client["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("gsec_")
    );

    // The new tenant's administrator is one.
    let demo = Demo::read(welcome);
    let basic = [&client["client_id"], &client["client_secret"]]
        .map(|part| part.as_str().unwrap())
        .join(":");
    let issuer = tenant["issuer"].as_str().unwrap();
    let (status, token) = demo
        .token_at(issuer, &basic, "grantor:clients.read")
        .unwrap();
    assert_eq!(status, 200, "{token}");
    let clients = format!(
        "{}/v1/tenants/{}/clients",
        demo.api,
        tenant["id"].as_str().unwrap()
    );
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(demo.get(&clients, token).unwrap().0, 200);
    running.stop(&place);
}

#[test]
fn nobody_else_can_read_what_the_folder_keeps() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let key = place.kept().join("master.key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(key).unwrap();
    let ended = running.ctrl_c();
    assert!(!ended.output.contains(&key) && !ended.complaints.contains(&key));
}
