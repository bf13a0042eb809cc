//! `grantor restore-fence`: refused where it can't be meant, asked for where it may not be, and at once where it is.

use crate::database::{Database, new_master_key};
use crate::demo::Demo;
use crate::place::Place;
use crate::program::{Running, refused, succeed};

const FENCE: &[&str] = &["restore-fence"];

#[test]
fn it_ends_what_was_issued_before_on_servers_that_run_and_tells_what_it_did() {
    let place = Place::new();
    let database = Database::new(&place);
    let complaint = refused(&mut database.command(FENCE));
    assert!(
        complaint.contains("run `grantor migrate` first"),
        "{complaint}"
    );
    succeed(&mut database.command(&["migrate"]));
    let complaint = refused(&mut database.command(FENCE));
    assert!(complaint.contains("is not bootstrapped yet"), "{complaint}");

    let key = new_master_key();
    let running = Running::start(&mut database.dev(&place, &key));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    assert!(demo.is_active(&token));
    let complaint = refused(&mut database.command(FENCE));
    assert!(complaint.contains("others are connected"), "{complaint}");
    assert!(complaint.contains("--yes"), "{complaint}");
    assert!(demo.is_active(&token), "nothing was done");
    let told = succeed(&mut database.command(&["restore-fence", "--yes"]));
    for sentence in [
        "is renewed",
        "access token",
        "sets a password",
        "change feed",
        "backup",
    ] {
        assert!(told.contains(sentence), "{told}");
    }
    assert!(!demo.is_active(&token), "at once");
    assert!(demo.is_active(&demo.machine_token()));
    running.stop_beside_a_database();
    // With nobody else there it needs no word more.
    succeed(&mut database.command(FENCE));
}
