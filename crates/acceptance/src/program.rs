//! What a server's process runs: the program of either server as it is shipped, that ends with whoever started it.

use std::io::Read as _;

use clap::{Parser, Subcommand};
use grantor_server_kit::{ApiArgs, CommonArgs, TokenArgs};

#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The token server
    Token {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        own: TokenArgs,
    },
    /// The management API
    Api {
        #[command(flatten)]
        common: CommonArgs,
        #[command(flatten)]
        own: ApiArgs,
    },
}

/// Serves until it is told to stop, with settings from the environment.
pub async fn main() -> ! {
    let Options { kind } = Options::parse();
    end_with_the_starter();
    match kind {
        Kind::Token { common, own } => grantor_token_server::program::main(common, own).await,
        Kind::Api { common, own } => grantor_api_server::program::main(common, own).await,
    }
}

/// The other end of the standard input closes with the process that holds it, however that one ends.
fn end_with_the_starter() {
    std::thread::spawn(|| {
        let mut nothing = [0];
        while matches!(std::io::stdin().read(&mut nothing), Ok(1)) {}
        std::process::exit(0)
    });
}
