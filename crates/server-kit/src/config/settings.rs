//! The configuration, checked.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::args::CommonArgs;
use crate::config::reading::{boolean, given, number};
use crate::config::{Mistakes, Name, Origin, log_filter, names};
use crate::logging::LogFormat;
use crate::secret_text::SecretText;
use crate::trusted_proxies::TrustedProxies;

/// What both servers run with.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// The database, always there in production.
    pub database_url: Option<SecretText>,
    /// 32 bytes as 43 characters of base64url, always there in production.
    pub master_key: Option<SecretText>,
    /// Former master keys, in the same form.
    pub previous_master_keys: Vec<SecretText>,
    /// The public origin of the token server.
    pub issuer_base: Origin,
    /// The public origin of the management API.
    pub api_base: Origin,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// What is logged.
    pub log_filter: String,
    /// How it is written.
    pub log_format: LogFormat,
    /// Database connections.
    pub pool_size: u32,
    /// How long a request may take.
    pub deadline: Duration,
    /// How long requests under way are given at the stop.
    pub drain: Duration,
    /// Threads that serve.
    pub workers: usize,
    /// How long verifiers may keep a tenant's published keys.
    pub jwks_max_age: Duration,
    /// After how many days a signing key gets a successor, if by itself at all.
    pub signing_key_rotation_days: Option<u32>,
}

impl CommonArgs {
    /// Checks everything and tells all mistakes. In production the database and the master key must be given.
    pub fn resolve(&self, production: bool) -> Result<CommonSettings, Mistakes> {
        let mut mistakes = Mistakes::new();
        let m = &mut mistakes;
        let database_url = self.database_url(m, production);
        let master_key = self.master_key(m, production);
        let previous_master_keys = self.previous_master_keys(m, master_key.as_ref());
        let allow_http = boolean(m, names::ALLOW_HTTP, self.allow_http.as_ref());
        let issuer_base = origin(
            m,
            names::ISSUER_BASE,
            self.issuer_base.as_ref(),
            allow_http,
            "http://127.0.0.1:8081",
        );
        let api_base = origin(
            m,
            names::API_BASE,
            self.api_base.as_ref(),
            allow_http,
            "http://127.0.0.1:8080",
        );
        let trusted_proxies = self.trusted_proxies(m);
        let log_filter = self.log_filter(m);
        let log_format = self.log_format(m);
        let pool_size = number(m, names::POOL_SIZE, self.pool_size.as_ref(), 1..=200, 10);
        let deadline = number(
            m,
            names::DEADLINE_SECONDS,
            self.deadline_seconds.as_ref(),
            1..=60,
            5,
        );
        let drain = number(
            m,
            names::DRAIN_SECONDS,
            self.drain_seconds.as_ref(),
            0..=300,
            10,
        );
        let workers = number(m, names::WORKERS, self.workers.as_ref(), 1..=512, cores());
        let jwks_max_age = self.jwks_max_age(m);
        let rotation_days = self.signing_key_rotation_days(m);
        let (Some(issuer_base), Some(api_base)) = (issuer_base, api_base) else {
            return Err(mistakes);
        };
        mistakes.or(CommonSettings {
            database_url,
            master_key,
            previous_master_keys,
            issuer_base,
            api_base,
            trusted_proxies,
            log_filter,
            log_format,
            pool_size,
            deadline: Duration::from_secs(deadline.into()),
            drain: Duration::from_secs(drain.into()),
            workers: workers as usize,
            jwks_max_age: Duration::from_secs(jwks_max_age.into()),
            signing_key_rotation_days: (rotation_days > 0).then_some(rotation_days),
        })
    }

    fn jwks_max_age(&self, mistakes: &mut Mistakes) -> u32 {
        let given = self.jwks_max_age.as_ref();
        number(mistakes, names::JWKS_MAX_AGE, given, 1..=86_400, 300)
    }

    fn signing_key_rotation_days(&self, mistakes: &mut Mistakes) -> u32 {
        let name = names::SIGNING_KEY_ROTATION_DAYS;
        let given = self.signing_key_rotation_days.as_ref();
        number(mistakes, name, given, 0..=3_650, 90)
    }

