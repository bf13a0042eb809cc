//! The management API's server.

use clap::Parser;
use grantor_api_server::serve;
use grantor_foundation::program::{self, Own, told_to_stop};
use grantor_server_kit::config::names;
use grantor_server_kit::{ApiArgs, CommonArgs};

/// Serves the management API.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    own: ApiArgs,
}

#[actix_web::main]
async fn main() {
    let Options { common, own } = Options::parse();
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
    .await;
}
