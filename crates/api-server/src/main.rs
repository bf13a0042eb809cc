//! The management API's server.

use clap::Parser;
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
    grantor_api_server::program::main(common, own).await;
}