    fn trusted_proxies(&self, mistakes: &mut Mistakes) -> TrustedProxies {
        let Some(list) = given(self.trusted_proxies.as_ref()) else {
            return TrustedProxies::none();
        };
        TrustedProxies::parse(list).unwrap_or_else(|wrong| {
            for (place, error) in wrong {
                mistakes.add(
                    names::TRUSTED_PROXIES,
                    format!("has an entry {place} that {error}"),
                    "give the addresses or networks of your own proxies, such as 10.0.0.0/8, separated by commas",
                );
            }
            TrustedProxies::none()
        })
    }

    fn log_filter(&self, mistakes: &mut Mistakes) -> String {
        let filter = given(self.log.as_ref()).unwrap_or("info");
        if let Err(error) = log_filter::check(filter) {
            mistakes.add(
                names::LOG,
                error.to_string(),
                "give one, or nothing for info",
            );
        }
        filter.to_owned()
    }

    fn log_format(&self, mistakes: &mut Mistakes) -> LogFormat {
        let Some(word) = given(self.log_format.as_ref()) else {
            return LogFormat::default();
        };
        word.parse()
            .unwrap_or_else(|error: crate::logging::UnknownLogFormat| {
                mistakes.add(names::LOG_FORMAT, error.to_string(), "give one of these");
                LogFormat::default()
            })
    }
}

