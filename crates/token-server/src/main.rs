//! The token server.

use clap::Parser;
use grantor_foundation::program::{self, Own, told_to_stop};
use grantor_server_kit::config::names;
use grantor_server_kit::{CommonArgs, TokenArgs};

/// Serves OAuth 2 below the issuer of each tenant.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    own: TokenArgs,
}

#[actix_web::main]
async fn main() {
    let Options { common, own } = Options::parse();
    let own = own.resolve().map(|own| Own {
        serving: (own.listen, names::TOKEN_LISTEN),
        operations: (own.operations_listen, names::TOKEN_OPERATIONS_LISTEN),
        description: own.describe(),
    });
    program::main(
        "token-server",
        common,
        own,
        |foundation, settings, serving, operations| {
            grantor_token_server::serve::serve(
                &foundation,
                &settings,
                serving,
                operations,
                told_to_stop(),
            )
        },
    )
    .await;
}
