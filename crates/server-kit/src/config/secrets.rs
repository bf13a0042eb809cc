//! The secrets of the configuration: the database's URL and the keys that seal what is stored.

use crate::config::args::CommonArgs;
use crate::config::reading::secret;
use crate::config::{Mistakes, database_url, names};
use crate::secret_text::SecretText;

const URL_FORM: &str = "give postgres://user:password@host:5432/name, with %-codes for special characters in user and password";
const MAKE_A_KEY: &str = "make one with: openssl rand -base64 32 | tr '+/' '-_' | tr -d '='";

impl CommonArgs {
    pub(super) fn database_url(
        &self,
        mistakes: &mut Mistakes,
        required: bool,
    ) -> Option<SecretText> {
        let before = mistakes.iter().count();
        let url = secret(
            mistakes,
            (names::DATABASE_URL, self.database_url.as_ref()),
            (names::DATABASE_URL_FILE, self.database_url_file.as_ref()),
        );
        match &url {
            Some(url) => {
                if let Err(error) = database_url::check(url.expose()) {
                    mistakes.add(names::DATABASE_URL, error.to_string(), URL_FORM);
                }
            }
            None if required && mistakes.iter().count() == before => {
                mistakes.add(
                    names::DATABASE_URL,
                    "is missing",
                    format!("{URL_FORM}, or {}", names::DATABASE_URL_FILE.env),
                );
            }
            None => {}
        }
        url
    }

    pub(super) fn master_key(&self, mistakes: &mut Mistakes, required: bool) -> Option<SecretText> {
        let before = mistakes.iter().count();
        let given = secret(
            mistakes,
            (names::MASTER_KEY, self.master_key.as_ref()),
            (names::MASTER_KEY_FILE, self.master_key_file.as_ref()),
        );
        let Some(key) = given else {
            if required && mistakes.iter().count() == before {
                mistakes.add(
                    names::MASTER_KEY,
                    "is missing",
                    format!("{MAKE_A_KEY}, and keep it: without it the database cannot be read"),
                );
            }
            return None;
        };
        let checked = key_text(key.expose());
        if checked.is_none() {
            mistakes.add(
                names::MASTER_KEY,
                "is not 32 bytes in base64url",
                MAKE_A_KEY,
            );
        }
        checked
    }

    pub(super) fn previous_master_keys(
        &self,
        mistakes: &mut Mistakes,
        current: Option<&SecretText>,
    ) -> Vec<SecretText> {
        let Some(list) = secret(
            mistakes,
            (
                names::PREVIOUS_MASTER_KEYS,
                self.previous_master_keys.as_ref(),
            ),
            (
                names::PREVIOUS_MASTER_KEYS_FILE,
                self.previous_master_keys_file.as_ref(),
            ),
        ) else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        for (index, entry) in list.expose().split(',').enumerate() {
            let place = index + 1;
            match key_text(entry.trim()) {
                None => mistakes.add(
                    names::PREVIOUS_MASTER_KEYS,
                    format!("has as key {place} something that is not 32 bytes in base64url"),
                    "give the former keys as they were, separated by commas",
                ),
                Some(key) if current.is_some_and(|current| current.expose() == key.expose()) => {
                    mistakes.add(
                        names::PREVIOUS_MASTER_KEYS,
                        format!("has as key {place} the present master key"),
                        "take it out, or give the new key as the master key",
                    );
                }
                Some(key) => keys.push(key),
            }
        }
        keys
    }
}

