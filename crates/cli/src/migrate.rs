//! `grantor migrate`: the schema brought up, or one step down, and the servers' role made.

use clap::Args;
use grantor_storage::migrate;
use url::Url;

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
    #[arg(long, env = "GRANTOR_DATABASE_URL_FILE")]
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
    let unreadable = || {
        Failure::Told(
            "GRANTOR_DATABASE_URL must look like postgresql://ROLE:PASSWORD@HOST/DATABASE"
                .to_owned(),
        )
    };
    let url = Url::parse(server).map_err(|_| unreadable())?;
    let of_query = |name: &str| {
        url.query_pairs()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let role = Some(decoded(url.username()))
        .filter(|role| !role.is_empty())
        .or_else(|| of_query("user"));
    let role = role.ok_or(migrate::MigrateError::NoRole)?;
    let password = url.password().map(decoded).or_else(|| of_query("password"));
    migrate::admit_server_role(owner, &role, password.as_deref())?;
    Ok(role)
}

/// Undoes percent-encoding in a part of an address.
fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .map(|(name, value)| {
            if value.is_empty() {
                name.into_owned()
            } else {
                format!("{name}={value}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_address_are_decoded() {
        for (text, plain) in [
            ("grantor", "grantor"),
            ("a%40b", "a@b"),
            ("a+b", "a+b"),
            ("x%3Dy", "x=y"),
            ("", ""),
        ] {
            assert_eq!(decoded(text), plain);
        }
    }
}
