//! Which roles a server refuses to run as, and which databases it refuses to run on.

use diesel::connection::SimpleConnection as _;
use grantor_storage::installation::{UnfitDatabase, check_fitness};
use grantor_storage::migrate;
use grantor_test_support::TestDatabase;

/// The address of a database for a role that is made with these attributes and memberships.
fn url_of(test: &TestDatabase, role: &str, attributes: &str, memberships: &[&str]) -> String {
    // Roles belong to the cluster, which outlives the test.
    let mut sql = vec![format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN {attributes}"
    )];
    sql.extend(
        memberships
            .iter()
            .map(|group| format!("GRANT {group} TO {role}")),
    );
    test.superuser().batch_execute(&sql.join("; ")).unwrap();
    test.url()
        .replace("user=grantor_server", &format!("user={role}"))
}

const ALL: [&str; 3] = ["grantor_tenant", "grantor_platform", "grantor_fast"];

fn privilege(url: &str) -> &'static str {
    match check_fitness(url) {
        Err(UnfitDatabase::PrivilegedRole { what, .. }) => what,
        other => panic!("taken for fit, or for something else: {other:?}"),
    }
}

#[test]
fn the_role_that_migrating_makes_is_fit() {
    check_fitness(&TestDatabase::new().url()).unwrap();
}

#[test]
fn whoever_sees_through_row_level_security_is_refused() {
    let test = TestDatabase::new();
    assert_eq!(privilege(&test.superuser_url()), "is a superuser");
    let bypasses = url_of(&test, "fitness_bypasses", "NOINHERIT BYPASSRLS", &ALL);
    assert!(privilege(&bypasses).starts_with("has BYPASSRLS"));
    let may = url_of(
        &test,
        "fitness_may_bypass",
        "NOINHERIT",
        &["fitness_bypasses"],
    );
    assert!(privilege(&may).starts_with("has BYPASSRLS"), "by SET ROLE");
}

#[test]
fn the_owner_and_whoever_inherits_from_it_is_refused() {
    let test = TestDatabase::new();
    assert!(privilege(&test.owner_url()).starts_with("owns Grantor's tables"));
    let heir = url_of(&test, "fitness_heir", "INHERIT", &["grantor_owner"]);
    assert!(privilege(&heir).starts_with("owns Grantor's tables"));
    let taker = url_of(&test, "fitness_taker", "NOINHERIT", &["grantor_owner"]);
    assert!(
        privilege(&taker).starts_with("owns Grantor's tables"),
        "by SET ROLE"
    );
}

#[test]
fn whoever_could_write_history_is_refused() {
    let test = TestDatabase::new();
    let writer = url_of(
        &test,
        "fitness_writes_history",
        "NOINHERIT",
        &[
            "grantor_tenant",
            "grantor_platform",
            "grantor_fast",
            "grantor_feed",
        ],
    );
    assert!(privilege(&writer).starts_with("may take on a role that writes"));
}

#[test]
fn whoever_inherits_what_it_must_take_on_is_refused() {
    let test = TestDatabase::new();
    let all = url_of(&test, "fitness_inherits", "INHERIT", &ALL);
    assert!(privilege(&all).starts_with("inherits"));
    let one = url_of(&test, "fitness_inherits_one", "INHERIT", &["grantor_fast"]);
    assert!(privilege(&one).starts_with("inherits"));
}

#[test]
fn whoever_can_not_take_on_all_three_roles_or_is_not_admitted_is_refused() {
    let test = TestDatabase::new();
    for (role, groups) in [
        ("fitness_stranger", &ALL[..0]),
        ("fitness_half", &ALL[..2]),
        ("fitness_by_hand", &ALL),
    ] {
        let url = url_of(&test, role, "NOINHERIT", groups);
        match check_fitness(&url) {
            Err(UnfitDatabase::NotAMember { role: named }) => assert_eq!(named, role),
            other => panic!("{role}: {other:?}"),
        }
    }
}

#[test]
fn a_database_that_lacks_migrations_is_refused_and_tells_how_many() {
    let missing = |url: &str| match check_fitness(url) {
        Err(UnfitDatabase::NotMigrated { missing }) => missing,
        other => panic!("{other:?}"),
    };
    let empty = TestDatabase::empty();
    let all = migrate::status(&empty.owner_url()).unwrap().len();
    assert_eq!(missing(&empty.url()), all);

    let behind = TestDatabase::new();
    migrate::down(&behind.owner_url()).unwrap();
    assert_eq!(missing(&behind.url()), 1);
    migrate::down(&behind.owner_url()).unwrap();
    assert_eq!(missing(&behind.url()), 2);
    while migrate::down(&behind.owner_url()).unwrap().is_some() {}
    assert_eq!(missing(&behind.url()), all);
}

#[test]
fn a_database_that_is_not_there_is_told_apart() {
    let url = TestDatabase::new()
        .url()
        .replace("postgresql:///test_", "postgresql:///nowhere_");
    assert!(matches!(
        check_fitness(&url),
        Err(UnfitDatabase::Unreachable(_))
    ));
}

#[test]
fn a_role_with_any_name_can_be_admitted_twice_and_is_fit() {
    let test = TestDatabase::new();
    let role = "fitness \"odd\" role";
    migrate::admit_server_role(&test.owner_url(), role, Some("a'b\\c")).unwrap();
    migrate::admit_server_role(&test.owner_url(), role, None).unwrap();
    let url = test
        .url()
        .replace("user=grantor_server", "user=fitness%20%22odd%22%20role");
    check_fitness(&url).unwrap();
}
