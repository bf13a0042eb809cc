//! PostgreSQL refuses to run as root: then its programs run as another user, who must be able to reach the data.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::Error;

const PASSWD: &str = "/etc/passwd";

/// The user who runs PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this process, who isn't root.
    Own,
    /// Another user, whom root becomes.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// Who runs the server whose data is (or will be) here. Data that exists is run by whoever owns it.
    pub(crate) fn for_data(data: &Path) -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
        if let Ok(owned) = fs::symlink_metadata(data)
            && owned.uid() != 0
        {
            let name = entries(&passwd)
                .find(|entry| entry.1 == owned.uid())
                .map(|entry| entry.0.to_owned());
            let name = name.unwrap_or_else(|| owned.uid().to_string());
            return Ok(Self::Other {
                name,
                uid: owned.uid(),
                gid: owned.gid(),
            });
        }
        Self::from_passwd(&passwd).ok_or(Error::NoUnprivilegedUser)
    }

    fn from_passwd(passwd: &str) -> Option<Self> {
        ["postgres", "nobody"].iter().find_map(|wanted| {
            let (name, uid, gid) =
                entries(passwd).find(|entry| entry.0 == *wanted && entry.1 != 0)?;
            Some(Self::Other {
                name: name.to_owned(),
                uid,
                gid,
            })
        })
    }

    /// The user id that owns the data.
    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Own => geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// The user's name, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Own => self.uid().to_string(),
            Self::Other { name, .. } => name.clone(),
        }
    }

    /// A program run as this user, in a known environment: no secret of ours, no `PG…` variable, no surprising locale.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // The current folder may be closed to that user.
        command.current_dir("/").stdin(Stdio::null());
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Whether this user can enter the folder. Asked of the system itself, which knows of more than mode bits.
    pub(crate) fn reaches(&self, folder: &Path) -> bool {
        match self {
            Self::Own => true,
            Self::Other { .. } => self
                .command("/bin/sh")
                .args(["-c", r#"cd "$0""#])
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
        }
    }

    /// Hands over a file or folder that root made for this user.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::lchown(path, Some(*uid), Some(*gid))
                .map_err(Error::io("hand over to the unprivileged user", path)),
        }
    }
}

/// Name, user id and group id of each line.
fn entries(passwd: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?;
        let gid = fields.next()?;
        Some((name, number(uid)?, number(gid)?))
    })
}

/// macOS writes the highest ids as negative numbers.
fn number(field: &str) -> Option<u32> {
    field
        .parse()
        .ok()
        .or_else(|| field.parse().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(name: &str, uid: u32, gid: u32) -> Account {
        Account::Other {
            name: name.to_owned(),
            uid,
            gid,
        }
    }

    #[test]
    fn postgres_goes_before_nobody() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533:::\npostgres:x:101:104:::\n";
        assert_eq!(
            Account::from_passwd(passwd),
            Some(other("postgres", 101, 104))
        );
    }

    #[test]
    fn negative_ids_are_the_highest() {
        let passwd = "# comment\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\n";
        assert_eq!(
            Account::from_passwd(passwd),
            Some(other("nobody", 4_294_967_294, 4_294_967_294))
        );
    }

    #[test]
    fn root_under_another_name_and_broken_lines_do_not_serve() {
        assert_eq!(
            Account::from_passwd("postgres:x:0:0:::\nnobody:x:many:1:::\nnobody\n"),
            None
        );
    }

    #[test]
    fn no_variable_of_ours_reaches_the_server() {
        let command = Account::Own.command("/usr/bin/env");
        let names: Vec<_> = command
            .get_envs()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert!(
            names
                .iter()
                .all(|name| ["LC_ALL", "TZ", "PATH", "LD_LIBRARY_PATH"]
                    .iter()
                    .any(|known| name == known)),
            "{names:?}"
        );
    }
}
