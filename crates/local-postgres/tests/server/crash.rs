//! Owners that are killed leave no server behind, and nothing that the next start trips over.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use grantor_local_postgres::{LocalPostgres, Options};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{TestFolder, ids, lives, sql, start, until};

const FOLDER: &str = "HOLD_A_SERVER_IN";

/// The owner that the other tests kill is this test, run as a process of its own with the folder in its
/// environment: then it holds a server until its input ends. Run as a test, it shows that this ends well.
#[test]
fn an_owner_whose_input_ends_stops_its_server() {
    if let Some(folder) = env::var_os(FOLDER) {
        hold(folder.as_ref());
        return;
    }
    let test = TestFolder::new();
    let mut holder = Holder::start(&test.server_folder());
    assert!(lives(holder.postmaster));
    drop(holder.process.stdin.take());
    assert!(holder.process.wait().unwrap().success());
    assert!(!lives(holder.postmaster));
}

fn hold(folder: &Path) {
    // Durable, or the last commit is lost with a server that is killed.
    let server = LocalPostgres::start(&Options::new(folder)).unwrap();
    sql(
        &server,
        "create table if not exists kept (n int); insert into kept values (1)",
    );
    println!("\npostmaster {}", server.postmaster_pid());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Holder {
    process: Child,
    postmaster: u32,
    /// Kept open, so that the process can say its last words.
    _output: BufReader<ChildStdout>,
}

impl Holder {
    fn spawn(folder: &Path) -> Child {
        Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::an_owner_whose_input_ends_stops_its_server",
                "--nocapture",
            ])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn start(folder: &Path) -> Self {
        let mut process = Self::spawn(folder);
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map(Result::unwrap);
        let postmaster = lines.find_map(|line| {
            line.strip_prefix("postmaster ")
                .map(|pid| pid.parse().unwrap())
        });
        Self {
            process,
            postmaster: postmaster.expect("the holder started its server"),
            _output: output,
        }
    }

    fn kill(mut self) -> u32 {
        // std sends SIGKILL.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.postmaster
    }
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

/// The guardian and its watcher.
fn guardians(postmaster: u32) -> Vec<u32> {
    let mut guardians = ids("ps", &["-o", "ppid=", "-p", &postmaster.to_string()]);
    assert_eq!(guardians.len(), 1);
    let children = ids("pgrep", &["-P", &guardians[0].to_string()]);
    guardians.extend(children.into_iter().filter(|child| *child != postmaster));
    assert_eq!(guardians.len(), 2);
    guardians
}

#[test]
fn no_server_outlives_a_killed_owner() {
    let test = TestFolder::new();
    let holder = Holder::start(&test.server_folder());
    let guardians = guardians(holder.postmaster);
    let postmaster = holder.kill();
    until("the server ends", || !lives(postmaster));
    until("the guardian ends", || {
        guardians.iter().all(|guardian| !lives(*guardian))
    });
    let server = start(test.server_folder());
    assert_eq!(sql(&server, "select count(*) from kept"), "1");
}

#[test]
fn the_next_start_waits_for_the_guardian_that_is_still_busy() {
    let test = TestFolder::new();
    for rows in ["1", "2", "3"] {
        let postmaster = Holder::start(&test.server_folder()).kill();
        let server = start(test.server_folder());
        assert_ne!(server.postmaster_pid(), postmaster);
        assert_eq!(sql(&server, "select count(*) from kept"), rows);
        server.stop().unwrap();
    }
}

#[test]
fn a_server_without_owner_and_guardian_is_stopped_by_the_next_start() {
    let test = TestFolder::new();
    let holder = Holder::start(&test.server_folder());
    for guardian in guardians(holder.postmaster) {
        kill(guardian);
    }
    let orphan = holder.kill();
    assert!(lives(orphan));
    let server = start(test.server_folder());
    assert!(!lives(orphan));
    assert_eq!(sql(&server, "select count(*) from kept"), "1");
}

#[test]
fn everything_killed_at_once_is_recovered() {
    let test = TestFolder::new();
    let holder = Holder::start(&test.server_folder());
    let guardians = guardians(holder.postmaster);
    // The watcher first, then the server, so that nobody stops it in good order.
    guardians.iter().rev().for_each(|guardian| kill(*guardian));
    kill(holder.postmaster);
    holder.kill();
    assert!(
        test.server_folder()
            .join("postgres/postmaster.pid")
            .exists()
    );
    let server = start(test.server_folder());
    assert_eq!(sql(&server, "select count(*) from kept"), "1");
}

#[test]
fn an_owner_killed_while_it_makes_the_data_leaves_nothing_half_made() {
    let test = TestFolder::new();
    let mut process = Holder::spawn(&test.server_folder());
    let unfinished = test
        .server_folder()
        .join(format!("postgres.unfinished.{}.0", process.id()));
    until("initdb has begun", || {
        unfinished.join("PG_VERSION").exists()
    });
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(unfinished.exists() && !test.server_folder().join("postgres").exists());

    let server = start(test.server_folder());
    assert_eq!(sql(&server, "select 1"), "1");
    server.stop().unwrap();
    start(test.server_folder()).stop().unwrap();
    let left: Vec<_> = fs::read_dir(test.server_folder())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_str().unwrap().contains("unfinished")),
        "{left:?}"
    );
}

#[test]
fn an_owner_killed_while_its_server_starts_leaves_no_server() {
    let test = TestFolder::new();
    start(test.server_folder()).stop().unwrap();
    let pid_file = test.server_folder().join("postgres/postmaster.pid");
    for _round in 0..3 {
        let mut process = Holder::spawn(&test.server_folder());
        until("the server has begun", || pid_file.exists());
        process.kill().unwrap();
        process.wait().unwrap();
        until("the server ends", || !pid_file.exists());
    }
    start(test.server_folder()).stop().unwrap();
}

#[test]
fn pids_that_went_to_other_processes_are_not_believed() {
    let test = TestFolder::new();
    let server = start(test.server_folder());
    let (data, socket) = (server.data_folder(), server.socket_folder().to_owned());
    server.stop().unwrap();
    // As after a restart of a container: low pids, soon taken again.
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let stale = format!(
        "{}\n{}\n1700000000\n5432\n{}\n",
        bystander.id(),
        data.display(),
        socket.display()
    );
    fs::write(data.join("postmaster.pid"), &stale).unwrap();
    fs::write(socket.join(".s.PGSQL.5432.lock"), &stale).unwrap();
    let server = start(test.server_folder());
    assert_eq!(sql(&server, "select 1"), "1");
    assert!(lives(bystander.id()));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