/// A key of 32 bytes in base64url, its padding left out.
fn key_text(text: &str) -> Option<SecretText> {
    let bare = text.strip_suffix('=').unwrap_or(text);
    let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    // 43 characters hold two bits more than 32 bytes: they are zero in a true encoding (RFC 4648 §3.5).
    let ends_in_zeros = |last: char| "AEIMQUYcgkosw048".contains(last);
    let good = bare.len() == 43 && bare.bytes().all(in_alphabet) && bare.ends_with(ends_in_zeros);
    good.then(|| SecretText::from(bare))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const OLDER: &str = "__________________________________________8";
    const URL: &str = "postgres://app:hunter2@db.example:5432/grantor";

    /// A file that is gone after the test.
    struct TestFile(PathBuf);

    impl TestFile {
        fn new(name: &str, content: &[u8]) -> Self {
            let path =
                std::env::temp_dir().join(format!("grantor-kit-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            Self(path)
        }

        fn path(&self) -> Option<String> {
            self.0.to_str().map(str::to_owned)
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    fn good() -> CommonArgs {
        CommonArgs {
            database_url: text(URL),
            master_key: text(KEY),
            ..CommonArgs::default()
        }
    }

    /// The mistakes of a production configuration, of which none may show a secret.
    fn told(args: &CommonArgs) -> String {
        let told = args.resolve(true).unwrap_err();
        for shown in [told.to_string(), format!("{told:?}")] {
            assert!(
                !shown.contains("hunter2") && !shown.contains(KEY),
                "{shown}"
            );
        }
        told.to_string()
    }

    #[test]
    fn production_demands_database_and_master_key_and_development_does_not() {
        let nothing = CommonArgs::default();
        let told = told(&nothing);
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(
            told.contains("--database-url (GRANTOR_DATABASE_URL) is missing"),
            "{told}"
        );
        assert!(
            told.contains("--master-key (GRANTOR_MASTER_KEY) is missing"),
            "{told}"
        );
        let settings = nothing.resolve(false).unwrap();
        assert!(settings.database_url.is_none() && settings.master_key.is_none());
    }

    #[test]
    fn an_empty_value_counts_as_none() {
        let args = CommonArgs {
            database_url: text(""),
            master_key: text(" "),
            master_key_file: text(""),
            ..good()
        };
        assert_eq!(told(&args).matches("is missing").count(), 2);
    }

    #[test]
    fn secrets_come_from_files_without_their_last_line_feed() {
        let url = TestFile::new("url", format!("{URL}\n").as_bytes());
        let key = TestFile::new("key", format!("{KEY}=\r\n").as_bytes());
        let previous = TestFile::new("previous", format!("{OLDER}\n").as_bytes());
        let args = CommonArgs {
            database_url_file: url.path(),
            master_key_file: key.path(),
            previous_master_keys_file: previous.path(),
            ..CommonArgs::default()
        };
        let settings = args.resolve(true).unwrap();
        assert_eq!(settings.database_url.unwrap().expose(), URL);
        assert_eq!(settings.master_key.unwrap().expose(), KEY);
        assert_eq!(
            settings.previous_master_keys.first().unwrap().expose(),
            OLDER
        );
    }

    #[test]
    fn a_secret_is_given_once() {
        let args = CommonArgs {
            database_url_file: text("/run/url"),
            master_key_file: text("/run/key"),
            previous_master_keys: text(OLDER),
            previous_master_keys_file: text("/run/keys"),
            ..good()
        };
        let told = told(&args);
        assert_eq!(told.lines().count(), 3, "{told}");
        assert_eq!(told.matches("keep one of the two").count(), 3, "{told}");
        assert!(
            told.contains("and --master-key-file (GRANTOR_MASTER_KEY_FILE) too"),
            "{told}"
        );
    }

    #[test]
    fn a_file_that_holds_no_secret_is_told_and_its_path_is_not() {
        let directory = std::env::temp_dir().to_str().unwrap().to_owned();
        let empty = TestFile::new("empty", b"\n");
        let long = TestFile::new("long", &vec![b'a'; 70_000]);
        let binary = TestFile::new("binary", b"\xff\xfe");
        for (path, wrong) in [
            // The secret itself, given where its file was meant.
            (text(KEY), "cannot be read (entity not found)"),
            (text(&directory), "cannot be read"),
            (empty.path(), "is empty"),
            (long.path(), "is too long for a secret"),
            (binary.path(), "cannot be read (invalid data)"),
        ] {
            let args = CommonArgs {
                master_key: None,
                master_key_file: path.clone(),
                ..good()
            };
            let told = told(&args);
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(
                told.starts_with("--master-key-file (GRANTOR_MASTER_KEY_FILE) names a file that "),
                "{told}"
            );
            assert!(told.contains(wrong), "{told}");
            assert!(!told.contains(&path.unwrap()), "{told}");
        }
    }

    #[test]
    fn a_database_url_of_another_kind_is_refused() {
        for url in [
            "mysql://app:hunter2@db/x",
            "postgres://app:hunter2/@db.example/x",
            "hunter2",
        ] {
            let told = told(&CommonArgs {
                database_url: text(url),
                ..good()
            });
            assert!(
                told.starts_with("--database-url (GRANTOR_DATABASE_URL) "),
                "{told}"
            );
        }
    }

    #[test]
    fn rfc4648_3_5_a_master_key_is_the_one_encoding_of_32_bytes() {
        assert_eq!(key_text(&format!("{KEY}=")).unwrap().expose(), KEY);
        for bad in [
            "hunter2",
            &KEY[1..],
            &format!("{KEY}A"),
            &format!("{KEY}=="),
            &KEY.replace('A', "+"),
            &KEY.replace("h8", "h9"),
        ] {
            assert!(key_text(bad).is_none(), "{bad}");
            let told = told(&CommonArgs {
                master_key: text(bad),
                ..good()
            });
            assert!(
                told.starts_with("--master-key (GRANTOR_MASTER_KEY) is not 32 bytes in base64url"),
                "{told}"
            );
            assert!(!told.contains(bad), "{told}");
        }
    }

    #[test]
    fn each_wrong_previous_key_is_told_by_its_place() {
        let list = format!("{OLDER}, hunter2 ,{KEY},");
        let told = told(&CommonArgs {
            previous_master_keys: Some(list),
            ..good()
        });
        assert_eq!(told.lines().count(), 3, "{told}");
        assert!(
            told.contains("key 2 something that is not 32 bytes"),
            "{told}"
        );
        assert!(told.contains("key 3 the present master key"), "{told}");
        assert!(
            told.contains("key 4 something that is not 32 bytes"),
            "{told}"
        );
    }
}
