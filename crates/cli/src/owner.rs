//! The address by which the owner of the schema connects: for migrations and the bootstrap alone.

use clap::Args;
use grantor_server_kit::{CommonArgs, Mistake};

use crate::failure::Failure;

const NAME: &str = "GRANTOR_OWNER_DATABASE_URL";

/// Where the owner connects.
#[derive(Args)]
pub(crate) struct OwnerArgs {
    #[arg(
        help = "The database, as the role that owns Grantor's schema: postgresql://ROLE:PASSWORD@HOST/DATABASE",
        long,
        env = "GRANTOR_OWNER_DATABASE_URL",
        hide_env_values = true
    )]
    owner_database_url: Option<String>,
    /// A file that holds it instead.
    #[arg(long, env = "GRANTOR_OWNER_DATABASE_URL_FILE", hide_env_values = true)]
    owner_database_url_file: Option<String>,
}

impl std::fmt::Debug for OwnerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerArgs { [redacted] }")
    }
}

impl OwnerArgs {
    /// The address.
    pub(crate) fn url(&self) -> Result<String, Failure> {
        let url = secret(
            NAME,
            self.owner_database_url.as_ref(),
            self.owner_database_url_file.as_ref(),
        )?;
        let url = url.ok_or_else(|| {
            Failure::Told(format!(
                "{NAME} is not set; it names the database as the role that owns the schema, \
                 such as postgresql://grantor_owner:PASSWORD@localhost/grantor"
            ))
        })?;
        check(&url)?;
        Ok(url)
    }
}

/// An address that libpq can't read it repeats, password and all; so it is looked at first, as that of the servers is.
fn check(url: &str) -> Result<(), Failure> {
    let args = CommonArgs {
        database_url: Some(url.to_owned()),
        ..CommonArgs::default()
    };
    let mistakes = args.resolve(false).err();
    match mistakes.iter().flatten().next() {
        Some(Mistake { wrong, mend, .. }) => Err(Failure::Told(format!("{NAME} {wrong}: {mend}"))),
        None => Ok(()),
    }
}

/// A secret from a variable or a file, whichever is set; an empty one counts as none.
pub(crate) fn secret(
    name: &str,
    value: Option<&String>,
    file: Option<&String>,
) -> Result<Option<String>, Failure> {
    let set = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    match (set(value), set(file)) {
        (Some(_), Some(_)) => Err(Failure::Told(format!(
            "{name} and {name}_FILE are both set; keep one"
        ))),
        (Some(value), None) => Ok(Some(value)),
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map(|text| Some(text.trim_end().to_owned()))
            .map_err(Failure::io(format!(
                "the file that {name}_FILE names can't be read"
            ))),
        (None, None) => Ok(None),
    }
}
