//! Commands that need no server: configuration, documents, keys.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::database::{PASSWORD, new_master_key};
use crate::place::Place;
use crate::program::{dev, grantor, refused, run, succeed};

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once_and_nothing_is_begun() {
    let place = Place::new();
    let mut command = grantor(&[
        "dev",
        "--api-listen=here",
        "--token-operations-listen=:0:",
        "--log-format=xml",
    ]);
    let url = format!("mysql://grantor:{PASSWORD}@localhost/grantor");
    command
        .current_dir(place.folder())
        .env("GRANTOR_MASTER_KEY", "not-a-key")
        .env("GRANTOR_POOL_SIZE", "0")
        .env("GRANTOR_ISSUER_BASE", "ftp://issuer.example")
        .env("GRANTOR_DATABASE_URL", url);
    let complaint = refused(&mut command);
    for name in [
        "--api-listen (GRANTOR_API_LISTEN)",
        "--token-operations-listen (GRANTOR_TOKEN_OPERATIONS_LISTEN)",
        "--log-format (GRANTOR_LOG_FORMAT)",
        "--master-key (GRANTOR_MASTER_KEY)",
        "--pool-size (GRANTOR_POOL_SIZE)",
        "--issuer-base (GRANTOR_ISSUER_BASE)",
        "--database-url (GRANTOR_DATABASE_URL)",
    ] {
        assert_eq!(complaint.matches(name).count(), 1, "{name}: {complaint}");
    }
    assert_eq!(complaint.lines().count(), 7, "{complaint}");
    assert!(!complaint.contains(PASSWORD) && !complaint.contains("not-a-key"));
    assert!(!place.kept().exists());
}

#[test]
fn the_configuration_is_printed_without_secrets_and_nothing_is_begun() {
    let place = Place::new();
    let (key, previous) = (new_master_key(), new_master_key());
    let mut command = dev(&place);
    command
        .arg("--print-config")
        .env("GRANTOR_MASTER_KEY", &key)
        .env("GRANTOR_PREVIOUS_MASTER_KEYS", &previous)
        .env(
            "GRANTOR_DATABASE_URL",
            format!("postgresql://grantor:{PASSWORD}@db.example:5432/grantor"),
        );
    let printed = succeed(&mut command);
    for shown in [
        "db.example:5432/grantor".to_owned(),
        format!("127.0.0.1:{}", place.ports.api),
        format!("http://127.0.0.1:{}", place.ports.token),
    ] {
        assert!(printed.contains(&shown), "{shown}: {printed}");
    }
    for secret in [PASSWORD, &key, &previous] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(!place.kept().exists());
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    for arguments in [
        &["--help"][..],
        &["dev", "--help"],
        &["migrate", "--help"],
        &["bootstrap", "--help"],
        &["keys", "reseal", "--help"],
    ] {
        let mut command = grantor(arguments);
        for name in [
            "GRANTOR_MASTER_KEY",
            "GRANTOR_MASTER_KEY_FILE",
            "GRANTOR_PREVIOUS_MASTER_KEYS",
            "GRANTOR_DATABASE_URL",
            "GRANTOR_DATABASE_URL_FILE",
            "GRANTOR_OWNER_DATABASE_URL",
            "GRANTOR_OWNER_DATABASE_URL_FILE",
        ] {
            command.env(name, PASSWORD);
        }
        let help = succeed(&mut command);
        assert!(help.contains("Usage:"), "{help}");
        assert!(!help.contains(PASSWORD), "{help}");
    }
}

#[test]
fn the_documents_are_printed_written_and_compared() {
    let place = Place::new();
    let document = |which: &[&str]| {
        let text = succeed(grantor(&["openapi"]).args(which));
        let json: Value = serde_json::from_str(&text).unwrap();
        (json["info"]["title"].as_str().unwrap().to_owned(), text)
    };
    let (title, management) = document(&[]);
    assert_eq!(title, "Grantor management API");
    assert_eq!(document(&["management"]).1, management);
    let (title, token) = document(&["token"]);
    assert_eq!(title, "Grantor token service");

    let folder = place.folder().join("openapi");
    let asked = |option: &str| {
        let mut command = grantor(&["openapi", option]);
        command.arg(&folder);
        command
    };
    let complaint = refused(&mut asked("--check"));
    assert!(
        complaint.contains("management.json can't be read"),
        "{complaint}"
    );
    succeed(&mut asked("--write"));
    assert_eq!(
        fs::read_to_string(folder.join("management.json")).unwrap(),
        management
    );
    assert_eq!(
        fs::read_to_string(folder.join("token.json")).unwrap(),
        token
    );
    succeed(&mut asked("--check"));
    fs::write(folder.join("token.json"), token.replace("token", "tokens")).unwrap();
    let complaint = refused(&mut asked("--check"));
    assert!(
        complaint.contains("token.json is not what the code says; run `grantor openapi --write"),
        "{complaint}"
    );
}

#[test]
fn the_documents_of_this_repository_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi");
    succeed(grantor(&["openapi", "--check"]).arg(folder));
}

#[test]
fn master_keys_are_43_characters_and_never_the_same() {
    let (one, other) = (new_master_key(), new_master_key());
    for key in [&one, &other] {
        assert_eq!(key.len(), 43, "{key}");
        assert!(
            key.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }
    assert_ne!(one, other);
}

#[test]
fn a_word_that_is_no_command_is_refused_with_the_usage() {
    let ended = run(&mut grantor(&["begin"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        ended.complaints.contains("Usage: grantor"),
        "{}",
        ended.complaints
    );
}
