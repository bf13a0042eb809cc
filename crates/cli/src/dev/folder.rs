//! The folder of `grantor dev`: `PostgreSQL`'s data, the master key, and which demo was made.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use grantor_keys::{MasterKey, SystemEntropy};
use grantor_server_kit::SecretText;

use crate::failure::Failure;

/// The folder.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(path)
                .map_err(Failure::io(format!("{} can't be made", path.display())))?;
        }
        let path = path
            .canonicalize()
            .map_err(Failure::io(format!("{} can't be opened", path.display())))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The master key, made at the first start.
    pub(crate) fn master_key(&self) -> Result<SecretText, Failure> {
        if let Some(text) = self.read("master.key")? {
            return Ok(SecretText::from(text.trim_end()));
        }
        let key = MasterKey::generate(&SystemEntropy::default())?.encode();
        self.write("master.key", &key)?;
        Ok(SecretText::from(key.as_str()))
    }

    /// What stands in a file of the folder, if it is there.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Failure::io(format!("{} can't be read", path.display()))(
                source,
            )),
        }
    }

    /// Writes a file that nobody else may read: whole, or not at all.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.0.join(name);
        let unfinished = self.0.join(format!("{name}.unfinished"));
        let written = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        written().map_err(Failure::io(format!("{} can't be written", path.display())))
    }
}
