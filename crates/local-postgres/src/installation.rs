//! Finds the installed PostgreSQL servers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

const OLDEST_MAJOR: u32 = 14;

/// Folders of which every entry that starts like this may hold an installation: parent, start, what follows.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// An installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    bin: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u32,
    // None (18beta1, 18devel) comes before every release of the same major version.
    minor: Option<u32>,
    text: String,
}

impl Installation {
    /// The newest installed server, if it is new enough.
    pub fn find() -> Result<Self, Error> {
        newest(scan(&places()))
    }

    /// The folder that holds `initdb` and `postgres`.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The version, such as `17.5`.
    pub fn version(&self) -> &str {
        &self.version.text
    }

    /// The major version, which decides what data the server can read.
    pub fn major(&self) -> u32 {
        self.version.major
    }

    /// One of the server's programs, if it is installed.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.bin.join(name)).filter(|program| program.is_file())
    }

    fn at(folder: &Path) -> Option<Self> {
        let postgres = folder.join("postgres");
        if !postgres.is_file() || !folder.join("initdb").is_file() {
            return None;
        }
        // The real folder has the other programs beside these, and dedupes links such as /opt/homebrew/bin.
        let bin = fs::canonicalize(&postgres)
            .ok()
            .and_then(|real| real.parent().map(Path::to_owned))
            .filter(|real| real.join("postgres").is_file() && real.join("initdb").is_file())
            .unwrap_or_else(|| folder.to_owned());
        let output = Command::new(bin.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let version = Version::parse(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { bin, version })
    }
}

impl Version {
    /// Reads `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    fn parse(line: &str) -> Option<Self> {
        let text = line
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let (major, minor) = text.split_once('.').unwrap_or((text, ""));
        let digits = major.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self {
            major: digits.parse().ok()?,
            minor: minor.parse().ok(),
            text: text.to_owned(),
        })
    }
}

/// The folders where servers are looked for, on this machine.
pub(crate) fn places() -> Vec<PathBuf> {
    // A relative entry would run whatever lies in the current folder.
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    for (parent, start, rest) in FAMILIES {
        places.extend(family(Path::new(parent), start, rest));
    }
    places
}

fn family(parent: &Path, start: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(start.as_bytes())
        })
        .map(|entry| entry.path().join(rest))
        .collect()
}

/// What is installed in these folders, newest first, each once.
pub(crate) fn scan(places: &[PathBuf]) -> Vec<Installation> {
    let mut found: Vec<Installation> = Vec::new();
    for installation in places.iter().filter_map(|folder| Installation::at(folder)) {
        if !found.contains(&installation) {
            found.push(installation);
        }
    }
    // The sort is stable: of equal versions the one on PATH stays first.
    found.sort_by(|a, b| b.version.cmp(&a.version));
    found
}

/// The newest of what was found, if it is new enough.
pub(crate) fn newest(found: Vec<Installation>) -> Result<Installation, Error> {
    match found.into_iter().next() {
        None => Err(Error::NotInstalled),
        Some(old) if old.major() < OLDEST_MAJOR => Err(Error::TooOld {
            newest: old.version.text,
        }),
        Some(installation) => Ok(installation),
    }
}

