//! Another master key: refused, taken with the old one beside it, and alone after `grantor keys reseal`.

use crate::database::{Database, new_master_key};
use crate::demo::Demo;
use crate::place::{Place, until};
use crate::program::{Running, refused, succeed};

#[test]
fn a_master_key_is_changed_without_losing_anything() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let (old, new) = (new_master_key(), new_master_key());
    let running = Running::start(&mut database.dev(&place, &old));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    let kids = demo.kids();
    // One for RS256 too, if a spare key was ready by then.
    assert!((2..=3).contains(&kids.len()), "{kids:?}");
    running.stop_beside_a_database();

    // The wrong key is refused, also where it would have made secrets and stopped the old ones.
    for arguments in [&[][..], &["--new-secrets"]] {
        let complaint = refused(database.dev(&place, &new).args(arguments));
        assert!(
            complaint.contains("grantor: GRANTOR_MASTER_KEY is not the key of this installation"),
            "{complaint}"
        );
        assert!(complaint.contains("GRANTOR_PREVIOUS_MASTER_KEYS"));
        assert!(!complaint.contains(&old) && !complaint.contains(&new));
    }

    // With the old key beside the new one everything works.
    let mut both = database.dev(&place, &new);
    let running = Running::start(both.env("GRANTOR_PREVIOUS_MASTER_KEYS", &old));
    assert!(demo.is_active(&token));
    assert!(demo.is_active(&demo.machine_token()));
    assert_eq!(demo.kids(), kids);
    let mut reseal = database.command_with(&new, &["keys", "reseal"]);
    reseal.env("GRANTOR_PREVIOUS_MASTER_KEYS", &old);
    assert!(succeed(&mut reseal).starts_with("sealed "));
    assert_eq!(
        succeed(&mut reseal),
        "sealed 0 values anew under the current master key\n"
    );
    assert!(demo.is_active(&demo.machine_token()));
    let made = demo
        .try_client(&demo.admin_token(), "Under the new key")
        .unwrap();
    running.stop_beside_a_database();

    // Alone, the new key opens the signing keys and the secrets made under it. Older secrets are made anew.
    let running = Running::start(database.dev(&place, &new).arg("--new-secrets"));
    let demo = Demo::read(&running.welcome);
    assert_eq!(demo.kids(), kids);
    assert!(demo.is_active(&token));
    assert!(demo.is_active(&demo.machine_token()));
    let basic = format!("{}:{}", made.id, made.secret);
    assert!(demo.is_active(&demo.try_token(&basic, "orders.api:read").unwrap()));
    running.stop_beside_a_database();
    let complaint = refused(&mut database.dev(&place, &old));
    assert!(
        complaint.contains("GRANTOR_MASTER_KEY is not the key of this installation"),
        "{complaint}"
    );
}

#[test]
fn signing_keys_are_listed_and_rotated_beside_a_running_server() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    let running = Running::start(&mut database.dev(&place, &key));
    let demo = Demo::read(&running.welcome);
    let token = demo.machine_token();
    let keys =
        |what: &str, tenant: &str| database.command_with(&key, &["keys", what, "--tenant", tenant]);
    let kids_told = || -> Vec<String> {
        let listed = succeed(&mut keys("list", &demo.tenant));
        let kid = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        listed.lines().map(kid).collect()
    };
    let first = demo.kids();
    assert_eq!(kids_told(), first);
    let rotated = succeed(&mut keys("rotate", &demo.tenant));
    let kid = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let next: Vec<String> = rotated.lines().map(kid).collect();
    for algorithm in ["ES256", "EdDSA"] {
        let told = format!("  {algorithm}  signs from ");
        assert!(rotated.contains(&told), "{rotated}");
    }
    assert_eq!(next.len(), first.len(), "of each algorithm in use");
    assert!(!first.iter().any(|kid| next.contains(kid)));
    // They are told from memory, which follows within a moment, and sign much later.
    let all = first.len() + next.len();
    until("the new keys are published", || demo.kids().len() == all);
    let mut both = demo.kids();
    both.sort();
    let mut expected = [first, next].concat();
    expected.sort();
    assert_eq!(both, expected);
    let mut told = kids_told();
    told.sort();
    assert_eq!(told, expected);
    assert!(demo.is_active(&token));
    assert!(demo.is_active(&demo.machine_token()));

    let complaint = refused(&mut keys("list", "demo"));
    assert!(complaint.contains("--tenant"), "{complaint}");
    running.stop_beside_a_database();
}
