//! The server as a program: its settings resolved, served until it is told to stop.

use grantor_foundation::program::{self, Own, told_to_stop};
use grantor_server_kit::config::names;
use grantor_server_kit::{ApiArgs, CommonArgs};

use crate::serve;

/// Runs the API server until it is told to stop, and ends the process.
pub async fn main(common: CommonArgs, own: ApiArgs) -> ! {
    let resolved = own.resolve();
    let kept = resolved.as_ref().ok().cloned();
    let own = resolved.map(|own| Own {
        serving: (own.listen, names::API_LISTEN),
        operations: (own.operations_listen, names::API_OPERATIONS_LISTEN),
        description: own.describe(),
    });
    program::main(
        "api-server",
        common,
        own,
        move |foundation, settings, serving, operations| {
            serve::serve(
                &foundation,
                &settings,
                kept.map_or(Ok(serve::Own::default()), |own| serve::Own::of(&own))?,
                serving,
                operations,
                told_to_stop(),
            )
        },
    )
    .await
}