/// The installation that can read data of this major version.
pub(crate) fn matching(
    found: Vec<Installation>,
    major: u32,
    data: &Path,
) -> Result<Installation, Error> {
    let newest = newest(found.clone())?;
    if newest.major() == major {
        return Ok(newest);
    }
    let usable: Vec<_> = found
        .into_iter()
        .filter(|one| one.major() >= OLDEST_MAJOR)
        .collect();
    let installed = usable
        .iter()
        .map(Installation::version)
        .collect::<Vec<_>>()
        .join(", ");
    usable
        .into_iter()
        .find(|one| one.major() == major)
        .ok_or_else(|| Error::OtherMajor {
            data: data.to_owned(),
            major,
            installed,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn fake(parent: &Path, name: &str, answer: &str) -> PathBuf {
        let bin = parent.join(name).join("bin");
        fs::create_dir_all(&bin).unwrap();
        for program in ["initdb", "postgres"] {
            let file = bin.join(program);
            fs::write(&file, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::canonicalize(bin).unwrap()
    }

    #[test]
    fn the_newest_wins_by_number_not_by_text() {
        let folder = TestFolder::new();
        let places = [
            fake(
                folder.path(),
                "a",
                "postgres (PostgreSQL) 15.9 (Debian 15.9-1)",
            ),
            fake(folder.path(), "b", "postgres (PostgreSQL) 15.14"),
            fake(folder.path(), "c", "postgres (PostgreSQL) 9.6.24"),
            fake(folder.path(), "d", "postgres (PostgreSQL) 15beta2"),
        ];
        let found = newest(scan(&places)).unwrap();
        assert_eq!(
            (found.version(), found.major(), found.bin()),
            ("15.14", 15, places[1].as_path())
        );
    }

    #[test]
    fn versions_of_every_form_are_read() {
        for (line, major, minor) in [
            ("postgres (PostgreSQL) 17.5 (Homebrew)", 17, Some(5)),
            ("postgres (PostgreSQL) 18beta1", 18, None),
            ("postgres (PostgreSQL) 19devel\n", 19, None),
        ] {
            let version = Version::parse(line).unwrap();
            assert_eq!((version.major, version.minor), (major, minor), "{line}");
        }
        assert_eq!(Version::parse("not a version"), None);
        assert!(Version::parse("x 18beta1") < Version::parse("x 18.0"));
    }

    #[test]
    fn only_too_old_ones_are_named() {
        let folder = TestFolder::new();
        let places = [
            fake(folder.path(), "a", "postgres (PostgreSQL) 11.2"),
            fake(folder.path(), "b", "postgres (PostgreSQL) 13.20"),
        ];
        let error = newest(scan(&places)).unwrap_err();
        assert!(
            matches!(&error, Error::TooOld { newest } if newest == "13.20"),
            "{error}"
        );
        assert!(error.to_string().contains("14 or newer"));
    }

    #[test]
    fn half_an_installation_is_none() {
        let folder = TestFolder::new();
        let bin = fake(folder.path(), "a", "postgres (PostgreSQL) 16.1");
        fs::remove_file(bin.join("initdb")).unwrap();
        let broken = fake(folder.path(), "b", "no number");
        let error = newest(scan(&[bin, broken, folder.path().join("missing")])).unwrap_err();
        assert!(matches!(error, Error::NotInstalled));
        assert!(error.to_string().contains("apt-get install postgresql"));
    }

    #[test]
    fn links_lead_to_one_installation() {
        let folder = TestFolder::new();
        let bin = fake(folder.path(), "cellar", "postgres (PostgreSQL) 16.1");
        let links = folder.path().join("links");
        fs::create_dir(&links).unwrap();
        for program in ["initdb", "postgres"] {
            symlink(bin.join(program), links.join(program)).unwrap();
        }
        symlink(&bin, folder.path().join("whole")).unwrap();
        let found = scan(&[links, folder.path().join("whole"), bin.clone()]);
        assert_eq!(
            found.iter().map(Installation::bin).collect::<Vec<_>>(),
            [bin]
        );
    }

    #[test]
    fn a_family_is_listed_by_the_start_of_the_name() {
        let folder = TestFolder::new();
        for name in ["postgresql@16", "postgresql@17", "redis"] {
            fake(folder.path(), name, "");
        }
        let mut found = family(folder.path(), "postgresql", "bin");
        found.sort();
        let expected =
            ["postgresql@16/bin", "postgresql@17/bin"].map(|rest| folder.path().join(rest));
        assert_eq!(found, expected);
    }

    #[test]
    fn older_data_takes_the_older_installation_or_says_which_is_missing() {
        let folder = TestFolder::new();
        let places = [
            fake(folder.path(), "a", "postgres (PostgreSQL) 17.5"),
            fake(folder.path(), "b", "postgres (PostgreSQL) 15.14"),
            fake(folder.path(), "c", "postgres (PostgreSQL) 13.20"),
        ];
        let data = Path::new("/data");
        assert_eq!(
            matching(scan(&places), 15, data).unwrap().version(),
            "15.14"
        );
        assert_eq!(matching(scan(&places), 17, data).unwrap().version(), "17.5");
        let error = matching(scan(&places), 13, data).unwrap_err().to_string();
        assert!(
            error.contains("written by PostgreSQL 13, but only 17.5, 15.14 is installed"),
            "{error}"
        );
    }
}