fn origin(
    mistakes: &mut Mistakes,
    name: Name,
    raw: Option<&String>,
    allow_http: bool,
    default: &str,
) -> Option<Origin> {
    match Origin::parse(given(raw).unwrap_or(default), allow_http) {
        Ok(origin) => Some(origin),
        Err(error) => {
            mistakes.add(
                name,
                error.to_string(),
                format!(
                    "give https://host or https://host:port; http needs {} ({})",
                    names::ALLOW_HTTP.option,
                    names::ALLOW_HTTP.env
                ),
            );
            None
        }
    }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(1).clamp(1, 512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ApiArgs, TokenArgs, all};

    #[expect(clippy::unnecessary_wraps, reason = "the fields are optional")]
    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn nothing_given_means_the_documented_defaults() {
        let settings = CommonArgs::default().resolve(false).unwrap();
        assert_eq!(settings.issuer_base.as_str(), "http://127.0.0.1:8081");
        assert_eq!(settings.api_base.as_str(), "http://127.0.0.1:8080");
        assert_eq!(settings.trusted_proxies, TrustedProxies::none());
        assert_eq!(
            (settings.log_filter.as_str(), settings.log_format),
            ("info", LogFormat::Text)
        );
        assert_eq!(settings.pool_size, 10);
        assert_eq!(settings.deadline, Duration::from_secs(5));
        assert_eq!(settings.drain, Duration::from_secs(10));
        assert!(settings.workers >= 1);
        assert_eq!(settings.jwks_max_age, Duration::from_secs(300));
        assert_eq!(settings.signing_key_rotation_days, Some(90));
    }

    #[test]
    fn what_is_given_is_taken() {
        let args = CommonArgs {
            issuer_base: text("https://login.example.com/"),
            api_base: text("http://api.example.com"),
            allow_http: text("true"),
            trusted_proxies: text("10.0.0.0/8"),
            log: text("warn,access=info"),
            log_format: text("json"),
            pool_size: text(" 200 "),
            deadline_seconds: text("60"),
            drain_seconds: text("0"),
            workers: text("3"),
            jwks_max_age: text("86400"),
            signing_key_rotation_days: text("0"),
            ..CommonArgs::default()
        };
        let settings = args.resolve(false).unwrap();
        assert_eq!(settings.issuer_base.as_str(), "https://login.example.com");
        assert_eq!(settings.api_base.as_str(), "http://api.example.com");
        assert_eq!(settings.trusted_proxies.to_string(), "10.0.0.0/8");
        assert_eq!(
            (settings.log_filter.as_str(), settings.log_format),
            ("warn,access=info", LogFormat::Json)
        );
        assert_eq!((settings.pool_size, settings.workers), (200, 3));
        assert_eq!(
            (settings.deadline, settings.drain),
            (Duration::from_secs(60), Duration::ZERO)
        );
        assert_eq!(settings.jwks_max_age, Duration::from_secs(86_400));
        assert_eq!(settings.signing_key_rotation_days, None, "never");
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_names_and_mend_and_none_with_what_was_given() {
        let wrong = || text("hunter2");
        let args = CommonArgs {
            database_url: wrong(),
            master_key: wrong(),
            previous_master_keys: wrong(),
            issuer_base: wrong(),
            api_base: text("https://app:hunter2@api.example.com"),
            allow_http: wrong(),
            trusted_proxies: wrong(),
            log: wrong(),
            log_format: wrong(),
            pool_size: wrong(),
            deadline_seconds: wrong(),
            drain_seconds: wrong(),
            workers: wrong(),
            jwks_max_age: wrong(),
            signing_key_rotation_days: wrong(),
            ..CommonArgs::default()
        };
        let api = ApiArgs {
            api_listen: wrong(),
            ..ApiArgs::default()
        };
        let token = TokenArgs {
            token_operations_listen: wrong(),
            ..TokenArgs::default()
        };
        let told = all(args.resolve(true), all(api.resolve(), token.resolve())).unwrap_err();
        let lines: Vec<_> = told.to_string().lines().map(str::to_owned).collect();
        for name in [
            names::DATABASE_URL,
            names::MASTER_KEY,
            names::PREVIOUS_MASTER_KEYS,
            names::ISSUER_BASE,
            names::API_BASE,
            names::ALLOW_HTTP,
            names::TRUSTED_PROXIES,
            names::LOG,
            names::LOG_FORMAT,
            names::POOL_SIZE,
            names::DEADLINE_SECONDS,
            names::DRAIN_SECONDS,
            names::WORKERS,
            names::JWKS_MAX_AGE,
            names::SIGNING_KEY_ROTATION_DAYS,
            names::API_LISTEN,
            names::TOKEN_OPERATIONS_LISTEN,
        ] {
            let begin = format!("{} ({}) ", name.option, name.env);
            assert_eq!(
                lines.iter().filter(|line| line.starts_with(&begin)).count(),
                1,
                "{told}"
            );
        }
        assert_eq!(lines.len(), 17, "{told}");
        assert!(lines.iter().all(|line| line.contains(": ")), "{told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        for (pool, deadline, drain, workers, max_age, rotation) in [
            ("0", "0", "301", "0", "0", "-1"),
            ("201", "61", "-1", "513", "86401", "3651"),
            ("1.5", "", "1e2", "99999999999", "5m", "90d"),
        ] {
            let args = CommonArgs {
                pool_size: text(pool),
                deadline_seconds: text(deadline),
                drain_seconds: text(drain),
                workers: text(workers),
                jwks_max_age: text(max_age),
                signing_key_rotation_days: text(rotation),
                ..CommonArgs::default()
            };
            let told = args.resolve(false).unwrap_err().to_string();
            assert!(
                told.contains(
                    "--pool-size (GRANTOR_POOL_SIZE) is not a whole number from 1 to 200: "
                ),
                "{told}"
            );
            // An empty value counts as none.
            assert_eq!(
                told.contains("from 1 to 60: "),
                !deadline.is_empty(),
                "{told}"
            );
            assert!(told.contains("from 0 to 300: "), "{told}");
            assert!(told.contains("from 1 to 512: "), "{told}");
            assert!(told.contains("from 1 to 86400: "), "{told}");
            assert!(told.contains("from 0 to 3650: "), "{told}");
        }
    }

    #[test]
    fn http_beyond_this_machine_is_refused_with_the_way_to_allow_it() {
        let args = CommonArgs {
            issuer_base: text("http://login.example.com"),
            ..CommonArgs::default()
        };
        let told = args.resolve(false).unwrap_err().to_string();
        assert!(
            told.contains("--issuer-base (GRANTOR_ISSUER_BASE) is http on a host other than"),
            "{told}"
        );
        assert!(
            told.contains("http needs --allow-http (GRANTOR_ALLOW_HTTP)"),
            "{told}"
        );
    }

    #[test]
    fn each_untrustworthy_network_is_told_by_its_place() {
        let args = CommonArgs {
            trusted_proxies: text("10.0.0.0/8,0.0.0.0/0,proxy"),
            ..CommonArgs::default()
        };
        let told = args.resolve(false).unwrap_err().to_string();
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(
            told.contains("has an entry 2 that is every address there is"),
            "{told}"
        );
        assert!(
            told.contains("has an entry 3 that is neither an IP address"),
            "{told}"
        );
    }
}
