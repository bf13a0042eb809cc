//! Starts that can't be: taken ports, no `PostgreSQL`, databases that are not fit.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::database::{Database, PASSWORD, new_master_key};
use crate::place::Place;
use crate::program::{dev, grantor, refused};

#[test]
fn a_taken_port_is_told_with_its_option_before_anything_is_begun() {
    let place = Place::new();
    let ports = &place.ports;
    for (port, option, variable) in [
        (ports.api, "--api-listen", "GRANTOR_API_LISTEN"),
        (
            ports.api_operations,
            "--api-operations-listen",
            "GRANTOR_API_OPERATIONS_LISTEN",
        ),
        (ports.token, "--token-listen", "GRANTOR_TOKEN_LISTEN"),
        (
            ports.token_operations,
            "--token-operations-listen",
            "GRANTOR_TOKEN_OPERATIONS_LISTEN",
        ),
    ] {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert_eq!(
            refused(&mut dev(&place)),
            format!(
                "grantor: port {port} on 127.0.0.1 is already in use: stop the other program or choose another \
                 with {option} or {variable}\n"
            )
        );
        assert!(!place.kept().exists());
    }
    assert!(place.processes().is_empty());
}

/// Covers every folder of installations, sees to it that `PATH` names none, and becomes the program.
const COVER: &str = r#"
for folder in /usr/lib/postgresql /usr/pgsql-* /usr/local/pgsql*; do
    if [ -d "$folder" ]; then mount --bind "$1" "$folder" || exit 99; fi
done
shift
PATH=/nonexistent exec "$@"
"#;

/// How this user may have mounts that nobody else sees; none where the system forbids it.
fn unshare() -> Option<Command> {
    let ways: [&[&str]; 2] = [
        &["--mount"],
        &["--map-current-user", "--keep-caps", "--mount"],
    ];
    ways.into_iter().find_map(|options| {
        let mut tried = Command::new("unshare");
        tried.args(options).arg("true").stderr(Stdio::null());
        let works = tried.status().is_ok_and(|status| status.success());
        works.then(|| {
            let mut command = Command::new("unshare");
            command.args(options);
            command
        })
    })
}

#[test]
fn without_postgresql_a_sentence_says_how_to_install_it() {
    let place = Place::new();
    let empty = place.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let Some(mut covered) = unshare() else {
        // The unit tests of grantor-local-postgres show the search and its sentence on folders of their own.
        eprintln!("not shown here: this system forbids mounts of one's own");
        return;
    };
    let command = dev(&place);
    covered.args(["sh", "-c", COVER, "sh"]).arg(&empty);
    covered.arg(command.get_program()).args(command.get_args());
    covered.current_dir(place.folder());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => covered.env(name, value),
            None => covered.env_remove(name),
        };
    }
    let complaint = refused(&mut covered);
    assert!(
        complaint.contains(
            "grantor: no PostgreSQL server is installed: run `apt-get install postgresql`"
        ),
        "{complaint}"
    );
    assert!(!place.kept().join("postgres").exists());
    assert!(place.processes().is_empty());
}

#[test]
fn a_role_that_row_level_security_does_not_hold_is_refused() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    for (url, what) in [
        (
            database.superuser_url(),
            "`grantor_superuser` is a superuser",
        ),
        (
            database.owner_url(),
            "`grantor_owner` owns Grantor's tables",
        ),
    ] {
        let mut command = database.dev(&place, &key);
        let complaint = refused(command.env("GRANTOR_DATABASE_URL", url));
        assert!(complaint.contains(what), "{complaint}");
        assert!(complaint.contains("row-level security"), "{complaint}");
        assert!(!complaint.contains(PASSWORD), "{complaint}");
    }
}

#[test]
fn a_database_that_is_not_migrated_is_refused_with_the_command_that_mends_it() {
    let place = Place::new();
    let database = Database::new(&place);
    let tenant = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let mut command = grantor(&["keys", "list", "--tenant", tenant]);
    command.env("GRANTOR_DATABASE_URL", database.owner_url());
    command.env("GRANTOR_MASTER_KEY", new_master_key());
    let complaint = refused(&mut command);
    assert!(complaint.contains("run `grantor migrate`"), "{complaint}");
}
