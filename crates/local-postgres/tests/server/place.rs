//! Folders that are too long, closed, or hold something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use grantor_local_postgres::{Error, LocalPostgres};

use crate::support::{TestFolder, fast, is_root, sql, start};

#[test]
fn a_long_path_has_its_socket_in_a_short_private_folder() {
    let test = TestFolder::new();
    let folder = test.path().join("x".repeat(100)).join("y z, \u{fc}");
    let server = start(&folder);
    let socket = server.socket_folder().to_owned();
    assert!(!socket.starts_with(test.path()), "{}", socket.display());
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(server.data_folder().starts_with(&folder));
    assert_eq!(server.relocated(), None);
    assert_eq!(sql(&server, "select 1"), "1");
    server.stop().unwrap();
    assert!(!socket.exists());

    let server = start(&folder);
    assert_eq!(server.socket_folder(), socket);
}

#[test]
fn a_closed_parent_moves_the_data_where_the_servers_user_reaches_it() {
    if !is_root() {
        return;
    }
    let test = TestFolder::new();
    let closed = test.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let folder = closed.join(".grantor");
    let server = start(&folder);
    let relocated = Relocated(server.relocated().unwrap().to_owned());
    assert_eq!(server.data_folder(), relocated.0.join("postgres"));
    sql(&server, "create table kept as select 42 as n");
    let error = LocalPostgres::start(&fast(&folder)).unwrap_err();
    assert!(
        error.to_string().starts_with(folder.to_str().unwrap()),
        "{error}"
    );
    server.stop().unwrap();

    // Found again by what the folder says, wherever the folder is by then, and whether or not it could be reached.
    let moved = test.path().join("moved");
    fs::rename(&folder, &moved).unwrap();
    let server = start(&moved);
    assert_eq!(server.relocated(), Some(relocated.0.as_path()));
    assert_eq!(sql(&server, "select n from kept"), "42");

    // Two folders that lead to the same data don't run it twice.
    let copy = test.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(moved.join("relocated"), copy.join("relocated")).unwrap();
    assert!(matches!(
        LocalPostgres::start(&fast(&copy)),
        Err(Error::InUse { .. })
    ));
}

/// The relocated data lies outside of the test's folder, and goes away as well.
struct Relocated(PathBuf);

impl Drop for Relocated {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
        // Others may have theirs there.
        let _not_empty = self.0.parent().map(fs::remove_dir);
    }
}

#[test]
fn data_that_its_user_no_longer_reaches_is_not_replaced_by_empty_data() {
    if !is_root() {
        return;
    }
    let test = TestFolder::new();
    let parent = test.path().join("parent");
    let folder = parent.join(".grantor");
    start(&folder).stop().unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
    let error = LocalPostgres::start(&fast(&folder)).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[test]
fn data_of_a_version_that_is_not_installed_is_named_and_left_alone() {
    let test = TestFolder::new();
    let data = test.server_folder().join("postgres");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = LocalPostgres::start(&fast(test.server_folder())).unwrap_err();
    let sentence = error.to_string();
    assert!(
        sentence.contains("written by PostgreSQL 9, but only"),
        "{sentence}"
    );
    assert!(sentence.contains(data.to_str().unwrap()), "{sentence}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let test = TestFolder::new();
    let data = test.server_folder().join("postgres");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("notes.txt"), "").unwrap();
    let error = LocalPostgres::start(&fast(test.server_folder())).unwrap_err();
    assert!(matches!(error, Error::NotData(_)), "{error}");
}
