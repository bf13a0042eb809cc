//! `grantor restore-fence`: after a restore from a backup, lets nothing that was issued before be good.

use std::sync::Arc;

use clap::Args;
use grantor_domain::audit::{Actor, Origin};
use grantor_foundation::database_for_commands;
use grantor_keys::SystemEntropy;
use grantor_server_kit::{Clock as _, CommonArgs, SystemClock};
use grantor_storage::{installation, migrate, restore_fence};

use crate::failure::Failure;
use crate::owner::OwnerArgs;
use crate::terminal::say;

/// Which database was restored.
#[derive(Debug, Args)]
pub(crate) struct RestoreFenceArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    #[command(flatten)]
    common: CommonArgs,
    /// Go on though others are connected to the database.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(args: RestoreFenceArgs) -> Result<(), Failure> {
    let settings = args.common.resolve(false)?;
    let owner = args.owner.url()?;
    let missing = migrate::status(&owner)?
        .iter()
        .filter(|state| !state.applied)
        .count();
    if missing > 0 {
        return Err(Failure::Told(format!(
            "the restored database lacks {missing} migrations; run `grantor migrate` first"
        )));
    }
    let database = database_for_commands(&owner, &settings, Arc::new(SystemEntropy::default()));
    if !installation::health(&database).await?.writable {
        return Err(Failure::Told(
            "this PostgreSQL takes no writes: it is still being restored, or follows another one; \
             run this on the primary"
                .to_owned(),
        ));
    }
    let others = restore_fence::connections_of_others(&database).await?;
    if others > 0 && !args.yes {
        return Err(Failure::Told(format!(
            "others are connected to this database ({others} connections), so it seems to be in use and not just \
             restored; nothing was done. Every client and member would need new tokens: if that is wanted, say --yes"
        )));
    }
    let origin = Origin::without_request(Actor::Command("grantor restore-fence"));
    restore_fence::renew_epoch(&database, origin, SystemClock.now()).await?;
    say(
        "The epoch of the installation is renewed, and the platform tenant's log of record says so.\n\n\
         - Every access token from before is dead, on every server, at once; who verifies by signature alone takes it \
         until it expires, ten minutes at most.\n\
         - Every link from before by which a member sets a password is dead. Send new ones to those who wait for one.\n\
         - Every position in the change feed from before has expired: who follows it begins anew.\n\
         - Clients, secrets, members and everything else are as the backup has them. What was changed or revoked after \
         it was made is not: look at what happened since, and do it again.",
    );
    Ok(())
}
