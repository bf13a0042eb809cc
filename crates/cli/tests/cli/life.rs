//! Starts after the first, stops, and others that want the same folder.

use std::fs;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::demo::Demo;
use crate::place::{Place, Ports};
use crate::program::{Running, dev, dev_on, refused};

#[test]
fn stops_are_clean_and_what_was_made_is_there_at_the_next_start() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    let revoked = demo.machine_token();
    assert!(demo.revoke(&revoked));
    let made = demo.try_client(&demo.admin_token(), "Reports").unwrap();
    let clients = demo.client_ids();
    assert!(clients.contains(&made.id));
    let kids = demo.kids();
    assert!(!place.processes().is_empty());
    let ended = running.ctrl_c();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
    assert!(place.processes().is_empty(), "{:?}", place.processes());
    assert!(
        ended.complaints.contains("SIGINT received, stopping"),
        "{}",
        ended.complaints
    );

    // The second start, with the credentials of the first.
    let running = Running::start(&mut dev(&place));
    for secret in [&demo.operator, &demo.admin, &demo.machine, &demo.checker] {
        let (_, secret) = secret.split_once(':').unwrap();
        assert!(!running.welcome.contains(secret));
    }
    assert!(!running.welcome.contains("gsec_"), "{}", running.welcome);
    assert!(running.welcome.contains(&demo.issuer));
    assert!(running.welcome.contains("--new-secrets"));
    assert_eq!(demo.client_ids(), clients);
    assert_eq!(demo.kids(), kids);
    assert!(demo.is_active(&token));
    assert!(!demo.is_active(&revoked));
    let made = format!("{}:{}", made.id, made.secret);
    assert!(demo.is_active(&demo.try_token(&made, "orders.api:read").unwrap()));
    running.stop(&place);

    // New secrets, which stop the old.
    let running = Running::start(dev(&place).arg("--new-secrets"));
    let new = Demo::read(&running.welcome);
    assert_eq!((&new.tenant, &new.platform), (&demo.tenant, &demo.platform));
    let asked = [
        (
            &demo.issuer,
            &demo.admin,
            &new.admin,
            "grantor:clients.read",
        ),
        (&demo.issuer, &demo.machine, &new.machine, "orders.api:read"),
        (
            &demo.platform,
            &demo.operator,
            &new.operator,
            "grantor:tenants.create",
        ),
    ];
    for (issuer, old, new, scope) in asked {
        assert_eq!(
            old.split_once(':').unwrap().0,
            new.split_once(':').unwrap().0
        );
        let (status, refusal) = demo.token_at(issuer, old, scope).unwrap();
        assert_eq!((status, &refusal["error"]), (401, &"invalid_client".into()));
        assert_eq!(demo.token_at(issuer, new, scope).unwrap().0, 200);
    }
    assert!(new.is_active(&token), "tokens live on");
    assert_eq!(new.client_ids(), clients);
    running.stop(&place);
}

#[test]
fn of_two_first_starts_at_once_one_is_refused_and_the_other_keeps_its_key() {
    let place = Place::new();
    let ports = Ports::new();
    let start = |ports: &Ports| Running::try_start(&mut dev_on(&place, ports));
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(|| start(&ports));
        (start(&place.ports), other.join().unwrap())
    });
    let (running, complaint) = match (one, other) {
        (Ok(running), Err(complaint)) | (Err(complaint), Ok(running)) => (running, complaint),
        (Ok(_), Ok(_)) => panic!("both run"),
        (Err(one), Err(other)) => panic!("none runs: {one}{other}"),
    };
    assert!(complaint.contains(" is in use by "), "{complaint}");
    running.stop(&place);
    Running::start(&mut dev(&place)).stop(&place);
}

#[test]
fn when_its_postgresql_dies_it_says_so_and_ends() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    let pid_file = fs::read_to_string(place.kept().join("postgres/postmaster.pid")).unwrap();
    let postmaster = pid_file.lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(postmaster).unwrap(), Signal::KILL).unwrap();
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.complaints);
    assert!(
        ended
            .complaints
            .contains("grantor: the private PostgreSQL ended unexpectedly"),
        "{}",
        ended.complaints
    );
    place.assert_left_alone();
    let running = Running::start(&mut dev(&place));
    assert!(demo.is_active(&token));
    running.stop(&place);
}

#[test]
fn a_second_one_in_the_same_folder_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let mut running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    let processes = place.processes();

    let complaint = refused(&mut dev_on(&place, &Ports::new()));
    let folder = place.kept();
    assert!(
        complaint.contains(&format!("grantor: {} is in use by", folder.display())),
        "{complaint}"
    );
    assert_eq!(place.processes(), processes);
    assert!(running.lives());
    assert!(demo.is_active(&token));
    demo.machine_token();
    running.stop(&place);
}
