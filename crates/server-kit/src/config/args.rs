//! The options and variables as they are written; nothing is checked here.

use std::fmt;

use clap::Args;

use crate::secret_text::REDACTED;

/// What both servers and the command line tool take.
#[derive(Args, Clone, Default)]
pub struct CommonArgs {
    /// The database: `postgres://user:password@host:5432/name`
    #[arg(
        long,
        env = "GRANTOR_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: Option<String>,
    /// A file that holds the database's URL
    #[arg(
        long,
        env = "GRANTOR_DATABASE_URL_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub database_url_file: Option<String>,
    /// The key that seals everything secret in the database: 32 random bytes in base64url
    #[arg(
        long,
        env = "GRANTOR_MASTER_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub master_key: Option<String>,
    /// A file that holds the master key
    #[arg(
        long,
        env = "GRANTOR_MASTER_KEY_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub master_key_file: Option<String>,
    /// Former master keys, still accepted while values are sealed anew; separated by commas
    #[arg(
        long,
        env = "GRANTOR_PREVIOUS_MASTER_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub previous_master_keys: Option<String>,
    /// A file that holds the former master keys
    #[arg(
        long,
        env = "GRANTOR_PREVIOUS_MASTER_KEYS_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub previous_master_keys_file: Option<String>,
    /// The public origin of the token server, which issuers begin with [default: `http://127.0.0.1:8081`]
    #[arg(long, env = "GRANTOR_ISSUER_BASE", value_name = "ORIGIN")]
    pub issuer_base: Option<String>,
    /// The public origin of the management API [default: `http://127.0.0.1:8080`]
    #[arg(long, env = "GRANTOR_API_BASE", value_name = "ORIGIN")]
    pub api_base: Option<String>,
    /// Allow http origins beyond this machine; for closed test networks only [default: false]
    #[arg(long, env = "GRANTOR_ALLOW_HTTP", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_http: Option<String>,
    /// Addresses and networks of the reverse proxies whose X-Forwarded-For is believed; separated by commas [default: none]
    #[arg(long, env = "GRANTOR_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// What is logged: a level, or levels by target as in info,access=warn [default: info]
    #[arg(long, env = "GRANTOR_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How log lines are written: text or json [default: text]
    #[arg(long, env = "GRANTOR_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Database connections, 1 to 200 [default: 10]
    #[arg(long, env = "GRANTOR_POOL_SIZE", value_name = "NUMBER")]
    pub pool_size: Option<String>,
    /// Seconds that a request may take, 1 to 60 [default: 5]
    #[arg(long, env = "GRANTOR_DEADLINE_SECONDS", value_name = "SECONDS")]
    pub deadline_seconds: Option<String>,
    /// Seconds that requests under way are given when the server stops, 0 to 300 [default: 10]
    #[arg(long, env = "GRANTOR_DRAIN_SECONDS", value_name = "SECONDS")]
    pub drain_seconds: Option<String>,
    /// Threads that serve, 1 to 512 [default: one per core]
    #[arg(long, env = "GRANTOR_WORKERS", value_name = "NUMBER")]
    pub workers: Option<String>,
    /// Seconds that verifiers may keep a tenant's published keys, 1 to 86400; the same on every server [default: 300]
    #[arg(long, env = "GRANTOR_JWKS_MAX_AGE", value_name = "SECONDS")]
    pub jwks_max_age: Option<String>,
    /// Days after which a signing key gets a successor, 1 to 3650, or 0 for never [default: 90]
    #[arg(long, env = "GRANTOR_SIGNING_KEY_ROTATION_DAYS", value_name = "DAYS")]
    pub signing_key_rotation_days: Option<String>,
    /// Print the configuration without its secrets, and exit
    #[arg(long)]
    pub print_config: bool,
}

/// What the API server takes besides.
#[derive(Args, Clone, Default)]
pub struct ApiArgs {
    /// Where the management API listens [default: 127.0.0.1:8080]
    #[arg(long, env = "GRANTOR_API_LISTEN", value_name = "ADDRESS:PORT")]
    pub api_listen: Option<String>,
    /// Where the API server answers operators [default: 127.0.0.1:9080]
    #[arg(
        long,
        env = "GRANTOR_API_OPERATIONS_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub api_operations_listen: Option<String>,
    /// Requests that one address may make, as in 600/10s, or off [default: 1000/10s]
    #[arg(long, env = "GRANTOR_API_RATE_PER_ADDRESS", value_name = "RATE")]
    pub api_rate_per_address: Option<String>,
    /// Requests that one access token may make, as in 600/10s, or off [default: 500/10s]
    #[arg(long, env = "GRANTOR_API_RATE_PER_CALLER", value_name = "RATE")]
    pub api_rate_per_caller: Option<String>,
    /// The mail server: `smtps://user:password@host:465` or `smtp://user:password@host:587?tls=required` [default: none]
    #[arg(
        long,
        env = "GRANTOR_SMTP_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub smtp_url: Option<String>,
    /// A file that holds the mail server's URL
    #[arg(
        long,
        env = "GRANTOR_SMTP_URL_FILE",
        hide_env_values = true,
        value_name = "PATH"
    )]
    pub smtp_url_file: Option<String>,
    /// Who mails are from: name@example.com or Name <name@example.com>
    #[arg(long, env = "GRANTOR_MAIL_FROM", value_name = "MAILBOX")]
    pub mail_from: Option<String>,
    /// A folder that mails are written into instead of being sent, to try the product out
    #[arg(long, env = "GRANTOR_MAIL_FOLDER", value_name = "PATH")]
    pub mail_folder: Option<String>,
}

