//! The folder of a private server: its lock, and where the data is when the server's user can't reach it.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::Error;
use crate::unprivileged::Account;

const LOCK: &str = "lock";
const RELOCATED: &str = "relocated";
const DATA: &str = "postgres";
const LOG: &str = "postgres.log";

/// A folder held by this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    named: PathBuf,
    base: PathBuf,
    account: Account,
    // Closing them is what releases the folder.
    _locks: Vec<File>,
}

impl Folder {
    /// Makes the folder if it is missing, takes its lock, and settles who runs the server and where its data is.
    pub(crate) fn hold(named: &Path) -> Result<Self, Error> {
        make(named)?;
        let named = fs::canonicalize(named).map_err(Error::io("open", named))?;
        let mut locks = vec![lock(&named, &named)?];
        let known = read_marker(&named);
        let account = Account::for_data(&known.as_ref().unwrap_or(&named).join(DATA))?;
        let base = match known {
            Some(base) => base,
            None if account.reaches(&named) => named.clone(),
            None => relocate(&named, &account)?,
        };
        let base = fs::canonicalize(&base).map_err(Error::io("open", &base))?;
        if base != named {
            // A copy of the folder leads to the same data.
            locks.push(lock(&base, &named)?);
        }
        Ok(Self {
            named,
            base,
            account,
            _locks: locks,
        })
    }

    /// Where the data, the log and the socket are; the folder itself unless it was relocated.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn relocated(&self) -> Option<&Path> {
        (self.base != self.named).then_some(self.base.as_path())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.base.join(DATA)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.base.join(LOG)
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }
}

/// A folder that only its owner can list. Root's can be passed through, or the server's user could not reach the data.
fn make(folder: &Path) -> Result<(), Error> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(Error::io("make", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) if geteuid().is_root() => fs::set_permissions(folder, Permissions::from_mode(0o711))
            .map_err(Error::io("make", folder)),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("make", folder)(error))
        }
        _ => Ok(()),
    }
}

