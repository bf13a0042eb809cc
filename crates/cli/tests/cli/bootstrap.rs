//! `grantor bootstrap`: once, by one, and anew when the credentials are lost.

use std::thread;

use serde_json::Value;

use crate::database::{Database, new_master_key};
use crate::demo::Demo;
use crate::place::Place;
use crate::program::{Running, refused, run, succeed};

const SCOPE: &str = "grantor:tenants.create";

fn basic(credentials: &Value) -> String {
    let text = |name: &str| credentials[name].as_str().unwrap();
    format!("{}:{}", text("client_id"), text("client_secret"))
}

#[test]
fn it_is_done_once_and_a_new_secret_stops_the_old() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    let bootstrap = |arguments: &[&str]| {
        let mut command = database.command_with(&key, &["bootstrap"]);
        let issuers = format!("http://127.0.0.1:{}", place.ports.token);
        command.env("GRANTOR_ISSUER_BASE", issuers).args(arguments);
        command
    };
    let complaint = refused(&mut bootstrap(&["--new-secret"]));
    assert!(complaint.contains("is not bootstrapped yet"), "{complaint}");

    let first: Value = serde_json::from_str(&succeed(&mut bootstrap(&["--json"]))).unwrap();
    let issuer = first["issuer"].as_str().unwrap();
    assert!(
        issuer.ends_with(&format!("/t/{}", first["tenant_id"].as_str().unwrap())),
        "{first}"
    );
    assert!(
        first["client_secret"]
            .as_str()
            .unwrap()
            .starts_with("gsec_")
    );
    let complaint = refused(&mut bootstrap(&["--json"]));
    assert!(
        complaint.contains("the installation is bootstrapped already"),
        "{complaint}"
    );
    assert!(complaint.contains("--new-secret"), "{complaint}");

    // A secret under another key would be of no use, so the one in use must not be stopped for it.
    let mut wrong = bootstrap(&["--new-secret"]);
    let complaint = refused(wrong.env("GRANTOR_MASTER_KEY", new_master_key()));
    assert!(
        complaint.contains("GRANTOR_MASTER_KEY is not the key of this installation"),
        "{complaint}"
    );

    let running = Running::start(&mut database.dev(&place, &key));
    assert!(
        !running.welcome.contains("OPERATOR="),
        "{}",
        running.welcome
    );
    let demo = Demo::without_operator(&running.welcome);
    assert_eq!(demo.token_at(issuer, &basic(&first), SCOPE).unwrap().0, 200);
    let told = succeed(&mut bootstrap(&["--new-secret"]));
    let value = |name: &str| {
        let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(value("issuer"), issuer);
    let second = format!("{}:{}", value("client_id"), value("client_secret"));
    assert_ne!(second, basic(&first));
    let (status, refusal) = demo.token_at(issuer, &basic(&first), SCOPE).unwrap();
    assert_eq!((status, &refusal["error"]), (401, &"invalid_client".into()));
    assert_eq!(demo.token_at(issuer, &second, SCOPE).unwrap().0, 200);
    running.stop_beside_a_database();
}

#[test]
fn of_several_at_once_exactly_one_succeeds() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    let ended: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| run(&mut database.command_with(&key, &["bootstrap", "--json"])))
            })
            .collect();
        begun.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let (done, others): (Vec<_>, Vec<_>) = ended.iter().partition(|one| one.status.success());
    assert_eq!(done.len(), 1);
    assert!(done[0].output.contains("gsec_"));
    for other in others {
        assert_eq!(other.output, "");
        assert!(
            other.complaints.contains("is bootstrapped already"),
            "{}",
            other.complaints
        );
    }
}
