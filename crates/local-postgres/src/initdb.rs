//! Makes the data of a new server, at once or not at all.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

use crate::Error;
use crate::folder::Folder;
use crate::installation::Installation;
use crate::server::superuser;

const UNFINISHED: &str = "postgres.unfinished.";
const VERSION_FILE: &str = "PG_VERSION";

/// The major version of the data, `None` when there is none yet.
pub(crate) fn data_major(data: &Path) -> Result<Option<u32>, Error> {
    match fs::read_to_string(data.join(VERSION_FILE)) {
        Ok(version) => version
            .trim()
            .parse()
            .map(Some)
            .map_err(|_not_a_number| Error::NotData(data.to_owned())),
        // An empty folder is as good as none: the finished one takes its place.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::remove_dir(data) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(_) => Err(Error::NotData(data.to_owned())),
        },
        Err(error) => Err(Error::io("read", &data.join(VERSION_FILE))(error)),
    }
}

/// Makes the data in a folder beside its place, then moves it there: a start that is killed leaves nothing half-made.
pub(crate) fn make_data(
    folder: &Folder,
    installation: &Installation,
    durable: bool,
) -> Result<(), Error> {
    let unfinished = make_unfinished(folder.base())?;
    let made = folder
        .account()
        .own(&unfinished)
        .and_then(|()| run(folder, installation, durable, &unfinished));
    if let Err(error) = made {
        let _next_start_removes_it = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    let data = folder.data();
    fs::rename(&unfinished, &data).map_err(Error::io("make", &data))?;
    if durable {
        // The name lasts only when the folder that holds it is on disk.
        let base = folder.base();
        File::open(base)
            .and_then(|open| open.sync_all())
            .map_err(Error::io("write", base))?;
    }
    Ok(())
}

fn run(
    folder: &Folder,
    installation: &Installation,
    durable: bool,
    place: &Path,
) -> Result<(), Error> {
    let program = installation.bin().join("initdb");
    let mut initdb = folder.account().command(&program);
    initdb
        .arg("--pgdata")
        .arg(place)
        .args(["--username", superuser()]);
    // The socket's folder is the user's alone, so whoever reaches it may come in. Nobody comes over the network.
    initdb.args(["--auth-local=trust", "--auth-host=reject"]);
    initdb.args(["--encoding=UTF8", "--locale=C", "--no-instructions"]);
    if !durable {
        initdb.arg("--no-sync");
    }
    let output = initdb.output().map_err(Error::io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Initdb {
        status: output.status,
        output: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

/// A folder of a name that no other process chooses: the `initdb` of a killed start may still be writing to its own.
fn make_unfinished(base: &Path) -> Result<PathBuf, Error> {
    let mut number = 0_u32;
    loop {
        let folder = base.join(format!("{UNFINISHED}{}.{number}", process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::io("make", &folder)(error)),
        }
    }
}

/// Removes what killed starts left half-made.
pub(crate) fn remove_unfinished(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(UNFINISHED.as_bytes())
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            log::debug!(
                "{} stays until the next start: {error}",
                entry.path().display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;

    #[test]
    fn the_version_of_data_is_read_and_an_empty_folder_is_no_data() {
        let test = TestFolder::new();
        let data = test.path().join("postgres");
        assert_eq!(data_major(&data).unwrap(), None);
        fs::create_dir(&data).unwrap();
        assert_eq!(data_major(&data).unwrap(), None);
        fs::create_dir(&data).unwrap();
        fs::write(data.join(VERSION_FILE), "16\n").unwrap();
        assert_eq!(data_major(&data).unwrap(), Some(16));
    }

    #[test]
    fn something_else_in_the_place_of_data_is_left_alone() {
        let test = TestFolder::new();
        fs::write(test.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(data_major(test.path()), Err(Error::NotData(_))));
        fs::write(test.path().join(VERSION_FILE), "new\n").unwrap();
        assert!(matches!(data_major(test.path()), Err(Error::NotData(_))));
        assert!(test.path().join("thesis.tex").exists());
    }

    #[test]
    fn unfinished_folders_are_removed_and_nothing_else() {
        let test = TestFolder::new();
        let first = make_unfinished(test.path()).unwrap();
        fs::write(first.join("half"), "").unwrap();
        let second = make_unfinished(test.path()).unwrap();
        assert_ne!(first, second);
        fs::create_dir(test.path().join("postgres")).unwrap();
        remove_unfinished(test.path());
        let left: Vec<_> = fs::read_dir(test.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["postgres"]);
    }
}