fn lock(folder: &Path, named: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    // Root may work in a folder whose owner would like another file to be overwritten: links aren't followed.
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Without a process id the sentence is shorter, and as true.
            let _unread = (&mut file).take(20).read_to_string(&mut holder);
            return Err(Error::InUse {
                folder: named.to_owned(),
                holder: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", process::id()));
    written.map_err(Error::io("write", &path))?;
    Ok(file)
}

/// The relocation that an earlier start chose, if it still stands.
fn read_marker(named: &Path) -> Option<PathBuf> {
    let marker = fs::read(named.join(RELOCATED)).ok()?;
    let base = PathBuf::from(OsStr::from_bytes(&marker));
    // Whoever can write the marker must not lead root to any other folder than one that root made for this.
    let serves =
        base.is_absolute() && base.file_name().is_some_and(is_short_name) && is_ours(&base);
    if !serves {
        log::warn!(
            "{} no longer leads to the data: starting afresh",
            named.join(RELOCATED).display()
        );
    }
    serves.then_some(base)
}

fn relocate(named: &Path, account: &Account) -> Result<PathBuf, Error> {
    if named.join(DATA).exists() {
        return Err(Error::Unreachable {
            folder: named.to_owned(),
            user: account.name(),
        });
    }
    let hash = short_name(named);
    let below_temp = |temp: PathBuf| temp.join(format!("grantor-{hash}"));
    let candidates = [
        Path::new("/var/lib/grantor").join(&hash),
        below_temp(env::temp_dir()),
        below_temp(PathBuf::from("/tmp")),
    ];
    let fits =
        |base: &PathBuf| make_reachable(base).is_ok() && is_ours(base) && account.reaches(base);
    let Some(base) = candidates.iter().find(|base| fits(base)) else {
        let tried = candidates
            .iter()
            .map(|base| base.display().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        return Err(Error::NoPlace {
            purpose: "the data",
            tried,
        });
    };
    let marker = named.join(RELOCATED);
    // A left marker could be a link.
    let _missing = fs::remove_file(&marker);
    File::create_new(&marker)
        .and_then(|mut file| {
            file.write_all(base.as_os_str().as_bytes())
                .and_then(|()| file.sync_all())
        })
        .map_err(Error::io("write", &marker))?;
    Ok(base.clone())
}

fn make_reachable(base: &Path) -> Result<(), Error> {
    if let Some(parent) = base.parent()
        && DirBuilder::new().create(parent).is_ok()
    {
        // The umask of root may be tight.
        fs::set_permissions(parent, Permissions::from_mode(0o755))
            .map_err(Error::io("make", parent))?;
    }
    make(base)
}

fn is_ours(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| {
        found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0
    })
}

/// A name for what belongs to this folder but lies elsewhere. It must not change between builds, which the standard
/// library's hash may do: FNV-1a, 64 bits.
pub(crate) fn short_name(folder: &Path) -> String {
    let hash = folder
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

fn is_short_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let name = name.strip_prefix(b"grantor-").unwrap_or(name);
    name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicU32, Ordering};

    static COUNT: AtomicU32 = AtomicU32::new(0);

    /// A folder that goes away with the test.
    pub(crate) struct TestFolder(PathBuf);

    impl TestFolder {
        pub(crate) fn new() -> Self {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("grantor-unit-{}-{count}", process::id());
            let path = fs::canonicalize(env::temp_dir()).unwrap().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_held_folder_is_refused_with_its_name_and_holder_until_released() {
        let test = TestFolder::new();
        let named = test.path().join("a/.grantor");
        let held = Folder::hold(&named).unwrap();
        let error = Folder::hold(&named).unwrap_err().to_string();
        assert!(error.contains(named.to_str().unwrap()), "{error}");
        assert!(error.contains(&format!("({})", process::id())), "{error}");
        drop(held);
        Folder::hold(&named).unwrap();
    }

    #[test]
    fn a_new_folder_cannot_be_listed_by_others() {
        let test = TestFolder::new();
        let named = test.path().join(".grantor");
        let held = Folder::hold(&named).unwrap();
        assert_eq!(held.relocated(), None);
        assert_eq!(held.data(), named.join("postgres"));
        let mode = fs::metadata(&named).unwrap().mode() & 0o777;
        assert_eq!(mode, if geteuid().is_root() { 0o711 } else { 0o700 });
    }

    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let test = TestFolder::new();
        let victim = test.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, test.path().join(LOCK)).unwrap();
        let error = Folder::hold(test.path()).unwrap_err();
        assert!(matches!(error, Error::Io { action: "open", .. }), "{error}");
        assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_an_error() {
        let test = TestFolder::new();
        let file = test.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Folder::hold(&file), Err(Error::Io { .. })));
    }

    #[test]
    fn a_marker_leads_only_to_a_private_folder_made_for_this() {
        let test = TestFolder::new();
        let named = test.path().join("named");
        fs::create_dir(&named).unwrap();
        let read = |target: &Path| {
            fs::write(named.join(RELOCATED), target.as_os_str().as_bytes()).unwrap();
            read_marker(&named)
        };
        let good = test.path().join("grantor-0123456789abcdef");
        assert_eq!(read(&good), None, "missing");
        fs::create_dir(&good).unwrap();
        assert_eq!(read(&good), Some(good.clone()));
        assert_eq!(read(test.path()), None, "another name");
        let link = test.path().join("fedcba9876543210");
        symlink(&good, &link).unwrap();
        assert_eq!(read(&link), None, "a link");
        fs::set_permissions(&good, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(read(&good), None, "open to others");
    }

    #[test]
    fn short_names_stay_the_same_for_ever() {
        // The published test values of FNV-1a.
        assert_eq!(short_name(Path::new("")), "cbf29ce484222325");
        assert_eq!(short_name(Path::new("foobar")), "85944171f73967e8");
        assert!(is_short_name(OsStr::new(&short_name(Path::new("/srv")))));
    }
}
