//! The folder of the server's socket: private, and short enough for a socket's address.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::Error;
use crate::folder::short_name;
use crate::unprivileged::Account;

/// What a socket's address holds without its closing zero: `sun_path` is 108 bytes on Linux and 104 on macOS and BSD.
const LONGEST_ADDRESS: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The port names the socket, and nothing else: no TCP port is opened.
pub(crate) const PORT: &str = "5432";

/// Makes the folder of the socket: `run` in the base folder, or one below the temp folder when that is too long.
pub(crate) fn make(base: &Path, account: &Account) -> Result<PathBuf, Error> {
    make_first(
        &[
            base.join("run"),
            below(&env::temp_dir(), base),
            below(Path::new("/tmp"), base),
        ],
        account,
    )
}

fn below(temp: &Path, base: &Path) -> PathBuf {
    temp.join(format!("grantor-{}", short_name(base)))
}

fn make_first(candidates: &[PathBuf], account: &Account) -> Result<PathBuf, Error> {
    let mut refused = None;
    for folder in candidates.iter().filter(|folder| fits(folder)) {
        match make_private(folder, account) {
            Ok(()) if account.reaches(folder) => return Ok(folder.clone()),
            Ok(()) => {}
            Err(error) => refused = Some(error),
        }
    }
    let tried = || {
        candidates
            .iter()
            .map(|folder| folder.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    Err(refused.unwrap_or_else(|| Error::NoPlace {
        purpose: "the socket",
        tried: tried(),
    }))
}

/// Removes a socket that a killed server left, with its lock, whose process id may have gone to another process.
/// The lock that counts is the one on the data.
pub(crate) fn clear(folder: &Path) {
    for name in ["", ".lock"] {
        let _missing = fs::remove_file(folder.join(format!(".s.PGSQL.{PORT}{name}")));
    }
}

/// Removes the folder if it lies elsewhere than in the base folder. PostgreSQL has removed the socket.
pub(crate) fn remove(folder: &Path, base: &Path) {
    if !folder.starts_with(base)
        && let Err(error) = fs::remove_dir(folder)
    {
        log::debug!("{} stays: {error}", folder.display());
    }
}

/// Whether the socket's address is short enough, and the name free of what libpq or a server setting takes for a list.
fn fits(folder: &Path) -> bool {
    let name = folder.as_os_str().as_bytes();
    let address = name.len() + "/.s.PGSQL.".len() + PORT.len();
    address <= LONGEST_ADDRESS
        && !name
            .iter()
            .any(|byte| byte.is_ascii_control() || b",\"".contains(byte))
}

/// A folder for this user alone. One that lies there already is trusted only if it is just that: the temp folder is
/// open to everyone, and the name can be foreseen.
fn make_private(folder: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("make", folder)(error)),
    }
    let found = fs::symlink_metadata(folder).map_err(Error::io("look at", folder))?;
    // Root's own is one just made, or left by a start that was killed here.
    let owned = found.uid() == account.uid() || found.uid() == geteuid().as_raw();
    if !found.is_dir() || !owned || found.mode() & 0o077 != 0 {
        return Err(Error::NotPrivate(folder.to_owned()));
    }
    account.own(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn the_address_of_the_socket_decides_to_the_byte() {
        let longest = format!("/{}", "x".repeat(LONGEST_ADDRESS - 15));
        assert!(fits(Path::new(&longest)));
        assert!(!fits(Path::new(&format!("{longest}x"))));
        assert!(fits(Path::new("/with space")));
        assert!(!fits(Path::new("/with,comma")) && !fits(Path::new("/with\"quote")));
    }

    #[test]
    fn too_long_a_name_leads_to_the_next_place() {
        let test = TestFolder::new();
        let long = test.path().join("x".repeat(100));
        let short = test.path().join("s");
        assert_eq!(
            make_first(&[long.clone(), short.clone()], &Account::Own).unwrap(),
            short
        );
        assert!(!long.exists());
        assert!(matches!(
            make_first(&[long], &Account::Own),
            Err(Error::NoPlace { .. })
        ));
    }

    #[test]
    fn what_is_open_to_others_or_a_link_is_refused() {
        let test = TestFolder::new();
        let open = test.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o750)).unwrap();
        let private = test.path().join("private");
        make_private(&private, &Account::Own).unwrap();
        let link = test.path().join("link");
        symlink(&private, &link).unwrap();
        for folder in [&open, &link] {
            assert!(matches!(
                make_private(folder, &Account::Own),
                Err(Error::NotPrivate(_))
            ));
        }
        make_private(&private, &Account::Own).unwrap();
    }

    #[test]
    fn the_folder_of_another_user_is_refused() {
        if !geteuid().is_root() {
            return;
        }
        let test = TestFolder::new();
        let made_before = test.path().join("run");
        let attacker = Account::Other {
            name: "attacker".to_owned(),
            uid: 4001,
            gid: 4001,
        };
        make_private(&made_before, &attacker).unwrap();
        let victim = Account::Other {
            name: "victim".to_owned(),
            uid: 4002,
            gid: 4002,
        };
        let error = make_private(&made_before, &victim).unwrap_err();
        assert!(
            error.to_string().contains("belongs to another user"),
            "{error}"
        );
    }
}
