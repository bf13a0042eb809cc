//! `grantor migrate`: the schema brought up, or one step down, and the servers' role made.

use clap::Args;
use grantor_storage::migrate;

use crate::failure::Failure;
use crate::owner::{OwnerArgs, secret};
use crate::terminal::say;

/// What to do with the schema.
#[derive(Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    /// The database as servers log in. When set, that role is made if it is not there, and admitted.
    #[arg(long, env = "GRANTOR_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds it instead.
    #[arg(long, env = "GRANTOR_DATABASE_URL_FILE", hide_env_values = true)]
    database_url_file: Option<String>,
    /// Only tell which migrations the database has.
    #[arg(long)]
    status: bool,
    /// Take the last migration back. What it made is lost.
    #[arg(long, conflicts_with = "status")]
    down: bool,
}

impl std::fmt::Debug for MigrateArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MigrateArgs")
            .field("status", &self.status)
            .field("down", &self.down)
            .finish_non_exhaustive()
    }
}

pub(crate) fn run(args: &MigrateArgs) -> Result<(), Failure> {
    let owner = args.owner.url()?;
    if args.status {
        let states = migrate::status(&owner)?;
        for state in &states {
            say(&format!(
                "{}  {}",
                if state.applied { "applied" } else { "missing" },
                state.name
            ));
        }
        return Ok(());
    }
    if args.down {
        say(&migrate::down(&owner)?.map_or_else(
            || "nothing to take back: no migration is applied".to_owned(),
            |name| format!("took back {name}"),
        ));
        return Ok(());
    }
    let applied = migrate::up(&owner)?;
    for name in &applied {
        say(&format!("applied {name}"));
    }
    if applied.is_empty() {
        say("nothing to apply: the schema is up to date");
    }
    let server = secret(
        "GRANTOR_DATABASE_URL",
        args.database_url.as_ref(),
        args.database_url_file.as_ref(),
    )?;
    match server {
        Some(server) => {
            let role = admit(&owner, &server)?;
            say(&format!("servers may log in as {role}"));
        }
        None => say("GRANTOR_DATABASE_URL is not set, so no role was admitted for servers"),
    }
    Ok(())
}

fn admit(owner: &str, server: &str) -> Result<String, Failure> {
    let (role, password) = role_and_password(server).ok_or_else(|| {
        Failure::Told(
            "GRANTOR_DATABASE_URL must look like postgresql://ROLE:PASSWORD@HOST/DATABASE"
                .to_owned(),
        )
    })?;
    let role = role.ok_or(migrate::MigrateError::NoRole)?;
    migrate::admit_server_role(owner, &role, password.as_deref())?;
    Ok(role)
}

/// Who logs in by an address as libpq reads it: a host may be missing, and both may stand in the query.
fn role_and_password(address: &str) -> Option<(Option<String>, Option<String>)> {
    let rest = address
        .strip_prefix("postgresql://")
        .or_else(|| address.strip_prefix("postgres://"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let (user, _host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (role, password) = match user.split_once(':') {
        Some((role, password)) => (role, Some(password)),
        None => (user, None),
    };
    let of_query = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let given = |text: &str| (!text.is_empty()).then(|| decoded(text));
    Some((
        given(role).or_else(|| of_query("user")),
        password.and_then(given).or_else(|| of_query("password")),
    ))
}

/// Undoes percent-encoding in a part of an address.
fn decoded(text: &str) -> String {
    let escaped = text
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('&', "%26");
    url::form_urlencoded::parse(escaped.as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_logs_in_is_read_as_libpq_reads_it() {
        let read = |address: &str| {
            let (role, password) = role_and_password(address).unwrap();
            (role.unwrap_or_default(), password.unwrap_or_default())
        };
        let pair = |role: &str, password: &str| (role.to_owned(), password.to_owned());
        assert_eq!(read("postgresql://r:p@h:5432/d"), pair("r", "p"));
        assert_eq!(read("postgres://r@/d?host=/sock"), pair("r", ""));
        assert_eq!(
            read("postgresql:///d?host=/sock&user=r&password=p%40"),
            pair("r", "p@")
        );
        assert_eq!(
            read("postgresql://a%40b:c%3Ad+e=f&g@h/d"),
            pair("a@b", "c:d+e=f&g")
        );
        assert_eq!(read("postgresql://h/d"), pair("", ""));
        assert_eq!(role_and_password("mysql://r@h/d"), None);
    }
}
