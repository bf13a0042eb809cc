//! A database that neither answers nor goes away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::database::{Database, new_master_key};
use crate::demo::Demo;
use crate::place::Place;
use crate::program::{Running, refused, succeed};

/// Processes of `PostgreSQL` that are halted until this is dropped, also by a test that fails.
struct Halted {
    data: PathBuf,
    pids: BTreeSet<i32>,
}

impl Halted {
    /// The postmaster comes first, so that no process is begun after the look at those that it has.
    #[track_caller]
    fn below(folder: &Path) -> Self {
        let pid_file = fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().parse().unwrap();
        let mut halted = Self {
            data: folder.join("postgres"),
            pids: BTreeSet::new(),
        };
        halted.halt(postmaster);
        for pid in halted.working() {
            halted.halt(pid);
        }
        assert!(halted.pids.len() > 1, "{:?}", halted.pids);
        halted
    }

    /// Those that work in the folder of the data.
    fn working(&self) -> Vec<i32> {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| {
                fs::read_link(entry.path().join("cwd"))
                    .is_ok_and(|place| place.starts_with(&self.data))
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    fn halt(&mut self, pid: i32) {
        if kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).is_ok() {
            self.pids.insert(pid);
        }
    }

    /// Whether all of them are there, and halted. One that was just ending stays as a zombie, since the postmaster
    /// can't take note of it.
    fn are_all_halted(&self) -> bool {
        self.pids.iter().all(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                // The state follows the name, which stands in parentheses.
                .is_ok_and(|stat| stat.rsplit_once(") ").unwrap().1.starts_with(['T', 'Z']))
        })
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _gone = kill_process(Pid::from_raw(*pid).unwrap(), Signal::CONT);
        }
    }
}

#[test]
fn a_stop_is_obeyed_while_the_database_hangs() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    let mut command = database.dev(&place, &key);
    command
        .env("GRANTOR_DEADLINE_SECONDS", "2")
        .env("GRANTOR_DRAIN_SECONDS", "3");
    let running = Running::start(&mut command);
    let demo = Demo::read(&running.welcome);
    let admin_token = demo.admin_token();
    demo.machine_token();

    let halted = Halted::below(&place.folder().join("database"));
    let answers: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = (0..8)
            .map(|number| {
                let (demo, admin_token) = (&demo, &admin_token);
                scope.spawn(move || {
                    if number % 2 == 0 {
                        demo.token_at(&demo.issuer, &demo.machine, "orders.api:read")
                    } else {
                        demo.get(&demo.clients(), admin_token)
                    }
                })
            })
            .collect();
        begun.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in answers {
        let (status, body) = answer.unwrap();
        assert_eq!(status, 503, "{body}");
    }

    let told = Instant::now();
    let ended = running.terminate();
    let took = told.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(halted.are_all_halted(), "the database went on");
    let complaints = &ended.complaints;
    assert_eq!(ended.status.code(), Some(0), "{complaints}");
    assert!(
        complaints.contains("SIGTERM received, stopping"),
        "{complaints}"
    );
    drop(halted);
    drop(database);
    place.assert_left_alone();
}

#[test]
fn a_command_gives_up_and_ends_while_the_database_hangs() {
    let place = Place::new();
    let database = Database::migrated(&place);
    let key = new_master_key();
    succeed(&mut database.command_with(&key, &["bootstrap"]));

    let halted = Halted::below(&place.folder().join("database"));
    let told = Instant::now();
    let mut command = database.command_with(&key, &["bootstrap", "--new-secret"]);
    let complaint = refused(command.env("GRANTOR_DEADLINE_SECONDS", "2"));
    let took = told.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(halted.are_all_halted(), "the database went on");
    assert!(complaint.starts_with("grantor: "), "{complaint}");
    drop(halted);
    drop(database);
    place.assert_left_alone();
}
