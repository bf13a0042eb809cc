//! `grantor bootstrap`: the platform tenant and the operator's first credentials.

use std::sync::Arc;

use clap::Args;
use grantor_api_server::Api;
use grantor_api_server::bootstrap::{Bootstrapped, Outcome, bootstrap, new_operator_secret};
use grantor_authority::Authority;
use grantor_foundation::{OpenError, check_master_key, database_for_commands, keyring};
use grantor_keys::SystemEntropy;
use grantor_server_kit::{Clock, CommonArgs, CommonSettings, SystemClock};

use crate::failure::Failure;
use crate::owner::OwnerArgs;
use crate::terminal::say;

/// How to begin.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// Print the credentials as JSON.
    #[arg(long)]
    json: bool,
    /// The installation is bootstrapped already: give the operator a new secret, and stop the old ones.
    #[arg(long)]
    new_secret: bool,
}

pub(crate) async fn run(args: BootstrapArgs) -> Result<(), Failure> {
    let settings = args.common.resolve(false)?;
    let api = api(&args.owner.url()?, &settings)?;
    let made = begin(&api, args.new_secret).await?;
    if args.json {
        let json = serde_json::to_string_pretty(&made).map_err(|error| {
            Failure::Told(format!("the credentials can't be written as JSON: {error}"))
        })?;
        say(&json);
    } else {
        say(&format!(
            "The operator's credentials, shown this once:\n\n  issuer         {}\n  client_id      {}\n  client_secret  {}\n",
            made.issuer, made.client_id, made.client_secret
        ));
    }
    Ok(())
}

/// The API as the owner of the schema, which needs no server to be running.
pub(crate) fn api(owner_url: &str, settings: &CommonSettings) -> Result<Api, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database = database_for_commands(owner_url, settings, Arc::new(SystemEntropy::default()));
    Ok(Api::new(
        Authority::new(database, keyring(settings)?),
        clock,
        settings.api_base.as_str(),
        settings.issuer_base.as_str(),
    ))
}

async fn begin(api: &Api, new_secret: bool) -> Result<Bootstrapped, Failure> {
    if new_secret {
        // A secret made under another master key would not work, and the old ones would be gone.
        let not_yet = || {
            let sentence = "the installation is not bootstrapped yet; leave --new-secret out";
            Failure::Told(sentence.to_owned())
        };
        match check_master_key(api.authority.database(), api.authority.keyring()).await {
            Err(OpenError::NotBootstrapped) => return Err(not_yet()),
            checked => checked?,
        }
        return new_operator_secret(api).await?.ok_or_else(not_yet);
    }
    match bootstrap(api).await? {
        Outcome::Done(made) => Ok(made),
        Outcome::AlreadyDone => Err(Failure::Told(
            "the installation is bootstrapped already, and its credentials are shown once; \
             if they are lost, --new-secret makes new ones and stops the old"
                .to_owned(),
        )),
    }
}
