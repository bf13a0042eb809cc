//! `grantor migrate`: up, down, at once, and what it must not show.

use std::thread;

use crate::database::{Database, PASSWORD};
use crate::place::Place;
use crate::program::{grantor, refused, run, succeed};

/// The names that `--status` tells, when all of them are in this state.
#[track_caller]
fn all(database: &Database, state: &str) -> Vec<String> {
    let output = succeed(&mut database.command(&["migrate", "--status"]));
    let names = output.lines().map(|line| {
        let name = line.strip_prefix(state).map(str::trim);
        name.unwrap_or_else(|| panic!("not {state}: {line}"))
            .to_owned()
    });
    names.collect()
}

/// Whether a line tells of this migration, by its name or by the number that its name begins with.
fn tells(line: Option<&str>, what: &str, name: &str) -> bool {
    let told = line.and_then(|line| line.strip_prefix(what));
    told.is_some_and(|told| told.len() >= 14 && name.starts_with(told))
}

#[test]
fn migrations_go_up_and_down_and_up_again() {
    let place = Place::new();
    let database = Database::new(&place);
    let names = all(&database, "missing");
    assert!(names.len() >= 8, "{names:?}");
    let up = || succeed(&mut database.command(&["migrate"]));
    let assert_whole = |told: String| {
        let mut lines = told.lines();
        for name in &names {
            assert!(tells(lines.next(), "applied ", name), "{name}: {told}");
        }
        assert_eq!(lines.next(), Some("servers may log in as grantor_server"));
        assert_eq!(lines.next(), None);
    };
    assert_whole(up());
    assert_eq!(all(&database, "applied"), names);
    assert_eq!(
        up(),
        "nothing to apply: the schema is up to date\nservers may log in as grantor_server\n"
    );

    let down = || succeed(&mut database.command(&["migrate", "--down"]));
    for name in names.iter().rev() {
        let told = down();
        assert!(
            tells(told.lines().next(), "took back ", name),
            "{name}: {told}"
        );
    }
    assert_eq!(all(&database, "missing"), names);
    assert_eq!(down(), "nothing to take back: no migration is applied\n");
    assert_whole(up());
    assert_eq!(all(&database, "applied"), names);
}

#[test]
fn of_several_migrations_at_once_one_does_the_work_and_all_succeed() {
    let place = Place::new();
    let database = Database::new(&place);
    let count = all(&database, "missing").len();
    let outputs: Vec<String> = thread::scope(|scope| {
        let begun: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| succeed(&mut database.command(&["migrate"]))))
            .collect();
        begun.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut applied: Vec<usize> = outputs
        .iter()
        .map(|output| output.matches("applied ").count())
        .collect();
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, count], "{outputs:#?}");
    assert_eq!(all(&database, "applied").len(), count);
}

#[test]
fn without_the_owners_address_a_sentence_says_which_to_set() {
    for arguments in [
        &["migrate"][..],
        &["migrate", "--status"],
        &["migrate", "--down"],
    ] {
        let complaint = refused(&mut grantor(arguments));
        assert!(
            complaint.starts_with(
                "grantor: GRANTOR_OWNER_DATABASE_URL is not set; it names the database"
            ),
            "{complaint}"
        );
    }
}

#[test]
fn an_address_is_never_shown_with_its_password() {
    let place = Place::new();
    let database = Database::new(&place);
    let good = database.owner_url();
    let wrong = [
        // Nobody listens there.
        format!("postgresql://owner:{PASSWORD}@127.0.0.1:1/grantor"),
        // These are no addresses, each in another way.
        format!("postgresql://owner:{PASSWORD}@[::1/grantor"),
        format!("postgresql://owner:12/{PASSWORD}@localhost/grantor"),
        format!("postgresql://owner:{PASSWORD}@localhost:port/grantor"),
        format!("postgresql://owner:{PASSWORD}%zz@localhost/grantor"),
        format!("postgresql://owner:{PASSWORD}%00@localhost/grantor"),
        format!("postgresql://owner:{PASSWORD}@localhost/grantor?mode={PASSWORD}"),
        format!("host=localhost password={PASSWORD}"),
        format!("mysql://owner:{PASSWORD}@localhost/grantor"),
    ];
    let unreachable = |url: &String, server: &String| {
        let mut command = grantor(&["migrate"]);
        command.env("GRANTOR_OWNER_DATABASE_URL", url);
        let ended = run(command.env("GRANTOR_DATABASE_URL", server));
        let said = ended.output + &ended.complaints;
        assert!(!said.contains(PASSWORD), "{url}: {said}");
        assert!(!said.trim().is_empty());
        (ended.status.success(), said)
    };
    for url in &wrong {
        let (done, said) = unreachable(url, &database.server_url());
        assert!(!done, "{url}: {said}");
    }
    for url in &wrong {
        unreachable(&good, url);
    }
    let (done, said) = unreachable(&good, &database.server_url());
    assert!(done, "{said}");
    let given_twice = refused(
        database
            .command(&["migrate"])
            .env("GRANTOR_OWNER_DATABASE_URL_FILE", "/run/secrets/owner"),
    );
    assert_eq!(
        given_twice,
        "grantor: GRANTOR_OWNER_DATABASE_URL and GRANTOR_OWNER_DATABASE_URL_FILE are both set; keep one\n"
    );
}

#[test]
fn retention_is_told_and_set() {
    let place = Place::new();
    let database = Database::new(&place);
    succeed(&mut database.command(&["migrate"]));
    let told = |arguments: &[&str]| {
        let all: Vec<&str> = [&["retention"], arguments].concat();
        succeed(&mut database.command(&all))
    };
    assert_eq!(
        told(&[]),
        "change feed: kept for 30 days\nlog of record: kept for 400 days\n"
    );
    let shorter = "change feed: kept for 7 days\nlog of record: kept for 400 days\n";
    assert_eq!(told(&["--changes", "7"]), shorter);
    assert_eq!(told(&[]), shorter);
    for days in ["0", "-1", "x", "40000"] {
        let ended = run(&mut database.command(&["retention", &format!("--audit-events={days}")]));
        assert!(!ended.status.success(), "{days}");
        assert!(ended.complaints.contains("days"), "{}", ended.complaints);
    }
    assert_eq!(told(&[]), shorter);
}
