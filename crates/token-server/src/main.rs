//! The token server.

use clap::Parser;
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
    grantor_token_server::program::main(common, own).await;
}