/// What the token server takes besides.
#[derive(Args, Clone, Debug, Default)]
pub struct TokenArgs {
    /// Where the token server listens [default: 127.0.0.1:8081]
    #[arg(long, env = "GRANTOR_TOKEN_LISTEN", value_name = "ADDRESS:PORT")]
    pub token_listen: Option<String>,
    /// Where the token server answers operators [default: 127.0.0.1:9081]
    #[arg(
        long,
        env = "GRANTOR_TOKEN_OPERATIONS_LISTEN",
        value_name = "ADDRESS:PORT"
    )]
    pub token_operations_listen: Option<String>,
}

fn hidden(value: Option<&String>) -> Option<&'static str> {
    value.map(|_| REDACTED)
}

/// Shows which secrets are given, and none of them. Paths of secret files are hidden too, since the secret itself is
/// easily given where its file was meant.
impl fmt::Debug for CommonArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommonArgs")
            .field("database_url", &hidden(self.database_url.as_ref()))
            .field(
                "database_url_file",
                &hidden(self.database_url_file.as_ref()),
            )
            .field("master_key", &hidden(self.master_key.as_ref()))
            .field("master_key_file", &hidden(self.master_key_file.as_ref()))
            .field(
                "previous_master_keys",
                &hidden(self.previous_master_keys.as_ref()),
            )
            .field(
                "previous_master_keys_file",
                &hidden(self.previous_master_keys_file.as_ref()),
            )
            .field("issuer_base", &self.issuer_base)
            .field("api_base", &self.api_base)
            .field("allow_http", &self.allow_http)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("log", &self.log)
            .field("log_format", &self.log_format)
            .field("pool_size", &self.pool_size)
            .field("deadline_seconds", &self.deadline_seconds)
            .field("drain_seconds", &self.drain_seconds)
            .field("workers", &self.workers)
            .field("jwks_max_age", &self.jwks_max_age)
            .field("signing_key_rotation_days", &self.signing_key_rotation_days)
            .field("print_config", &self.print_config)
            .finish()
    }
}

impl fmt::Debug for ApiArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiArgs")
            .field("api_listen", &self.api_listen)
            .field("api_operations_listen", &self.api_operations_listen)
            .field("api_rate_per_address", &self.api_rate_per_address)
            .field("api_rate_per_caller", &self.api_rate_per_caller)
            .field("smtp_url", &hidden(self.smtp_url.as_ref()))
            .field("smtp_url_file", &hidden(self.smtp_url_file.as_ref()))
            .field("mail_from", &self.mail_from)
            .field("mail_folder", &self.mail_folder)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser};

    use super::*;
    use crate::config::names as n;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        _api: ApiArgs,
        #[command(flatten)]
        _token: TokenArgs,
    }

    #[test]
    fn options_and_variables_are_called_what_mistakes_call_them() {
        let named = [
            n::DATABASE_URL,
            n::DATABASE_URL_FILE,
            n::MASTER_KEY,
            n::MASTER_KEY_FILE,
            n::PREVIOUS_MASTER_KEYS,
            n::PREVIOUS_MASTER_KEYS_FILE,
            n::ISSUER_BASE,
            n::API_BASE,
            n::ALLOW_HTTP,
            n::TRUSTED_PROXIES,
            n::LOG,
            n::LOG_FORMAT,
            n::POOL_SIZE,
            n::DEADLINE_SECONDS,
            n::DRAIN_SECONDS,
            n::WORKERS,
            n::JWKS_MAX_AGE,
            n::SIGNING_KEY_ROTATION_DAYS,
            n::API_LISTEN,
            n::API_OPERATIONS_LISTEN,
            n::API_RATE_PER_ADDRESS,
            n::API_RATE_PER_CALLER,
            n::SMTP_URL,
            n::SMTP_URL_FILE,
            n::MAIL_FROM,
            n::MAIL_FOLDER,
            n::TOKEN_LISTEN,
            n::TOKEN_OPERATIONS_LISTEN,
        ];
        let named: BTreeSet<_> = named
            .iter()
            .map(|name| (name.option.to_owned(), name.env.to_owned()))
            .collect();
        let command = Program::command();
        let declared: BTreeSet<_> = command
            .get_arguments()
            .filter_map(|arg| {
                let env = arg.get_env()?.to_str()?.to_owned();
                Some((format!("--{}", arg.get_long()?), env))
            })
            .collect();
        assert_eq!(declared, named);
    }

    #[test]
    fn help_never_shows_the_secrets_that_the_environment_holds() {
        for arg in Program::command().get_arguments() {
            let id = arg.get_id().as_str();
            let secret = ["database_url", "master_key", "smtp_url"]
                .iter()
                .any(|part| id.contains(part));
            assert_eq!(arg.is_hide_env_values_set(), secret, "{id}");
            assert!(arg.get_help().is_some(), "{id}");
        }
    }

    #[test]
    fn allow_http_is_a_switch_that_also_takes_a_value() {
        for (given, read) in [
            (vec!["program"], None),
            (vec!["program", "--allow-http"], Some("true")),
            (vec!["program", "--allow-http=false"], Some("false")),
        ] {
            assert_eq!(
                Program::parse_from(given).common.allow_http.as_deref(),
                read
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = || Some("hunter2".to_owned());
        let args = CommonArgs {
            database_url: secret(),
            database_url_file: secret(),
            master_key: secret(),
            master_key_file: secret(),
            previous_master_keys: secret(),
            previous_master_keys_file: secret(),
            ..CommonArgs::default()
        };
        let api = ApiArgs {
            smtp_url: secret(),
            smtp_url_file: secret(),
            ..ApiArgs::default()
        };
        let shown = format!("{args:?} {api:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches(REDACTED).count(), 8, "{shown}");
    }
}
