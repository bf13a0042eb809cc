//! Option and variable of each setting.

use crate::config::Name;

/// The database's URL.
pub const DATABASE_URL: Name = Name::new("--database-url", "GRANTOR_DATABASE_URL");
/// The file of the database's URL.
pub const DATABASE_URL_FILE: Name = Name::new("--database-url-file", "GRANTOR_DATABASE_URL_FILE");
/// The master key.
pub const MASTER_KEY: Name = Name::new("--master-key", "GRANTOR_MASTER_KEY");
/// The file of the master key.
pub const MASTER_KEY_FILE: Name = Name::new("--master-key-file", "GRANTOR_MASTER_KEY_FILE");
/// The former master keys.
pub const PREVIOUS_MASTER_KEYS: Name =
    Name::new("--previous-master-keys", "GRANTOR_PREVIOUS_MASTER_KEYS");
/// The file of the former master keys.
pub const PREVIOUS_MASTER_KEYS_FILE: Name = Name::new(
    "--previous-master-keys-file",
    "GRANTOR_PREVIOUS_MASTER_KEYS_FILE",
);
/// The token server's origin.
pub const ISSUER_BASE: Name = Name::new("--issuer-base", "GRANTOR_ISSUER_BASE");
/// The management API's origin.
pub const API_BASE: Name = Name::new("--api-base", "GRANTOR_API_BASE");
/// Whether http is allowed beyond this machine.
pub const ALLOW_HTTP: Name = Name::new("--allow-http", "GRANTOR_ALLOW_HTTP");
/// The reverse proxies.
pub const TRUSTED_PROXIES: Name = Name::new("--trusted-proxies", "GRANTOR_TRUSTED_PROXIES");
/// What is logged.
pub const LOG: Name = Name::new("--log", "GRANTOR_LOG");
/// How it is written.
pub const LOG_FORMAT: Name = Name::new("--log-format", "GRANTOR_LOG_FORMAT");
/// Database connections.
pub const POOL_SIZE: Name = Name::new("--pool-size", "GRANTOR_POOL_SIZE");
/// The deadline of a request.
pub const DEADLINE_SECONDS: Name = Name::new("--deadline-seconds", "GRANTOR_DEADLINE_SECONDS");
/// The drain at the stop.
pub const DRAIN_SECONDS: Name = Name::new("--drain-seconds", "GRANTOR_DRAIN_SECONDS");
/// Threads that serve.
pub const WORKERS: Name = Name::new("--workers", "GRANTOR_WORKERS");
/// How long verifiers may keep a set of keys.
pub const JWKS_MAX_AGE: Name = Name::new("--jwks-max-age", "GRANTOR_JWKS_MAX_AGE");
/// How old a signing key grows before it gets a successor.
pub const SIGNING_KEY_ROTATION_DAYS: Name = Name::new(
    "--signing-key-rotation-days",
    "GRANTOR_SIGNING_KEY_ROTATION_DAYS",
);
/// Where the API listens.
pub const API_LISTEN: Name = Name::new("--api-listen", "GRANTOR_API_LISTEN");
/// Where the API server answers operators.
pub const API_OPERATIONS_LISTEN: Name =
    Name::new("--api-operations-listen", "GRANTOR_API_OPERATIONS_LISTEN");
/// What one address may ask of the API.
pub const API_RATE_PER_ADDRESS: Name =
    Name::new("--api-rate-per-address", "GRANTOR_API_RATE_PER_ADDRESS");
/// What one credential may ask of the API.
pub const API_RATE_PER_CALLER: Name =
    Name::new("--api-rate-per-caller", "GRANTOR_API_RATE_PER_CALLER");
/// The mail server.
pub const SMTP_URL: Name = Name::new("--smtp-url", "GRANTOR_SMTP_URL");
/// The file of the mail server's URL.
pub const SMTP_URL_FILE: Name = Name::new("--smtp-url-file", "GRANTOR_SMTP_URL_FILE");
/// Who mails are from.
pub const MAIL_FROM: Name = Name::new("--mail-from", "GRANTOR_MAIL_FROM");
/// The folder that mails are written into.
pub const MAIL_FOLDER: Name = Name::new("--mail-folder", "GRANTOR_MAIL_FOLDER");
/// Where the token server listens.
pub const TOKEN_LISTEN: Name = Name::new("--token-listen", "GRANTOR_TOKEN_LISTEN");
/// Where the token server answers operators.
pub const TOKEN_OPERATIONS_LISTEN: Name = Name::new(
    "--token-operations-listen",
    "GRANTOR_TOKEN_OPERATIONS_LISTEN",
);
