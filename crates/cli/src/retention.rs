//! `grantor retention`: for how long the change feed and the log of record are kept.

use clap::Args;
use grantor_storage::retention::{self, Days, Kept};

use crate::failure::Failure;
use crate::owner::OwnerArgs;
use crate::terminal::say;

/// What is kept for how long. Without a number, it is told.
#[derive(Debug, Args)]
pub(crate) struct RetentionArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    /// Keep the change feed for so many days. A follower that was away for longer begins anew.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    changes: Option<Days>,
    /// Keep the log of record for so many days.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    audit_events: Option<Days>,
}

fn days(text: &str) -> Result<Days, String> {
    let number: i64 = text.parse().map_err(|_| "must be a number of days")?;
    Days::new(number).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &RetentionArgs) -> Result<(), Failure> {
    let owner = args.owner.url()?;
    for (what, wanted, name) in [
        (Kept::Changes, args.changes, "change feed"),
        (Kept::AuditEvents, args.audit_events, "log of record"),
    ] {
        if let Some(days) = wanted {
            retention::set(&owner, what, days)?;
        }
        say(&format!(
            "{name}: kept for {}",
            retention::get(&owner, what)?
        ));
    }
    Ok(())
}
