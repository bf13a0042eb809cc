//! Start, stop, and what is kept between.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use grantor_local_postgres::{Error, LocalPostgres, Options};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{TestFolder, fast, is_root, lives, sql, start, until};

#[test]
fn data_survives_a_restart() {
    let test = TestFolder::new();
    let server = LocalPostgres::start(&Options::new(test.server_folder())).unwrap();
    assert!(server.is_running());
    assert_eq!(
        sql(&server, "show server_version").split(' ').next(),
        Some(server.version())
    );
    sql(&server, "create table kept as select 42 as n");
    let postmaster = server.postmaster_pid();
    server.stop().unwrap();
    assert!(!lives(postmaster));
    assert!(!test.server_folder().join("run/.s.PGSQL.5432").exists());

    let server = start(test.server_folder());
    assert_eq!(sql(&server, "select n from kept"), "42");
}

#[test]
fn nobody_else_can_come_in() {
    let test = TestFolder::new();
    let server = start(test.server_folder());
    assert_eq!(sql(&server, "show listen_addresses"), "");
    for folder in [server.data_folder().as_path(), server.socket_folder()] {
        let found = fs::metadata(folder).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o700);
        assert_ne!(found.uid(), 0, "the server runs as root");
    }
    assert_eq!(
        sql(
            &server,
            "show timezone; show server_encoding; show lc_collate"
        ),
        "UTC\nUTF8\nC"
    );
}

#[test]
fn durability_and_further_settings_are_the_callers() {
    let test = TestFolder::new();
    let show = "select string_agg(setting, ' ' order by name) from pg_settings \
                where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'max_connections', 'listen_addresses')";
    let mut options = fast(test.server_folder());
    options.settings = vec![
        ("max_connections".to_owned(), "17".to_owned()),
        ("listen_addresses".to_owned(), "*".to_owned()),
    ];
    let server = LocalPostgres::start(&options).unwrap();
    assert_eq!(sql(&server, show), "off off  17 off");
    server.stop().unwrap();
    let server = LocalPostgres::start(&Options::new(test.server_folder())).unwrap();
    assert_eq!(sql(&server, show), "on on  100 on");
}

#[test]
fn a_second_server_on_the_folder_is_refused() {
    let test = TestFolder::new();
    let server = start(test.server_folder());
    let error = LocalPostgres::start(&fast(test.server_folder())).unwrap_err();
    assert!(
        matches!(error, Error::InUse { holder: Some(holder), .. } if holder == std::process::id())
    );
    let sentence = error.to_string();
    assert!(
        sentence.starts_with(test.server_folder().to_str().unwrap()),
        "{sentence}"
    );
    assert_eq!(sql(&server, "select 1"), "1");
}

#[test]
fn a_client_that_is_connected_does_not_hold_up_the_stop() {
    let test = TestFolder::new();
    let server = start(test.server_folder());
    let url = server.url(grantor_local_postgres::superuser(), "postgres");
    let psql = grantor_local_postgres::Installation::find()
        .unwrap()
        .bin()
        .join("psql");
    let mut client = std::process::Command::new(psql)
        .args(["-Xq", "-c", "select pg_sleep(1000)", &url])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the client waits", || {
        sql(
            &server,
            "select count(*) from pg_stat_activity where query like 'select pg_sleep%'",
        ) == "1"
    });
    server.stop().unwrap();
    assert!(!client.wait().unwrap().success());
}

#[test]
fn dropping_it_stops_the_server() {
    let test = TestFolder::new();
    let server = start(test.server_folder());
    let postmaster = server.postmaster_pid();
    drop(server);
    assert!(!lives(postmaster));
}

#[test]
fn the_caller_notices_that_the_server_died() {
    let test = TestFolder::new();
    let mut server = start(test.server_folder());
    assert!(server.try_exit().unwrap().is_none());
    let postmaster = Pid::from_raw(server.postmaster_pid().cast_signed()).unwrap();
    kill_process(postmaster, Signal::KILL).unwrap();
    until("the guardian ends with the server", || {
        server.try_exit().unwrap().is_some()
    });
    assert!(!server.is_running());
    assert!(matches!(server.stop(), Err(Error::Died { .. })));
    start(test.server_folder()).stop().unwrap();
}

#[test]
fn a_server_that_cannot_start_tells_its_log() {
    let test = TestFolder::new();
    let mut options = fast(test.server_folder());
    options
        .settings
        .push(("max_connections".to_owned(), "many".to_owned()));
    let error = LocalPostgres::start(&options).unwrap_err();
    assert!(matches!(error, Error::Died { .. }));
    assert!(
        error
            .to_string()
            .contains("invalid value for parameter \"max_connections\""),
        "{error}"
    );
    // The mistake mended, the same folder serves.
    start(test.server_folder()).stop().unwrap();
}

#[test]
fn the_data_of_whoever_owns_it_is_run_by_them() {
    if !is_root() {
        return;
    }
    let test = TestFolder::new();
    let server = start(test.server_folder());
    let data = server.data_folder();
    let socket = server.socket_folder().to_owned();
    server.stop().unwrap();
    let other = 54_321;
    for folder in [&data, &socket] {
        let changed = std::process::Command::new("chown")
            .arg("-R")
            .arg(format!("{other}:{other}"))
            .arg(folder)
            .status();
        assert!(changed.unwrap().success());
    }
    let server = start(test.server_folder());
    let process = fs::metadata(data.join("postmaster.pid")).unwrap();
    assert_eq!(process.uid(), other);
    assert_eq!(sql(&server, "select 1"), "1");
}
