//! Removing what deleted tenants left: a loop beside the requests, in small steps, on any number of servers.

use std::time::Duration;

use grantor_storage::purge;

use crate::Api;

/// How often it is looked whether there is something to remove.
const INTERVAL: Duration = Duration::from_secs(5);
/// What lies between two steps, so that requests never wait for long.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes what deleted tenants left, for as long as it is polled.
pub async fn purge_deleted(api: Api) {
    loop {
        let pause = match purge::step(api.authority.database(), api.now()).await {
            Ok(Some(purged)) => {
                if purged.is_over {
                    log::info!("nothing is left of {}, which was deleted", purged.tenant);
                }
                PAUSE
            }
            Ok(None) => INTERVAL,
            Err(error) => {
                log::warn!("what a deleted tenant left can't be removed now: {error}");
                INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}
