//! Mails as files in a folder, for whoever tries the product out and has no mail server.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mail::Mail;
use crate::send_error::SendError;

/// Why there is no such folder.
#[derive(Debug, thiserror::Error)]
#[error("the folder of mails {path} cannot be made")]
pub struct FolderError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// A folder in which each mail becomes a file `<message id>.eml`, whole or not at all. The same mail becomes the same
/// file. Only the user who runs the program can read them: a mail may hold a link that lets its reader in.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// How many were begun, so that two at once do not write one file.
    begun: Arc<AtomicU64>,
}

impl Folder {
    /// Makes the folder if it is not there.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| FolderError {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            begun: Arc::default(),
        })
    }

    /// Where the mails are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let content = mail.formatted();
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let (id, process) = (&mail.message_id, std::process::id());
        let part = self.path.join(format!(".{process}-{number}.part"));
        let whole = self.path.join(format!("{id}.eml"));
        let write = move || {
            write(&part, content.as_bytes())
                .and_then(|()| std::fs::rename(&part, &whole))
                .inspect_err(|_| {
                    // What can't be written often can't be removed either; it is not a mail to anybody.
                    let _ = std::fs::remove_file(&part);
                })
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(written) => written.map_err(SendError::Folder),
            Err(stopped) => Err(SendError::Folder(io::Error::other(stopped))),
        }
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::mail::tests::mail;
    use crate::message_id::MessageId;
    use crate::sender::Sender;

    /// A folder that is gone after the test.
    struct TestFolder(PathBuf);

    impl TestFolder {
        fn new(name: &str) -> Self {
            let process = std::process::id();
            let path = std::env::temp_dir().join(format!("grantor-mail-{process}-{name}"));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_mail_becomes_a_file_that_only_its_owner_reads() {
        let place = TestFolder::new("file");
        let folder = Folder::open(&place.0.join("deep/mails")).unwrap();
        let path = folder.path().to_owned();
        let sent = mail("Grüße", "Two lines,\nthe second.");
        Sender::Folder(folder).send(&sent).await.unwrap();
        let file = path.join("dlv_1@grantor.example.eml");
        assert_eq!(fs::read_to_string(&file).unwrap(), sent.formatted());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
    }

    #[tokio::test]
    async fn the_same_mail_is_one_file_and_nothing_half_written_is_left() {
        let place = TestFolder::new("again");
        let folder = Folder::open(&place.0).unwrap();
        let (one, mut two) = (mail("one", "1"), mail("two", "2"));
        two.message_id = MessageId::parse("dlv_2@grantor.example").unwrap();
        let (first, again, second) =
            tokio::join!(folder.send(&one), folder.send(&one), folder.send(&two));
        for sent in [first, again, second] {
            sent.unwrap();
        }
        assert_eq!(
            place.names(),
            ["dlv_1@grantor.example.eml", "dlv_2@grantor.example.eml"]
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_worth_another_try() {
        let place = TestFolder::new("gone");
        let folder = Folder::open(&place.0).unwrap();
        fs::remove_dir(&place.0).unwrap();
        let error = folder.send(&mail("s", "hunter2")).await.unwrap_err();
        assert!(error.is_transient());
        assert_eq!(
            error.to_string(),
            "the folder of mails cannot be written to (entity not found)"
        );
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_at_once() {
        let place = TestFolder::new("none");
        fs::write(&place.0, "a file").unwrap();
        let error = Folder::open(&place.0.join("mails")).unwrap_err();
        fs::remove_file(&place.0).unwrap();
        assert!(error.to_string().contains("cannot be made"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_put_in_its_place_is_taken_away() {
        let place = TestFolder::new("blocked");
        let folder = Folder::open(&place.0).unwrap();
        fs::create_dir(place.0.join("dlv_1@grantor.example.eml")).unwrap();
        assert!(folder.send(&mail("s", "t")).await.is_err());
        assert_eq!(place.names(), ["dlv_1@grantor.example.eml"]);
    }
}
