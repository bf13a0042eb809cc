//! The configuration as it is printed: everything but the secrets.

use std::fmt::Write as _;

use crate::config::{CommonSettings, database_url};
use crate::secret_text::REDACTED;

impl CommonSettings {
    /// The settings by option, without their secrets, to be printed.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let database_url = self.database_url.as_ref();
        let previous = vec![REDACTED; self.previous_master_keys.len()];
        vec![
            (
                "database-url",
                database_url.map_or_else(String::new, |url| database_url::shown(url.expose())),
            ),
            (
                "master-key",
                self.master_key.as_ref().map_or("", |_| REDACTED).to_owned(),
            ),
            ("previous-master-keys", previous.join(", ")),
            ("issuer-base", self.issuer_base.to_string()),
            ("api-base", self.api_base.to_string()),
            ("trusted-proxies", self.trusted_proxies.to_string()),
            ("log", self.log_filter.clone()),
            ("log-format", self.log_format.as_str().to_owned()),
            ("pool-size", self.pool_size.to_string()),
            ("deadline-seconds", self.deadline.as_secs().to_string()),
            ("drain-seconds", self.drain.as_secs().to_string()),
            ("workers", self.workers.to_string()),
            ("jwks-max-age", self.jwks_max_age.as_secs().to_string()),
            (
                "signing-key-rotation-days",
                self.signing_key_rotation_days.unwrap_or(0).to_string(),
            ),
        ]
    }
}

/// Described settings as text, one a line, for `--print-config`.
pub fn render(described: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (option, value) in described {
        let shown = if value.is_empty() { "(none)" } else { value };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{option} = {shown}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CommonArgs, names};

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const OLDER: &str = "__________________________________________8";

    #[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn the_printed_configuration_and_debug_show_no_secret() {
        let args = CommonArgs {
            database_url: text(
                "postgres://app:hunter2@db.example:5432/grantor?sslpassword=hunter2",
            ),
            master_key: text(KEY),
            previous_master_keys: text(OLDER),
            ..CommonArgs::default()
        };
        let settings = args.resolve(true).unwrap();
        let printed = render(&settings.describe());
        assert!(
            printed.contains("database-url = postgres://[redacted]@db.example:5432/grantor\n"),
            "{printed}"
        );
        assert!(
            printed.contains("master-key = [redacted]\nprevious-master-keys = [redacted]\n"),
            "{printed}"
        );
        assert!(printed.contains("trusted-proxies = (none)\n"), "{printed}");
        for shown in [
            printed,
            format!("{settings:?}"),
            format!("{settings:#?}"),
            format!("{args:?}"),
        ] {
            assert!(
                !shown.contains("hunter2") && !shown.contains(KEY) && !shown.contains(OLDER),
                "{shown}"
            );
        }
    }

    #[test]
    fn every_setting_is_printed() {
        let described = CommonArgs::default().resolve(false).unwrap().describe();
        let printed: Vec<_> = described
            .iter()
            .map(|(option, _)| format!("--{option}"))
            .collect();
        for name in [
            names::DATABASE_URL,
            names::MASTER_KEY,
            names::PREVIOUS_MASTER_KEYS,
            names::ISSUER_BASE,
            names::API_BASE,
            names::TRUSTED_PROXIES,
            names::LOG,
            names::LOG_FORMAT,
            names::POOL_SIZE,
            names::DEADLINE_SECONDS,
            names::DRAIN_SECONDS,
            names::WORKERS,
            names::JWKS_MAX_AGE,
            names::SIGNING_KEY_ROTATION_DAYS,
        ] {
            assert!(printed.contains(&name.option.to_owned()), "{}", name.option);
        }
    }
}
