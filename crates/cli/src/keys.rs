//! `grantor keys`: master keys made, signing keys listed and rotated, sealed values sealed anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::{Args, Subcommand};
use grantor_domain::audit::{Actor, Origin};
use grantor_domain::ids::TenantId;
use grantor_foundation::Foundation;
use grantor_keys::{MasterKey, SystemEntropy};
use grantor_server_kit::{CommonArgs, SystemClock};

use crate::failure::Failure;
use crate::terminal::say;

/// What to do with keys.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Print a new master key, for GRANTOR_MASTER_KEY.
    NewMasterKey,
    /// List the signing keys that a tenant publishes.
    List(TenantArgs),
    /// Make a tenant's next signing key of each algorithm that it has one of: published at once, signing once every cache has it.
    Rotate(TenantArgs),
    /// Seal signing keys and spare keys anew under GRANTOR_MASTER_KEY. A secret of a client needs the master key that it was made under until it is rotated.
    Reseal(CommonArgs),
}

#[derive(Debug, Args)]
struct TenantArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The tenant's id.
    #[arg(long)]
    tenant: String,
}

impl TenantArgs {
    fn tenant(&self) -> Result<TenantId, Failure> {
        self.tenant
            .parse()
            .map_err(|error| Failure::Told(format!("--tenant: {error}")))
    }
}

fn origin() -> Origin {
    Origin::without_request(Actor::Command("grantor keys"))
}

async fn open(common: &CommonArgs) -> Result<Foundation, Failure> {
    let settings = common.resolve(true)?;
    let entropy = Arc::new(SystemEntropy::default());
    Ok(Foundation::open(&settings, Arc::new(SystemClock), entropy).await?)
}

pub(crate) async fn run(args: KeysArgs) -> Result<(), Failure> {
    match args.command {
        KeysCommand::NewMasterKey => {
            say(&MasterKey::generate(&SystemEntropy::default())?.encode());
        }
        KeysCommand::List(args) => {
            let foundation = open(&args.common).await?;
            let keys = foundation
                .authority
                .published_keys(args.tenant()?, foundation.clock.now())
                .await?;
            for key in &keys {
                let until = key
                    .published_until
                    .map_or_else(|| "open".to_owned(), |until| until.to_rfc3339());
                say(&format!(
                    "{}  {}  signs from {}  published until {until}",
                    key.kid,
                    key.algorithm.as_str(),
                    key.signs_from.to_rfc3339()
                ));
            }
            if keys.is_empty() {
                say("no signing key yet; the first is made when it is needed");
            }
        }
        KeysCommand::Rotate(args) => {
            let foundation = open(&args.common).await?;
            let (authority, now) = (&foundation.authority, foundation.clock.now());
            let tenant = args.tenant()?;
            // Nobody waits at the other end of a request here, so what is missing may be made.
            authority.keep_spare_keys(now).await?;
            let rotated = authority.rotate_signing_keys(tenant, origin(), now).await?;
            let left_out: BTreeSet<&str> = authority
                .published_keys(tenant, now)
                .await?
                .iter()
                .map(|key| key.algorithm.as_str())
                .filter(|algorithm| {
                    rotated
                        .iter()
                        .all(|key| key.algorithm.as_str() != *algorithm)
                })
                .collect();
            for algorithm in left_out {
                say(&format!(
                    "{algorithm}: others took all keys that were ready; run this again"
                ));
            }
            for key in rotated {
                say(&format!(
                    "{}  {}  signs from {}; older {} keys are published until {}",
                    key.kid,
                    key.algorithm.as_str(),
                    key.signs_from.to_rfc3339(),
                    key.algorithm.as_str(),
                    key.old_published_until.to_rfc3339()
                ));
            }
        }
        KeysCommand::Reseal(common) => {
            let foundation = open(&common).await?;
            let count = foundation
                .authority
                .reseal(&origin(), foundation.clock.now())
                .await?;
            say(&format!(
                "sealed {count} values anew under the current master key"
            ));
        }
    }
    Ok(())
}
